//! A store in an SQLite database as its users see it: readable, editable, refused when it is not what
//! it was, the same after a restart.

#![allow(clippy::unwrap_used)] // In the tests' own functions too: a panic is how a test fails.

mod opened;

use std::{fs, path::Path, sync::Arc, thread, time::Duration};

use opened::{get, key, open, open_at, put, refused};
use rusqlite::Connection;
use tresor::{
    Config, Database, ErrorKind, PutOptions,
    config::Durability,
    engine::{
        Batch, Change, Content, Engine, EntryRef, Expires, Guard, KeyRef, Kind, Order, Page, Position, Scan,
        Sequence, ValueRef,
    },
    index::IndexDefinition,
};
use tresor_sqlite::{Options, SqliteEngine};
use tresor_testkit::{ManualClock, START_MS, TemporaryDirectory, deadline::wait_until};

/// What a person with the sqlite3 shell would see, beside a store that is open.
fn shell(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection
}

fn one<T: rusqlite::types::FromSql>(connection: &Connection, sql: &str) -> T {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_person_reads_the_entries_beside_a_running_store() {
    let directory = TemporaryDirectory::new("sqlite");
    let path = directory.join("made").join("store.db");
    let store = Database::over(tresor_sqlite::open(&path).unwrap(), Config::memory()).unwrap();
    store.put("name", "Alice").unwrap();
    store.put("list", "not UTF-8 next").unwrap();
    store.put(&b"\xff\0"[..], &b"\0\xfe"[..]).unwrap();
    store.put_with("soon", "gone", PutOptions::new().expires_in(Duration::from_secs(1000))).unwrap();
    store.database(3).unwrap().put("name", "another").unwrap();

    let shell = shell(&path);
    assert_eq!(
        one::<String>(&shell, "SELECT value FROM entries WHERE key = 'name' AND database = 0"),
        "Alice"
    );
    assert_eq!(
        one::<String>(&shell, "SELECT value FROM entries WHERE key = 'name' AND database = 3"),
        "another"
    );
    assert_eq!(one::<String>(&shell, "SELECT kind FROM entries WHERE key = 'name'"), "raw");
    assert_eq!(one::<Vec<u8>>(&shell, "SELECT value FROM entries WHERE hex(key) = 'FF00'"), b"\0\xfe");
    let expires: i64 = one(&shell, "SELECT expires_at_ms FROM entries WHERE key = 'soon'");
    assert!(expires > 1_700_000_000_000, "{expires}");
    let plan: String = shell
        .query_row(
            "EXPLAIN QUERY PLAN SELECT value FROM entries WHERE key = 'name' AND database = 0",
            [],
            |row| row.get(3),
        )
        .unwrap();
    assert!(plan.starts_with("SEARCH"), "{plan}");

    // What is seen follows the numbers of the databases.
    let swap = [Change::Swap { first: 0, second: 3 }];
    store.engine().write(Batch::of(&swap), START_MS).wait().unwrap();
    assert_eq!(
        one::<String>(&shell, "SELECT value FROM entries WHERE key = 'name' AND database = 0"),
        "another"
    );
    store.close().unwrap();
}

/// One entry that expires and only layers can read, and one that does not; then a database cleared, and
/// two swapped.
fn one_round(engine: &SqliteEngine, round: u8) -> Sequence {
    let (binary, text) = ([round, 0xff], [b'a' + round]);
    let from = if round.is_multiple_of(2) { 0 } else { 3 };
    let put = |key, kind, expires| Change::Put { key, guard: Guard::None, value: b"[]", kind, expires };
    let changes = [
        put(KeyRef::new(from, &binary), Kind::Packed, Expires::At(START_MS + 1_000_000)),
        put(KeyRef::new(from, &text), Kind::Json, Expires::Never),
        put(KeyRef::new(2, &text), Kind::Raw, Expires::Never),
        Change::Clear { database: 2 },
        Change::Swap { first: 0, second: 3 },
    ];
    engine.write(Batch::of(&changes), START_MS).wait().unwrap().sequence
}

#[test]
fn everything_is_there_after_a_restart_and_versions_go_on() {
    let directory = TemporaryDirectory::new("sqlite");
    let path = directory.join("store.db");
    let (mut last, mut store_id) = (0, None);
    for round in 0..4_u8 {
        let engine = open(&path);
        let status = engine.status().wait().unwrap();
        assert_eq!(*store_id.get_or_insert(status.store_id), status.store_id);
        assert_eq!(status.packed, round > 0);
        assert!(status.sequence >= last);
        let (full, empty) = if round.is_multiple_of(2) { (0, 3) } else { (3, 0) };
        let expected = (u64::from(round) * 2, u64::from(round));
        assert_eq!((status.keys[full], status.expiring[full]), expected, "round {round}");
        assert_eq!((status.keys[empty], status.keys[2]), (0, 0), "round {round}");
        let page =
            engine.scan(&Scan::all(full as u8, Order::Ascending, Content::Entries, 100), START_MS).wait();
        let page = page.unwrap();
        assert_eq!(page.len() as u64, expected.0);
        let packed = page.iter().filter(|(_, entry)| entry.kind == Kind::Packed).count();
        assert_eq!(packed as u64, expected.1);
        let sequence = one_round(&engine, round);
        assert!(sequence > last, "round {round}");
        last = sequence;
        engine.close().wait().unwrap();
        let mut names: Vec<_> =
            fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["store.db", "store.db-lock"], "nothing but the file and its lock is left");
    }
}

#[test]
fn a_store_that_may_have_forgotten_gets_another_id() {
    let directory = TemporaryDirectory::new("sqlite");
    let path = directory.join("store.db");
    let id = |durability| {
        let engine = open_at(&path, durability, &ManualClock::new());
        let id = engine.status().wait().unwrap().store_id;
        (engine, id)
    };
    let (engine, first) = id(Durability::Always);
    drop(engine);
    let (engine, second) = id(Durability::None);
    assert_eq!(first, second);
    put(&*engine, b"k", b"v");
    engine.close().wait().unwrap();
    let (engine, third) = id(Durability::Interval { ms: 1000 });
    assert_eq!(second, third, "a clean end forgets nothing");
    // As a crash leaves it: the file and its log, copied while it is open.
    let copy = directory.join("copy.db");
    fs::copy(&path, &copy).unwrap();
    fs::copy(directory.join("store.db-wal"), directory.join("copy.db-wal")).unwrap();
    drop(engine);
    let copied = open_at(&copy, Durability::Always, &ManualClock::new());
    let fourth = copied.status().wait().unwrap().store_id;
    assert_ne!(fourth, third);
    copied.close().wait().unwrap();
    let copied = open_at(&copy, Durability::Always, &ManualClock::new());
    assert_eq!(copied.status().wait().unwrap().store_id, fourth, "once is enough");
}

#[test]
fn what_is_no_such_store_is_refused_and_stays_as_it_is() {
    let directory = TemporaryDirectory::new("sqlite");
    let text = directory.join("text.db");
    fs::write(&text, "{}").unwrap();
    let error = refused(&text);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("text.db is no SQLite database"), "{error}");

    let other = directory.join("other.db");
    Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE mine (a); INSERT INTO mine VALUES (1)")
        .unwrap();
    let before = fs::read(&other).unwrap();
    let error = refused(&other);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("none of Tresor's"), "{error}");
    assert_eq!(fs::read(&other).unwrap(), before);

    let newer = directory.join("newer.db");
    drop(open(&newer));
    shell(&newer).execute_batch("PRAGMA user_version = 2").unwrap();
    let before = fs::read(&newer).unwrap();
    let error = refused(&newer);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("format 2") && error.message().contains("format 1"), "{error}");
    assert_eq!(fs::read(&newer).unwrap(), before);

    assert_eq!(refused(directory.path()).kind(), ErrorKind::Invalid, "a directory");
    let names = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(names, 4, "nothing but a lock is left beside them");
}

#[test]
fn two_stores_do_not_share_a_file() {
    let directory = TemporaryDirectory::new("sqlite");
    let path = directory.join("store.db");
    let link = directory.join("link.db");
    let engine = open(&path);
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for name in [&path, &link] {
        let error = refused(name);
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("store.db") && error.message().contains("in use"), "{error}");
    }
    put(&*engine, b"k", b"v");
    engine.close().wait().unwrap();
    assert_eq!(get(&*open(&link), b"k").as_deref(), Some(&b"v"[..]));
}

#[test]
fn another_program_that_writes_is_waited_for_and_reading_goes_on() {
    let directory = TemporaryDirectory::new("sqlite");
    let path = directory.join("store.db");
    let clock = ManualClock::new();
    let options = Options { busy_timeout: Duration::from_millis(200), ..Options::at(&path) };
    let engine = opened::with(options, &clock);
    put(&*engine, b"k", b"1");
    let shell = shell(&path);
    shell
        .execute_batch("CREATE TABLE notes (text); BEGIN IMMEDIATE; INSERT INTO notes VALUES ('mine')")
        .unwrap();
    assert_eq!(get(&*engine, b"k").as_deref(), Some(&b"1"[..]));
    let change = [opened::change(b"k", b"2")];
    let answer = engine.write(Batch::of(&change), START_MS);
    assert!(matches!(answer, tresor::engine::Eventual::Later(_)), "nobody sits and waits on its thread");
    let error = answer.wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("store.db"), "{error}");
    assert_eq!(get(&*engine, b"k").as_deref(), Some(&b"1"[..]));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            loop {
                match engine.write(Batch::of(&change), START_MS).wait() {
                    Ok(outcome) => return outcome,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
                }
            }
        });
        shell.execute_batch("COMMIT").unwrap();
        let outcome = waiting.join().unwrap();
        engine.durable(outcome.sequence).wait().unwrap();
    });
    assert_eq!(get(&*engine, b"k").as_deref(), Some(&b"2"[..]));
    assert_eq!(one::<String>(&shell, "SELECT text FROM notes"), "mine");
}

#[test]
fn expired_entries_and_their_room_are_given_back() {
    let directory = TemporaryDirectory::new("sqlite");
    let path = directory.join("store.db");
    let clock = ManualClock::new();
    let engine = opened::with(Options { checkpoint_bytes: 1 << 20, ..Options::at(&path) }, &clock);
    let value = vec![b'v'; 2000];
    let names: Vec<_> = (0..4000_u32).map(u32::to_be_bytes).collect();
    for names in names.chunks(500) {
        let changes: Vec<_> = names
            .iter()
            .map(|name| Change::Put {
                key: key(name),
                guard: Guard::None,
                value: &value,
                kind: Kind::Raw,
                expires: Expires::At(START_MS + 1000),
            })
            .collect();
        engine.write(Batch::of(&changes), START_MS).wait().unwrap();
    }
    put(&*engine, b"stays", b"v");
    engine.save().wait().unwrap();
    let full = fs::metadata(&path).unwrap().len();
    assert!(full > 8_000_000, "{full} bytes");
    let before = engine.status().wait().unwrap();
    clock.advance(Duration::from_millis(1000));
    wait_until("the entries to be removed", || engine.count(0).wait().unwrap().keys == 1);
    let after = engine.status().wait().unwrap();
    assert_eq!((after.expired.removed(), after.expiring[0]), (4000, 0));
    assert!(after.sequence >= before.sequence + 4000, "each removal has a number");
    wait_until("the file to shrink", || {
        engine.save().wait().unwrap();
        fs::metadata(&path).unwrap().len() < full / 4
    });
    assert_eq!(get(&*engine, b"stays").as_deref(), Some(&b"v"[..]));
}

#[test]
fn an_index_loses_what_has_expired() {
    let directory = TemporaryDirectory::new("sqlite");
    let (path, clock) = (directory.join("store.db"), ManualClock::new());
    let engine = opened::with(Options::at(&path), &clock);
    let store = Database::with_clock(engine, Config::memory(), clock.clone()).unwrap();
    store.create_index(IndexDefinition::new("ages", 0).unwrap()).unwrap();
    store.put("stays", "9").unwrap();
    store.put_with("goes", "9", PutOptions::new().expires_in(Duration::from_secs(10))).unwrap();
    wait_until("the index is built", || store.indexes()[0].entries == 2);
    clock.advance(Duration::from_secs(10));
    wait_until("the entry is gone from the index", || store.indexes()[0].entries == 1);
    store.close().unwrap();
}

#[test]
fn a_cleared_database_is_empty_at_once_and_its_rows_go_by_and_by() {
    let directory = TemporaryDirectory::new("sqlite");
    let path = directory.join("store.db");
    let engine = open(&path);
    let names: Vec<_> = (0..20_000_u32).map(u32::to_be_bytes).collect();
    for names in names.chunks(2000) {
        let changes: Vec<_> = names.iter().map(|name| opened::change(name, b"v")).collect();
        engine.write(Batch::of(&changes), START_MS).wait().unwrap();
    }
    engine.write(Batch::of(&[Change::Clear { database: 0 }]), START_MS).wait().unwrap();
    assert_eq!(engine.count(0).wait().unwrap().keys, 0);
    assert_eq!(get(&*engine, &names[7]), None);
    put(&*engine, &names[7], b"new");
    let shell = shell(&path);
    assert_eq!(one::<i64>(&shell, "SELECT count(*) FROM entries"), 1);
    wait_until("the rows to be removed", || one::<i64>(&shell, "SELECT count(*) FROM stored") == 1);
    assert_eq!(get(&*engine, &names[7]).as_deref(), Some(&b"new"[..]));
}

#[test]
fn entries_are_taken_as_they_are_and_later_ones_are_numbered_above() {
    let directory = TemporaryDirectory::new("sqlite");
    let engine = open(&directory.join("store.db"));
    let own = put(&*engine, b"newer", b"own");
    let mut page = Page::new(0);
    let entry = |value, version| EntryRef {
        value: ValueRef::Inline(value),
        kind: Kind::Json,
        version,
        expires_at_ms: Some(START_MS + 5000),
    };
    page.push(b"a", b"", &entry(b"[1]", 500), Content::Entries);
    page.push(b"a", b"m", &entry(b"[2]", 400), Content::Entries);
    page.push(b"newer", b"", &entry(b"[3]", own), Content::Entries);
    let sequence = engine.adopt(&page, 900, START_MS).wait().unwrap();
    assert!(sequence > 900);
    engine.durable(sequence).wait().unwrap();
    assert_eq!(get(&*engine, b"newer").as_deref(), Some(&b"own"[..]));
    let all = engine.scan(&Scan::all(0, Order::Ascending, Content::Entries, 10), START_MS).wait().unwrap();
    let versions: Vec<_> = all.iter().map(|(key, entry)| (key.member.to_vec(), entry.version)).collect();
    assert_eq!(versions, [(b"".to_vec(), 500), (b"m".to_vec(), 400), (b"".to_vec(), own)]);
    let count = engine.count(0).wait().unwrap();
    assert_eq!((count.keys, count.unsure), (3, 2));
    assert!(put(&*engine, b"next", b"v") > sequence);
    drop(engine);
    assert!(put(&*open(&directory.join("store.db")), b"next", b"v") > sequence);
}

#[test]
fn random_places_reach_every_key() {
    let directory = TemporaryDirectory::new("sqlite");
    let engine = open(&directory.join("store.db"));
    let names: Vec<_> = (0..200).map(|number| format!("key:{number:05}")).collect();
    let changes: Vec<_> = names.iter().map(|name| opened::change(name.as_bytes(), b"v")).collect();
    engine.write(Batch::of(&changes), START_MS).wait().unwrap();
    let mut picked = std::collections::BTreeMap::new();
    for number in 0..10_000_u64 {
        let mut scan = Scan::all(0, Order::Any, Content::Keys, 1);
        scan.position = Position::Anywhere(number);
        let page = engine.scan(&scan, START_MS).wait().unwrap();
        let key = page.iter().next().expect("a place is never behind the last key").0.key.to_vec();
        *picked.entry(key).or_insert(0) += 1;
    }
    assert_eq!(picked.len(), names.len());
    assert!(picked.values().all(|times| (10..150).contains(times)), "{picked:?}");
}

#[test]
fn no_question_looks_at_every_row() {
    let directory = TemporaryDirectory::new("sqlite");
    let path = directory.join("store.db");
    drop(open(&path));
    let shell = shell(&path);
    for sql in [
        "SELECT value FROM stored WHERE place = 1 AND key = 'k' AND member = ''",
        "SELECT key FROM stored WHERE place = 1 AND (key, member) > ('a', '') AND key < 'z' ORDER BY key ASC, member ASC",
        "SELECT key FROM stored WHERE place = 1 AND (key, member) < ('a', '') ORDER BY key DESC, member DESC",
        "SELECT place, key, member FROM stored WHERE expires_at_ms <= 5 ORDER BY expires_at_ms LIMIT 5",
        "SELECT min(place) FROM stored WHERE place > 3",
        "SELECT max(place) FROM stored",
    ] {
        let plan: String =
            shell.query_row(&format!("EXPLAIN QUERY PLAN {sql}"), [], |row| row.get(3)).unwrap();
        assert!(plan.starts_with("SEARCH"), "{sql}: {plan}");
    }
}

#[test]
fn writers_of_many_threads_share_syncs() {
    let directory = TemporaryDirectory::new("sqlite");
    let files = opened::CountedSyncs::default();
    let engine = opened::on(Arc::new(files.clone()), Options::at(directory.join("store.db")));
    let before = files.syncs();
    thread::scope(|scope| {
        for thread in 0..16_u8 {
            let engine = &engine;
            scope.spawn(move || {
                for number in 0..50_u8 {
                    put(&**engine, &[thread, number], b"v");
                }
            });
        }
    });
    let syncs = files.syncs() - before;
    assert!(syncs < 16 * 50 / 2, "{syncs} syncs for 800 writes");
    assert_eq!(engine.count(0).wait().unwrap().keys, 800);
}

#[test]
fn at_interval_the_disk_follows_and_is_not_waited_for() {
    let directory = TemporaryDirectory::new("sqlite");
    let files = opened::CountedSyncs::default();
    let options = Options::at(directory.join("store.db")).durability(Durability::Interval { ms: 20 });
    let engine = opened::on(Arc::new(files.clone()), options);
    let before = files.syncs();
    put(&*engine, b"k", b"v");
    wait_until("the disk to follow", || files.syncs() > before);
}

#[test]
fn an_edited_entry_is_refused_until_it_is_accepted() {
    let directory = TemporaryDirectory::new("sqlite");
    let path = directory.join("store.db");
    let engine = open(&path);
    let version = put(&*engine, b"k", b"old");
    put(&*engine, b"other", b"v");
    drop(engine);
    assert_eq!(opened::check(&path, false).unwrap().entries, 2);
    let person = shell(&path);
    person.execute_batch("UPDATE stored SET value = 'new' WHERE key = 'k'").unwrap();
    person.execute_batch("INSERT INTO stored (place, key, value) VALUES (0, 'added', 5)").unwrap();
    person.execute_batch("DELETE FROM stored WHERE key = 'other'").unwrap();
    drop(person);
    let error = refused(&path);
    assert!(error.message().contains("tresor check --accept"), "{error}");
    let report = opened::check(&path, false).unwrap();
    assert!(report.problems.len() >= 2, "{report:?}");
    let report = opened::check(&path, true).unwrap();
    assert_eq!((report.entries, report.problems), (2, vec![]));
    let engine = open(&path);
    assert_eq!(get(&*engine, b"k").as_deref(), Some(&b"new"[..]));
    assert_eq!(get(&*engine, b"added").as_deref(), Some(&b"5"[..]));
    assert_eq!((get(&*engine, b"other"), engine.count(0).wait().unwrap().keys), (None, 2));
    assert!(opened::version(&*engine, b"k") > version, "an edited entry has a version of its own");
}
