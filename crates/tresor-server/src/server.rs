//! A running server: its sockets, its threads, and the order in which they start and end.
//!
//! Everything that can fail is done before anything serves: a server that started has all its ports.
//! Invariant: when [`Server::shutdown`] returns, every thread has ended and nothing of the database is
//! held any more.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::Ordering},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::runtime::{Builder, LocalOptions};
use tresor::{Database, Error, ErrorKind, Result};

use crate::{
    http::{Hosts, HttpLimits, HttpShared},
    key_rotation::{KeyRotation, KeySource},
    limits::Limits,
    listener::{Acceptor, Bound, Hand, accept_all, bind},
    sharding::ShardControl,
    stop::{Ending, Stopper},
    worker::{Door, WorkerOptions, WorkerThread},
};

/// How a server is set up. Passwords are the database's business: `tresor::settings`.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Addresses to listen on, each with every port.
    pub bind: Vec<IpAddr>,
    /// Port of the Redis protocol; 0 picks a free one, `None` leaves it out.
    pub resp_port: Option<u16>,
    /// Port of HTTP; 0 picks a free one, `None` leaves it out.
    pub http_port: Option<u16>,
    /// Port of the line protocol; 0 picks a free one, `None` leaves it out.
    pub line_port: Option<u16>,
    /// Worker threads; at least one.
    pub workers: usize,
    /// Connections at the same time, over all ports; CONFIG SET can change it.
    pub max_clients: usize,
    /// The bounds of one client.
    pub limits: Limits,
    /// The bounds of one HTTP connection.
    pub http_limits: HttpLimits,
    /// Further names that HTTP's Host header may carry.
    pub allowed_hosts: Vec<String>,
    /// Origins besides the server's own whose web pages may use HTTP, as browsers write them.
    pub cors_origins: Vec<String>,
    /// Where the encryption keys can be read again, for a store that is encrypted.
    pub encryption_keys: Option<KeySource>,
    /// What `/v1/shards` asks, where the store is spread over some.
    pub shards: Option<Arc<ShardControl>>,
    /// How long connections may take to finish what they have begun when the server stops.
    pub shutdown_grace: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            bind: vec![Ipv4Addr::LOCALHOST.into()],
            resp_port: Some(6379),
            http_port: Some(8080),
            line_port: Some(7379),
            workers: thread::available_parallelism().map_or(1, usize::from),
            max_clients: 10_000,
            limits: Limits::default(),
            http_limits: HttpLimits::default(),
            allowed_hosts: Vec::new(),
            cors_origins: Vec::new(),
            encryption_keys: None,
            shards: None,
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

/// Where a server can be reached; empty for a protocol that was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The Redis protocol.
    pub resp: Vec<SocketAddr>,
    /// HTTP.
    pub http: Vec<SocketAddr>,
    /// The line protocol.
    pub line: Vec<SocketAddr>,
}

/// A server that accepts connections until it is told to stop.
pub struct Server {
    addresses: Addresses,
    stopper: Stopper,
    workers: Vec<WorkerThread>,
    acceptor: Option<JoinHandle<()>>,
    rotation: Arc<KeyRotation>,
}

impl Server {
    /// Binds all sockets, then starts to serve `database` on them.
    ///
    /// # Errors
    /// A port that cannot be had; the message names the option. Nothing is left running then.
    pub fn start(database: Database, config: ServerConfig) -> Result<Self> {
        let mut bound = Vec::new();
        let ports =
            [(Door::Resp, config.resp_port), (Door::Http, config.http_port), (Door::Line, config.line_port)];
        for (door, port) in ports {
            if let Some(port) = port {
                bound.extend(bind(door, &config.bind, port)?);
            }
        }
        let addresses = Addresses {
            resp: of(&bound, Door::Resp),
            http: of(&bound, Door::Http),
            line: of(&bound, Door::Line),
        };
        let hosts = Hosts::new(&addresses.http, &config.allowed_hosts).with_origins(&config.cors_origins);
        let rotation = KeyRotation::new(config.encryption_keys);
        let admin = (rotation.clone(), config.shards);
        let (stopper, workers) = (Stopper::new(), Vec::new());
        let http = HttpShared::new(hosts, config.http_limits, config.workers, admin, stopper.clone());
        let mut server = Self { addresses, stopper, workers, acceptor: None, rotation };
        let settings = database.settings();
        settings.max_clients.store(config.max_clients as u64, Ordering::Relaxed);
        if let Some(address) = server.addresses.resp.first() {
            settings.set_fact("port", address.port().to_string());
        }
        // From here on dropping `server` stops and joins what has been started.
        let options = WorkerOptions {
            database: database.clone(),
            limits: config.limits,
            http: Arc::new(http),
            stopper: server.stopper.clone(),
            shutdown_grace: config.shutdown_grace,
        };
        for number in 0..config.workers.max(1) {
            let worker = WorkerThread::start(number, options.clone());
            server.workers.push(worker.map_err(|error| no_thread().caused_by(error))?);
        }
        server.start_accepting(bound, database)?;
        Ok(server)
    }

    fn start_accepting(&mut self, bound: Vec<Bound>, database: Database) -> Result<()> {
        let hand = |worker: &WorkerThread| Hand {
            connections: worker.connections.clone(),
            arrivals: worker.arrivals.clone(),
        };
        let hands = self.workers.iter().map(hand).collect();
        let stopper = self.stopper.clone();
        let run =
            move || match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                Ok(runtime) => runtime.block_on(accept_all(bound, Acceptor { hands, database }, stopper)),
                Err(error) => stopper.fail(no_thread().caused_by(error)),
            };
        let thread = thread::Builder::new().name("tresor-listener".to_owned()).spawn(run);
        self.acceptor = Some(thread.map_err(|error| no_thread().caused_by(error))?);
        Ok(())
    }

    /// Where it can be reached.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// A handle that stops it, for signal handlers.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Blocks until the server is told to stop, by whomever, and says why. Call
    /// [`shutdown`](Self::shutdown) then.
    pub fn wait(&self) -> Arc<Ending> {
        self.stopper.wait()
    }

    /// Stops accepting, lets connections finish what they have begun within the grace, and ends.
    pub fn shutdown(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stopper.stop();
        self.rotation.stop();
        if let Some(acceptor) = self.acceptor.take()
            && acceptor.join().is_err()
        {
            tracing::error!("the listener thread has panicked");
        }
        self.workers.drain(..).for_each(WorkerThread::join);
        self.rotation.join();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn of(bound: &[Bound], door: Door) -> Vec<SocketAddr> {
    bound.iter().filter(|bound| bound.door == door).map(|bound| bound.address).collect()
}

fn no_thread() -> Error {
    Error::new(
        ErrorKind::Internal,
        "cannot start a thread of the server: lower --threads or raise the limits of the process",
    )
}
