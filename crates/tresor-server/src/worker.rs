//! Workers: threads that each run their share of the connections, from the first byte to the last.
//!
//! A worker is one thread with a single-threaded runtime. A connection is handed over once and stays,
//! so nothing on its way is locked or sent between threads. The worker owns its tasks: it ends when
//! the last of them has ended, or when the grace for shutting down has passed.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    runtime::{Builder, LocalOptions, LocalRuntime},
    sync::mpsc,
    task::{JoinSet, yield_now},
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};
use tresor::{
    Database,
    publish::{Bell, Outbox},
};

use crate::{
    buffers::Buffers,
    connection,
    group_commit::GroupCommit,
    http::{self, HttpShared},
    limits::Limits,
    line,
    stop::Stopper,
};

/// Accepted connections that may wait for a worker to take them over.
const ARRIVALS: usize = 1024;

/// Turns of connections after which the worker looks for new input even if some still want another
/// turn. Work in slices (KEYS, an index being built) always does, so others wait this many slices.
const POLLS_PER_LOOK: u32 = 16;

/// How often a worker looks for connections that have been idle for too long.
const SWEEP_INTERVAL: Duration = Duration::from_millis(500);

/// Which protocol a connection speaks: that of the port it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Resp,
    Http,
    Line,
}

impl Door {
    /// The option that chooses its port.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Self::Resp => "--resp-port",
            Self::Http => "--port",
            Self::Line => "--line-port",
        }
    }
}

/// A connection that was accepted.
pub(crate) struct Arrival {
    pub(crate) stream: std::net::TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) door: Door,
    pub(crate) place: Place,
}

/// A connection's place among those of its worker; freed when dropped.
pub(crate) struct Place(Arc<AtomicUsize>);

impl Place {
    pub(crate) fn take(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Ordering::Relaxed);
        Self(connections.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the connections of one worker share.
pub(crate) struct Worker {
    pub(crate) number: usize,
    pub(crate) database: Database,
    pub(crate) limits: Limits,
    pub(crate) limits_before_authentication: Limits,
    pub(crate) http: Arc<HttpShared>,
    pub(crate) stopper: Stopper,
    pub(crate) buffers: Buffers,
    pub(crate) group_commit: GroupCommit,
    /// Rings when there are messages for connections.
    pub(crate) bell: Arc<Bell>,
    /// Sweeps so far: the clock of idle connections.
    sweeps: Cell<u32>,
    connections: RefCell<Vec<Rc<Presence>>>,
}

/// A connection as its worker sees it.
#[derive(Default)]
pub(crate) struct Presence {
    /// Where it stands in the worker's list.
    index: Cell<usize>,
    doing: Cell<Doing>,
    doom: Cell<Doom>,
    /// The sweep before which it was last active.
    active: Cell<u32>,
    waker: RefCell<Option<Waker>>,
}

/// What a connection is busy with; only who waits for its client can be idle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Doing {
    #[default]
    Executing,
    Reading,
    /// Waiting for messages, or for its client: never for too long.
    Listening,
    Sending,
}

/// What is in store for a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Doom {
    #[default]
    None,
    /// It ends when what it has begun is done and sent.
    Finish,
    /// It ends even if its client has not taken the replies.
    Cut,
}

impl Presence {
    /// Whether the connection is to end as soon as what it has begun is done.
    #[inline]
    pub(crate) fn doomed(&self) -> bool {
        self.doom.get() != Doom::None
    }

    /// Whether the connection is to end without waiting for its client.
    pub(crate) fn cut(&self) -> bool {
        self.doom.get() == Doom::Cut
    }

    /// Notes what the connection is busy with.
    #[inline]
    pub(crate) fn doing(&self, doing: Doing) {
        self.doing.set(doing);
    }

    fn doom(&self, doom: Doom) {
        self.doom.set(doom);
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Sets who is woken when the connection is doomed.
    pub(crate) fn wakes(&self, waker: &Waker) {
        self.waker.replace(Some(waker.clone()));
    }
}

impl Worker {
    /// Notes that a connection has sent something.
    #[inline]
    pub(crate) fn saw(&self, presence: &Presence) {
        presence.active.set(self.sweeps.get());
    }

    /// Dooms connections that have been idle for longer than the settings allow.
    fn sweep(&self) {
        let now = self.sweeps.get().wrapping_add(1);
        self.sweeps.set(now);
        self.buffers.count_outputs();
        self.database.drop_slow_subscribers(&self.bell);
        let timeout = Duration::from_secs(self.database.settings().idle_timeout_s.load(Ordering::Relaxed));
        if timeout.is_zero() {
            return;
        }
        let sweeps = (timeout.as_millis() / SWEEP_INTERVAL.as_millis()).try_into().unwrap_or(u32::MAX);
        for presence in &*self.connections.borrow() {
            let idle = now.wrapping_sub(presence.active.get()) > sweeps;
            if idle && matches!(presence.doing.get(), Doing::Reading | Doing::Sending) {
                presence.doom(Doom::Cut);
            }
        }
    }

    fn doom_all(&self) {
        self.connections.borrow().iter().for_each(|presence| presence.doom(Doom::Finish));
    }

    /// Runs a connection from now on.
    fn take_over(self: &Rc<Self>, arrival: Arrival, connections: &mut JoinSet<()>) {
        let stream = match TcpStream::from_std(arrival.stream) {
            Ok(stream) => stream,
            Err(error) => return tracing::debug!(%error, "a connection could not be taken over"),
        };
        let seat = Seat::take(self.clone(), arrival.place);
        match arrival.door {
            Door::Resp => {
                connections.spawn_local(connection::serve(stream, arrival.peer, seat));
            }
            Door::Line => {
                connections.spawn_local(line::serve(stream, arrival.peer, seat));
            }
            Door::Http => {
                connections.spawn_local(self.clone().serve_http(stream, seat));
            }
        }
    }
}

impl Worker {
    async fn serve_http(self: Rc<Self>, stream: TcpStream, seat: Seat) {
        // HTTP has time limits of its own: this seat counts, and is never swept.
        seat.presence.doing(Doing::Executing);
        let served = http::serve(stream, &self.database, self.number, self.http.clone()).await;
        if let Err(error) = served {
            self.stopper.fail(error);
        }
    }
}

/// A connection's seat at its worker; given up when dropped.
pub(crate) struct Seat {
    pub(crate) worker: Rc<Worker>,
    pub(crate) presence: Rc<Presence>,
    _place: Place,
}

impl Seat {
    fn take(worker: Rc<Worker>, place: Place) -> Self {
        let presence = Rc::<Presence>::default();
        worker.saw(&presence);
        let mut connections = worker.connections.borrow_mut();
        presence.index.set(connections.len());
        connections.push(presence.clone());
        drop(connections);
        Self { worker, presence, _place: place }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut connections = self.worker.connections.borrow_mut();
        let index = self.presence.index.get();
        connections.swap_remove(index);
        if let Some(moved) = connections.get(index) {
            moved.index.set(index);
        }
    }
}

/// A worker's thread, as the listener sees it.
pub(crate) struct WorkerThread {
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) arrivals: mpsc::Sender<Arrival>,
    thread: JoinHandle<()>,
}

/// How a worker runs.
#[derive(Clone)]
pub(crate) struct WorkerOptions {
    pub(crate) database: Database,
    pub(crate) limits: Limits,
    pub(crate) http: Arc<HttpShared>,
    pub(crate) stopper: Stopper,
    pub(crate) shutdown_grace: Duration,
}

impl WorkerThread {
    /// Starts worker `number`.
    pub(crate) fn start(number: usize, options: WorkerOptions) -> io::Result<Self> {
        let (sender, arrivals) = mpsc::channel(ARRIVALS);
        let (report, started) = std::sync::mpsc::sync_channel(1);
        let thread = thread::Builder::new().name(format!("tresor-worker-{number}")).spawn(move || {
            // The runtime is built where it runs: it cannot be sent.
            let mut builder = Builder::new_current_thread();
            match builder.enable_all().event_interval(POLLS_PER_LOOK).build_local(LocalOptions::default()) {
                Ok(runtime) => {
                    let _ = report.send(Ok(()));
                    run(&runtime, number, options, arrivals);
                }
                Err(error) => {
                    let _ = report.send(Err(error));
                }
            }
        })?;
        started.recv().unwrap_or_else(|_| Err(io::Error::other("the worker thread has ended")))?;
        Ok(Self { connections: Arc::default(), arrivals: sender, thread })
    }

    /// Waits for the thread's end.
    pub(crate) fn join(self) {
        drop(self.arrivals);
        if self.thread.join().is_err() {
            tracing::error!("a worker thread has panicked");
        }
    }
}

fn run(runtime: &LocalRuntime, number: usize, options: WorkerOptions, arrivals: mpsc::Receiver<Arrival>) {
    let grace = options.shutdown_grace;
    let bell = options.database.hub().bell();
    let worker = Rc::new(Worker {
        number,
        buffers: Buffers::new(options.database.memory_limit()),
        database: options.database,
        limits_before_authentication: options.limits.before_authentication(),
        limits: options.limits,
        http: options.http,
        stopper: options.stopper,
        group_commit: GroupCommit::default(),
        bell,
        sweeps: Cell::new(0),
        connections: RefCell::default(),
    });
    runtime.block_on(serve(&worker, arrivals, grace));
}

/// Takes connections over until the server stops; then waits for those that are left.
async fn serve(worker: &Rc<Worker>, mut arrivals: mpsc::Receiver<Arrival>, grace: Duration) {
    let mut connections = JoinSet::new();
    let mut sweeps = interval(SWEEP_INTERVAL);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopped = std::pin::pin!(worker.stopper.stopped());
    loop {
        tokio::select! {
            arrival = arrivals.recv() => match arrival {
                Some(arrival) => worker.take_over(arrival, &mut connections),
                None => break,
            },
            Some(ended) = connections.join_next() => report(ended),
            _ = sweeps.tick() => worker.sweep(),
            rung = poll_fn(|context| worker.bell.poll_rung(context)) => hand_out(&rung).await,
            () = &mut stopped => break,
        }
    }
    arrivals.close();
    // Before any connection ends: commands that wait for a lock get through, and all are counted.
    worker.stopper.discard_transactions(&worker.database);
    worker.doom_all();
    let deadline = Instant::now() + grace;
    while let Ok(Some(ended)) = timeout_at(deadline, connections.join_next()).await {
        report(ended);
    }
    if !connections.is_empty() {
        tracing::warn!(connections = connections.len(), "cut off connections that did not end in time");
    }
}

/// Tells connections of their messages, a few at a time: while these are written, whoever publishes gets its
/// turn, and the others then have more to write at once.
async fn hand_out(rung: &[Arc<Outbox>]) {
    for few in rung.chunks(POLLS_PER_LOOK as usize) {
        few.iter().for_each(|outbox| outbox.wake());
        yield_now().await;
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection has ended by a defect");
    }
}
