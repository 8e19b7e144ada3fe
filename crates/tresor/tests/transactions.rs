//! Transactions with locks through the library: what others see, who waits for whom, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test that fails here has failed")]

use std::{
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use tresor::{
    Config, Database, ErrorKind, Guard, Transaction,
    config::TransactionLimits,
    engine::{Content, Engine, Order, Scan, block_on, memory::Eviction},
};
use tresor_testkit::{
    HeldEngine, LaterEngine, ModelEngine, Moment, Reply, SessionDoor, deadline::wait_until,
};

/// How long a test waits for something that it expects to happen.
const PATIENCE: Duration = Duration::from_secs(20);

fn limited(limits: TransactionLimits) -> Database {
    Database::open(Config { transactions: limits, ..Config::memory() }).unwrap()
}

fn open() -> Database {
    limited(TransactionLimits { lock_wait: PATIENCE, ..TransactionLimits::default() })
}

/// Waits until so many commands wait for a lock.
fn until_waiting(database: &Database, commands: u64) {
    let started = Instant::now();
    while database.transaction_figures().waiting != commands {
        assert!(started.elapsed() < PATIENCE, "{commands} commands should wait");
        thread::yield_now();
    }
}

#[test]
fn nobody_sees_a_write_before_its_commit_and_everybody_all_of_it_after() {
    let store = open();
    store.put("a", "old").unwrap();
    let mut transaction = store.begin().unwrap();
    transaction.put("a", "new").unwrap();
    transaction.put("b", "new").unwrap();
    assert_eq!(transaction.read("a").unwrap().to_string(), "new");
    let shown = store.open_transactions();
    assert_eq!((shown.len(), shown[0].id, shown[0].writes.len()), (1, transaction.id(), 2));
    let reader = {
        let store = store.clone();
        thread::spawn(move || (store.get("a").unwrap(), store.get("b").unwrap()))
    };
    until_waiting(&store, 1);
    transaction.commit().unwrap();
    let (a, b) = reader.join().unwrap();
    assert_eq!((a.unwrap().to_string(), b.unwrap().to_string()), ("new".to_owned(), "new".to_owned()));
    assert!(store.open_transactions().is_empty());
}

#[test]
fn what_is_dropped_or_aborted_was_never_there() {
    let store = open();
    store.put("a", 1).unwrap();
    let mut dropped = store.begin().unwrap();
    dropped.put("a", 2).unwrap();
    assert!(dropped.delete("a").unwrap());
    assert_eq!(dropped.get("a").unwrap(), None);
    drop(dropped);
    let mut aborted = store.begin().unwrap();
    aborted.put("b", 2).unwrap();
    aborted.abort();
    assert_eq!(store.read("a").unwrap().to_string(), "1");
    assert!(!store.contains("b").unwrap());
    let figures = store.transaction_figures();
    assert_eq!((figures.open, figures.begun, figures.aborted, figures.committed), (0, 2, 2, 0));
}

#[test]
fn a_plain_write_waits_for_a_reader_and_gives_up_in_time() {
    let store =
        limited(TransactionLimits { lock_wait: Duration::from_millis(50), ..TransactionLimits::default() });
    store.put("a", 1).unwrap();
    let mut transaction = store.begin().unwrap();
    assert_eq!(transaction.read("a").unwrap().to_string(), "1");
    // Readers share.
    assert_eq!(store.read("a").unwrap().to_string(), "1");
    for refused in [
        store.put("a", 2).unwrap_err(),
        store.put_if("a", 2, Guard::Present).unwrap_err(),
        store.delete("a").unwrap_err(),
        store.add("a", 1).unwrap_err(),
        store.clear().unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::LockTimeout, "{refused}");
    }
    assert_eq!(transaction.read("a").unwrap().to_string(), "1");
    transaction.commit().unwrap();
    store.put("a", 2).unwrap();
    assert_eq!(store.transaction_figures().lock_timeouts, 5);
}

#[test]
fn what_waits_comes_in_its_turn() {
    let store = open();
    let mut holder = store.begin().unwrap();
    holder.put("turns", "").unwrap();
    let mut threads = Vec::new();
    for number in 0..8_u64 {
        let own = store.clone();
        threads.push(thread::spawn(move || {
            let mut transaction = own.begin().unwrap();
            transaction.put("turns", "mine").unwrap();
            let before =
                transaction.get("order").unwrap().map_or_else(String::new, |value| value.to_string());
            transaction.put("order", format!("{before}{number}")).unwrap();
            transaction.commit().unwrap();
        }));
        until_waiting(&store, number + 1);
    }
    holder.commit().unwrap();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(store.read("order").unwrap().to_string(), "01234567");
}

/// Two transactions that want each other's key; what the second call of each came to.
fn embrace(store: &Database) -> Vec<Result<(), ErrorKind>> {
    let meet = Arc::new(Barrier::new(2));
    let threads = [("a", "b"), ("b", "a")].map(|(first, second)| {
        let (store, meet) = (store.clone(), meet.clone());
        thread::spawn(move || {
            let mut transaction = store.begin().unwrap();
            transaction.put(first, "mine").unwrap();
            meet.wait();
            let wanted = transaction.put(second, "mine too").map_err(|error| error.kind());
            if wanted.is_ok() {
                transaction.commit().unwrap();
            } else {
                assert_eq!(transaction.get(first).unwrap_err().kind(), ErrorKind::UnknownTransaction);
                assert_eq!(transaction.commit().unwrap_err().kind(), ErrorKind::UnknownTransaction);
            }
            wanted
        })
    });
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

#[test]
fn a_deadlock_ends_at_once_and_takes_one_of_the_two() {
    let store = open();
    for _ in 0..50 {
        let mut came_to = embrace(&store);
        came_to.sort_by_key(|came_to| came_to.is_err());
        assert_eq!(came_to, [Ok(()), Err(ErrorKind::Deadlock)]);
        let mut left = ["a", "b"].map(|key| store.read(key).unwrap().to_string());
        left.sort();
        assert_eq!(left, ["mine", "mine too"], "all of the one that was committed, nothing of the other");
    }
    assert_eq!(store.transaction_figures().deadlocks, 50);
}

#[test]
fn the_younger_of_two_readers_that_both_want_to_write_gives_way() {
    let store = open();
    store.put("a", 1).unwrap();
    let (mut older, mut younger) = (store.begin().unwrap(), store.begin().unwrap());
    older.read("a").unwrap();
    younger.read("a").unwrap();
    let waiting = thread::spawn(move || {
        older.put("a", 2).unwrap();
        older.commit().unwrap();
    });
    until_waiting(&store, 1);
    assert_eq!(younger.put("a", 3).unwrap_err().kind(), ErrorKind::Deadlock);
    waiting.join().unwrap();
    assert_eq!(store.read("a").unwrap().to_string(), "2");
}

#[test]
fn a_plain_command_in_line_is_no_part_of_a_deadlock() {
    let store = open();
    store.put("a", 1).unwrap();
    let (mut first, mut second) = (store.begin().unwrap(), store.begin().unwrap());
    first.read("a").unwrap();
    second.put("c", 1).unwrap();
    // It waits for the first; the second's shared lock would have to wait behind it.
    let plain = {
        let store = store.clone();
        thread::spawn(move || store.put("a", 2).unwrap())
    };
    until_waiting(&store, 1);
    let reading = thread::spawn(move || {
        let before = second.read("a").unwrap().to_string();
        second.commit().unwrap();
        before
    });
    until_waiting(&store, 2);
    // This closes the circle: first, second, the plain one, first.
    first.put("c", 2).unwrap();
    assert_eq!(reading.join().unwrap(), "1", "it went before the plain one");
    first.commit().unwrap();
    plain.join().unwrap();
    assert_eq!(store.read("a").unwrap().to_string(), "2");
}

#[test]
fn a_scan_locks_what_is_not_there() {
    let store =
        limited(TransactionLimits { lock_wait: Duration::from_millis(50), ..TransactionLimits::default() });
    store.put("k1", 1).unwrap();
    let mut session = store.session(0);
    let id = block_on(session.begin()).unwrap();
    let scan = |session: &mut tresor::session::Session, order, lower: &'static [u8]| {
        block_on(async {
            session.enter_transaction(id).unwrap();
            session.enter().await;
            let mut scan = Scan::all(0, order, Content::Keys, 100);
            scan.lower = std::ops::Bound::Included(lower);
            let page = session.scan(&scan).await;
            session.leave();
            session.leave_transaction();
            page.map(|page| {
                page.iter().map(|(key, _)| String::from_utf8_lossy(key.key).into_owned()).collect::<Vec<_>>()
            })
        })
    };
    assert_eq!(scan(&mut session, Order::Ascending, b"k").unwrap(), ["k1"]);
    assert_eq!(store.put("k2", 2).unwrap_err().kind(), ErrorKind::LockTimeout);
    assert_eq!(store.delete("k1").unwrap_err().kind(), ErrorKind::LockTimeout);
    store.put("a", 1).unwrap();
    // A range that somebody has written in is waited for.
    let mut other = store.begin().unwrap();
    other.put("b", 1).unwrap();
    assert_eq!(scan(&mut session, Order::Any, b"").unwrap_err().kind(), ErrorKind::LockTimeout);
    other.abort();
    assert_eq!(scan(&mut session, Order::Descending, b"").unwrap(), ["k1", "a"]);
    block_on(async {
        session.enter().await;
        session.commit(id).await.unwrap();
        session.leave();
    });
    store.put("k2", 2).unwrap();
}

#[test]
fn an_idle_transaction_is_discarded_and_one_that_waits_is_not() {
    let idle = Duration::from_millis(300);
    let store = limited(TransactionLimits { idle, lock_wait: PATIENCE, ..TransactionLimits::default() });
    let mut forgotten = store.begin().unwrap();
    forgotten.put("a", 1).unwrap();
    // This one waits for the first, and longer than the limit.
    let mut waiting = store.begin().unwrap();
    waiting.put("a", 2).unwrap();
    assert_eq!(forgotten.put("a", 3).unwrap_err().kind(), ErrorKind::UnknownTransaction);
    waiting.commit().unwrap();
    assert_eq!(store.read("a").unwrap().to_string(), "2");
    assert_eq!(store.transaction_figures().idle_timeouts, 1);
}

#[test]
fn limits_hold_and_change_nothing() {
    let limits = TransactionLimits { max_bytes: 4096, max_open: 2, ..TransactionLimits::default() };
    let store = limited(limits);
    let mut transaction = store.begin().unwrap();
    transaction.put("a", "x".repeat(1000)).unwrap();
    let refused = transaction.put("b", "x".repeat(4000)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    assert!(refused.to_string().contains("--max-transaction-bytes"), "{refused}");
    let mut read = 0;
    while transaction.get(format!("key {read}")).is_ok() {
        read += 1;
        assert!(read < 100, "locks are counted");
    }
    transaction.commit().unwrap();
    assert!(store.contains("a").unwrap() && !store.contains("b").unwrap());
    let mut session = store.session(0);
    let ids = [block_on(session.begin()).unwrap(), block_on(session.begin()).unwrap()];
    assert_eq!(block_on(session.begin()).unwrap_err().kind(), ErrorKind::TooLarge);
    session.abort(ids[0]).unwrap();
    block_on(session.begin()).unwrap();
}

#[test]
fn a_store_that_closes_discards_what_is_open() {
    let store = open();
    let mut transaction: Transaction = store.begin().unwrap();
    transaction.put("a", 1).unwrap();
    assert_eq!(store.end_transactions(), 1);
    assert_eq!(transaction.put("b", 1).unwrap_err().kind(), ErrorKind::UnknownTransaction);
    assert_eq!(store.begin().err().unwrap().kind(), ErrorKind::Unavailable);
    assert!(!store.contains("a").unwrap());
}

#[test]
fn clearing_waits_for_transactions_and_they_for_it() {
    let store = open();
    store.put("a", 1).unwrap();
    let mut transaction = store.begin().unwrap();
    transaction.put("b", 1).unwrap();
    let clearing = {
        let store = store.clone();
        thread::spawn(move || store.clear().unwrap())
    };
    until_waiting(&store, 1);
    transaction.commit().unwrap();
    clearing.join().unwrap();
    assert!(store.is_empty().unwrap());
}

#[test]
fn money_is_neither_made_nor_lost() {
    const ACCOUNTS: u64 = 4;
    let engines: [Arc<dyn Engine>; 2] =
        [Arc::new(ModelEngine::new()), Arc::new(LaterEngine::new(Arc::new(ModelEngine::new())))];
    for engine in engines {
        let store = Database::over(engine, Config::memory()).unwrap();
        for account in 0..ACCOUNTS {
            store.put(account.to_string(), 100).unwrap();
        }
        let threads: Vec<_> = (0..4_u64)
            .map(|number| {
                let store = store.clone();
                thread::spawn(move || {
                    for round in 0..100 {
                        let (from, to) =
                            ((number + round) % ACCOUNTS, (number * 3 + round * 7 + 1) % ACCOUNTS);
                        let transfer = || -> tresor::Result<()> {
                            let mut transaction = store.begin()?;
                            let amount = |value: tresor::Value| value.to_string().parse::<i64>().unwrap();
                            let source = amount(transaction.read(from.to_string())?);
                            transaction.put(from.to_string(), source - 1)?;
                            let target = amount(transaction.read(to.to_string())?);
                            transaction.put(to.to_string(), target + 1)?;
                            transaction.commit()
                        };
                        match transfer() {
                            Ok(()) => {}
                            Err(error) => assert_eq!(error.kind(), ErrorKind::Deadlock, "{error}"),
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let total: i64 = (0..ACCOUNTS)
            .map(|account| store.read(account.to_string()).unwrap().to_string().parse::<i64>().unwrap())
            .sum();
        assert_eq!(total, 100 * ACCOUNTS as i64);
    }
}

#[test]
fn what_a_transaction_has_read_is_not_evicted() {
    let memory =
        Config { max_memory_bytes: Some(1_000_000), eviction: Eviction::AllKeysRandom, ..Config::memory() };
    let store = Database::open(memory).unwrap();
    for number in 0..50 {
        store.put(format!("kept {number}"), number).unwrap();
    }
    let mut transaction = store.begin().unwrap();
    for number in 0..50 {
        transaction.read(format!("kept {number}")).unwrap();
    }
    for number in 0..3000 {
        store.put(format!("passing {number}"), "x".repeat(1000)).unwrap();
    }
    assert!(store.status().unwrap().evicted > 1000);
    for number in 0..50 {
        assert_eq!(transaction.read(format!("kept {number}")).unwrap().to_string(), number.to_string());
    }
    transaction.commit().unwrap();
}

/// EXEC reads without locks: what it answers is of one moment all the same, also of one key that is read twice.
#[test]
fn exec_reads_a_key_twice_at_one_moment() {
    let run = |door: &mut SessionDoor, words: &[&str]| {
        door.execute(&words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>())
    };
    for before in [None, Some("old")] {
        let engine = HeldEngine::new(Arc::new(ModelEngine::new()));
        let database = Database::over(engine.clone(), Config::memory()).unwrap();
        let mut writer = SessionDoor::new(&database);
        if let Some(value) = before {
            run(&mut writer, &["SET", "k", value]);
        }
        engine.hold_next(Moment::Before).let_go();
        let second = engine.hold_next(Moment::Before);
        let replies = thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut reader = SessionDoor::new(&database);
                for words in [&["MULTI"][..], &["GET", "k"], &["GET", "k"]] {
                    run(&mut reader, words);
                }
                run(&mut reader, &["EXEC"])
            });
            wait_until("the second read", || engine.is_holding());
            run(&mut writer, &["SET", "k", "new"]);
            second.let_go();
            reader.join().unwrap()
        });
        let new = Reply::Bulk(b"new".to_vec());
        assert_eq!(replies, Reply::Array(vec![new.clone(), new]), "{before:?} before");
    }
}
