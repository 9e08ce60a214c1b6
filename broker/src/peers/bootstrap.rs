//! How a node without a cluster finds one, or makes one with others.
//!
//! Every node is given the same list of addresses. One that belongs to a cluster is asked and followed. Only when each of
//! them has answered and none belongs to one, the node with the lowest number founds it, with all of them as the first
//! voters of the metadata group; the others learn of it when they ask again. So nobody founds a second cluster while some of
//! the first can't be reached. A node that is none of the founders asks a member to be taken in.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use leat_protocol::ErrorCode;
use leat_storage::{DataDir, Env, Founder, Founding};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::CALL_MAX;
use super::control;
use super::frame::STRANGER_BYTES_MAX;
use super::handshake::{self, Known, Me};
use super::wire::{self, Asked, Body, Call, Frame, Join, Purpose, Reply, Welcome};
use crate::error::Error;

/// How long to wait before everybody is asked again.
const AGAIN: Duration = Duration::from_millis(50);

/// Stands for the replica id of a node that has asked to be taken in and was not told it yet.
const JOINING: u64 = 0;

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
    // What a node was when it asked to be taken in, it is when it asks again.
    let folder_id = known.as_ref().map_or_else(Uuid::new_v4, |known| known.folder_id);
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
                    seek(seeking, folder_id, &listener, |founding| founding.save(env, folder)).await
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
async fn seek(
    seeking: &Seeking<'_>,
    folder_id: Uuid,
    listener: &TcpListener,
    save: impl Fn(&Founding) -> leat_storage::Result<()>,
) -> Result<Membership, Error> {
    let me = Me {
        node_id: seeking.node_id,
        address: seeking.address.clone(),
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
                let _ = handshake::receive(stream, &me, |_| Ok(None)).await;
            });
        }
    };
    let asking = async {
        let mut said = tokio::time::Instant::now();
        loop {
            let round = ask_all(seeking, &me).await;
            if let Some(membership) = decide(seeking, folder_id, round.as_slice())? {
                if membership.founding.replica_id != JOINING {
                    return Ok(membership);
                }
                // Whoever takes it in knows it by its folder from then on.
                save(&membership.founding)?;
                let me = Me { cluster_id: membership.cluster_id.clone(), ..Me::clone(&me) };
                return be_taken_in(seeking, &me, membership).await;
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
fn decide(seeking: &Seeking<'_>, folder_id: Uuid, round: &[io::Result<Welcome>]) -> Result<Option<Membership>, Error> {
    let answered = || round.iter().filter_map(|answer| answer.as_ref().ok());
    if let Some(member) = answered().find(|welcome| !welcome.cluster_id.is_empty()) {
        return join(seeking, folder_id, member).map(Some);
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
    let founding = Founding { folder_id, replica_id: 1, founders };
    Ok(Some(Membership { cluster_id: new_cluster_id(), founding }))
}

/// Asks one member after the other to take this node in, until one has.
async fn be_taken_in(seeking: &Seeking<'_>, me: &Me, mut membership: Membership) -> Result<Membership, Error> {
    let folder = membership.founding.folder_id.as_bytes().to_vec();
    let asked = Join { node_id: seeking.node_id, folder, address: seeking.address.clone() };
    for seed in seeking.seeds.iter().cycle() {
        match ask_to_join(seed, me, &asked).await {
            Ok(reply) if reply.error_code == i32::from(ErrorCode::NONE.0) => {
                membership.founding.replica_id = reply.index;
                return Ok(membership);
            }
            Ok(reply) if reply.error_code == i32::from(ErrorCode::INVALID_REQUEST.0) => {
                let cluster = &membership.cluster_id;
                return Err(Error::Failed(format!("cluster {cluster} does not take this node in: {}", reply.reason)));
            }
            Ok(reply) => tracing::info!(%seed, reason = %reply.reason, "not taken in yet"),
            Err(error) => tracing::info!(%seed, %error, "not taken in yet"),
        }
        tokio::time::sleep(AGAIN).await;
    }
    Err(Error::Failed("there is nobody to ask".to_owned()))
}

async fn ask_to_join(seed: &str, me: &Me, join: &Join) -> io::Result<Reply> {
    let (known, _) = handshake::connect(seed, me, Purpose::Control, 0).await?;
    let Known { mut reader, mut writer, .. } = known;
    control::send(&mut writer, Body::Call(Call { id: 1, asked: Some(Asked::Join(join.clone())) })).await?;
    let reading = async {
        loop {
            let frame: Frame = reader.message(STRANGER_BYTES_MAX).await?;
            if let Some(Body::Reply(reply)) = frame.body {
                return Ok(reply);
            }
        }
    };
    tokio::time::timeout(CALL_MAX, reading).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Becomes what a member says that this node is.
fn join(seeking: &Seeking<'_>, folder_id: Uuid, member: &Welcome) -> Result<Membership, Error> {
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
    let own = founders.iter().find(|founder| founder.node_id == node);
    if member.registered == wire::TAKEN_OUT.as_bytes() {
        return Err(Error::Failed(format!(
            "node {node} was taken out of cluster {}, and its number is not given again: start an empty data folder under a \
             new one",
            member.cluster_id
        )));
    }
    if !member.registered.is_empty() && (own.is_some() || member.registered != folder_id.as_bytes()) {
        return Err(Error::Failed(format!(
            "node {node} is in cluster {} with another data folder; an empty one can not take its place under the same \
             number: it would have forgotten what it promised",
            member.cluster_id
        )));
    }
    let replica_id = own.map_or(JOINING, |own| own.replica_id);
    let founding = Founding { folder_id, replica_id, founders };
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
        assert!(decide(&seeking(1, &seeds), Uuid::nil(), &[blank(3), blank(1), unreachable()]).unwrap().is_none());
        assert!(decide(&seeking(2, &seeds), Uuid::nil(), &all).unwrap().is_none());
        let founded = decide(&seeking(1, &seeds), Uuid::nil(), &all).unwrap().unwrap();
        let founders = founded.founding.founders;
        let placed: Vec<_> = founders.iter().map(|f| (f.node_id, f.replica_id, f.address.as_str())).collect();
        assert_eq!(placed, [(1, 1, "b"), (2, 2, "c"), (3, 3, "a")]);
        assert_eq!(founded.cluster_id.len(), 22);
        assert!(decide(&seeking(1, &seeds), Uuid::nil(), &[blank(1), blank(1), blank(2)]).is_err());
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
        let joined = decide(&seeking(2, &seeds), Uuid::nil(), &round()).unwrap().unwrap();
        assert_eq!((joined.cluster_id.as_str(), joined.founding.replica_id), ("c", 2));
        let later = decide(&seeking(3, &seeds), Uuid::nil(), &round()).unwrap().unwrap();
        assert_eq!(later.founding.replica_id, JOINING, "not a founder");
        let registered = Welcome { registered: vec![1; 16], ..member };
        assert!(
            decide(&seeking(2, &seeds), Uuid::nil(), &[Ok(registered)]).is_err(),
            "an empty folder does not take a used place"
        );
    }
}
