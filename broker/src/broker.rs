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
use crate::meeting::Meeting;
use crate::metadata::record::{BrokerRegistered, Endpoint, Kind};
use crate::net::{self, Accepted, Listening};
use crate::partition::State;
use crate::peers::{Membership, Peers};
use crate::pipelines;
use crate::retention;
use crate::server::{Parts, Server};
use crate::shard::{Command, Shard, Surroundings};

/// The longest that a stop waits for others to lead.
const EVACUATION_MAX: Duration = Duration::from_millis(1500);

/// Bytes of requests in work over all connections; see `net::Budget`.
const REQUEST_BYTES_MAX: usize = 48 << 20;

/// A broker in this process. Stops when dropped.
#[derive(Debug)]
pub struct Broker {
    server: Arc<Server>,
    address: SocketAddr,
    http: Option<Http>,
    connections: Arc<()>,
    /// True once the shards have stopped: nothing is left that others could hear.
    gone: watch::Sender<bool>,
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
        let listener = config.listeners.first().cloned().ok_or(Error::NoListener)?;
        let listening = Listening::bind(listener.bind_host(), listener.port, config.socket_listen_backlog_size)
            .map_err(|source| Error::Listen { listener: listener.to_string(), source })?;
        let address = listening.address;
        let meeting = Meeting::bind(&config)?;
        let Membership { cluster_id, founding } = meeting.find(&env, &folder, &config)?;
        let data = DataDir::open(&env, &folder, Some(&cluster_id), config.node_id)?;
        let ballots = Arc::new(parking_lot::Mutex::new(leat_storage::Ballots::open(&env, &folder)?));
        let pool = Pool::start()?;
        let shard_count = shard_count(&config);
        let metadata_epoch = ballots.lock().get(cluster::METADATA_GROUP).map_or(0, |ballot| ballot.term);
        let server = Server::new(Parts {
            metadata: cluster::metadata_partition(
                &config,
                &founding,
                i32::try_from(metadata_epoch + 1).unwrap_or(i32::MAX),
            ),
            config: config.clone(),
            peers: Peers::new(meeting.me(&config, &cluster_id, &founding)),
            folder_id: founding.folder_id,
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
            tell_members: cluster::tell_members(&server),
            deleting: server.deleting.clone(),
            peers: server.peers.clone(),
            metrics: server.metrics.clone(),
        };
        let http = Some(Http::start(&server, &config)?);
        let mut broker = Broker {
            server,
            address,
            http,
            connections: Arc::new(()),
            gone: watch::Sender::new(false),
            threads: Vec::new(),
            data: Some(data),
        };
        broker.advertise(&config, &listener);
        let dealt = broker.start_shards(&around, shard_count)?;
        let peer_address = meeting.address.clone();
        broker.meet(meeting)?;
        broker.open_metadata()?;
        wait_for(broker.server.catch_up())?;
        broker.server.set_caught_up();
        broker.sweep(&around)?;
        for (topic_id, partitions) in broker.server.partitions.topics() {
            broker.server.begin_topic(topic_id, &partitions);
        }
        broker.register(&config, &listener.name, peer_address)?;
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
        let stop = broker.server.stopping.subscribe();
        broker.threads.push(pipelines::start(&broker.server, stop)?);
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
        let patience = Duration::from_millis(self.server.config().leat_stop_timeout_ms);
        let begun = std::time::Instant::now();
        self.evacuate(patience);
        self.server.stopping.send_replace(true);
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
        self.gone.send_replace(true);
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
    fn register(&self, config: &Config, listener: &str, peer: Option<String>) -> Result<(), Error> {
        let (host, port) = self.server.advertised.get().cloned().unwrap_or_default();
        let listeners = vec![Endpoint { name: listener.to_owned(), host, port: port.into() }];
        let rack = config.broker_rack.clone();
        let image = self.server.image();
        let record = BrokerRegistered {
            node_id: self.server.node_id,
            listeners,
            rack,
            peer: peer.unwrap_or_default(),
            folder: self.server.folder_id.as_bytes().to_vec(),
        };
        let same = image.broker(self.server.node_id).is_some_and(|known| {
            known.listeners == record.listeners
                && known.rack == record.rack
                && known.peer == record.peer
                && known.folder == record.folder
        });
        if same {
            return Ok(());
        }
        let decided = wait_for(self.server.decide_alone(vec![Kind::BrokerRegistered(record).into()]))?;
        decided.map(drop).map_err(|(_, reason)| Error::Failed(reason))
    }

    /// Begins to hear other brokers, and tells the shards which of them live.
    fn meet(&mut self, meeting: Meeting) -> Result<(), Error> {
        let server = self.server.clone();
        let Some(thread) = meeting.begin(&server, self.gone.subscribe())? else { return Ok(()) };
        self.threads.push(thread);
        self.server.shards()[0].send(Command::Run(Box::new(move || {
            tokio::task::spawn_local(async move {
                loop {
                    server.peers.alive_changed().await;
                    let alive = server.peers.alive();
                    server.shards().iter().for_each(|shard| shard.send(Command::Nodes(alive.clone())));
                }
            });
        })));
        Ok(())
    }

    /// Lets others lead before this one stops, so that nobody has to notice that it did.
    fn evacuate(&self, patience: Duration) {
        if self.server.peers.alive().len() < 2 {
            return;
        }
        let begun = std::time::Instant::now();
        let leads = || {
            let mut partitions = self.server.partitions.all();
            partitions.push(self.server.metadata.clone());
            partitions.iter().any(|partition| partition.is_replicated() && partition.is_led_here())
        };
        self.server.shards().iter().for_each(|shard| shard.send(Command::Evacuate));
        // Where the others stop too, nobody is left to lead.
        let others = || self.server.peers.alive().len() > 1;
        while others() && leads() && begun.elapsed() < patience.min(EVACUATION_MAX) {
            thread::sleep(Duration::from_millis(2));
        }
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
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
