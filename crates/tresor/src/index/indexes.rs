//! The indexes of a store: which there are, who belongs to which, and where their definitions are kept.
//!
//! Without an index all of this is one relaxed load for a write. Definitions are kept in a file beside the store, where
//! it has one, and only they: an index is built from the store when that is opened.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use parking_lot::{Mutex, RwLock};

use super::{
    Index, IndexDefinition, IndexOf, Part,
    builder::{Builder, Work},
    noted::Progress,
};
use crate::{
    clock::Clock,
    engine::{Audience, Change, Engine, KeyRef, Removals, Version, memory::MemoryLimit},
    error::{Error, ErrorKind, Result},
    files::{self, Files, SystemFiles},
};

/// The most indexes of a store.
const MOST: usize = 64;

/// The most bytes of their definitions.
const FILE_BYTES: usize = 16 * 1024 * 1024;

/// How far an index is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// It is being built; queries read everything meanwhile.
    Building,
    /// It is used.
    Ready,
    /// It could not be built, and is tried again.
    Failed(String),
}

/// How an index is doing.
#[derive(Clone, Debug)]
pub struct IndexStatus {
    /// What it is of.
    pub definition: IndexDefinition,
    /// How far it is.
    pub state: IndexState,
    /// Entries of its database that were read so far while it is being built.
    pub read: u64,
    /// Entries in it.
    pub entries: u64,
    /// Entries of its keys that cannot be read as it wants them, and are found by no query that uses it.
    pub unreadable: u64,
    /// Vectors of these that are not in the graph yet: every search looks at them one by one.
    pub waiting: u64,
    /// What it takes in memory, about.
    pub bytes: u64,
}

/// One thing to say of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Bytes, mostly text.
    Text(Vec<u8>),
    /// A number.
    Number(u64),
}

impl IndexStatus {
    /// Everything to be said of it, by name.
    pub fn facts(&self) -> Vec<(&'static str, Fact)> {
        let definition = &self.definition;
        let mut facts = vec![
            ("name", Fact::Text(definition.name().into())),
            ("db", Fact::Number(definition.database().into())),
        ];
        facts.push(("prefix", Fact::Text(definition.prefix().into())));
        facts.extend(definition.field().map(|field| ("field", Fact::Text(field.to_string().into()))));
        match definition.of() {
            IndexOf::Values(reading) => facts.push(("value_as", Fact::Text(reading.name().into()))),
            IndexOf::Vectors { dimensions, metric } => {
                facts.push(("dimensions", Fact::Number(dimensions as u64)));
                facts.push(("metric", Fact::Text(metric.name().into())));
            }
        }
        let (state, failure) = match &self.state {
            IndexState::Building => ("building", None),
            IndexState::Ready => ("ready", None),
            IndexState::Failed(failure) => ("failed", Some(failure)),
        };
        facts.push(("state", Fact::Text(state.into())));
        facts.extend(failure.map(|failure| ("failure", Fact::Text(failure.clone().into_bytes()))));
        let figures = [
            ("read", self.read),
            ("entries", self.entries),
            ("unreadable", self.unreadable),
            ("waiting", self.waiting),
            ("bytes", self.bytes),
        ];
        facts.extend(figures.map(|(name, number)| (name, Fact::Number(number))));
        facts
    }
}

/// The indexes of a store.
pub(crate) struct Indexes {
    any: AtomicBool,
    list: RwLock<Vec<Arc<Index>>>,
    /// One change of the list at a time.
    changing: Mutex<()>,
    file: Option<PathBuf>,
    removals: Arc<Removals>,
    work: Arc<Work>,
    builder: Builder,
    limit: Arc<MemoryLimit>,
    /// Why there can be none here.
    refusal: Option<&'static str>,
}

/// Entries that are being changed, with the indexes that they belong to.
#[derive(Default)]
pub(crate) struct Begun {
    parts: Vec<(Arc<Index>, u8, Arc<[u8]>)>,
    suspended: Vec<Arc<Index>>,
}

impl Indexes {
    /// Those that are defined in a file, to be built from an engine.
    pub(crate) fn open(
        engine: &Arc<dyn Engine>,
        clock: Arc<dyn Clock>,
        file: Option<PathBuf>,
        removals: Arc<Removals>,
        limit: Arc<MemoryLimit>,
    ) -> Result<Arc<Self>> {
        let capabilities = engine.capabilities();
        let refusal = (capabilities.shared || !capabilities.guards).then_some(
            "other programs change the same entries, so that an index here could not be kept true",
        );
        let work = Arc::<Work>::default();
        let builder = Builder::new(engine.clone(), clock, work.clone());
        let indexes = Arc::new(Self {
            any: AtomicBool::new(false),
            list: RwLock::default(),
            changing: Mutex::default(),
            file,
            removals,
            work,
            builder,
            limit,
            refusal,
        });
        // Weak, because what listens is kept by the engine, and the engine by the indexes.
        let told = Arc::downgrade(&indexes);
        indexes.removals.listen(Audience::Indexes, move |_, key, version| {
            if let Some(indexes) = told.upgrade() {
                indexes.covering(key).iter().for_each(|index| index.removed(key.key, version));
            }
        });
        let defined: Vec<_> =
            indexes.read_file()?.into_iter().map(|definition| indexes.index(definition)).collect();
        if !defined.is_empty() && refusal.is_none() {
            indexes.replace(defined.clone())?;
            defined.iter().for_each(|index| indexes.release(index));
        }
        Ok(indexes)
    }

    fn index(&self, definition: IndexDefinition) -> Arc<Index> {
        Arc::new(Index::new(definition, self.limit.clone()))
    }

    fn read_file(&self) -> Result<Vec<IndexDefinition>> {
        let Some(file) = &self.file else { return Ok(Vec::new()) };
        let text = match files::read_small(&SystemFiles, file, FILE_BYTES) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                let message = format!("cannot read the definitions of indexes in {}", file.display());
                return Err(Error::new(ErrorKind::Unavailable, message).caused_by(error));
            }
        };
        IndexDefinition::read_all(&text).map_err(|error| {
            let message = format!("{}: {error}; mend the file, or remove it and its indexes", file.display());
            Error::invalid(message).caused_by(error)
        })
    }

    /// Puts a list in place of the one that there is.
    fn replace(&self, list: Vec<Arc<Index>>) -> Result<()> {
        if !list.is_empty() {
            self.builder.start()?;
        }
        self.removals.tell(Audience::Indexes, !list.is_empty());
        let any = !list.is_empty();
        *self.list.write() = list.clone();
        self.any.store(any, Relaxed);
        self.work.set(list);
        Ok(())
    }

    fn save(&self, list: &[Arc<Index>]) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let text = IndexDefinition::write_all(list.iter().map(|index| &index.definition))?;
        files::replace(&SystemFiles as &dyn Files, file, &text).map_err(|error| {
            let message = format!("cannot keep the definitions of indexes in {}", file.display());
            Error::new(ErrorKind::Unavailable, message).caused_by(error)
        })
    }

    /// Defines an index. Once everyone has ended who may have begun to write before, it is to be
    /// [released](Self::release).
    pub(crate) fn create(&self, definition: IndexDefinition) -> Result<Arc<Index>> {
        if let Some(refusal) = self.refusal {
            return Err(Error::new(ErrorKind::Unsupported, refusal));
        }
        let _one = self.changing.lock();
        let mut list = self.list.read().clone();
        if list.iter().any(|index| index.definition.name() == definition.name()) {
            let message = format!("there is an index named {} already: drop it first", definition.name());
            return Err(Error::new(ErrorKind::Exists, message));
        }
        if list.len() >= MOST {
            return Err(Error::invalid(format!("a store has at most {MOST} indexes")));
        }
        let index = self.index(definition);
        list.push(index.clone());
        self.save(&list)?;
        self.replace(list)?;
        Ok(index)
    }

    /// Has an index built.
    pub(crate) fn release(&self, index: &Index) {
        index.release();
        self.work.wake();
    }

    /// Drops an index; whether there was one.
    pub(crate) fn drop_index(&self, name: &str) -> Result<bool> {
        let _one = self.changing.lock();
        let mut list = self.list.read().clone();
        let before = list.len();
        list.retain(|index| index.definition.name() != name);
        if list.len() == before {
            return Ok(false);
        }
        self.save(&list)?;
        self.replace(list)?;
        Ok(true)
    }

    /// How they are doing, in the order in which they were defined.
    pub(crate) fn statuses(&self) -> Vec<IndexStatus> {
        self.list.read().iter().map(|index| status(index)).collect()
    }

    /// Ends the thread that builds.
    pub(crate) fn stop(&self) {
        self.builder.stop();
    }

    /// Whether there is one.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.any.load(Relaxed)
    }

    /// Whether any of these changes is of something indexed.
    pub(crate) fn concern(&self, changes: &[Change<'_>]) -> bool {
        if !self.any() {
            return false;
        }
        let list = self.list.read();
        let is_covered = |key| list.iter().any(|index| index.definition.covers(key));
        changes.iter().any(|change| change.key().is_none_or(is_covered))
    }

    /// The indexes that an entry belongs to.
    fn covering(&self, key: KeyRef<'_>) -> Vec<Arc<Index>> {
        self.list.read().iter().filter(|index| index.definition.covers(key)).cloned().collect()
    }

    /// The first that knows all entries and that `fits`.
    pub(crate) fn usable(&self, fits: impl Fn(&IndexDefinition) -> bool) -> Option<Arc<Index>> {
        if !self.any() {
            return None;
        }
        self.list.read().iter().find(|index| fits(&index.definition) && index.is_usable()).cloned()
    }

    /// Says that entries are about to be changed, and databases as a whole.
    pub(crate) fn begin<'k>(&self, keys: impl Iterator<Item = KeyRef<'k>>, whole: &[u8]) -> Begun {
        let list = self.list.read();
        let mut begun = Begun::default();
        for key in keys {
            for index in list.iter().filter(|index| index.definition.covers(key)) {
                begun.parts.push((index.clone(), key.database, index.begin(key.key)));
            }
        }
        let suspended = list.iter().filter(|index| whole.contains(&index.definition.database()));
        begun.suspended.extend(suspended.cloned());
        begun.suspended.iter().for_each(|index| index.suspend());
        begun
    }

    /// They have been changed.
    pub(crate) fn finish(&self, begun: Begun) {
        let has_to_build =
            !begun.suspended.is_empty() || begun.parts.iter().any(|(index, ..)| index.has_waiting());
        drop(begun);
        if has_to_build {
            self.work.wake();
        }
    }
}

impl Begun {
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.suspended.is_empty()
    }

    /// The part of a value in each index that the entry belongs to.
    pub(crate) fn parts(&self, key: KeyRef<'_>, value: &[u8]) -> Vec<Option<Part>> {
        self.of(key).map(|(index, ..)| index.definition.part(value)).collect()
    }

    /// Notes what an entry is now, as [`parts`](Self::parts) has it; none for one that is gone.
    pub(crate) fn note(&self, key: KeyRef<'_>, version: Version, parts: Vec<Option<Part>>) {
        let mut parts = parts.into_iter();
        for (index, _, key) in self.of(key) {
            index.note(key, version, parts.next().flatten());
        }
    }

    fn of(&self, key: KeyRef<'_>) -> impl Iterator<Item = &(Arc<Index>, u8, Arc<[u8]>)> {
        self.parts.iter().filter(move |(_, database, begun)| *database == key.database && **begun == *key.key)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.parts.iter().for_each(|(index, _, key)| index.finish(key));
        self.suspended.iter().for_each(|index| index.restart(true));
    }
}

fn status(index: &Index) -> IndexStatus {
    let figures = index.figures();
    let (state, read) = match figures.progress {
        Progress::Held | Progress::Waiting | Progress::Inserting => (IndexState::Building, 0),
        Progress::Reading(read) => (IndexState::Building, read),
        Progress::Ready => (IndexState::Ready, 0),
        Progress::Failed(failure) => (IndexState::Failed(failure), 0),
    };
    IndexStatus {
        definition: index.definition.clone(),
        state,
        read,
        entries: figures.entries,
        unreadable: figures.unreadable,
        waiting: figures.waiting,
        bytes: figures.bytes as u64,
    }
}
