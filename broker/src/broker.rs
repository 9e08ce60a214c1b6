//! A running broker: starts the threads in order, and stops them in the reverse one.
//!
//! ```text
//!   data folder -> metadata log -> partitions known -> listener
//!   shard 0..n: one thread, one runtime: connections and replicas   (+ a write thread each, and the disk pool)
//! ```

use std::cell::RefCell;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use leat_protocol::{Str, Uuid};
use leat_storage::{DataDir, Env, Identity, OpenFiles};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

use crate::cluster;
use crate::compaction;
use crate::config::Config;
use crate::disk::Pool;
use crate::error::Error;
use crate::fetch_session::SessionCache;
use crate::handlers::Context;
use crate::http::Http;
use crate::metadata::record::{BrokerRegistered, Endpoint, Kind};
use crate::net::{self, Accepted, Listening};
use crate::partition::State;
use crate::retention;
use crate::server::{Parts, Server};
use crate::shard::{Command, Shard, Surroundings};

/// Bytes of requests in work over all connections; see `net::Budget`.
const REQUEST_BYTES_MAX: usize = 48 << 20;

/// A broker in this process. Stops when dropped.
#[derive(Debug)]
pub struct Broker {
    server: Arc<Server>,
    address: SocketAddr,
    http: Option<Http>,
    connections: Arc<()>,
    threads: Vec<JoinHandle<()>>,
    data: Option<DataDir>,
}

impl Broker {
    /// Starts a broker; returns when it listens. The data folder is made where it does not exist.
    ///
    /// # Errors
    /// The folder is in use, of another cluster, of a newer format, read-only or damaged; the address is taken.
    pub fn start(config: Config) -> Result<Broker, Error> {
        let begun = std::time::Instant::now();
        let files_max = leat_storage::raise_file_limit().unwrap_or(1024);
        let env = Env::new(config.leat_open_segments.min(OpenFiles::for_file_limit(files_max).max()));
        let folder = config.log_dirs.first().cloned().unwrap_or_else(|| "leat-data".into());
        let cluster_id = DataDir::cluster_id_of(&env, &folder)?.unwrap_or_else(new_cluster_id);
        let data = DataDir::open(&env, &folder, Some(&cluster_id), config.node_id)?;
        let ballots = Arc::new(parking_lot::Mutex::new(leat_storage::Ballots::open(&env, &folder)?));
        let pool = Pool::start()?;
        let shard_count = shard_count(&config);
        let metadata_epoch = ballots.lock().get(cluster::METADATA_GROUP).map_or(0, |ballot| ballot.term);
        let server = Server::new(Parts {
            metadata: cluster::metadata_partition(&config, i32::try_from(metadata_epoch + 1).unwrap_or(i32::MAX)),
            config: config.clone(),
            cluster_id,
            folder: folder.clone(),
            ballots: ballots.clone(),
            pool: pool.clone(),
            shard_count,
            request_bytes_max: REQUEST_BYTES_MAX,
        });
        let around = Surroundings {
            env,
            ballots,
            pool,
            folder,
            same_boot: data.same_boot(),
            checkpoint_bytes: config.leat_checkpoint_interval_bytes,
            producer_expiration_ms: u64::try_from(config.producer_id_expiration_ms).unwrap_or(u64::MAX),
            machines: cluster::machines(&server),
            deleting: server.deleting.clone(),
            metrics: server.metrics.clone(),
        };
        let listener = config.listeners.first().cloned().ok_or(Error::NoListener)?;
        let listening = Listening::bind(listener.bind_host(), listener.port, config.socket_listen_backlog_size)
            .map_err(|source| Error::Listen { listener: listener.to_string(), source })?;
        let address = listening.address;
        let http = Some(Http::start(&server, &config)?);
        let connections = Arc::new(());
        let mut broker = Broker { server, address, http, connections, threads: Vec::new(), data: Some(data) };
        broker.advertise(&config, &listener);
        let dealt = broker.start_shards(&around, shard_count)?;
        broker.open_metadata()?;
        broker.sweep(&around)?;
        broker.register(&config, &listener.name)?;
        let ending = broker.server.stopping.subscribe();
        let connections_max = config.max_connections as usize;
        let server = broker.server.clone();
        let stop = broker.server.stopping.subscribe();
        broker.server.shards()[0].send(Command::Run(Box::new(move || {
            tokio::task::spawn_local(async move {
                if let Err(error) = net::accept(listening, dealt, connections_max, ending).await {
                    tracing::error!(%error, "no more connections are accepted");
                }
            });
            tokio::task::spawn_local(retention::run(server, stop));
        })));
        if config.log_cleaner_enable {
            let stop = broker.server.stopping.subscribe();
            broker.threads.push(compaction::start(broker.server.clone(), stop)?);
        }
        broker.server.set_serves();
        let partitions = broker.server.image().partition_count();
        tracing::info!(
            address = %broker.bootstrap(), http = ?broker.http_addresses(), folder = %broker.server.folder.display(), cluster_id = %broker.server.cluster_id,
            node_id = broker.server.node_id, shards = shard_count, partitions, files_max, same_boot = around.same_boot,
            took_ms = begun.elapsed().as_millis(), "started"
        );
        Ok(broker)
    }

    #[cfg(test)]
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// Where it listens; with port 0 configured, the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to give a client: `host:port`.
    pub fn bootstrap(&self) -> String {
        match self.server.advertised.get() {
            Some((host, port)) if host.contains(':') => format!("[{host}]:{port}"),
            Some((host, port)) => format!("{host}:{port}"),
            None => self.address.to_string(),
        }
    }

    /// Where metrics and health are served over HTTP.
    pub fn http_addresses(&self) -> &[SocketAddr] {
        self.http.as_ref().map_or(&[], |http| &http.addresses)
    }

    pub fn cluster_id(&self) -> &str {
        &self.server.cluster_id
    }

    /// Why it can't go on, if it can't: whoever runs it should then stop it.
    pub fn failure(&self) -> Option<String> {
        self.server.failed.borrow().clone()
    }

    /// Answers what is in work, syncs and closes every log, and ends. Waits until that is done.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(data) = self.data.take() else { return };
        self.server.stopping.send_replace(true);
        let patience = Duration::from_millis(self.server.config().leat_stop_timeout_ms);
        let begun = std::time::Instant::now();
        while Arc::strong_count(&self.connections) > 1 && begun.elapsed() < patience {
            thread::sleep(Duration::from_millis(1));
        }
        if let Err(error) = wait_for(async {
            for shard in self.server.shards() {
                shard.stop().await;
            }
        }) {
            tracing::error!(%error, "the shards could not be told to stop");
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        self.server.pool.stop();
        match data.close() {
            Ok(()) => tracing::info!(took_ms = begun.elapsed().as_millis(), "stopped"),
            Err(error) => tracing::warn!(%error, "the data folder is not marked as left cleanly"),
        }
        // It tells until the end that this is one.
        drop(self.http.take());
    }

    fn advertise(&self, config: &Config, listener: &crate::config::Listener) {
        let address = match config.advertised_listeners.as_ref().and_then(|listeners| listeners.first()) {
            Some(advertised) => Some((advertised.host.clone(), advertised.port)),
            None if listener.is_wildcard() => None,
            None => Some((listener.host.clone(), self.address.port())),
        };
        if let Some((host, port)) = address {
            let port = if port == 0 { self.address.port() } else { port };
            // Set once, before anything is served.
            let _ = self.server.advertised.set((host, port));
        }
    }

    /// One thread per shard. Returns where to deal connections.
    fn start_shards(
        &mut self,
        around: &Surroundings,
        count: usize,
    ) -> Result<Vec<mpsc::UnboundedSender<Accepted>>, Error> {
        let mut dealt = Vec::with_capacity(count);
        let mut handles = Vec::with_capacity(count);
        let mut starts = Vec::with_capacity(count);
        for id in 0..count {
            let (shard, handle) = Shard::new(id, around.clone())?;
            let (deal, accepted) = mpsc::unbounded_channel();
            handles.push(handle);
            dealt.push(deal);
            starts.push((id, shard, accepted));
        }
        self.server.set_shards(handles);
        for (id, shard, accepted) in starts {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let connections = Connections {
                server: self.server.clone(),
                sessions: self.session_cache(id, count),
                accepted,
                ending: self.server.stopping.subscribe(),
                open: Arc::downgrade(&self.connections),
            };
            let run = move || run_shard(&runtime, shard, connections);
            self.threads.push(thread::Builder::new().name(format!("leat-shard-{id}")).spawn(run)?);
        }
        Ok(dealt)
    }

    fn session_cache(&self, shard: usize, count: usize) -> SessionCache {
        let slots = self.server.config().max_incremental_fetch_session_cache_slots;
        let seed = Uuid::new_v4().as_u64_pair().0;
        SessionCache::new(shard, count, slots, seed)
    }

    fn open_metadata(&self) -> Result<(), Error> {
        let metadata = self.server.metadata.clone();
        wait_for(self.server.shard(&metadata).open(&metadata))?;
        match (self.failure(), metadata.state()) {
            (Some(reason), _) => Err(Error::Failed(reason)),
            (None, State::Open) => Ok(()),
            (None, _) => {
                let reason = metadata.offline_reason().map_or_else(String::new, |reason| reason.to_string());
                Err(Error::Failed(format!("the metadata log can not be opened: {reason}")))
            }
        }
    }

    /// Removes folders of topics that were deleted just before the broker was.
    fn sweep(&self, around: &Surroundings) -> Result<(), Error> {
        let Some(data) = &self.data else { return Ok(()) };
        let mut known: HashSet<String> =
            self.server.partitions.all().iter().map(|partition| partition.folder()).collect();
        known.insert(self.server.metadata.folder());
        for folder in data.partitions()?.into_iter().filter(|folder| !known.contains(folder)) {
            tracing::info!(%folder, "a deleted topic's folder is removed");
            let identity = Identity { topic_id: Uuid::new_v4(), partition: 0, replica_id: 1 };
            leat_storage::delete_folder(&around.env, &around.folder.join(folder), &identity)?;
        }
        Ok(())
    }

    /// Writes this broker into the metadata where it is not there, or not as it is now.
    fn register(&self, config: &Config, listener: &str) -> Result<(), Error> {
        let (host, port) = self.server.advertised.get().cloned().unwrap_or_default();
        let listeners = vec![Endpoint { name: listener.to_owned(), host, port: port.into() }];
        let rack = config.broker_rack.clone();
        let image = self.server.image();
        if image.broker(self.server.node_id).is_some_and(|known| known.listeners == listeners && known.rack == rack) {
            return Ok(());
        }
        let record = Kind::BrokerRegistered(BrokerRegistered { node_id: self.server.node_id, listeners, rack });
        // In a thread of its own, since whoever starts a broker may be within a runtime.
        let decide = || -> Result<(), Error> {
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            let decided = runtime.block_on(self.server.decide_alone(vec![record.into()]));
            decided.map(drop).map_err(|(_, reason)| Error::Failed(reason))
        };
        let decided = std::thread::scope(|scope| scope.spawn(decide).join());
        decided.unwrap_or_else(|_| Err(Error::Failed("the broker could not be registered".to_owned())))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a shard's thread needs to serve connections.
struct Connections {
    server: Arc<Server>,
    sessions: SessionCache,
    accepted: mpsc::UnboundedReceiver<Accepted>,
    ending: watch::Receiver<bool>,
    /// Counts what is open, by its upgrades.
    open: Weak<()>,
}

/// Waits on a thread of its own: the caller's may be one that drives a runtime, where waiting is forbidden.
fn wait_for<T: Send>(future: impl Future<Output = T> + Send) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let ended = thread::scope(|scope| scope.spawn(move || runtime.block_on(future)).join());
    ended.map_err(|_| std::io::Error::other("a thread ended in a panic"))
}

fn run_shard(runtime: &Runtime, shard: Shard, connections: Connections) {
    LocalSet::new().block_on(runtime, async move {
        tokio::task::spawn_local(connections.serve());
        shard.run().await;
    });
}

impl Connections {
    async fn serve(mut self) {
        let sessions = Rc::new(RefCell::new(self.sessions));
        let listener =
            self.server.config().listeners.first().map_or_else(String::new, |listener| listener.name.clone());
        let listener = Str::from(listener);
        while let Some((stream, peer, counted)) = self.accepted.recv().await {
            let Ok(stream) = tokio::net::TcpStream::from_std(stream) else { continue };
            let Ok(local) = stream.local_addr() else { continue };
            net::size_buffers(&stream, &self.server.config());
            let context = Rc::new(Context {
                server: self.server.clone(),
                peer,
                principal: Str::from_static("User:ANONYMOUS"),
                listener: listener.clone(),
                local,
                software: RefCell::default(),
                sessions: sessions.clone(),
            });
            let (ending, open) = (self.ending.clone(), self.open.upgrade());
            tokio::task::spawn_local(async move {
                net::serve(stream, context, ending).await;
                drop((counted, open));
            });
        }
    }
}

/// As many as asked for, or one per core.
fn shard_count(config: &Config) -> usize {
    match config.leat_shards {
        0 => thread::available_parallelism().map_or(1, std::num::NonZero::get),
        count => count as usize,
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
