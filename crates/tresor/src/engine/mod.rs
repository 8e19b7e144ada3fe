//! The interface between commands and storage: one page that every engine and every layer implements.
//!
//! Eleven methods: read, scan, write, update, adopt, changes, durable, count, status, save, close. A change is visible
//! and numbered at once and durable later; callers hold their output until [`Engine::durable`] says so.
//! A layer (cache, compression, shards) is an engine that holds an engine. Why it looks like this:
//! `docs/decisions/0001-engine-interface.md`.

mod background;
mod batch;
mod change_cursor;
mod change_page;
pub mod cursors;
pub(crate) mod database_table;
pub mod disk;
mod entry;
mod eventual;
mod expiry_lag;
pub mod json_file;
mod kept;
pub mod memory;
mod random;
mod removals;
mod scan;
pub(crate) mod step;

use std::{slice, sync::Arc};

use crate::error::{Error, ErrorKind};

pub use batch::{Applied, Batch, Change, Each, Edit, Edited, Effect, Expires, Guard, Outcome};
pub use change_cursor::ChangeCursor;
pub(crate) use change_cursor::Place;
pub use change_page::{ChangeKind, ChangePage, ChangeRef, ChangesWanted, Gap};
pub(crate) use database_table::{DatabaseTable, UNSWAPPED};
pub use entry::{
    DATABASES, EntryRef, KeyRef, Kind, MAX_KEY_BYTES, MAX_SEQUENCE, SHARED_VALUE_BYTES, Sequence, ValueRef,
    Version,
};
pub use eventual::{Eventual, Later, block_on, block_on_for};
pub use expiry_lag::{ExpiryLag, ExpiryLagCounters};
pub(crate) use kept::Kept;
pub use removals::{Audience, Removal, RemovalTeller, Removals};
pub use scan::{Content, Order, PAGE_BYTES, Page, Position, Scan, behind_prefix};

/// Called once for each key of a read, in order, with the entry or `None` (absent or expired).
/// It runs under the engine's lock: it is short and never calls an engine.
pub type Visit<'a> = dyn FnMut(usize, Option<EntryRef<'_>>) + Send + 'a;

/// How the keys of one read belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Each key on its own, as a run of GETs asks.
    Each,
    /// All keys as of one moment, as MGET asks.
    Together,
}

/// The answer to a read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The highest sequence number observed: an entry's own, also when it is there but expired; for
    /// an absent key at least that of its removal.
    pub sequence: Sequence,
}

/// What an engine can do. Whatever it cannot is refused before anything is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The engine's name, as `--engine` takes it.
    pub name: &'static str,
    /// Batches over several keys are atomic.
    pub atomic_batches: bool,
    /// Guards, patches, checks and `update` work: whatever depends on what is there.
    pub guards: bool,
    /// Scans in key order work.
    pub ordered: bool,
    /// `Swap` works, and `Clear` beside other changes of a batch.
    pub swap: bool,
    /// Sequence numbers outlive the process: the store comes back after a restart.
    pub durable: bool,
    /// Other programs change the same entries: no lock of this one could keep them out.
    pub shared: bool,
    /// A change that was answered is taken back when it cannot be kept; `durable` of its own number, and of no
    /// other, then says so.
    pub takes_back: bool,
    /// Its answers may come later than at once, because it waits for a disk or a network.
    pub waits: bool,
    /// The largest value that it takes, in bytes.
    pub max_value_bytes: usize,
}

/// How many keys a database has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Keys.
    pub keys: u64,
    /// How many of them have an expiry, and are counted even if it has passed.
    pub unsure: u64,
    /// The highest sequence number that the count tells of.
    pub sequence: Sequence,
}

/// How an engine is doing.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Keys in each database, expired ones that are not yet removed included.
    pub keys: [u64; DATABASES as usize],
    /// Of these, how many have an expiry.
    pub expiring: [u64; DATABASES as usize],
    /// When these expire on average, in Unix milliseconds; 0 where there are none, or that would be dear to know.
    pub mean_expiry_ms: [u64; DATABASES as usize],
    /// The latest sequence number.
    pub sequence: Sequence,
    /// Bytes that keys, values and tables hold.
    pub data_bytes: u64,
    /// Entries removed because they expired, since the start. Not those of a cluster, which removes them itself.
    pub expired: ExpiryLag,
    /// Entries evicted for want of memory, since the start.
    pub evicted: u64,
    /// The log, where there is one.
    pub log: Option<crate::oplog::LogStatus>,
    /// The cluster, where the data is on one.
    pub cluster: Option<ClusterStatus>,
    /// The cache in front of it, where there is one.
    pub cache: Option<CacheStatus>,
    /// Identifies the store; part of every ETag.
    pub store_id: u64,
    /// Some value was, at some time, of [`Kind::Packed`]: only the layers that made it can read it.
    pub packed: bool,
}

/// How a cache in front of an engine is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatus {
    /// Reads of a key that it answered, since the start.
    pub hits: u64,
    /// Reads of a key that the engine beneath was asked for, since the start.
    pub misses: u64,
    /// Entries that gave way to others for want of room, since the start.
    pub evictions: u64,
    /// Entries in it.
    pub entries: u64,
    /// Bytes that they hold.
    pub bytes: u64,
    /// The limit on entries; `None` for none.
    pub max_entries: Option<u64>,
    /// The limit on bytes; `None` for none.
    pub max_bytes: Option<u64>,
}

/// How the way to a cluster is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterStatus {
    /// Its nodes, as far as they are known.
    pub nodes: Vec<NodeStatus>,
    /// Connections to them.
    pub connections: u64,
    /// Requests since the start.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// By how many milliseconds this server's clock is ahead of a node's, when last looked at.
    pub clock_ahead_ms: i64,
}

/// A node of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its address.
    pub address: String,
    /// The datacentre that it is in.
    pub datacenter: String,
    /// Whether there is a connection to it.
    pub connected: bool,
}

/// A place that keeps entries. Every method may be called from many threads at once.
///
/// A call starts its change at once, not when polled; dropping the answer never takes it back.
pub trait Engine: Send + Sync + 'static {
    /// What this engine can do; constant for its lifetime.
    fn capabilities(&self) -> Capabilities;

    /// Shows each key's entry to `visit`, in the order of `keys`.
    fn read<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        isolation: Isolation,
        now_ms: u64,
        visit: &'a mut Visit<'a>,
    ) -> Eventual<'a, Seen>;

    /// A hint: these keys are read or written next. Changes nothing and may do nothing; a local engine
    /// uses it to have several cache misses at once instead of one after another.
    fn expect(&self, keys: &[KeyRef<'_>]) {
        let _ = keys;
    }

    /// One page of a scan. [`Unsupported`](crate::ErrorKind::Unsupported) for key order where there is none.
    fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page>;

    /// Applies a batch whole or not at all. A failed guard is an [`Applied::Refused`], not an error.
    fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome>;

    /// Applies changes of single entries, each for itself as if as many clients had sent them, but those
    /// of one key in their order. Only failures are told: it is for changes without guards. An engine
    /// whose calls can overtake each other keeps that order itself.
    fn write_each<'a>(&'a self, changes: &'a [Change<'a>], now_ms: u64) -> Eventual<'a, Each> {
        let one = |change| self.write(Batch::blind(slice::from_ref(change)), now_ms);
        let answers: Vec<_> = changes.iter().map(one).collect();
        Eventual::later(async move {
            let mut each = Each::default();
            for (index, answer) in answers.into_iter().enumerate() {
                each.note(index, answer.await);
            }
            Ok(each)
        })
    }

    /// Reads, edits and writes one entry as one step.
    fn update<'a>(&'a self, key: KeyRef<'a>, now_ms: u64, edit: &'a mut Edit<'_>) -> Eventual<'a, Outcome>;

    /// Puts entries as they are, versions kept, and gives later changes higher numbers than theirs and
    /// than `above`: how a store moves or is copied. An entry whose own version is at least as high
    /// stays as it is. Answers the highest number given for this.
    fn adopt<'a>(&'a self, entries: &'a Page, above: Sequence, now_ms: u64) -> Eventual<'a, Sequence> {
        let _ = (entries, above, now_ms);
        let message = format!("a store of engine {} takes no entries as they are", self.capabilities().name);
        Eventual::Now(Err(Error::new(ErrorKind::Unsupported, message)))
    }

    /// The next page of changes from where the cursor stands, which is moved behind it. It tells only what is
    /// durable, and nothing twice. An answer that is dropped has told nothing.
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where changes are not kept.
    fn changes<'a>(
        &'a self,
        cursor: &'a mut ChangeCursor,
        wanted: &'a ChangesWanted<'a>,
    ) -> Eventual<'a, ChangePage> {
        let _ = (cursor, wanted);
        let message = format!(
            "a store of engine {} has no change feed; --engine memory and --engine disk have one",
            self.capabilities().name
        );
        Eventual::Now(Err(Error::new(ErrorKind::Unsupported, message)))
    }

    /// Answers when everything up to `upto` survives what the durability level promises. A number that
    /// was not given yet stands for the latest.
    fn durable(&self, upto: Sequence) -> Eventual<'_, ()>;

    /// How many keys a database has now. Reads all of them where they are not counted as they change.
    fn count(&self, database: u8) -> Eventual<'_, Count> {
        let count = move |status: Status| Count {
            keys: status.keys[usize::from(database)],
            unsure: status.expiring[usize::from(database)],
            sequence: status.sequence,
        };
        match self.status() {
            Eventual::Now(result) => Eventual::Now(result.map(count)),
            later => Eventual::later(async move { Ok(count(later.await?)) }),
        }
    }

    /// Figures for INFO, metrics and the curious; keys as last counted, where counting is dear. May take
    /// a moment; never on a hot path.
    fn status(&self) -> Eventual<'_, Status>;

    /// Has what the engine removes by itself told to these from now on; a layer hands it on. False of one that removes
    /// nothing by itself, cannot say what, or tells others already.
    fn tell_removals(&self, removals: &Arc<Removals>) -> bool {
        let _ = removals;
        false
    }

    /// Makes a point to start from quickly (a snapshot, a saved file) and answers when it is on disk.
    fn save(&self) -> Eventual<'_, ()>;

    /// Saves what durability promises and stops background work. Later calls are `Unavailable`.
    fn close(&self) -> Eventual<'_, ()>;
}
