//! What clients of two servers see of few keys can be explained by one operation at a time.
//!
//! The servers share nothing but the cluster. The fast run has one node and few operations, with one
//! server killed and started again; with `TRESOR_FULL` set there are three nodes and 50,000, and once
//! more while a node is killed and comes back, another stands still for a while, and a server is killed.

use std::{
    io,
    sync::atomic::{AtomicU16, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use tresor_testkit::{
    Reply, RespClient, Server, TemporaryDirectory,
    cassandra::{self, Cluster, CommitLog, Network},
    deadline::wait_until,
    linearizability::{Answer, Call, History, Operation, check},
    random::{Random, seed},
};

use crate::{is_full, server};

const CLIENTS: u64 = 8;
const KEYS: u64 = 4;

/// Clients that go on until all have done enough together.
struct Run {
    history: History,
    done: AtomicU64,
    failed: AtomicU64,
    operations: u64,
    /// Where the two servers listen.
    ports: [AtomicU16; 2],
    seed: u64,
}

impl Run {
    fn new(test: &str, operations: u64, servers: &[Server; 2]) -> Self {
        Self {
            history: History::new(),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            operations,
            ports: [0, 1].map(|at: usize| servers[at].ports().resp.into()),
            seed: seed(test),
        }
    }

    fn is_over(&self) -> bool {
        self.done.load(Ordering::Relaxed) >= self.operations
    }

    fn connect(&self, number: u64) -> Option<RespClient> {
        let port = &self.ports[usize::from(number % 2 == 1)];
        RespClient::connect(port.load(Ordering::Relaxed)).ok()
    }

    fn client(&self, number: u64) {
        let mut random = Random::new(self.seed.wrapping_add(number));
        // A client that was told that an outcome is unknown comes back as another one.
        let mut name = number;
        let mut connection = self.connect(number);
        while !self.is_over() {
            let Some(client) = &mut connection else {
                // Its server is being started again.
                thread::yield_now();
                connection = self.connect(number);
                continue;
            };
            let key = format!("key:{}", random.below(KEYS));
            let operation = operation(&mut random);
            let words = words(&key, &operation);
            let call = self.history.begin(name, key.as_str(), operation.clone());
            let reply = client.command(&words);
            if reply.is_err() {
                connection = None;
            }
            match end(call, &operation, reply) {
                End::Known => {}
                End::Failed => {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                End::Unknown => {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                    name += CLIENTS;
                }
            }
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Runs all clients, and `nemesis` beside them; then judges what they saw.
    fn judge(&self, nemesis: impl FnOnce(&Self) + Send) {
        thread::scope(|scope| {
            for number in 0..CLIENTS {
                scope.spawn(move || self.client(number));
            }
            nemesis(self);
        });
        let report = check(&self.history).expect("every answer can be explained");
        let (done, failed) = (self.done.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed));
        println!("{done} operations, {failed} without an answer\n{report}");
    }

    /// Waits until a part of the operations, in tenths, is done.
    fn wait_for(&self, tenths: u64) {
        let goal = self.operations * tenths / 10;
        // However slow it is, as long as it goes on.
        while let before = self.done.load(Ordering::Relaxed)
            && before < goal
        {
            wait_until("progress", || self.done.load(Ordering::Relaxed) > before);
        }
    }

    /// Waits until clients get answers.
    fn wait_for_service(&self) {
        let before = self.done.load(Ordering::Relaxed);
        wait_until("service", || self.done.load(Ordering::Relaxed) > before + 200 || self.is_over());
    }

    /// Kills the second server, and starts it again.
    fn kill_second(&self, second: &mut Server, start: impl FnOnce() -> Server) {
        second.kill9();
        self.wait_for_service();
        *second = start();
        self.ports[1].store(second.ports().resp, Ordering::Relaxed);
    }
}

/// What a client knows of how its call ended.
enum End {
    Known,
    Failed,
    Unknown,
}

fn end(call: Call, operation: &Operation, reply: io::Result<Reply>) -> End {
    let Ok(reply) = reply else {
        call.unknown();
        return End::Unknown;
    };
    match reply.error() {
        Some(text) if text.starts_with("UNKNOWN ") => {
            call.unknown();
            End::Unknown
        }
        Some(text) if text.starts_with("ERR unavailable: ") => {
            call.failed();
            End::Failed
        }
        Some("ERR value is not an integer or out of range") => {
            call.ok(Answer::NotAnInteger);
            End::Known
        }
        Some(text) => panic!("{operation}: {text}"),
        None => {
            call.ok(answer(operation, &reply));
            End::Known
        }
    }
}

fn answer(operation: &Operation, reply: &Reply) -> Answer {
    match operation {
        Operation::Get => Answer::Value(reply.bytes().map(<[u8]>::to_vec)),
        Operation::Set(_) => Answer::Done,
        Operation::SetIfAbsent(_) | Operation::CompareAndSet { .. } => Answer::Applied(!reply.is_null()),
        Operation::Increment => Answer::Number(reply.integer().expect("INCR answers a number")),
        Operation::Delete | Operation::Expire => Answer::Applied(reply.integer() == Some(1)),
    }
}

fn words(key: &str, operation: &Operation) -> Vec<Vec<u8>> {
    let text = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
    match operation {
        Operation::Get => text(&["GET", key]),
        Operation::Set(value) => [text(&["SET", key]), vec![value.clone()]].concat(),
        Operation::SetIfAbsent(value) => [text(&["SET", key]), vec![value.clone(), b"NX".to_vec()]].concat(),
        Operation::CompareAndSet { expected, new } => {
            [text(&["SET", key]), vec![new.clone(), b"IFEQ".to_vec(), expected.clone()]].concat()
        }
        Operation::Increment => text(&["INCR", key]),
        Operation::Delete => text(&["DEL", key]),
        Operation::Expire => text(&["EXPIRE", key, "100000"]),
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

/// A server whose requests may take so long.
fn patient(cluster: &Cluster, keyspace: &str, patience: Duration) -> Server {
    server(cluster, keyspace, &["--cassandra-timeout-ms", &patience.as_millis().to_string()])
}

#[test]
fn two_servers_are_one_store() {
    let (nodes, operations) = if is_full() { (3, 50_000) } else { (1, 3_000) };
    let Some(cluster) = cassandra::shared(nodes) else { return };
    let start = || patient(&cluster, "two", Duration::from_secs(20));
    let mut servers = [start(), start()];
    let run = Run::new("two_servers_are_one_store", operations, &servers);
    run.judge(|run| {
        run.wait_for(5);
        run.kill_second(&mut servers[1], start);
    });
}

#[test]
fn two_servers_are_one_store_while_nodes_fail() {
    if !is_full() {
        // Three nodes take a minute to start, and the faults take some more: for the long run.
        return println!("for TRESOR_FULL: a node is killed, another paused, a server killed");
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
    let start = |cluster: &Cluster| patient(cluster, "faults", Duration::from_secs(3));
    let mut servers = [start(&cluster), start(&cluster)];
    let run = Run::new("two_servers_are_one_store_while_nodes_fail", 15_000, &servers);
    run.judge(|run| {
        run.wait_for(1);
        cluster.kill(2);
        run.wait_for_service();
        run.wait_for(3);
        cluster.restart(2).expect("a killed node comes back");
        run.wait_for(5);
        cluster.pause(3);
        run.wait_for_service();
        run.wait_for(6);
        cluster.resume(3);
        run.wait_for(8);
        run.kill_second(&mut servers[1], || start(&cluster));
    });
}
