//! Threads with transactions and plain commands on few keys: strictly serializable, and every planted fault
//! is found by the checker.
//!
//! A fault is planted in the whole process, so there is one test, and no other in this file.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use tresor::{
    Config, Database,
    transaction::{Fault, plant},
};
use tresor_testkit::{
    HeldEngine, ModelEngine, Moment, Reply, SessionDoor,
    deadline::wait_until,
    isolation::{Begun, Finding, History, Operation, Report, check},
    random::{Random, seed},
};

const CLIENTS: u64 = 8;

const KEYS: u64 = 4;

/// Transactions of a client in a round.
const EACH: u64 = 150;

/// After how many rounds a fault that was not found counts as overlooked.
const ROUNDS: u64 = 60;

/// After how many transactions of all other keys are used.
const GENERATION: u64 = 200;

/// What clients share.
struct Shared {
    history: History,
    numbers: AtomicU64,
    begun: AtomicU64,
}

struct Client<'s> {
    shared: &'s Shared,
    door: SessionDoor,
    random: Random,
    number: u64,
}

/// The text of what the server refused.
type Refused = String;

impl Client<'_> {
    fn ask(&mut self, words: &[&str]) -> Result<Reply, Refused> {
        if self.random.one_in(3) {
            // Otherwise most transactions would run from start to end without an interruption.
            thread::yield_now();
        }
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        let reply = self.door.execute(&words);
        reply.error().map_or(Ok(reply.clone()), |text| Err(text.to_owned()))
    }

    fn new_number(&self) -> u64 {
        self.shared.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn generation(&self) -> u64 {
        self.shared.begun.load(Ordering::Relaxed) / GENERATION
    }

    fn list(&mut self) -> String {
        format!("list{}.{}", self.generation(), self.random.below(KEYS))
    }

    fn read(&mut self, key: &str, begun: &mut Begun) -> Result<(), Refused> {
        let reply = self.ask(&["GET", key])?;
        let text = String::from_utf8_lossy(reply.bytes().unwrap_or_default()).into_owned();
        let elements =
            text.split_terminator(',').map(|element| element.parse().expect("lists hold numbers")).collect();
        begun.did(Operation::ReadList { key: key.into(), elements });
        Ok(())
    }

    fn append(&mut self, key: &str, begun: &mut Begun) -> Result<(), Refused> {
        let element = self.new_number();
        begun.did(Operation::Append { key: key.into(), element });
        self.ask(&["APPEND", key, &format!("{element},")]).map(drop)
    }

    /// Asks for all keys that begin alike, and adds one.
    fn grow(&mut self, begun: &mut Begun) -> Result<(), Refused> {
        let set = format!("set{}.{}-", self.generation(), self.random.below(2));
        let Reply::Array(found) = self.ask(&["KEYS", &format!("{set}*")])? else { panic!("no keys") };
        let member = |key: &Reply| {
            let key = String::from_utf8_lossy(key.bytes().unwrap_or_default()).into_owned();
            key[set.len()..].parse().expect("members are numbers")
        };
        begun.did(Operation::ReadSet { key: set.clone(), members: found.iter().map(member).collect() });
        let member = self.new_number();
        begun.did(Operation::Insert { key: set.clone(), member });
        self.ask(&["SET", &format!("{set}{member}"), "here"]).map(drop)
    }

    fn steps(&mut self, begun: &mut Begun) -> Result<(), Refused> {
        self.ask(&["TRESOR.BEGIN"])?;
        for _ in 0..1 + self.random.below(4) {
            let key = self.list();
            match self.random.below(6) {
                0..2 => self.read(&key, begun)?,
                2 => self.grow(begun)?,
                3 => {
                    self.append(&key, begun)?;
                    self.ask(&["TRESOR.ROLLBACK"])?;
                    begun.did(Operation::Undo);
                }
                _ => {
                    self.read(&key, begun)?;
                    self.append(&key, begun)?;
                }
            }
        }
        Ok(())
    }

    fn transaction(&mut self) {
        self.shared.begun.fetch_add(1, Ordering::Relaxed);
        let mut begun = self.shared.history.begin(self.number);
        let key = self.list();
        let plain = self.random.below(6);
        let done = match plain {
            0 => self.read(&key, &mut begun),
            1 => self.append(&key, &mut begun),
            _ => self.steps(&mut begun),
        };
        let aborts = plain > 1 && (done.is_err() || self.random.one_in(10));
        let ended = match plain {
            0 | 1 => Ok(()),
            // A victim's transaction is gone, but the connection has still to be told that it is over.
            _ if aborts => self.ask(&["TRESOR.ABORT"]).map(drop),
            _ => self.ask(&["TRESOR.COMMIT"]).map(drop),
        };
        for refused in [&done, &ended].into_iter().filter_map(|told| told.as_ref().err()) {
            let foreseen = ["DEADLOCK ", "LOCKTIMEOUT ", "ERR no such transaction"];
            assert!(foreseen.iter().any(|start| refused.starts_with(start)), "{refused}");
        }
        if aborts || done.is_err() || ended.is_err() { begun.aborted() } else { begun.committed() }
    }
}

/// A round of many clients on a fresh store.
fn round(seed: u64) -> Result<Report, Finding> {
    let database = Database::open(Config::memory()).expect("a store in memory opens");
    let shared = Shared { history: History::new(), numbers: AtomicU64::new(0), begun: AtomicU64::new(0) };
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (shared, database) = (&shared, &database);
            let random = Random::new(seed.wrapping_add(number));
            scope.spawn(move || {
                let door = SessionDoor::new(database);
                let mut client = Client { shared, door, random, number };
                (0..EACH).for_each(|_| client.transaction());
            });
        }
    });
    check(&shared.history.transactions())
}

/// A transaction begins while a plain write is on its way. Everyone who was inside a gate has to be out
/// before it goes on; `proceeds` says that it will not wait for that.
fn begin_beside_a_write(proceeds: bool) -> Result<Report, Finding> {
    let engine = HeldEngine::new(Arc::new(ModelEngine::new()));
    let database = Database::over(engine.clone(), Config::memory()).expect("an open engine will do");
    let history = History::new();
    let number =
        |reply: &Reply| reply.bytes().map(|text| String::from_utf8_lossy(text).parse().expect("a number"));
    let held = engine.hold_next(Moment::Before);
    let (written, reads) = (Barrier::new(2), AtomicU64::new(0));
    thread::scope(|scope| {
        let (written, reads, history, database) = (&written, &reads, &history, &database);
        scope.spawn(move || {
            let mut writer = SessionDoor::new(database);
            let mut begun = history.begin(0);
            begun.did(Operation::Write { key: "r".into(), value: 1 });
            writer.execute(&["SET", "r", "1"].map(|word| word.as_bytes().to_vec()));
            begun.committed();
            written.wait();
        });
        wait_until("the write to be on its way", || engine.is_holding());
        scope.spawn(move || {
            let mut reader = SessionDoor::new(database);
            let mut ask = |words: &[&str]| {
                reader.execute(&words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>())
            };
            let mut begun = history.begin(1);
            ask(&["TRESOR.BEGIN"]);
            for _ in 0..2 {
                begun.did(Operation::Read { key: "r".into(), value: number(&ask(&["GET", "r"])) });
                if reads.fetch_add(1, Ordering::SeqCst) == 0 {
                    written.wait();
                }
            }
            ask(&["TRESOR.COMMIT"]);
            begun.committed();
        });
        match proceeds {
            true => wait_until("the first read", || reads.load(Ordering::SeqCst) > 0),
            false => wait_until("the transaction", || database.transaction_figures().begun > 0),
        }
        held.let_go();
    });
    check(&history.transactions())
}

#[test]
fn isolation_holds_and_every_planted_fault_is_found() {
    let seed = seed("planted_faults");
    for number in 0..5 {
        println!("{}", round(seed.wrapping_add(number)).expect("no fault is planted"));
    }
    begin_beside_a_write(false).expect("no fault is planted");
    let faults = [
        Fault::UnlockingEarly,
        Fault::ReadingUncommitted,
        Fault::LosingAWrite,
        Fault::IgnoringLocks,
        Fault::NoPhantomProtection,
    ];
    for fault in faults {
        plant(Some(fault));
        let found = (0..ROUNDS).find_map(|number| round(seed.wrapping_add(number * 100)).err());
        plant(None);
        let found = found.unwrap_or_else(|| panic!("{fault:?} is not found"));
        println!("{fault:?}: {:?}", found.phenomena());
        assert!(!found.phenomena().is_empty(), "undecided");
    }
    plant(Some(Fault::NoGate));
    let found = begin_beside_a_write(true);
    plant(None);
    println!("{:?}: {:?}", Fault::NoGate, found.expect_err("the gate was not taken").phenomena());
}
