//! Waiting for what comes, and never being told of what could still be taken back.

use std::{
    io,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use tresor::{
    FeedOptions,
    files::{File, Files, Open},
    oplog::Durability,
};
use tresor_testkit::deadline::wait_until;

use crate::stores::{ALL, Kept, Place, plain, read_all};

const LONG: Duration = Duration::from_secs(30);

#[test]
fn a_reader_that_waits_is_woken_by_what_concerns_it() {
    for kept in ALL {
        let place = Place::new(kept);
        let store = place.open();
        let mut feed = store.change_feed(&FeedOptions::new().prefix("mine")).unwrap();
        thread::scope(|scope| {
            let reader = scope.spawn(move || feed.next_page(LONG).unwrap());
            for number in 0..200 {
                store.put(format!("other{number}"), 1).unwrap();
            }
            let version = store.put("mine", 1).unwrap();
            let page = reader.join().unwrap();
            assert_eq!(page.changes.iter().map(plain).next().unwrap().0, version, "{kept:?}");
        });
    }
}

#[test]
fn a_reader_waits_as_long_as_it_says() {
    for kept in ALL {
        let place = Place::new(kept);
        let store = place.open();
        let mut feed = store.change_feed(&FeedOptions::new()).unwrap();
        let begun = Instant::now();
        let page = feed.next_page(Duration::from_millis(60)).unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(60), "{kept:?}");
        assert_eq!((page.changes.len(), page.gap, page.more), (0, None, false));
    }
}

#[test]
fn closing_the_store_ends_the_waiting() {
    for kept in ALL {
        let place = Place::new(kept);
        let store = place.open();
        let mut feed = store.change_feed(&FeedOptions::new()).unwrap();
        thread::scope(|scope| {
            let reader = scope.spawn(move || feed.next_page(LONG));
            thread::yield_now();
            store.close().unwrap();
            let error = reader.join().unwrap().err().unwrap();
            assert_eq!(error.kind(), tresor::ErrorKind::Unavailable, "{kept:?}");
        });
    }
}

/// A disk whose syncs end when the test says so.
struct HeldSyncs {
    files: Arc<dyn Files>,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
    waiting: Mutex<usize>,
}

impl Gate {
    fn set(&self, shut: bool) {
        *self.shut.lock() = shut;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let mut shut = self.shut.lock();
        while *shut {
            *self.waiting.lock() += 1;
            self.opened.wait(&mut shut);
            *self.waiting.lock() -= 1;
        }
    }
}

struct HeldFile(Arc<dyn File>, Arc<Gate>);

impl Files for HeldSyncs {
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(HeldFile(self.files.open(path, open)?, self.gate.clone())))
    }
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.files.create_directory(path)
    }
    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.files.list(directory)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.remove(path)
    }
    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.files.sync_directory(directory)
    }
    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.files.free_bytes(path)
    }
}

impl File for HeldFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
    fn set_size(&self, size: u64) -> io::Result<()> {
        self.0.set_size(size)
    }
    fn allocate(&self, size: u64) -> io::Result<()> {
        self.0.allocate(size)
    }
    fn sync(&self) -> io::Result<()> {
        self.1.pass();
        self.0.sync()
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.0.try_lock()
    }
}

#[test]
fn what_is_not_durable_is_not_told() {
    for kept in [Kept::InLog, Kept::OnDisk] {
        let place = Place::new(kept);
        let gate = Arc::<Gate>::default();
        let files = HeldSyncs { files: Arc::new(place.files.clone()), gate: gate.clone() };
        let store = place.open_on(Arc::new(files));
        store.put("durable", 1).unwrap();
        let mut feed = store.change_feed(&FeedOptions::new()).unwrap();
        gate.set(true);
        thread::scope(|scope| {
            let writer = scope.spawn(|| store.put("late", 1).unwrap());
            wait_until("the change is written and its sync has begun", || *gate.waiting.lock() > 0);
            assert_eq!(read_all(&mut feed).0.len(), 0, "{kept:?}: it could still be lost");
            assert_eq!(feed.next_page(Duration::from_millis(20)).unwrap().changes.len(), 0);
            gate.set(false);
            let version = writer.join().unwrap();
            let page = feed.next_page(LONG).unwrap();
            assert_eq!(page.changes[0].sequence, version);
        });
    }
}

#[test]
fn without_syncs_what_is_written_is_told_soon() {
    for durability in [Durability::None, Durability::Interval { ms: 60_000 }] {
        let mut place = Place::new(Kept::InLog);
        place.durability = durability;
        let store = place.open();
        let mut feed = store.change_feed(&FeedOptions::new()).unwrap();
        let version = store.put("a", 1).unwrap();
        assert_eq!(feed.next_page(LONG).unwrap().changes[0].sequence, version, "{durability:?}");
    }
}
