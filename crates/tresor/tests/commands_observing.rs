//! How long commands take: what a pipeline pays to know it, and what the slow log and LATENCY tell of it.

mod commands_client;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use commands_client::TestClient;
use tresor::{
    Config, Database,
    clock::Clock,
    engine::{
        Batch, Capabilities, Edit, Engine, Eventual, Isolation, KeyRef, Outcome, Page, Scan, Seen, Sequence,
        Status, Visit, block_on,
    },
    reply::{OwnedWriter, Reply, ReplyWriter},
};
use tresor_testkit::{ManualClock, ModelEngine, START_MS};

/// A clock that knows how often it was looked at.
struct CountedClock {
    clock: Arc<ManualClock>,
    looks: AtomicU64,
}

impl Clock for CountedClock {
    fn now_ns(&self) -> u64 {
        self.looks.fetch_add(1, SeqCst);
        self.clock.now_ns()
    }

    fn monotonic_ns(&self) -> u64 {
        self.clock.monotonic_ns()
    }
}

/// The model engine, whose reads and writes take as long as the test says.
struct SlowEngine {
    model: ModelEngine,
    clock: Arc<ManualClock>,
    takes_ms: AtomicU64,
    waits: AtomicBool,
}

impl SlowEngine {
    fn new(waits: bool) -> (Arc<Self>, Arc<CountedClock>, Database) {
        let clock = ManualClock::new();
        let engine = Arc::new(Self {
            model: ModelEngine::new(),
            clock: clock.clone(),
            takes_ms: AtomicU64::new(0),
            waits: AtomicBool::new(waits),
        });
        let clock = Arc::new(CountedClock { clock, looks: AtomicU64::new(0) });
        let config = Config { workers: 2, ..Config::memory() };
        let database = Database::with_clock(engine.clone(), config, clock.clone()).expect("an open engine");
        (engine, clock, database)
    }

    fn pass(&self) {
        self.clock.advance(Duration::from_millis(self.takes_ms.load(SeqCst)));
    }
}

impl Engine for SlowEngine {
    fn capabilities(&self) -> Capabilities {
        Capabilities { waits: self.waits.load(SeqCst), ..self.model.capabilities() }
    }

    fn read<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        isolation: Isolation,
        now_ms: u64,
        visit: &'a mut Visit<'a>,
    ) -> Eventual<'a, Seen> {
        self.pass();
        self.model.read(keys, isolation, now_ms, visit)
    }

    fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
        self.model.scan(scan, now_ms)
    }

    fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
        self.pass();
        self.model.write(batch, now_ms)
    }

    fn update<'a>(&'a self, key: KeyRef<'a>, now_ms: u64, edit: &'a mut Edit<'_>) -> Eventual<'a, Outcome> {
        self.pass();
        self.model.update(key, now_ms, edit)
    }

    fn durable(&self, upto: Sequence) -> Eventual<'_, ()> {
        self.model.durable(upto)
    }

    fn status(&self) -> Eventual<'_, Status> {
        self.model.status()
    }

    fn save(&self) -> Eventual<'_, ()> {
        self.model.save()
    }

    fn close(&self) -> Eventual<'_, ()> {
        self.model.close()
    }
}

fn ok() -> Reply {
    Reply::Simple("OK".into())
}

/// What a reply's elements are.
fn elements(reply: Reply) -> Vec<Reply> {
    match reply {
        Reply::Array(elements) => elements,
        other => panic!("{other:?} is no array"),
    }
}

/// The slow log, oldest first: microseconds, and the words with blanks between them.
fn slow(client: &mut TestClient) -> Vec<(i64, String)> {
    let entries = elements(client.reply("SLOWLOG GET -1")).into_iter().rev();
    entries
        .map(|entry| {
            let [_, _, Reply::Integer(spent_us), Reply::Array(words), _, _] = &elements(entry)[..] else {
                panic!("not an entry")
            };
            let word = |word: &Reply| match word {
                Reply::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                other => panic!("{other:?} is no word"),
            };
            (*spent_us, words.iter().map(word).collect::<Vec<_>>().join(" "))
        })
        .collect()
}

/// How often the clock is looked at for so many of a command in one batch.
fn looks(clock: &CountedClock, client: &mut TestClient, line: &str, commands: usize) -> u64 {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let before = clock.looks.load(SeqCst);
    block_on(async {
        client.session.enter().await;
        for _ in 0..commands {
            let command = client.session.prepare(&words).expect("a command");
            client.session.execute(command, &mut client.writer).await;
        }
        client.session.leave();
    });
    assert_eq!(client.take().len(), commands);
    clock.looks.load(SeqCst) - before
}

#[test]
fn a_pipeline_of_fast_commands_looks_at_the_clock_once_in_64() {
    let (_, clock, database) = SlowEngine::new(false);
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    // One look to enter, one for each 64.
    for line in ["INCR n", "GET k", "PING", "SETNX k v"] {
        assert_eq!(looks(&clock, &mut client, line, 640), 11, "{line}");
    }
    // What may be slow has a time of its own.
    assert_eq!(looks(&clock, &mut client, "GETRANGE k 0 1", 640), 641);
    for (wanted, unwanted) in [
        ("CONFIG SET slowlog-log-slower-than 999", "CONFIG SET slowlog-log-slower-than 1000"),
        ("CONFIG SET latency-monitor-threshold 1", "CONFIG SET latency-monitor-threshold 0"),
        ("MONITOR", "RESET"),
    ] {
        let mut other = TestClient::connect(&database, "10.0.0.2:2");
        other.replies(wanted);
        assert_eq!(looks(&clock, &mut client, "INCR n", 640), 641, "{wanted}");
        other.replies(unwanted);
        assert_eq!(looks(&clock, &mut client, "INCR n", 640), 11, "{unwanted}");
    }
    let (_, clock, database) = SlowEngine::new(true);
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    assert_eq!(looks(&clock, &mut client, "INCR n", 640), 641, "the engine waits");
}

#[test]
fn what_takes_long_is_logged_and_nothing_else() {
    let (engine, _, database) = SlowEngine::new(false);
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    engine.takes_ms.store(9, SeqCst);
    client.reply("GETRANGE k 0 1");
    assert_eq!(slow(&mut client), []);
    engine.takes_ms.store(10, SeqCst);
    client.reply("GETRANGE k 0 1");
    client.reply("SET k v EX 10");
    client.reply("INCR k");
    assert_eq!(slow(&mut client), [(10_000, "GETRANGE k 0 1".into()), (10_000, "SET k v EX 10".into())]);
    client.reply("CLIENT SETNAME somebody");
    client.reply("SLOWLOG RESET");
    engine.takes_ms.store(25, SeqCst);
    client.reply("COPY k k2");
    let entry = elements(elements(client.reply("SLOWLOG GET")).remove(0));
    assert_eq!(entry[0], Reply::Integer(2), "ids go on");
    assert_eq!(entry[1], Reply::Integer((START_MS / 1000) as i64));
    assert_eq!(entry[4..], [Reply::Bulk("10.0.0.1:1".into()), Reply::Bulk("somebody".into())]);
    client.reply("CONFIG SET slowlog-log-slower-than -1");
    client.reply("COPY k k2");
    assert_eq!(client.reply("SLOWLOG LEN"), Reply::Integer(1));
}

#[test]
fn on_an_engine_that_waits_fast_commands_are_logged_too() {
    let (engine, _, database) = SlowEngine::new(true);
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    engine.takes_ms.store(20, SeqCst);
    client.reply("INCR n");
    client.reply("GET n");
    assert_eq!(slow(&mut client), [(20_000, "INCR n".into()), (20_000, "GET n".into())]);
}

#[test]
fn a_run_of_plain_commands_is_one_entry() {
    let (engine, _, database) = SlowEngine::new(true);
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    engine.takes_ms.store(20, SeqCst);
    let mut run = |keys: &[&[u8]]| {
        block_on(async {
            client.session.enter().await;
            assert!(client.session.runs());
            client.session.execute_gets(keys, &mut client.writer).await;
            let put = |words: &[&'static [u8]]| client.session.plain_put(words).expect("a plain put").1;
            let puts = [put(&[b"SET", b"a", b"1"]), put(&[b"SET", b"b", b"2"])];
            let id = tresor::command::CommandId::Set;
            client.session.execute_puts(id, &puts[..keys.len().min(2)], &mut client.writer).await;
            client.session.leave();
        });
        client.take();
    };
    run(&[b"a"]);
    run(&[b"a", b"b", b"c"]);
    let logged = slow(&mut client);
    let expected = [
        (20_000, "get a".into()),
        (20_000, "set a 1".into()),
        (20_000, "get a ... (2 more commands)".into()),
        // The model engine writes them one by one.
        (40_000, "set a 1 ... (1 more commands)".into()),
    ];
    assert_eq!(logged, expected);
}

#[test]
fn exec_logs_what_it_executes_and_how_long_it_took_to_apply_it() {
    let (engine, _, database) = SlowEngine::new(false);
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    engine.takes_ms.store(20, SeqCst);
    for line in ["MULTI", "GETRANGE k 0 1", "SET k v", "INCR n", "EXEC"] {
        client.reply(line);
    }
    assert_eq!(slow(&mut client), [(20_000, "GETRANGE k 0 1".into()), (20_000, "EXEC".into())]);
    // Nothing but plain SETs: they are the batch.
    client.reply("SLOWLOG RESET");
    for line in ["MULTI", "SET a 1", "SET b 2", "EXEC"] {
        client.reply(line);
    }
    assert_eq!(slow(&mut client), [(20_000, "EXEC".into())]);
    let calls = |client: &mut TestClient, name: &str| {
        let info = client.text("INFO commandstats");
        let start = format!("cmdstat_{name}:calls=");
        let line = info.lines().find_map(|line| line.strip_prefix(&start)).expect("it was called");
        line.split(',').next().expect("a field").parse::<u64>().expect("a number")
    };
    assert_eq!((calls(&mut client, "exec"), calls(&mut client, "set")), (2, 3));
}

#[test]
fn with_a_threshold_of_zero_each_command_is_logged() {
    let (_, _, database) = SlowEngine::new(false);
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    client.reply("CONFIG SET slowlog-log-slower-than 0");
    client.reply("SLOWLOG RESET");
    for line in
        ["GET k", "nosuch", "GET", "MULTI", "SET k v", "SET k w", "EXEC", "AUTH secret", "GETRANGE k a b"]
    {
        client.reply(line);
    }
    let expected = [
        "SLOWLOG RESET",
        "GET k",
        "MULTI",
        "SET k v",
        "SET k w",
        "EXEC",
        "AUTH (redacted)",
        "GETRANGE k a b",
    ];
    let logged: Vec<_> = slow(&mut client).into_iter().map(|(_, words)| words).collect();
    assert_eq!(logged, expected);
    client.reply("CONFIG SET slowlog-max-len 2");
    assert_eq!(slow(&mut client).len(), 2);
}

#[test]
fn latency_events_tell_the_worst_of_each_second() {
    let (engine, _, database) = SlowEngine::new(false);
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    assert!(client.text("LATENCY DOCTOR").contains("CONFIG SET latency-monitor-threshold"));
    engine.takes_ms.store(50, SeqCst);
    client.reply("GETRANGE k 0 1");
    assert_eq!(client.reply("LATENCY LATEST"), Reply::Array(vec![]), "it is off");
    client.reply("CONFIG SET latency-monitor-threshold 30");
    assert!(client.text("LATENCY DOCTOR").contains("30 ms"));
    for (command, took_ms) in [("GETRANGE k 0 1", 50), ("GETRANGE k 0 1", 40), ("INCR n", 30), ("INCR n", 29)]
    {
        engine.takes_ms.store(took_ms, SeqCst);
        client.reply(command);
    }
    engine.clock.advance(Duration::from_secs(2));
    engine.takes_ms.store(35, SeqCst);
    client.reply("GETRANGE k 0 1");
    let start = (START_MS / 1000) as i64;
    let sample = |at: i64, ms: i64| Reply::Array(vec![Reply::Integer(start + at), Reply::Integer(ms)]);
    assert_eq!(client.reply("LATENCY HISTORY command"), Reply::Array(vec![sample(0, 50), sample(2, 35)]));
    assert_eq!(client.reply("LATENCY HISTORY fast-command"), Reply::Array(vec![sample(0, 30)]));
    let latest = |name: &'static str, at: i64, numbers: [i64; 2]| {
        let [latest, worst] = numbers.map(Reply::Integer);
        Reply::Array(vec![Reply::Bulk(name.into()), Reply::Integer(start + at), latest, worst])
    };
    let expected = vec![latest("command", 2, [35, 50]), latest("fast-command", 0, [30, 30])];
    assert_eq!(client.reply("LATENCY LATEST"), Reply::Array(expected));
    let report = client.text("LATENCY DOCTOR");
    assert!(
        report.contains("command: slow in seconds: 2, the latest 0 s ago; worst 50 ms, average 42 ms.\n")
    );
    assert!(report.contains("fast-command: slow in seconds: 1, the latest 2 s ago"), "{report}");
    assert!(!report.contains("slowlog-log-slower-than"), "{report}");
    client.reply("CONFIG SET slowlog-log-slower-than -1");
    let report = client.text("LATENCY DOCTOR");
    assert!(report.contains("CONFIG SET slowlog-log-slower-than 30000"), "{report}");
    let graph = client.text("LATENCY GRAPH command");
    assert!(graph.starts_with("command - high 50 ms, low 35 ms (all time high 50 ms)\n---"), "{graph}");
    assert_eq!(client.reply("LATENCY RESET fast-command nosuch"), Reply::Integer(1));
    assert_eq!(client.reply("LATENCY RESET"), Reply::Integer(1));
    assert_eq!(client.reply("LATENCY LATEST"), Reply::Array(vec![]));
}

#[test]
fn histograms_add_up_and_names_of_containers_stand_for_their_commands() {
    let (engine, _, database) = SlowEngine::new(true);
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    for took_ms in [0, 1, 1, 100] {
        engine.takes_ms.store(took_ms, SeqCst);
        client.reply("INCR n");
    }
    let histogram = |steps: &[(i64, i64)]| {
        let calls = steps.last().expect("some").1;
        let steps = steps.iter().map(|(us, calls)| (Reply::Integer(*us), Reply::Integer(*calls))).collect();
        Reply::Map(vec![
            (Reply::Bulk("calls".into()), Reply::Integer(calls)),
            (Reply::Bulk("histogram_usec".into()), Reply::Map(steps)),
        ])
    };
    let expected = (Reply::Bulk("incr".into()), histogram(&[(1, 1), (1056, 3), (135_266, 4)]));
    assert_eq!(client.reply("LATENCY HISTOGRAM nosuch INCR"), Reply::Map(vec![expected]));
    client.reply("CLIENT ID");
    client.reply("CLIENT GETNAME");
    let Reply::Map(named) = client.reply("LATENCY HISTOGRAM client client|id get") else { panic!("a map") };
    let names: Vec<_> = named.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["client|getname", "client|id", "client|id"].map(|name| Reply::Bulk(name.into())));
    let Reply::Map(all) = client.reply("LATENCY HISTOGRAM") else { panic!("a map") };
    assert_eq!(all.len(), 4, "{all:?}");
}

/// A program may do with its own session what a client may, but for what nobody has allowed.
#[test]
fn debug_is_refused_unless_it_was_allowed() {
    let (_, _, database) = SlowEngine::new(false);
    let mut client =
        TestClient { session: database.session(0), writer: ReplyWriter::Owned(OwnedWriter::default()) };
    let refused = "ERR DEBUG command not allowed. Start the server with --enable-debug-command to allow it.";
    for line in ["DEBUG SLEEP 0", "DEBUG HELP", "debug nosuch"] {
        assert_eq!(client.text(line), refused);
    }
    client.reply("MULTI");
    assert_eq!(client.text("DEBUG OBJECT k"), refused);
    assert!(client.text("EXEC").starts_with("EXECABORT"));
    database.settings().set_fact("enable-debug-command", "yes");
    assert_eq!(client.reply("SET k 12"), ok());
    let told = "Value at:0x0 refcount:1 encoding:int serializedlength:2 lru:0 lru_seconds_idle:0";
    assert_eq!(client.text("DEBUG OBJECT k"), told);
    assert_eq!(client.text("DEBUG OBJECT absent"), "ERR no such key");
    client.reply("MULTI");
    assert!(client.text("DEBUG SLEEP 0").starts_with("ERR Command not allowed inside a transaction"));
}
