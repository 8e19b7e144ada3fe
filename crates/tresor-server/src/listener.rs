//! Listening sockets: binding all of them before anything starts, and handing out what they accept.
//!
//! One thread accepts for every port and gives each connection to the worker with the fewest. It is
//! the only place that counts clients, so that the limit holds whatever the port.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::{sync::mpsc, task::JoinSet, time::sleep};
use tresor::{Database, Error, ErrorKind, Result};

use crate::{
    link::refuse,
    stop::Stopper,
    worker::{Arrival, Door, Place},
};

/// Connections that the kernel keeps waiting for us; it cuts this to its own limit.
const BACKLOG: i32 = 4096;

/// How long to wait when the process has no file descriptors left.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// When port 0 is asked for on several addresses, this many free ports are tried on all of them.
const PORT_ATTEMPTS: usize = 16;

/// A bound socket.
pub(crate) struct Bound {
    pub(crate) door: Door,
    pub(crate) address: SocketAddr,
    listener: TcpListener,
}

/// Binds one port on every address. Port 0 picks one that is free on all of them.
pub(crate) fn bind(door: Door, addresses: &[IpAddr], port: u16) -> Result<Vec<Bound>> {
    let mut attempts = if port == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        match bind_once(door, addresses, port) {
            Ok(bound) => return Ok(bound),
            Err((_, error)) if attempts > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            Err((address, error)) => return Err(explain(door, address, error)),
        }
    }
}

fn bind_once(door: Door, addresses: &[IpAddr], mut port: u16) -> Result<Vec<Bound>, (SocketAddr, io::Error)> {
    let mut bound = Vec::with_capacity(addresses.len());
    for address in addresses {
        let wanted = SocketAddr::new(*address, port);
        let listener = listen(wanted).map_err(|error| (wanted, error))?;
        let address = listener.local_addr().map_err(|error| (wanted, error))?;
        port = address.port();
        bound.push(Bound { door, address, listener });
    }
    Ok(bound)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Lets a restart bind while old connections are still timing out; two listeners still exclude
    // each other.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn explain(door: Door, address: SocketAddr, error: io::Error) -> Error {
    let option = door.option();
    let message = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "{address} is in use: stop what listens there, or choose another port with {option} (0 picks a free one)"
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("{address} may not be used by this user: choose a port above 1023 with {option}")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("{} is no address of this machine: correct --bind", address.ip())
        }
        _ => format!("cannot listen on {address} ({option})"),
    };
    Error::new(ErrorKind::Unavailable, message).caused_by(error)
}

/// A worker, as far as handing it connections goes.
#[derive(Clone)]
pub(crate) struct Hand {
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) arrivals: mpsc::Sender<Arrival>,
}

/// Whom connections are handed to, and on what conditions.
#[derive(Clone)]
pub(crate) struct Acceptor {
    pub(crate) hands: Vec<Hand>,
    pub(crate) database: Database,
}

/// Accepts on all sockets until the server stops, by itself or because SHUTDOWN wishes it.
pub(crate) async fn accept_all(bound: Vec<Bound>, acceptor: Acceptor, stopper: Stopper) {
    let database = acceptor.database.clone();
    let mut listeners = JoinSet::new();
    for bound in bound {
        listeners.spawn_local(accept(bound, acceptor.clone()));
    }
    tokio::select! {
        () = stopper.stopped() => {}
        saving = database.shutdown().requested() => stopper.stop_saving(saving),
    }
    listeners.shutdown().await;
}

async fn accept(bound: Bound, acceptor: Acceptor) {
    let address = bound.address;
    let listener = match tokio::net::TcpListener::from_std(bound.listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%address, %error, "cannot wait for connections"),
    };
    loop {
        // The socket goes to another thread's runtime, so this one lets go of it.
        match listener.accept().await.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
            Ok((stream, peer)) => acceptor.hand_over(stream, peer, bound.door).await,
            Err(error) if is_exhausted(&error) => {
                tracing::warn!(%address, %error, "cannot accept connections: raise the limit of open files (ulimit -n)");
                sleep(EXHAUSTED_PAUSE).await;
            }
            // The client was gone before it was accepted.
            Err(error) => tracing::debug!(%address, %error, "a connection was not accepted"),
        }
    }
}

impl Acceptor {
    /// Gives a connection to the worker with the fewest, or refuses it.
    async fn hand_over(&self, stream: TcpStream, peer: SocketAddr, door: Door) {
        let settings = self.database.settings();
        let load = |hand: &Hand| hand.connections.load(Ordering::Relaxed);
        if self.hands.iter().map(load).sum::<usize>() as u64 >= settings.max_clients.load(Ordering::Relaxed) {
            tracing::debug!(%peer, "refused a client: --max-clients is reached");
            self.database.clients().count_rejected();
            return refuse(&stream, door);
        }
        let Some(hand) = self.hands.iter().min_by_key(|hand| load(hand)) else { return };
        if let Err(error) = prepare(&stream, settings.tcp_keepalive_s.load(Ordering::Relaxed)) {
            return tracing::debug!(%peer, %error, "a connection was gone at once");
        }
        let place = Place::take(&hand.connections);
        // Fails only when the worker is stopping; then the connection is closed.
        let _ = hand.arrivals.send(Arrival { stream, peer, door, place }).await;
    }
}

/// `keepalive_s`: clients that are silent for so long are asked by the kernel whether they are there.
fn prepare(stream: &TcpStream, keepalive_s: u64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if keepalive_s == 0 {
        return Ok(());
    }
    let (time, interval) = (Duration::from_secs(keepalive_s), Duration::from_secs(keepalive_s.div_ceil(3)));
    SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(time).with_interval(interval))
}

fn is_exhausted(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE)) || error.kind() == io::ErrorKind::OutOfMemory
}
