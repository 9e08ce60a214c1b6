//! Where this broker meets others: the port that it listens on, the cluster that it finds there, and what becomes of what it
//! hears.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use leat_protocol::Uuid;
use leat_storage::{Env, Founding};
use tokio::sync::watch;

use crate::config::Config;
use crate::error::Error;
use crate::net::Listening;
use crate::peers::{self, Me, Membership, Seeking};
use crate::server::Server;
use crate::shard::Command;

/// Where other brokers are heard, if they are.
pub(crate) struct Meeting {
    socket: Option<std::net::TcpListener>,
    /// What others are told to connect to.
    pub(crate) address: Option<String>,
    incarnation: u64,
}

impl Meeting {
    pub(crate) fn bind(config: &Config) -> Result<Meeting, Error> {
        let incarnation = Uuid::new_v4().as_u64_pair().0;
        let Some(listen) = &config.leat_peer_listen else {
            return Ok(Meeting { socket: None, address: None, incarnation });
        };
        let listening = Listening::bind(listen.bind_host(), listen.port, config.socket_listen_backlog_size)
            .map_err(|source| Error::ListenToPeers { address: listen.to_string(), source })?;
        let mut reached = config.leat_peer_advertised.clone().unwrap_or_else(|| listen.clone());
        if reached.port == 0 {
            reached.port = listening.address.port();
        }
        Ok(Meeting { socket: Some(listening.socket), address: Some(reached.to_string()), incarnation })
    }

    pub(crate) fn find(&self, env: &Env, folder: &Path, config: &Config) -> Result<Membership, Error> {
        let seeds: Vec<String> = config.leat_cluster.iter().map(ToString::to_string).collect();
        let seeking = Seeking {
            node_id: config.node_id,
            incarnation: self.incarnation,
            secret: config.leat_peer_secret.clone().unwrap_or_default(),
            address: self.address.clone().unwrap_or_default(),
            seeds: &seeds,
        };
        peers::find(env, folder, &seeking, self.socket.as_ref())
    }

    pub(crate) fn me(&self, config: &Config, cluster_id: &str, founding: &Founding) -> Me {
        let founders = founding.founders.iter().map(|founder| peers::Founder {
            node_id: founder.node_id,
            replica_id: founder.replica_id,
            address: founder.address.clone(),
        });
        Me {
            node_id: config.node_id,
            address: self.address.clone().unwrap_or_default(),
            incarnation: self.incarnation,
            cluster_id: cluster_id.to_owned(),
            founders: founders.collect(),
            secret: config.leat_peer_secret.clone().unwrap_or_default(),
            clustered: self.socket.is_some(),
        }
    }

    /// Listens from now on; no thread where nobody is heard.
    pub(crate) fn begin(
        self,
        server: &Arc<Server>,
        stop: watch::Receiver<bool>,
    ) -> Result<Option<JoinHandle<()>>, Error> {
        let Some(listener) = self.socket else { return Ok(None) };
        Ok(Some(peers::start(server.peers.clone(), listener, hands(server), stop)?))
    }
}

/// What becomes of what other brokers say.
fn hands(server: &Arc<Server>) -> peers::Hands {
    let (raft, called, registered, shards) = (server.clone(), server.clone(), server.clone(), server.clone());
    let (lacking, source, rate) = (server.clone(), server.clone(), server.clone());
    peers::Hands {
        raft: Box::new(move |group, node_id, message| {
            if let Some(partition) = raft.partition_of(group) {
                partition.heard(message.from, node_id);
                let message = Box::new(message);
                raft.shard(&partition).send(Command::Peer { partition: partition.clone(), message });
            }
        }),
        lacking: Box::new(move |group, leader, first_index| {
            if let Some(partition) = lacking.partition_of(group) {
                lacking.shard(&partition).send(Command::Lacking { partition: partition.clone(), leader, first_index });
            }
        }),
        source: Box::new(move |group, reply| {
            let server = source.clone();
            tokio::task::spawn_local(async move {
                // Whoever asked may be gone.
                let _ = reply.send(server.seed(group).await);
            });
        }),
        pool: server.pool.clone(),
        seed_bytes_per_second: Box::new(move || rate.config().leat_seed_bytes_per_second),
        called: Box::new(move |asked| {
            let server = called.clone();
            tokio::task::spawn_local(async move { server.called(asked).await });
        }),
        registered: Box::new(move |node| {
            let image = registered.image();
            if image.is_gone(node) {
                return Err(format!("node {node} was taken out of the cluster"));
            }
            Ok(image.broker(node).and_then(|broker| Uuid::from_slice(&broker.folder).ok()))
        }),
        on_shard: Box::new(move |shard, run| {
            let shards = shards.shards();
            shards[shard % shards.len()].send(Command::Run(run));
        }),
    }
}
