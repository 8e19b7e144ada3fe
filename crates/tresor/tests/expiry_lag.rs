//! How late expired entries go: what a write counts that comes before the sweep, what a restart leaves out, sums over
//! shards, and INFO. That every engine counts its removals is in the conformance suite.

mod commands_client;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use commands_client::TestClient;
use tresor::{
    Config, Database,
    clock::Clock,
    config::Durability,
    engine::{
        Audience, Batch, Change, Edited, Engine, EntryRef, Expires, ExpiryLag, Guard, KeyRef, Kind, Removals,
        Status,
        disk::{DiskEngine, DiskOptions},
        memory::{MemoryEngine, MemoryOptions},
    },
    files::{Files, SystemFiles},
    layer::sharded::{Shard, Sharded},
    oplog::LogOptions,
};
use tresor_testkit::{
    ManualClock, START_MS, TemporaryDirectory,
    deadline::wait_until,
    faulty_files::{FaultyFiles, Survives},
};

fn memory(clock: &Arc<ManualClock>) -> Arc<MemoryEngine> {
    MemoryEngine::volatile_at(&MemoryOptions::default(), clock.clone()).expect("memory needs nothing")
}

fn put<'a>(key: &'a str, expires: Expires) -> Change<'a> {
    let key = KeyRef::new(0, key.as_bytes());
    Change::Put { key, guard: Guard::None, value: b"value", kind: Kind::Raw, expires }
}

fn write(engine: &dyn Engine, changes: &[Change<'_>], now_ms: u64) {
    engine.write(Batch::of(changes), now_ms).wait().expect("the engine takes a batch");
}

fn status(engine: &dyn Engine) -> Status {
    engine.status().wait().expect("the engine has a status")
}

/// So many removals of each lag, in milliseconds.
fn lags(removals: &[(u64, u64)]) -> ExpiryLag {
    let mut lag = ExpiryLag::default();
    for (lag_ms, count) in removals {
        lag.counts[ExpiryLag::BOUNDS_MS.partition_point(|bound_ms| bound_ms < lag_ms)] += count;
        lag.sum_ms += lag_ms * count;
    }
    lag
}

/// Writes over expired entries in each way that there is; nothing else may remove them.
fn write_over_expired(engine: &dyn Engine, clock: &ManualClock) {
    let now_ms = clock.now_ms();
    for key in ["put", "each", "edit", "patch", "stays expired"] {
        write(engine, &[put(key, Expires::At(now_ms + 100))], now_ms);
    }
    write(engine, &[put("live", Expires::At(now_ms + 10_000))], now_ms);
    clock.advance(Duration::from_millis(140));
    let now_ms = clock.now_ms();
    write(engine, &[put("put", Expires::Never)], now_ms);
    write(engine, &[put("live", Expires::Never)], now_ms);
    let patch = |key: &'static str| Change::Patch {
        key: KeyRef::new(0, key.as_bytes()),
        guard: Guard::None,
        offset: 0,
        bytes: b"new",
    };
    write(engine, &[put("each", Expires::Never), patch("patch"), patch("each")], now_ms);
    let mut edit = |_: Option<EntryRef<'_>>| {
        Ok(Edited::Put { value: b"edited"[..].into(), kind: Kind::Raw, expires: Expires::Never })
    };
    engine.update(KeyRef::new(0, b"edit"), now_ms, &mut edit).wait().expect("an update");
    // Deleting what has expired does nothing.
    let key = KeyRef::new(0, b"stays expired");
    write(engine, &[Change::Delete { key, guard: Guard::None }], now_ms);
    assert_eq!(status(engine).expired, lags(&[(40, 4)]));
}

/// Has an empty engine leave what has expired where it is.
fn keep_expired(engine: &dyn Engine) -> Arc<Removals> {
    let removals = Arc::new(Removals::default());
    removals.keep_expired(true);
    engine.tell_removals(&removals);
    removals
}

#[test]
fn what_a_write_meets_and_removes_is_counted() {
    let clock = ManualClock::new();
    let engine = memory(&clock);
    let removals = keep_expired(&*engine);
    write_over_expired(&*engine, &clock);
    // Told of removals, whoever meets one removes it.
    removals.tell(Audience::Notifications, true);
    write(&*engine, &[put("read", Expires::At(clock.now_ms()))], clock.now_ms());
    clock.advance(Duration::from_millis(1_000));
    let mut nothing = |_: usize, entry: Option<EntryRef<'_>>| assert!(entry.is_none());
    let key = [KeyRef::new(0, b"read")];
    engine.read(&key, tresor::engine::Isolation::Each, clock.now_ms(), &mut nothing).wait().expect("a read");
    assert_eq!(status(&*engine).expired, lags(&[(40, 4), (1_000, 1)]));
}

#[test]
fn what_a_write_on_disk_meets_and_removes_is_counted() {
    let (clock, directory) = (ManualClock::new(), TemporaryDirectory::new("lag"));
    let log = LogOptions { durability: Durability::None, ..LogOptions::default() };
    let seams = (Arc::new(SystemFiles) as Arc<dyn Files>, clock.clone() as Arc<dyn Clock>);
    let options = DiskOptions::default();
    let engine = DiskEngine::open(&options, seams, &directory.join("store"), log).expect("an empty store").0;
    keep_expired(&*engine);
    write_over_expired(&*engine, &clock);
}

#[test]
fn what_came_due_while_nothing_ran_is_not_late() {
    let (files, clock) = (FaultyFiles::new(), ManualClock::new());
    let open = |files: &FaultyFiles| {
        let seams = (Arc::new(files.clone()) as Arc<dyn Files>, clock.clone() as Arc<dyn Clock>);
        let log = LogOptions { durability: Durability::Always, ..LogOptions::default() };
        MemoryEngine::open(&MemoryOptions::default(), seams, Path::new("store"), log).expect("it opens").0
    };
    let engine = open(&files);
    write(&*engine, &[put("key", Expires::At(START_MS + 1_000))], START_MS);
    engine.durable(status(&*engine).sequence).wait().expect("the disk works");
    drop(engine);
    clock.advance(Duration::from_secs(3_600));
    let engine = open(&files.reboot(Survives::Synced));
    wait_until("the sweep", || status(&*engine).keys[0] == 0);
    assert_eq!(status(&*engine).expired, lags(&[(0, 1)]));
}

#[test]
fn shards_are_added_up() {
    let clock = ManualClock::new();
    let shards = [memory(&clock), memory(&clock)];
    let sharded = Sharded::new([
        Shard::new("a", shards[0].clone() as Arc<dyn Engine>),
        Shard::new("b", shards[1].clone() as Arc<dyn Engine>),
    ]);
    let sharded = sharded.expect("two shards");
    let names: Vec<String> = (0..200).map(|number| format!("key:{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        let lag_ms = if number < 50 { 40 } else { 700 };
        write(&*sharded, &[put(name, Expires::At(START_MS + 10_000 - lag_ms))], START_MS);
    }
    write(&*sharded, &[put("first", Expires::At(START_MS + 100_000))], START_MS);
    write(&*sharded, &[put("second", Expires::At(START_MS + 200_000))], START_MS);
    let mean_ms = START_MS + (50 * 9_960 + 150 * 9_300 + 300_000) / 202;
    assert_eq!((status(&*sharded).expiring[0], status(&*sharded).mean_expiry_ms[0]), (202, mean_ms));
    clock.advance(Duration::from_secs(10));
    wait_until("the sweep", || status(&*sharded).expired.removed() == 200);
    assert_eq!(status(&*sharded).expired, lags(&[(40, 50), (700, 150)]));
    assert!(shards.iter().all(|shard| status(&**shard).expired.removed() > 0), "one shard had all");
    assert_eq!(status(&*sharded).mean_expiry_ms[0], START_MS + 150_000);
}

#[test]
fn info_tells_how_late_and_how_long() {
    let clock = ManualClock::new();
    let database = Database::with_clock(memory(&clock), Config::memory(), clock.clone()).expect("it opens");
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    let has = |client: &mut TestClient, section: &str, line: &str| {
        let info = client.text(&format!("INFO {section}"));
        assert!(info.lines().any(|found| found == line), "{line} is not in {info}");
    };
    has(&mut client, "stats", "tresor_expiry_lag_p99_ms:0");
    for line in ["SET a 1 PX 5000", "SET b 1 PX 6000", "SET c 1", "SET c 2 KEEPTTL"] {
        client.reply(line);
    }
    has(&mut client, "keyspace", "db0:keys=3,expires=2,avg_ttl=5500");
    clock.advance(Duration::from_millis(500));
    has(&mut client, "keyspace", "db0:keys=3,expires=2,avg_ttl=5000");
    for (line, figures) in [
        ("PEXPIRE a 2000", "keys=3,expires=2,avg_ttl=3750"),
        ("PERSIST a", "keys=3,expires=1,avg_ttl=5500"),
        ("SET b over KEEPTTL", "keys=3,expires=1,avg_ttl=5500"),
        ("SET b over", "keys=3,expires=0,avg_ttl=0"),
        ("SET b over PX 100", "keys=3,expires=1,avg_ttl=100"),
        ("APPEND b more", "keys=3,expires=1,avg_ttl=100"),
        ("DEL b", "keys=2,expires=0,avg_ttl=0"),
        ("SET b 1 PX 3000", "keys=3,expires=1,avg_ttl=3000"),
    ] {
        client.reply(line);
        has(&mut client, "keyspace", &format!("db0:{figures}"));
    }
    clock.advance(Duration::from_millis(3_150));
    wait_until("the sweep", || status(&**database.engine()).expired.removed() == 1);
    has(&mut client, "stats", "expired_keys:1");
    has(&mut client, "stats", "tresor_expiry_lag_p50_ms:200");
    has(&mut client, "stats", "tresor_expiry_lag_p99_ms:200");
    client.reply("SET b 1 PX 3000");
    client.reply("FLUSHALL");
    client.reply("SET b 1 PX 1000");
    has(&mut client, "keyspace", "db0:keys=1,expires=1,avg_ttl=1000");
}

/// A clock on which a millisecond has passed whenever it is looked at.
struct TickingClock(AtomicU64);

impl Clock for TickingClock {
    fn now_ns(&self) -> u64 {
        self.0.fetch_add(1, Relaxed) * 1_000_000
    }

    fn monotonic_ns(&self) -> u64 {
        0
    }
}

#[test]
fn a_long_sweep_counts_each_by_its_own_time() {
    let clock = Arc::new(TickingClock(AtomicU64::new(START_MS)));
    let engine = MemoryEngine::volatile_at(&MemoryOptions::default(), clock.clone());
    let engine = engine.expect("memory needs nothing");
    for number in 0..2_000 {
        let name = format!("key:{number}");
        write(&*engine, &[put(&name, Expires::At(START_MS + 1_000_000))], START_MS);
    }
    clock.0.fetch_add(1_000_000, Relaxed);
    wait_until("the sweep", || status(&*engine).keys[0] == 0);
    // Keys of one shard may go together, and all of them are in more than a thousand.
    let latest =
        ExpiryLag::BOUNDS_MS.iter().zip(status(&*engine).expired.counts).rfind(|(_, count)| *count > 0);
    assert!(latest.is_some_and(|(bound_ms, _)| *bound_ms > 1_000), "{:?}", status(&*engine).expired);
    assert!(status(&*engine).expired.counts[..10].iter().sum::<u64>() > 0, "{:?}", status(&*engine).expired);
}
