//! The first three frames of a connection: who is who, in which cluster, and that both know the secret.
//!
//! Each side proves the secret by an HMAC over both nonces and both names, so nothing that was heard before is of use. An
//! empty secret proves nothing: it is for loopback and for networks that are closed otherwise.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use uuid::Uuid;

use super::frame::{FrameReader, Outgoing, STRANGER_BYTES_MAX};
use super::wire::{self, Founder, Hello, Proof, Purpose, Welcome};

/// Who does not finish the handshake in this time is closed.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What this node says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Me {
    pub(crate) node_id: i32,
    /// Where it can be reached by brokers.
    pub(crate) address: String,
    /// Drawn at each start of the process.
    pub(crate) incarnation: u64,
    /// Empty while it is in no cluster.
    pub(crate) cluster_id: String,
    pub(crate) founders: Vec<Founder>,
    pub(crate) secret: String,
    /// Whether it listens to other brokers.
    pub(crate) clustered: bool,
}

/// A connection whose two sides know each other.
pub(crate) struct Known {
    pub(crate) reader: FrameReader<OwnedReadHalf>,
    pub(crate) writer: OwnedWriteHalf,
    pub(crate) node_id: i32,
    pub(crate) incarnation: u64,
}

/// Connects to a node.
pub(super) async fn connect(address: &str, me: &Me, purpose: Purpose, shard: usize) -> io::Result<(Known, Welcome)> {
    let connecting = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        introduce(FrameReader::new(reader), writer, me, purpose, shard).await
    };
    tokio::time::timeout(PATIENCE, connecting).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn introduce(
    mut reader: FrameReader<OwnedReadHalf>,
    mut writer: OwnedWriteHalf,
    me: &Me,
    purpose: Purpose,
    shard: usize,
) -> io::Result<(Known, Welcome)> {
    let hello = Hello {
        version: wire::VERSION,
        cluster_id: me.cluster_id.clone(),
        node_id: me.node_id,
        incarnation: me.incarnation,
        purpose: purpose.to_wire(),
        shard: u32::try_from(shard).unwrap_or(0),
        nonce: nonce(),
        address: me.address.clone(),
    };
    Outgoing::message(&hello).write(&mut writer).await?;
    let welcome: Welcome = reader.message(STRANGER_BYTES_MAX).await?;
    if !welcome.refusal.is_empty() {
        return Err(refused(welcome.refusal));
    }
    if !proves(&me.secret, Side::Server, &hello, &welcome, &welcome.proof) {
        return Err(refused(format!("node {} does not know the cluster's secret (leat.peer.secret)", welcome.node_id)));
    }
    let proof = Proof { proof: prove(&me.secret, Side::Client, &hello, &welcome) };
    Outgoing::message(&proof).write(&mut writer).await?;
    let (node_id, incarnation) = (welcome.node_id, welcome.incarnation);
    Ok((Known { reader, writer, node_id, incarnation }, welcome))
}

/// A node that has introduced itself.
pub(super) struct Visitor {
    pub(super) known: Known,
    pub(super) purpose: Purpose,
    pub(super) shard: usize,
    /// Where it can be reached by brokers, as it says.
    pub(super) address: String,
}

/// Answers a node that has connected. `registered` is the folder that a node's number is known with, or why it is refused.
pub(super) async fn receive(
    stream: TcpStream,
    me: &Me,
    registered: impl Fn(i32) -> Result<Option<Uuid>, String>,
) -> io::Result<Visitor> {
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    let receiving = receive_halves(FrameReader::new(reader), writer, me, registered);
    tokio::time::timeout(PATIENCE, receiving).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn receive_halves(
    mut reader: FrameReader<OwnedReadHalf>,
    mut writer: OwnedWriteHalf,
    me: &Me,
    registered: impl Fn(i32) -> Result<Option<Uuid>, String>,
) -> io::Result<Visitor> {
    let hello: Hello = reader.message(STRANGER_BYTES_MAX).await?;
    let mut welcome = Welcome {
        version: wire::VERSION,
        cluster_id: me.cluster_id.clone(),
        node_id: me.node_id,
        incarnation: me.incarnation,
        founders: me.founders.clone(),
        registered: Vec::new(),
        nonce: nonce(),
        proof: Bytes::new(),
        refusal: String::new(),
    };
    let admitted = admissible(me, &hello).and_then(|purpose| match (registered(hello.node_id), purpose) {
        // It is told in the answer.
        (Err(_), Purpose::Ask) => Ok((purpose, Some(wire::TAKEN_OUT))),
        (registered, _) => Ok((purpose, registered?)),
    });
    let purpose = match admitted {
        Ok((purpose, folder)) => {
            welcome.registered = folder.map(|folder| folder.as_bytes().to_vec()).unwrap_or_default();
            purpose
        }
        Err(refusal) => {
            let founders = Vec::new();
            let welcome = Welcome { refusal: refusal.clone(), founders, ..welcome };
            Outgoing::message(&welcome).write(&mut writer).await?;
            return Err(refused(refusal));
        }
    };
    welcome.proof = prove(&me.secret, Side::Server, &hello, &welcome);
    Outgoing::message(&welcome).write(&mut writer).await?;
    let proof: Proof = reader.message(STRANGER_BYTES_MAX).await?;
    if !proves(&me.secret, Side::Client, &hello, &welcome, &proof.proof) {
        return Err(refused(format!("node {} does not know the cluster's secret", hello.node_id)));
    }
    let known = Known { reader, writer, node_id: hello.node_id, incarnation: hello.incarnation };
    Ok(Visitor { known, purpose, shard: hello.shard as usize, address: hello.address })
}

fn admissible(me: &Me, hello: &Hello) -> Result<Purpose, String> {
    let Some(purpose) = Purpose::from_wire(hello.purpose) else {
        return Err(format!("purpose {} is not known to node {}", hello.purpose, me.node_id));
    };
    if hello.version != wire::VERSION {
        return Err(format!(
            "node {} speaks version {} of the protocol between brokers, node {} speaks {}",
            hello.node_id,
            hello.version,
            me.node_id,
            wire::VERSION
        ));
    }
    let (theirs, ours) = (&hello.cluster_id, &me.cluster_id);
    if !theirs.is_empty() && !ours.is_empty() && theirs != ours {
        return Err(format!("node {} is in cluster {theirs}, node {} in {ours}", hello.node_id, me.node_id));
    }
    if purpose != Purpose::Ask && (theirs.is_empty() || ours.is_empty()) {
        return Err(format!("node {} is in no cluster yet", if ours.is_empty() { me.node_id } else { hello.node_id }));
    }
    if hello.node_id == me.node_id && hello.incarnation != me.incarnation {
        return Err(format!("node id {} is used twice: each broker needs one of its own (node.id)", me.node_id));
    }
    Ok(purpose)
}

#[derive(Clone, Copy)]
enum Side {
    Client,
    Server,
}

fn mac(secret: &str, side: Side, hello: &Hello, welcome: &Welcome) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(match side {
        Side::Client => b"leat client",
        Side::Server => b"leat server",
    });
    mac.update(&hello.node_id.to_be_bytes());
    mac.update(&welcome.node_id.to_be_bytes());
    for nonce in [&hello.nonce, &welcome.nonce] {
        mac.update(&(nonce.len() as u64).to_be_bytes());
        mac.update(nonce);
    }
    Some(mac)
}

fn prove(secret: &str, side: Side, hello: &Hello, welcome: &Welcome) -> Bytes {
    // An HMAC takes a key of any length.
    mac(secret, side, hello, welcome)
        .map_or_else(Bytes::new, |mac| Bytes::copy_from_slice(&mac.finalize().into_bytes()))
}

/// Compares in constant time.
fn proves(secret: &str, side: Side, hello: &Hello, welcome: &Welcome, proof: &[u8]) -> bool {
    mac(secret, side, hello, welcome).is_some_and(|mac| mac.verify_slice(proof).is_ok())
}

fn nonce() -> Bytes {
    Bytes::copy_from_slice(Uuid::new_v4().as_bytes())
}

fn refused(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, reason)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn me(node_id: i32, cluster_id: &str, secret: &str) -> Me {
        Me {
            node_id,
            address: String::new(),
            incarnation: 7 + u64::from(node_id.unsigned_abs()),
            cluster_id: cluster_id.into(),
            founders: vec![Founder { node_id: 1, replica_id: 1, address: "a:1".into() }],
            secret: secret.into(),
            clustered: true,
        }
    }

    /// What each side makes of the other.
    async fn meet(client: Me, server: Me, purpose: Purpose) -> (Result<Welcome, String>, Result<i32, String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let folder = Uuid::from_u128(5);
        let served = async {
            let (stream, _) = listener.accept().await.unwrap();
            receive(stream, &server, |node| Ok((node == 2).then_some(folder))).await
        };
        let (asked, served) = tokio::join!(connect(&address, &client, purpose, 3), served);
        let asked = asked.map(|(_, welcome)| welcome).map_err(|error| error.to_string());
        (asked, served.map(|visitor| visitor.known.node_id).map_err(|error| error.to_string()))
    }

    #[tokio::test]
    async fn two_of_one_cluster_meet() {
        let (asked, served) = meet(me(2, "c", "s"), me(1, "c", "s"), Purpose::Control).await;
        let welcome = asked.unwrap();
        assert_eq!((welcome.node_id, welcome.cluster_id.as_str(), welcome.founders.len()), (1, "c", 1));
        assert_eq!(welcome.registered, Uuid::from_u128(5).as_bytes());
        assert_eq!(served, Ok(2));
    }

    #[tokio::test]
    async fn strangers_are_refused_with_a_reason() {
        let cases = [
            (me(2, "other", ""), Purpose::Control, "is in cluster other"),
            (me(2, "", ""), Purpose::Replication, "in no cluster yet"),
            (Me { incarnation: 1, ..me(1, "c", "") }, Purpose::Control, "used twice"),
        ];
        for (client, purpose, reason) in cases {
            let (asked, served) = meet(client, me(1, "c", ""), purpose).await;
            for told in [asked.map(drop), served.map(drop)] {
                assert!(told.as_ref().unwrap_err().contains(reason), "{told:?}");
            }
        }
    }

    #[tokio::test]
    async fn the_secret_is_proved_by_both_sides() {
        let (asked, served) = meet(me(2, "c", "wrong"), me(1, "c", "right"), Purpose::Control).await;
        assert!(asked.unwrap_err().contains("secret"));
        assert!(served.is_err());
        let client = me(2, "c", "right");
        let hello = Hello { node_id: 2, nonce: nonce(), ..Hello::default() };
        let welcome = Welcome { node_id: 1, nonce: nonce(), ..Welcome::default() };
        let proof = prove(&client.secret, Side::Client, &hello, &welcome);
        assert!(proves("right", Side::Client, &hello, &welcome, &proof));
        assert!(!proves("right", Side::Server, &hello, &welcome, &proof), "a proof is of one side");
        assert!(
            !proves("right", Side::Client, &Hello { nonce: nonce(), ..hello }, &welcome, &proof),
            "and of one meeting"
        );
    }

    #[tokio::test]
    async fn a_node_without_a_cluster_may_ask() {
        assert!(meet(me(2, "", ""), me(1, "c", ""), Purpose::Ask).await.0.is_ok());
        assert!(meet(me(2, "", ""), me(1, "", ""), Purpose::Ask).await.0.is_ok());
    }
}
