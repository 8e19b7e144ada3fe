//! What clients of two servers see of few keys can be explained by one operation at a time.
//!
//! Two engines stand for two servers: they share nothing but the cluster. The fast run has one node and
//! few operations; with `TRESOR_FULL` set there are three nodes and 50,000, and again while a node is
//! killed and comes back, another stands still for a while, and one of the two servers goes away.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tresor::{
    ErrorKind, Result,
    clock::{Clock, SystemClock},
    engine::{
        Applied, Batch, Change, Edited, Effect, Engine, EntryRef, Expires, Guard, Isolation, KeyRef, Kind,
        Outcome,
    },
};
use tresor_cassandra::Options;
use tresor_testkit::{
    TemporaryDirectory,
    cassandra::{self, Cluster, CommitLog, Network},
    deadline::wait_until,
    linearizability::{Answer, History, Operation, check},
    random::{Random, seed},
};

const CLIENTS: u64 = 8;
const KEYS: u64 = 4;

fn is_full() -> bool {
    std::env::var_os("TRESOR_FULL").is_some()
}

fn open(cluster: &Cluster, keyspace: &str, patience: Duration) -> Arc<dyn Engine> {
    let options = Options {
        keyspace: keyspace.to_owned(),
        buckets: 4,
        request_timeout: patience,
        command_timeout: patience * 2,
        ..Options::at(cluster.contact_points())
    };
    tresor_cassandra::open(options, Arc::new(SystemClock::new())).expect("the cluster is there")
}

/// Clients that go on until all have done enough together.
struct Run {
    history: History,
    done: AtomicU64,
    failed: AtomicU64,
    operations: u64,
    /// The second server has gone away: its clients use the first.
    second_gone: AtomicBool,
    seed: u64,
}

impl Run {
    fn new(test: &str, operations: u64) -> Self {
        Self {
            history: History::new(),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            operations,
            second_gone: AtomicBool::new(false),
            seed: seed(test),
        }
    }

    fn is_over(&self) -> bool {
        self.done.load(Ordering::Relaxed) >= self.operations
    }

    fn client(&self, number: u64, servers: &[Arc<dyn Engine>; 2]) {
        let mut random = Random::new(self.seed.wrapping_add(number));
        // A client that was told that an outcome is unknown comes back as another one.
        let mut name = number;
        while !self.is_over() {
            let second = number % 2 == 1 && !self.second_gone.load(Ordering::Relaxed);
            let engine = &servers[usize::from(second)];
            let key = format!("key:{}", random.below(KEYS));
            let (operation, blind) = (operation(&mut random), random.one_in(2));
            let call = self.history.begin(name, key.as_str(), operation.clone());
            match execute(&**engine, key.as_bytes(), &operation, blind) {
                Ok(answer) => call.ok(answer),
                Err(error) if error.kind() == ErrorKind::UnknownOutcome => {
                    call.unknown();
                    self.failed.fetch_add(1, Ordering::Relaxed);
                    name += CLIENTS;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                    call.failed();
                    self.failed.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            }
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Runs all clients, and `nemesis` beside them; then judges what they saw.
    fn judge(&self, servers: &[Arc<dyn Engine>; 2], nemesis: impl FnOnce(&Self) + Send) {
        thread::scope(|scope| {
            for number in 0..CLIENTS {
                scope.spawn(move || self.client(number, servers));
            }
            nemesis(self);
        });
        let report = check(&self.history).expect("every answer can be explained");
        let (done, failed) = (self.done.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed));
        println!("{done} operations, {failed} without an answer\n{report}");
    }
}

fn operation(random: &mut Random) -> Operation {
    // Small numbers, so that increments and comparisons meet their like.
    let mut value = || random.below(5).to_string().into_bytes();
    let (one, other) = (value(), value());
    match random.below(10) {
        0..3 => Operation::Get,
        3 | 4 => Operation::Set(one),
        5 => Operation::SetIfAbsent(one),
        6 => Operation::CompareAndSet { expected: one, new: other },
        7 => Operation::Increment,
        8 => Operation::Delete,
        _ => Operation::Expire,
    }
}

fn execute(engine: &dyn Engine, key: &[u8], operation: &Operation, blind: bool) -> Result<Answer> {
    let (address, now_ms) = (KeyRef::new(0, key), SystemClock::new().now_ms());
    let put =
        |value, guard| Change::Put { key: address, guard, value, kind: Kind::Raw, expires: Expires::Never };
    let write = |change, blind| engine.write(Batch { changes: &[change], blind }, now_ms).wait();
    let existed = |outcome: &Outcome| outcome.effect().is_some_and(|effect: Effect| effect.existed);
    Ok(match operation {
        Operation::Get => {
            let mut value = None;
            let mut visit = |_: usize, entry: Option<EntryRef<'_>>| {
                value = entry.map(|entry| entry.value.bytes().to_vec());
            };
            engine.read(&[address], Isolation::Each, now_ms, &mut visit).wait()?;
            Answer::Value(value)
        }
        Operation::Set(value) => {
            write(put(value, Guard::None), blind)?;
            Answer::Done
        }
        Operation::SetIfAbsent(value) => {
            Answer::Applied(matches!(write(put(value, Guard::Absent), false)?.applied, Applied::Whole(_)))
        }
        Operation::Delete => {
            Answer::Applied(existed(&write(Change::Delete { key: address, guard: Guard::None }, false)?))
        }
        Operation::Expire => {
            let expires_at_ms = Some(now_ms + 1_000_000);
            let change = Change::Expire { key: address, guard: Guard::None, expires_at_ms };
            Answer::Applied(existed(&write(change, false)?))
        }
        Operation::CompareAndSet { .. } | Operation::Increment => edit(engine, address, operation, now_ms)?,
    })
}

/// What needs a look before it writes.
fn edit(engine: &dyn Engine, key: KeyRef<'_>, operation: &Operation, now_ms: u64) -> Result<Answer> {
    let mut answer = Answer::Applied(false);
    let mut edit = |entry: Option<EntryRef<'_>>| {
        let before = entry.map(|entry| entry.value.bytes().to_vec());
        let mut after = before.clone();
        answer = operation.apply(&mut after);
        Ok(match after {
            Some(value) if before.as_ref() != Some(&value) || answer == Answer::Applied(true) => {
                Edited::Put { value: Cow::Owned(value), kind: Kind::Raw, expires: Expires::Keep }
            }
            _ => Edited::Keep,
        })
    };
    engine.update(key, now_ms, &mut edit).wait()?;
    Ok(answer)
}

#[test]
fn two_servers_are_one_store() {
    let (nodes, operations) = if is_full() { (3, 50_000) } else { (1, 3_000) };
    let Some(cluster) = cassandra::shared(nodes) else { return };
    let patience = Duration::from_secs(20);
    let servers = [open(&cluster, "two", patience), open(&cluster, "two", patience)];
    Run::new("two_servers_are_one_store", operations).judge(&servers, |_| {});
}

#[test]
fn two_servers_are_one_store_while_nodes_fail() {
    if !is_full() {
        // Three nodes take a minute to start, and the faults take some more: for the long run.
        return println!("for TRESOR_FULL: a node is killed, another paused, a server goes away");
    }
    if !cassandra::require(cassandra::VERSION) {
        return;
    }
    let directory = TemporaryDirectory::new("cassandra-faults");
    let options = cassandra::Options {
        network: Network::reserve().expect("a free network"),
        // A killed node must still have what it acknowledged: periodic syncs lose up to ten seconds.
        commit_log: CommitLog::Batch,
        ..cassandra::Options::default()
    };
    let mut cluster = Cluster::start_with(3, directory.path(), options).expect("three nodes start");
    let patience = Duration::from_secs(3);
    let servers = [open(&cluster, "faults", patience), open(&cluster, "faults", patience)];
    let run = Run::new("two_servers_are_one_store_while_nodes_fail", 15_000);
    run.judge(&servers, |run| {
        let after = |share: u64| {
            wait_until("progress", || run.done.load(Ordering::Relaxed) >= run.operations * share / 10);
        };
        let serves_again = |run: &Run| {
            let before = run.done.load(Ordering::Relaxed);
            wait_until("service", || run.done.load(Ordering::Relaxed) > before + 200 || run.is_over());
        };
        after(1);
        cluster.kill(2);
        serves_again(run);
        after(3);
        cluster.restart(2).expect("a killed node comes back");
        after(5);
        cluster.pause(3);
        serves_again(run);
        after(6);
        cluster.resume(3);
        after(8);
        run.second_gone.store(true, Ordering::Relaxed);
        servers[1].close().wait().expect("a server can go away");
    });
}
