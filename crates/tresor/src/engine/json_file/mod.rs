//! The JSON file engine: a store as one readable JSON object, in memory while it is open.
//!
//! The entries are those of a volatile memory engine, with its scans, expiry and limit; this engine
//! adds the file. Every change goes through one lock, and the file is replaced as a whole, so it suits
//! what fits an editor: `saver.rs` says when that happens, `document.rs` what stands in it,
//! `place.rs` how it gets there.

mod document;
pub(crate) mod place;
mod saver;
mod undo;

use std::{
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::Mutex;

use self::{
    document::Row,
    place::{Failed, Place},
    saver::Saver,
    undo::Undo,
};
use super::{
    Applied, Batch, Capabilities, Change, Edit, Engine, Eventual, Expires, Guard, Isolation, KeyRef, Kind,
    Outcome, Page, Removals, Scan, Seen, Sequence, Status, Visit,
    memory::{MemoryEngine, MemoryOptions},
};
use crate::{
    clock::Clock,
    error::{Error, ErrorKind, Result},
    files::Files,
};

/// When the file is saved.
#[derive(Clone, Copy, Debug)]
pub struct JsonFileOptions {
    /// After so many writes.
    pub batch_size: u64,
    /// And this long after a write, if there were fewer.
    pub auto_save_interval: Duration,
    /// Whether a write is answered, and shown to anybody, only once the file has it. What a save then
    /// fails to write is taken back.
    pub waits: bool,
}

/// Entries in a JSON file.
pub struct JsonFileEngine {
    saver: Arc<Saver>,
    thread: Mutex<Option<JoinHandle<Result<()>>>>,
}

/// Rows that are written to memory together.
const TOGETHER: usize = 1024;

impl JsonFileEngine {
    /// Opens a file, which is made with the first save where there is none. [`Invalid`](ErrorKind::Invalid)
    /// for one that is not such JSON, with line and column, or that was edited since it was saved;
    /// [`Unavailable`](ErrorKind::Unavailable) for one that another process has open.
    pub fn open(
        memory: &MemoryOptions,
        (files, clock): (Arc<dyn Files>, Arc<dyn Clock>),
        path: &Path,
        options: JsonFileOptions,
    ) -> Result<Arc<Self>> {
        let (place, text) = Place::open(files, path)?;
        let rows = match &text {
            Some(text) => document::read(text, false).map_err(|error| unreadable(path, &error))?,
            None => Vec::new(),
        };
        let memory = MemoryEngine::in_order(memory, clock.clone())?;
        fill(&memory, &rows, clock.now_ms())?;
        let saver = Arc::new(Saver::new(memory, clock, options));
        let running = saver.clone();
        let thread = thread::Builder::new()
            .name("tresor-save".to_owned())
            .spawn(move || running.run(place))
            .map_err(|error| Error::new(ErrorKind::Unavailable, "cannot start a thread").caused_by(error))?;
        Ok(Arc::new(Self { saver, thread: Mutex::new(Some(thread)) }))
    }

    fn write_now(&self, batch: Batch<'_>, now_ms: u64) -> Result<Outcome> {
        let mut state = self.saver.begin()?;
        let undo = Undo::of(&self.saver.memory, batch.changes)?;
        let outcome = self.saver.memory.write(batch, now_ms).wait()?;
        if matches!(outcome.applied, Applied::Whole(_)) {
            self.saver.changed(&mut state, undo, outcome.sequence);
        }
        Ok(outcome)
    }

    fn update_now(&self, key: KeyRef<'_>, now_ms: u64, edit: &mut Edit<'_>) -> Result<Outcome> {
        let mut state = self.saver.begin()?;
        let undo = Undo::of_keys(&self.saver.memory, &[key])?;
        let outcome = self.saver.memory.update(key, now_ms, edit).wait()?;
        self.saver.changed(&mut state, undo, outcome.sequence);
        Ok(outcome)
    }

    fn adopt_now(&self, entries: &Page, above: Sequence, now_ms: u64) -> Result<Sequence> {
        let mut state = self.saver.begin()?;
        let keys: Vec<KeyRef<'_>> = entries.iter().map(|(key, _)| key).collect();
        let undo = Undo::of_keys(&self.saver.memory, &keys)?;
        let sequence = self.saver.memory.adopt(entries, above, now_ms).wait()?;
        // A lift alone is nothing to save: numbers begin anew with each start.
        if !keys.is_empty() {
            self.saver.changed(&mut state, undo, sequence);
        }
        Ok(sequence)
    }

    fn close_now(&self) -> Result<()> {
        let Some(thread) = self.thread.lock().take() else { return Ok(()) };
        self.saver.close();
        let saved = thread.join();
        self.saver.memory.close().wait()?;
        saved.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "the thread that saves has panicked")))
    }
}

/// Reads a file that no server has open and answers how many entries it has; with `accept` one that was
/// edited on purpose too, which then gets the checksum that fits. Fails as [`JsonFileEngine::open`] does.
pub fn check(files: Arc<dyn Files>, path: &Path, accept: bool) -> Result<usize> {
    let (mut place, text) = Place::open(files, path)?;
    let text =
        text.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no {}", path.display())))?;
    let mut rows = document::read(&text, accept).map_err(|error| unreadable(path, &error))?;
    if accept {
        rows.sort_by(|first, second| first.address().cmp(&second.address()));
        let count = rows.len();
        let saved = place.save(&document::write(rows.into_iter()));
        return saved.map(|()| count).map_err(|(Failed::Before(error) | Failed::Unsure(error))| error);
    }
    Ok(rows.len())
}

fn unreadable(path: &Path, error: &Error) -> Error {
    let path = path.display();
    Error::new(
        ErrorKind::Invalid,
        format!(
            "{path}: {error}; the file is as it was. Mend it, or if it was edited on purpose: tresor check --accept {path}"
        ),
    )
}

fn fill(memory: &MemoryEngine, rows: &[Row<'_>], now_ms: u64) -> Result<()> {
    for rows in rows.chunks(TOGETHER) {
        let changes = rows.iter().map(|row| {
            let key = KeyRef { database: row.database, key: &row.key, member: &row.member };
            put(key, &row.value, row.kind, row.expires_at_ms)
        });
        let changes: Vec<Change<'_>> = changes.collect();
        memory.write(Batch::blind(&changes), now_ms).wait()?;
    }
    Ok(())
}

/// A put of a whole entry.
fn put<'a>(key: KeyRef<'a>, value: &'a [u8], kind: Kind, expires_at_ms: Option<u64>) -> Change<'a> {
    let expires = expires_at_ms.map_or(Expires::Never, Expires::At);
    Change::Put { key, guard: Guard::None, value, kind, expires }
}

impl Engine for JsonFileEngine {
    fn capabilities(&self) -> Capabilities {
        let takes_back = self.saver.waits();
        Capabilities { name: "json", durable: true, takes_back, ..self.saver.memory.capabilities() }
    }

    fn read<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        isolation: Isolation,
        now_ms: u64,
        visit: &'a mut Visit<'_>,
    ) -> Eventual<'a, Seen> {
        self.saver.memory.read(keys, isolation, now_ms, visit)
    }

    fn expect(&self, keys: &[KeyRef<'_>]) {
        self.saver.memory.expect(keys);
    }

    fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
        self.saver.memory.scan(scan, now_ms)
    }

    fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
        Eventual::Now(self.write_now(batch, now_ms))
    }

    fn update<'a>(&'a self, key: KeyRef<'a>, now_ms: u64, edit: &'a mut Edit<'_>) -> Eventual<'a, Outcome> {
        Eventual::Now(self.update_now(key, now_ms, edit))
    }

    fn adopt<'a>(&'a self, entries: &'a Page, above: Sequence, now_ms: u64) -> Eventual<'a, Sequence> {
        Eventual::Now(self.adopt_now(entries, above, now_ms))
    }

    fn durable(&self, upto: Sequence) -> Eventual<'_, ()> {
        Eventual::later(self.saver.durable(upto))
    }

    fn status(&self) -> Eventual<'_, Status> {
        self.saver.memory.status()
    }

    fn tell_removals(&self, removals: &Arc<Removals>) -> bool {
        self.saver.memory.tell_removals(removals)
    }

    fn save(&self) -> Eventual<'_, ()> {
        Eventual::later(self.saver.save())
    }

    fn close(&self) -> Eventual<'_, ()> {
        Eventual::Now(self.close_now())
    }
}

impl Drop for JsonFileEngine {
    fn drop(&mut self) {
        if let Err(error) = self.close_now() {
            tracing::error!(%error, "closing the JSON file failed");
        }
    }
}
