//! How a node without a cluster finds one, or makes one with others.
//!
//! Every node is given the same list of addresses. One that belongs to a cluster is asked and followed. Only when each of
//! them has answered and none belongs to one, the node with the lowest number founds it, with all of them as the first
//! voters of the metadata group; the others learn of it when they ask again. So nobody founds a second cluster while some of
//! the first can't be reached.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use leat_storage::{DataDir, Env, Founder, Founding};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::handshake::{self, Me};
use super::wire::{self, Purpose, Welcome};
use crate::error::Error;

/// How long to wait before everybody is asked again.
const AGAIN: Duration = Duration::from_millis(50);

/// How often it is said who does not answer.
const SAY: Duration = Duration::from_secs(5);

/// Where a node belongs.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    pub(crate) cluster_id: String,
    pub(crate) founding: Founding,
}

/// What a node that looks for its cluster is told at its start.
#[derive(Debug)]
pub(crate) struct Seeking<'a> {
    pub(crate) node_id: i32,
    pub(crate) incarnation: u64,
    pub(crate) secret: String,
    /// Where it can be reached by others.
    pub(crate) address: String,
    /// Everybody, this node among them or not; empty where it is alone.
    pub(crate) seeds: &'a [String],
}

/// The cluster that a data folder belongs to: what it says itself, or what the others say.
pub(crate) fn find(
    env: &Env,
    folder: &Path,
    seeking: &Seeking<'_>,
    listener: Option<&std::net::TcpListener>,
) -> Result<Membership, Error> {
    let known = Founding::load(env, folder)?;
    if let Some(cluster_id) = DataDir::cluster_id_of(env, folder)? {
        // A folder from before there were clusters of several is its own founder.
        let founding = known.unwrap_or_else(|| alone(seeking));
        founding.save(env, folder)?;
        return Ok(Membership { cluster_id, founding });
    }
    let membership = match listener {
        Some(listener) if !seeking.seeds.is_empty() => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let listener = listener.try_clone()?;
            let seek = || {
                let seeking = async {
                    let listener = TcpListener::from_std(listener)?;
                    seek(seeking, &listener).await
                };
                runtime.block_on(seeking)
            };
            // On a thread of its own, since whoever starts a broker may be within a runtime.
            let ended = std::thread::scope(|scope| scope.spawn(seek).join());
            ended.unwrap_or_else(|_| Err(io::Error::other("a thread ended in a panic").into()))?
        }
        _ => Membership { cluster_id: new_cluster_id(), founding: alone(seeking) },
    };
    membership.founding.save(env, folder)?;
    Ok(membership)
}

fn alone(seeking: &Seeking<'_>) -> Founding {
    let founder = Founder { node_id: seeking.node_id, replica_id: 1, address: seeking.address.clone() };
    Founding { folder_id: Uuid::new_v4(), replica_id: 1, founders: vec![founder] }
}

/// Asks everybody, and answers those who ask, until there is a cluster.
async fn seek(seeking: &Seeking<'_>, listener: &TcpListener) -> Result<Membership, Error> {
    let me = Me {
        node_id: seeking.node_id,
        incarnation: seeking.incarnation,
        cluster_id: String::new(),
        founders: Vec::new(),
        secret: seeking.secret.clone(),
        clustered: true,
    };
    let me = Arc::new(me);
    let refusal = Mutex::new(None);
    let answering = async {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let me = me.clone();
            tokio::spawn(async move {
                // Whoever can't be answered asks again.
                let _ = handshake::receive(stream, &me, |_| None).await;
            });
        }
    };
    let asking = async {
        let mut said = tokio::time::Instant::now();
        loop {
            let round = ask_all(seeking, &me).await;
            if let Some(membership) = decide(seeking, round.as_slice())? {
                return Ok(membership);
            }
            if said.elapsed() >= SAY {
                said = tokio::time::Instant::now();
                tell(seeking, &round, &refusal);
            }
            tokio::time::sleep(AGAIN).await;
        }
    };
    tokio::select! {
        found = asking => found,
        () = answering => Err(io::Error::other("nobody can be answered").into()),
    }
}

async fn ask_all(seeking: &Seeking<'_>, me: &Me) -> Vec<io::Result<Welcome>> {
    let asking = seeking.seeds.iter().map(async |seed| {
        let (_, welcome) = handshake::connect(seed, me, Purpose::Ask, 0).await?;
        Ok(welcome)
    });
    futures_util::future::join_all(asking).await
}

/// What the answers mean; `None` where it has to be asked again.
fn decide(seeking: &Seeking<'_>, round: &[io::Result<Welcome>]) -> Result<Option<Membership>, Error> {
    let answered = || round.iter().filter_map(|answer| answer.as_ref().ok());
    if let Some(member) = answered().find(|welcome| !welcome.cluster_id.is_empty()) {
        return join(seeking, member).map(Some);
    }
    if answered().count() < seeking.seeds.len() {
        return Ok(None);
    }
    let mut founders: Vec<(i32, &String)> =
        answered().map(|welcome| welcome.node_id).zip(seeking.seeds.iter()).collect();
    founders.sort_unstable();
    if let Some(twice) = founders.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let (node, first, second) = (twice[0].0, twice[0].1, twice[1].1);
        return Err(Error::Failed(format!("leat.cluster names node {node} twice: {first} and {second}")));
    }
    let lowest = founders.first().map(|(node, _)| *node);
    if lowest != Some(seeking.node_id) {
        return Ok(None);
    }
    let founders: Vec<Founder> = founders
        .into_iter()
        .zip(1..)
        .map(|((node_id, address), replica_id)| Founder { node_id, replica_id, address: address.clone() })
        .collect();
    let founding = Founding { folder_id: Uuid::new_v4(), replica_id: 1, founders };
    Ok(Some(Membership { cluster_id: new_cluster_id(), founding }))
}

/// Becomes what a member says that this node is.
fn join(seeking: &Seeking<'_>, member: &Welcome) -> Result<Membership, Error> {
    let founders: Vec<Founder> = member
        .founders
        .iter()
        .map(|wire::Founder { node_id, replica_id, address }| Founder {
            node_id: *node_id,
            replica_id: *replica_id,
            address: address.clone(),
        })
        .collect();
    let node = seeking.node_id;
    let Some(own) = founders.iter().find(|founder| founder.node_id == node) else {
        return Err(Error::Failed(format!(
            "node {node} is not among the founders of cluster {}; a cluster can not grow yet",
            member.cluster_id
        )));
    };
    if !member.registered.is_empty() {
        return Err(Error::Failed(format!(
            "node {node} is in cluster {} with another data folder; an empty one can not take its place under the same \
             number: it would have forgotten what it promised",
            member.cluster_id
        )));
    }
    let founding = Founding { folder_id: Uuid::new_v4(), replica_id: own.replica_id, founders };
    Ok(Membership { cluster_id: member.cluster_id.clone(), founding })
}

fn tell(seeking: &Seeking<'_>, round: &[io::Result<Welcome>], before: &Mutex<Option<String>>) {
    let missing: Vec<String> = seeking
        .seeds
        .iter()
        .zip(round)
        .filter_map(|(seed, answer)| Some(format!("{seed}: {}", answer.as_ref().err()?)))
        .collect();
    let missing = missing.join("; ");
    if before.lock().replace(missing.clone()).as_ref() != Some(&missing) {
        tracing::info!(%missing, "waiting for the other brokers of the cluster");
    }
}

/// A new cluster's id, in Kafka's form: 22 letters of URL-safe base 64.
fn new_cluster_id() -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bits = Uuid::new_v4().as_u128();
    (0..22)
        .map(|_| {
            bits = bits.rotate_left(6);
            char::from(LETTERS[(bits & 63) as usize])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeking<'a>(node_id: i32, seeds: &'a [String]) -> Seeking<'a> {
        Seeking { node_id, incarnation: 1, secret: String::new(), address: "x".into(), seeds }
    }

    fn blank(node_id: i32) -> io::Result<Welcome> {
        Ok(Welcome { node_id, ..Welcome::default() })
    }

    fn unreachable() -> io::Result<Welcome> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    #[test]
    fn the_lowest_founds_once_all_have_answered() {
        let seeds: Vec<String> = ["a", "b", "c"].map(String::from).into();
        let all = [blank(3), blank(1), blank(2)];
        assert!(decide(&seeking(1, &seeds), &[blank(3), blank(1), unreachable()]).unwrap().is_none());
        assert!(decide(&seeking(2, &seeds), &all).unwrap().is_none());
        let founded = decide(&seeking(1, &seeds), &all).unwrap().unwrap();
        let founders = founded.founding.founders;
        let placed: Vec<_> = founders.iter().map(|f| (f.node_id, f.replica_id, f.address.as_str())).collect();
        assert_eq!(placed, [(1, 1, "b"), (2, 2, "c"), (3, 3, "a")]);
        assert_eq!(founded.cluster_id.len(), 22);
        assert!(decide(&seeking(1, &seeds), &[blank(1), blank(1), blank(2)]).is_err());
    }

    #[test]
    fn a_member_is_followed_also_where_others_are_silent() {
        let seeds: Vec<String> = ["a", "b"].map(String::from).into();
        let founders = vec![
            wire::Founder { node_id: 1, replica_id: 1, address: "a".into() },
            wire::Founder { node_id: 2, replica_id: 2, address: "b".into() },
        ];
        let member = Welcome { node_id: 1, cluster_id: "c".into(), founders, ..Welcome::default() };
        let round = || [Ok(member.clone()), unreachable()];
        let joined = decide(&seeking(2, &seeds), &round()).unwrap().unwrap();
        assert_eq!((joined.cluster_id.as_str(), joined.founding.replica_id), ("c", 2));
        assert!(decide(&seeking(3, &seeds), &round()).is_err(), "not a founder");
        let registered = Welcome { registered: vec![1; 16], ..member };
        assert!(decide(&seeking(2, &seeds), &[Ok(registered)]).is_err(), "an empty folder does not take a used place");
    }
}
