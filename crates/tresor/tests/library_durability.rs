//! No call comes back before what it tells of is durable, and none hides that it is not.

use std::sync::Arc;

use parking_lot::Mutex;
use tracing::{Event, Level, Metadata, Subscriber, span};
use tresor::{
    Changes, Config, Database, Error, ErrorKind, Guard, Result,
    engine::{
        Batch, Capabilities, Edit, Engine, Eventual, Isolation, KeyRef, Outcome, Page, Scan, Seen, Sequence,
        Status, Visit,
    },
};
use tresor_testkit::ModelEngine;

/// Notes what it was asked to make durable, and fails at it, and at closing, when told to.
#[derive(Default)]
struct Log {
    engine: ModelEngine,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    durable: Sequence,
    asked: u64,
    broken: bool,
}

impl Engine for Log {
    fn capabilities(&self) -> Capabilities {
        self.engine.capabilities()
    }

    fn read<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        isolation: Isolation,
        now_ms: u64,
        visit: &'a mut Visit<'a>,
    ) -> Eventual<'a, Seen> {
        self.engine.read(keys, isolation, now_ms, visit)
    }

    fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
        self.engine.scan(scan, now_ms)
    }

    fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
        self.engine.write(batch, now_ms)
    }

    fn update<'a>(&'a self, key: KeyRef<'a>, now_ms: u64, edit: &'a mut Edit<'_>) -> Eventual<'a, Outcome> {
        self.engine.update(key, now_ms, edit)
    }

    fn durable(&self, upto: Sequence) -> Eventual<'_, ()> {
        let mut state = self.state.lock();
        state.asked += 1;
        if state.broken {
            return Eventual::Now(Err(Error::new(
                ErrorKind::Poisoned,
                "an fsync failed: open the store again",
            )));
        }
        state.durable = state.durable.max(upto);
        Eventual::Now(Ok(()))
    }

    fn status(&self) -> Eventual<'_, Status> {
        self.engine.status()
    }

    fn save(&self) -> Eventual<'_, ()> {
        self.engine.save()
    }

    fn close(&self) -> Eventual<'_, ()> {
        if self.state.lock().broken {
            return Eventual::Now(Err(fsync_failed()));
        }
        self.engine.close()
    }
}

fn fsync_failed() -> Error {
    Error::new(ErrorKind::Poisoned, "an fsync failed: open the store again")
}

type Call = fn(&Database) -> Result<()>;

/// Every kind of call, each fit to be made whatever the others did.
const CALLS: [(&str, Call); 17] = [
    ("put", |store| store.put("k", 1).map(drop)),
    ("get", |store| store.get("k").map(drop)),
    ("get of an absent key", |store| store.get("absent").map(drop)),
    ("read", |store| store.read("k").map(drop)),
    ("entry", |store| store.entry("k").map(drop)),
    ("contains", |store| store.contains("k").map(drop)),
    ("update", |store| store.update("k", 2).map(drop)),
    ("put_if", |store| store.put_if("k", 2, Guard::Present).map(drop)),
    ("add", |store| store.add("k", 1).map(drop)),
    ("modify", |store| store.modify("k", |value| value).map(drop)),
    ("ttl", |store| store.ttl("k").map(drop)),
    ("persist", |store| store.persist("k").map(drop)),
    ("expire", |store| store.expire("absent", std::time::Duration::from_secs(1)).map(drop)),
    ("delete", |store| store.delete("absent").map(drop)),
    ("apply", |store| store.apply(Changes::new().put("k", 1)).map(drop)),
    ("len", |store| store.len().map(drop)),
    ("entries", |store| store.entries().try_for_each(|entry| entry.map(drop))),
];

/// One test at a time: a place that logs is set up by whoever comes first, and may miss the subscriber
/// of a test beside it.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_call_waits_until_what_it_made_or_saw_is_durable() -> Result<()> {
    let _alone = ALONE.lock();
    let log = Arc::new(Log::default());
    let store = Database::over(log.clone(), Config::memory())?;
    store.put("removed", 1)?;
    store.delete("removed")?;
    store.put("k", 1)?;
    for (name, call) in CALLS {
        let asked = log.state.lock().asked;
        call(&store)?;
        assert!(log.state.lock().asked > asked, "{name} did not wait");
        let made = log.engine.status().wait()?.sequence;
        assert_eq!(log.state.lock().durable, made, "{name} left something behind");
    }
    Ok(())
}

#[test]
fn a_refused_write_waits_for_what_refused_it() -> Result<()> {
    let _alone = ALONE.lock();
    let log = Arc::new(Log::default());
    let store = Database::over(log.clone(), Config::memory())?;
    store.put("k", 1)?;
    log.state.lock().durable = 0;
    assert_eq!(store.create("k", 2).map_err(|error| error.kind()), Err(ErrorKind::Exists));
    assert_eq!(log.state.lock().durable, log.engine.status().wait()?.sequence);
    Ok(())
}

#[test]
fn a_failed_fsync_is_the_answer_of_every_call() -> Result<()> {
    let _alone = ALONE.lock();
    let log = Arc::new(Log::default());
    let store = Database::over(log.clone(), Config::memory())?;
    store.put("k", 1)?;
    log.state.lock().broken = true;
    for (name, call) in CALLS {
        assert_eq!(call(&store).map_err(|error| error.kind()), Err(ErrorKind::Poisoned), "{name}");
    }
    Ok(())
}

/// Counts the errors that are logged.
#[derive(Clone, Default)]
struct LoggedErrors(Arc<Mutex<u32>>);

impl Subscriber for LoggedErrors {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        *self.0.lock() += u32::from(*event.metadata().level() == Level::ERROR);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn a_failure_to_close_is_answered_by_close_and_logged_by_drop() -> Result<()> {
    let _alone = ALONE.lock();
    let logged = LoggedErrors::default();
    tracing::subscriber::with_default(logged.clone(), || {
        for (closes, errors) in [(true, 0), (false, 1)] {
            let log = Arc::new(Log::default());
            let store = Database::over(log.clone(), Config::memory())?;
            log.state.lock().broken = true;
            if closes {
                assert_eq!(store.close().map_err(|error| error.kind()), Err(ErrorKind::Poisoned));
            }
            drop(store);
            assert_eq!(*logged.0.lock(), errors, "closed by hand: {closes}");
        }
        Ok(())
    })
}
