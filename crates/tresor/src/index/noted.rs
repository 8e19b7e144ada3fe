//! One index: what it has noted of each key, and which keys are being changed.
//!
//! Writers of one key may come here in another order than that of their changes, so each key has the version that was
//! noted, and an older one is ignored. From before a change is made until it is noted its key counts as changing, and
//! every query looks at such keys too. Invariant: an entry that is there and not changing is noted as it is, once
//! the index is built. No engine is called under the lock, which engines' own locks may surround.

use std::{collections::HashMap, fmt, ops::Bound, sync::Arc};

use parking_lot::Mutex;

use super::{
    IndexDefinition, IndexOf, Near, Part, graph,
    part::term,
    points,
    structure::{Kept, Structure},
};
use crate::{
    engine::{
        Version,
        memory::{BufferShare, MemoryLimit},
    },
    search::Reading,
};

/// What an entry takes in an index beside its key and its part, about.
const ENTRY_BYTES: usize = 160;

/// With more vectors than this still to be put into the graph, reading everything is faster.
const WAITING: usize = 2048;

/// An index and its definition.
pub(crate) struct Index {
    pub(crate) definition: IndexDefinition,
    state: Mutex<State>,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Index").field(&self.definition).finish()
    }
}

struct State {
    progress: Progress,
    /// Changes of the whole database that are under way.
    suspended: u32,
    /// Rises when everything is forgotten.
    generation: u64,
    noted: HashMap<Arc<[u8]>, Noted>,
    changing: HashMap<Arc<[u8]>, Changing>,
    structure: Structure,
    loose: u64,
    unreadable: u64,
    bytes: usize,
    share: BufferShare,
}

struct Noted {
    version: Version,
    kept: Kept,
}

/// A key that is being changed, or was changed while the index is being built.
#[derive(Default)]
struct Changing {
    writers: u32,
    /// The version of the latest change that was noted.
    latest: Version,
}

/// How far an index is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Some who write may not know of it yet.
    Held,
    Waiting,
    /// So many entries of the database were read.
    Reading(u64),
    /// Everything was read; vectors are being put into the graph.
    Inserting,
    Ready,
    Failed(String),
}

/// Figures of an index.
pub(super) struct Figures {
    pub(super) progress: Progress,
    pub(super) entries: u64,
    pub(super) unreadable: u64,
    pub(super) waiting: u64,
    pub(super) bytes: usize,
}

impl Index {
    /// An empty index. What it will have counts against the limit.
    pub(super) fn new(definition: IndexDefinition, limit: Arc<MemoryLimit>) -> Self {
        let structure = Structure::new(&definition);
        let state = State {
            progress: Progress::Held,
            suspended: 0,
            generation: 0,
            noted: HashMap::new(),
            changing: HashMap::new(),
            structure,
            loose: 0,
            unreadable: 0,
            bytes: 0,
            share: BufferShare::new(limit),
        };
        Self { definition, state: Mutex::new(state) }
    }

    /// Everyone who writes knows of it: it may be built.
    pub(super) fn release(&self) {
        let mut state = self.state.lock();
        if state.progress == Progress::Held {
            state.progress = Progress::Waiting;
        }
    }

    /// Says that an entry is about to be changed; then [`finish`](Self::finish) must follow.
    pub(super) fn begin(&self, key: &[u8]) -> Arc<[u8]> {
        let mut state = self.state.lock();
        let key = match (state.noted.get_key_value(key), state.changing.get_key_value(key)) {
            (Some((key, _)), _) => key.clone(),
            (_, Some((key, _))) => key.clone(),
            (None, None) => Arc::from(key),
        };
        state.changing.entry(key.clone()).or_default().writers += 1;
        key
    }

    /// Notes what an entry is now; `None` for gone.
    pub(super) fn note(&self, key: &Arc<[u8]>, version: Version, part: Option<Part>) {
        self.state.lock().note(self.definition.of(), key, version, part);
    }

    /// The change has ended, whatever became of it.
    pub(super) fn finish(&self, key: &Arc<[u8]>) {
        let mut state = self.state.lock();
        let is_built = state.is_built();
        if let Some(changing) = state.changing.get_mut(key) {
            changing.writers -= 1;
            if changing.writers == 0 && is_built {
                state.changing.remove(key);
            }
        }
    }

    /// The engine itself has removed an entry.
    pub(super) fn removed(&self, key: &[u8], version: Version) {
        let mut state = self.state.lock();
        let known = state.noted.get_key_value(key).map(|(key, _)| key.clone());
        if known.is_none() && state.is_built() && !state.changing.contains_key(key) {
            return;
        }
        let key = known.unwrap_or_else(|| Arc::from(key));
        if !state.is_built() {
            // What is being read may still show it.
            state.changing.entry(key.clone()).or_default();
        }
        state.note(self.definition.of(), &key, version, None);
    }

    /// The whole database is about to change: nobody uses the index until [`restart`](Self::restart).
    pub(super) fn suspend(&self) {
        self.state.lock().suspended += 1;
    }

    /// Forgets everything, to be built anew; what is changing goes on.
    pub(super) fn restart(&self, was_suspended: bool) {
        let structure = Structure::new(&self.definition);
        let mut state = self.state.lock();
        state.suspended -= u32::from(was_suspended);
        state.generation += 1;
        if state.progress != Progress::Held {
            state.progress = Progress::Waiting;
        }
        (state.loose, state.unreadable, state.bytes) = (0, 0, 0);
        state.share.set(0);
        let forgotten =
            (std::mem::take(&mut state.noted), std::mem::replace(&mut state.structure, structure));
        drop(state);
        // A large one takes a while to go: not under the lock.
        drop(forgotten);
    }

    /// Begins to build; the number that everything read for it has to come with.
    pub(super) fn start_reading(&self) -> u64 {
        let mut state = self.state.lock();
        state.progress = Progress::Reading(0);
        state.generation
    }

    /// Notes an entry that was read; false if it was all for nothing.
    pub(super) fn note_read(
        &self,
        generation: u64,
        key: &[u8],
        version: Version,
        part: Option<Part>,
    ) -> bool {
        let mut state = self.state.lock();
        if state.generation == generation {
            let known = state.noted.get_key_value(key).map(|(key, _)| key.clone());
            let key = known.unwrap_or_else(|| Arc::from(key));
            state.note(self.definition.of(), &key, version, part);
        }
        state.generation == generation
    }

    /// So many entries were read; false if it was all for nothing.
    pub(super) fn progressed(&self, generation: u64, read: u64) -> bool {
        let mut state = self.state.lock();
        if state.generation == generation {
            state.progress = Progress::Reading(read);
        }
        state.generation == generation
    }

    /// Everything was read, or why not.
    pub(super) fn finish_reading(&self, generation: u64, failure: Option<String>) {
        let mut state = self.state.lock();
        if state.generation != generation {
            return;
        }
        state.progress = match failure {
            Some(failure) => Progress::Failed(failure),
            None if state.waiting() > 0 => Progress::Inserting,
            None => Progress::Ready,
        };
        if state.is_built() {
            state.changing.retain(|_, changing| changing.writers > 0);
        }
    }

    /// Puts some of the vectors that wait into the graph; whether there was anything to do.
    pub(super) fn insert_some(&self, most: usize) -> bool {
        let (net, vectors) = match &self.state.lock().structure {
            Structure::Graph(graph) => graph.next_to_insert(most),
            Structure::Terms(_) | Structure::Points(_) => return false,
        };
        vectors.iter().for_each(|(place, vector)| net.insert((vector, *place)));
        let mut state = self.state.lock();
        if let Structure::Graph(graph) = &mut state.structure
            && graph.has(&net)
        {
            graph.inserted(vectors.iter().map(|(place, _)| *place));
        }
        if state.progress == Progress::Inserting && state.waiting() == 0 {
            state.progress = Progress::Ready;
        }
        !vectors.is_empty()
    }

    /// Whether a new graph is due.
    pub(super) fn is_worn(&self) -> bool {
        let state = self.state.lock();
        state.progress == Progress::Ready
            && matches!(&state.structure, Structure::Graph(graph) if graph.is_worn())
    }

    pub(super) fn is_waiting_to_be_built(&self) -> bool {
        matches!(self.state.lock().progress, Progress::Waiting | Progress::Failed(_))
    }

    /// Whether it knows all entries.
    pub(crate) fn is_usable(&self) -> bool {
        let state = self.state.lock();
        state.progress == Progress::Ready && state.suspended == 0 && state.waiting() <= WAITING
    }

    /// Whether vectors wait to be put into the graph.
    pub(super) fn has_waiting(&self) -> bool {
        self.state.lock().waiting() > 0
    }

    pub(super) fn figures(&self) -> Figures {
        let state = self.state.lock();
        Figures {
            progress: state.progress.clone(),
            entries: state.noted.len() as u64 - state.unreadable,
            unreadable: state.unreadable,
            waiting: state.waiting() as u64,
            bytes: state.bytes,
        }
    }

    /// How many entries it knows.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().noted.len()
    }

    /// Calls `each` with the key of every entry whose value may lie between two bounds, until it answers false.
    pub(crate) fn between(
        &self,
        reading: Reading,
        (lower, upper): (Bound<&[u8]>, Bound<&[u8]>),
        mut each: impl FnMut(&[u8]) -> bool,
    ) {
        let end = |bound: Bound<&[u8]>| match bound {
            Bound::Included(end) | Bound::Excluded(end) => term(reading, end),
            Bound::Unbounded => None,
        };
        let (lower, upper) = (end(lower), end(upper));
        let state = self.state.lock();
        let Structure::Terms(terms) = &state.structure else { return };
        let changing = state.changing.keys().map(|key| &**key);
        for key in changing.chain(terms.between((lower.as_deref(), upper.as_deref()))) {
            if !each(key) {
                return;
            }
        }
    }

    /// The entries near a vector: about so many, and those of which the index does not know where they are. `None`
    /// for a vector that it cannot search with.
    pub(crate) fn near(&self, vector: &[f64], wanted: usize) -> Option<Near> {
        let IndexOf::Vectors { metric, .. } = self.definition.of() else { return None };
        let (net, mut keys, vector) = {
            let state = self.state.lock();
            let mut keys: Vec<_> = state.changing.keys().cloned().collect();
            if state.loose > 0 {
                let loose = state.noted.iter().filter(|(_, noted)| matches!(noted.kept, Kept::Loose));
                keys.extend(loose.map(|(key, _)| key.clone()));
            }
            match &state.structure {
                Structure::Terms(_) => return None,
                Structure::Points(points) => {
                    let (near, reach) = points.nearest(points::point(vector)?, wanted);
                    keys.extend(near);
                    return Some(Near { keys, reach: Some(reach), all: wanted >= points.len() });
                }
                Structure::Graph(graph) => {
                    let (net, waiting) = graph.to_search();
                    keys.extend(waiting);
                    (net, keys, graph::fitted(vector, metric)?)
                }
            }
        };
        let places = graph::search(&net, &vector, wanted);
        let state = self.state.lock();
        let Structure::Graph(graph) = &state.structure else { return None };
        if !graph.has(&net) {
            return None;
        }
        keys.extend(graph.keys_at(&places));
        Some(Near { keys, reach: None, all: false })
    }
}

impl State {
    fn note(&mut self, of: IndexOf, key: &Arc<[u8]>, version: Version, part: Option<Part>) {
        let noted = self.noted.get(key).map_or(0, |noted| noted.version);
        let latest = match self.changing.get_mut(key) {
            Some(changing) => &mut changing.latest,
            None => &mut 0,
        };
        if version < noted.max(*latest) {
            return;
        }
        *latest = version;
        if let Some(noted) = self.noted.remove(key) {
            self.unkeep(of, key, &noted.kept);
        }
        if let Some(part) = part {
            self.keep(of, key, version, part);
        }
        self.share.set(self.bytes);
    }

    fn keep(&mut self, of: IndexOf, key: &Arc<[u8]>, version: Version, part: Part) {
        let kept = self.structure.insert(of, part, key);
        self.loose += u64::from(matches!(kept, Kept::Loose));
        self.unreadable += u64::from(matches!(kept, Kept::Unreadable));
        self.bytes += ENTRY_BYTES + key.len() + kept.bytes(of);
        self.noted.insert(key.clone(), Noted { version, kept });
    }

    fn unkeep(&mut self, of: IndexOf, key: &Arc<[u8]>, kept: &Kept) {
        self.structure.remove(kept, key);
        self.loose -= u64::from(matches!(kept, Kept::Loose));
        self.unreadable -= u64::from(matches!(kept, Kept::Unreadable));
        self.bytes -= ENTRY_BYTES + key.len() + kept.bytes(of);
    }

    fn is_built(&self) -> bool {
        matches!(self.progress, Progress::Ready | Progress::Inserting)
    }

    fn waiting(&self) -> usize {
        match &self.structure {
            Structure::Graph(graph) => graph.waiting(),
            Structure::Terms(_) | Structure::Points(_) => 0,
        }
    }
}
