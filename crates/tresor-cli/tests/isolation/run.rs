//! Clients of all front doors that work on few keys at once, while the server may be killed; then the
//! history goes to the checker.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tresor_testkit::{
    Ports, Server, TemporaryDirectory,
    deadline::wait_until,
    isolation::{History, Transaction},
    random::Random,
};

use crate::{
    client::Client,
    door::Protocol::{self, Http, Line, Resp},
};

/// What a client does again and again.
pub(crate) type Workload = fn(&mut Client<'_>);

/// How clients are spread over the front doors.
const PROTOCOLS: [Protocol; 12] = [Resp, Line, Http, Resp, Line, Resp, Line, Http, Resp, Line, Http, Resp];

/// After how many transactions clients go on to fresh keys: lists are copied whole by every read, and sets
/// are compared by every pair.
const GENERATION: u64 = 300;

/// How long plain commands are alone before transactions come: longer than the server looks at locks
/// after the last one.
const WAVE: Duration = Duration::from_millis(1400);

/// What is run.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) workload: Workload,
    /// Transactions begun.
    pub(crate) transactions: u64,
    /// How often the server is killed and started again on its store; one that never is has no store.
    pub(crate) kills: u64,
}

/// A run of many clients.
pub(crate) struct Run {
    pub(crate) history: History,
    /// How many keys the clients fight for.
    pub(crate) keys: u64,
    seed: u64,
    begun: AtomicU64,
    number: AtomicU64,
    ports: Mutex<Ports>,
    transactions: u64,
    started: Instant,
}

impl Run {
    /// Runs clients until they have begun enough; what they saw.
    pub(crate) fn history(plan: Plan, seed: u64, prepare: impl FnOnce(&Server)) -> Vec<Transaction> {
        let directory = TemporaryDirectory::new("isolation");
        let store = directory.join("store");
        let store = store.to_str().expect("temporary paths are UTF-8");
        let with_store = ["--line-port", "0", "--store-path", store, "--durability", "always"];
        let arguments = if plan.kills > 0 { &with_store[..] } else { &with_store[..2] };
        let mut server = Server::start(arguments);
        prepare(&server);
        let mut random = Random::new(seed);
        let run = Self {
            history: History::new(),
            keys: 3 + random.below(8),
            seed,
            begun: AtomicU64::new(0),
            number: AtomicU64::new(0),
            ports: Mutex::new(server.ports()),
            transactions: plan.transactions,
            started: Instant::now(),
        };
        let clients = 8 + random.index(5);
        thread::scope(|scope| {
            for (number, protocol) in PROTOCOLS.iter().enumerate().take(clients) {
                let run = &run;
                scope.spawn(move || {
                    let mut client = Client::new(run, *protocol, number as u64);
                    while client.connect() {
                        (plan.workload)(&mut client);
                    }
                });
            }
            for kill in 1..=plan.kills {
                run.wait_for(plan.transactions * kill / (plan.kills + 1));
                server.kill9();
                server = Server::start(arguments);
                *run.ports.lock().unwrap_or_else(PoisonError::into_inner) = server.ports();
            }
        });
        println!("{} keys, {clients} clients, {} kills", run.keys, plan.kills);
        run.history.transactions()
    }

    fn wait_for(&self, goal: u64) {
        // However slow it is, as long as it goes on.
        while let before = self.begun.load(Ordering::Relaxed)
            && before < goal
        {
            wait_until("progress", || self.begun.load(Ordering::Relaxed) > before);
        }
    }

    /// Whether enough has begun.
    pub(crate) fn is_over(&self) -> bool {
        self.begun.load(Ordering::Relaxed) >= self.transactions
    }

    /// Notes that a transaction begins.
    pub(crate) fn count(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// Where the server listens now.
    pub(crate) fn ports(&self) -> Ports {
        *self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that nobody else gets.
    pub(crate) fn number(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The random choices of a client.
    pub(crate) fn random(&self, client: u64) -> Random {
        Random::new(self.seed.wrapping_add(client + 1))
    }

    /// Whether transactions are begun now, in a run where they come in waves.
    pub(crate) fn is_high_water(&self) -> bool {
        self.started.elapsed().as_millis() / WAVE.as_millis() % 2 == 1
    }

    /// Which keys are fought for now.
    pub(crate) fn generation(&self) -> u64 {
        self.begun.load(Ordering::Relaxed) / GENERATION
    }
}
