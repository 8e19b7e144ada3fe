//! `kill -9` while clients write: every acknowledged change is there after the restart.
//!
//! Each client has keys of its own and knows the store after each of its commands. A connection's
//! commands are logged in order, so what comes back must be the store after some prefix of them, and
//! after no fewer than were acknowledged. A kill leaves the page cache alone, so this proves that
//! nothing is acknowledged before it is handed to the system; the fault tests prove the syncs.

mod account;
mod feed;
mod shards;
mod writer;

use std::{
    env, fs,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use account::Account;
use tresor_testkit::{
    Server, TemporaryDirectory, deadline,
    random::{Random, seed},
};

const CLIENTS: u64 = 6;

/// What a server is killed on.
struct Kind {
    engine: &'static str,
    store: &'static str,
    /// Entries that only make a snapshot or a save take long enough to be killed in.
    ballast: usize,
    /// The most commands between two kills.
    writes: u64,
    /// Whether snapshots are taken beside the writes.
    snapshots: bool,
    /// Whether commands are sent ahead: then a client's commands have to come back in their order.
    pipelines: bool,
    options: &'static [&'static str],
}

const MEMORY: Kind = Kind {
    engine: "memory",
    store: "store",
    ballast: 20_000,
    writes: 3000,
    snapshots: true,
    pipelines: true,
    options: &[],
};

/// Whose every write is a save of everything.
const JSON: Kind = Kind {
    engine: "json",
    store: "store.json",
    ballast: 500,
    writes: 300,
    snapshots: false,
    pipelines: true,
    options: &[],
};

/// Whose checkpoints come often.
const DISK: Kind = Kind {
    engine: "disk",
    store: "store",
    ballast: 20_000,
    writes: 3000,
    snapshots: false,
    pipelines: true,
    options: &["--snapshot-log-bytes", "256KiB", "--snapshot-interval-seconds", "1"],
};

const SQLITE: Kind = Kind {
    engine: "sqlite",
    store: "store.db",
    ballast: 20_000,
    writes: 3000,
    snapshots: false,
    pipelines: true,
    options: &[],
};

/// Several of these as one: what each has written when the process dies has no order with the others'.
const SHARDED: Kind = Kind {
    engine: "sharded",
    store: "layer",
    ballast: 500,
    writes: 400,
    snapshots: false,
    pipelines: false,
    options: &["--snapshot-log-bytes", "256KiB", "--snapshot-interval-seconds", "1"],
};

/// When the server is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// After so many acknowledged commands.
    After(u64),
    /// The same, with a snapshot half written.
    Saving(u64),
}

struct Trial {
    kind: Kind,
    directory: TemporaryDirectory,
    durability: &'static str,
    random: Random,
    accounts: Vec<Account>,
}

impl Trial {
    fn new(kind: Kind, durability: &'static str, seed: u64) -> Self {
        let directory = TemporaryDirectory::new("kill-nine");
        let accounts = (0..CLIENTS).map(Account::new).collect();
        Self { kind, directory, durability, random: Random::new(seed), accounts }
    }

    fn start(&self) -> Server {
        if self.kind.engine == "sharded" {
            let config = shards::configuration(&self.directory);
            let arguments = ["--config", &config, "--durability", self.durability];
            return Server::start(&[&arguments[..], self.kind.options].concat());
        }
        let path = self.directory.join(self.kind.store);
        let path = path.to_str().expect("temporary paths are UTF-8");
        let engine = ["--engine", self.kind.engine, "--store-path", path, "--durability", self.durability];
        Server::start(&[&engine[..], self.kind.options, &["--port", "off"]].concat())
    }

    fn kill_rounds(&mut self, rounds: u64) {
        let mut server = self.start();
        fill(&server, self.kind.ballast);
        for round in 0..rounds {
            let after = 1 + self.random.below(self.kind.writes);
            let moment = if round % 2 == 0 || !self.kind.snapshots {
                Moment::After(after)
            } else {
                Moment::Saving(after)
            };
            let acknowledged = self.write_until_killed(&mut server, moment);
            server = self.start();
            let ahead: usize = self.accounts.iter_mut().map(|account| account.settle(&server)).sum();
            println!("{moment:?}: {acknowledged} acknowledged and {ahead} more came back");
            let size = server.resp().command(&["DBSIZE"]).expect("the server answers").integer();
            assert!(size >= Some(self.kind.ballast as i64), "of the ballast only {size:?} is there");
        }
        assert!(server.terminate().success());
        // A clean end loses nothing either.
        let server = self.start();
        self.accounts.iter_mut().for_each(|account| assert_eq!(account.settle(&server), 0));
    }

    /// All clients write until the kill breaks their connections; how many commands were acknowledged.
    fn write_until_killed(&mut self, server: &mut Server, moment: Moment) -> u64 {
        let acknowledged = AtomicU64::new(0);
        let unfinished = self.directory.join("store").join("snapshot.new");
        thread::scope(|scope| {
            for account in &mut self.accounts {
                let random = Random::new(self.random.number());
                let (connection, acknowledged) = (server.resp(), &acknowledged);
                let pipelines = self.kind.pipelines;
                scope.spawn(move || writer::run(connection, account, (random, pipelines), acknowledged));
            }
            let (Moment::After(after) | Moment::Saving(after)) = moment;
            deadline::wait_until("the clients to write", || acknowledged.load(Ordering::Relaxed) >= after);
            if let Moment::Saving(_) = moment {
                let mut saver = server.resp();
                deadline::wait_until("a snapshot to be half written", || {
                    saver.command(&["BGSAVE"]).expect("the server answers");
                    // A small part of a snapshot's time, so that one is seen before it is done.
                    (0..2000).any(|_| fs::exists(&unfinished).is_ok_and(|there| there))
                });
            }
            server.kill9();
        });
        acknowledged.into_inner()
    }
}

fn fill(server: &Server, ballast: usize) {
    let value = [b'b'; 100].to_vec();
    let commands: Vec<_> = (0..ballast)
        .map(|number| vec![b"SET".to_vec(), format!("ballast{number}").into_bytes(), value.clone()])
        .collect();
    let mut client = server.resp();
    for run in commands.chunks(1000) {
        let replies = client.pipeline(run).expect("the server answers");
        assert!(replies.iter().all(|reply| reply.text() == Some("OK")));
    }
}

#[test]
fn kill_9_under_load_loses_nothing_acknowledged() {
    let rounds = if env::var_os("TRESOR_FULL").is_some() { 40 } else { 5 };
    Trial::new(MEMORY, "always", seed("kill_nine")).kill_rounds(rounds);
}

#[test]
fn a_killed_process_loses_nothing_acknowledged_at_interval_either() {
    let rounds = if env::var_os("TRESOR_FULL").is_some() { 10 } else { 1 };
    Trial::new(MEMORY, "interval", seed("kill_nine_interval")).kill_rounds(rounds);
}

#[test]
fn kill_9_under_load_loses_nothing_acknowledged_of_a_json_file() {
    let rounds = if env::var_os("TRESOR_FULL").is_some() { 40 } else { 5 };
    Trial::new(JSON, "always", seed("kill_nine_json")).kill_rounds(rounds);
}

#[test]
fn kill_9_under_load_loses_nothing_acknowledged_on_disk() {
    let rounds = if env::var_os("TRESOR_FULL").is_some() { 40 } else { 5 };
    Trial::new(DISK, "always", seed("kill_nine_disk")).kill_rounds(rounds);
}

#[test]
fn kill_9_under_load_loses_nothing_acknowledged_of_an_sqlite_database() {
    let rounds = if env::var_os("TRESOR_FULL").is_some() { 40 } else { 5 };
    Trial::new(SQLITE, "always", seed("kill_nine_sqlite")).kill_rounds(rounds);
}

#[test]
fn a_killed_process_loses_nothing_acknowledged_of_an_sqlite_database_at_interval_either() {
    let rounds = if env::var_os("TRESOR_FULL").is_some() { 10 } else { 1 };
    Trial::new(SQLITE, "interval", seed("kill_nine_sqlite_interval")).kill_rounds(rounds);
}
