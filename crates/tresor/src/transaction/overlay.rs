//! What a transaction has written and nobody else can see yet: whole entries over those beneath.
//!
//! Each write says what the entry is from then on, so reads need no replay and a commit is one batch of puts
//! and deletions. What each step replaced is kept for as long as it may be undone. Invariant: the engine is
//! never changed through here; until the batch nothing has happened.

use std::{collections::BTreeMap, ops::Bound};

use smallvec::SmallVec;

use crate::engine::{Change, DATABASES, DatabaseTable, Expires, Guard, Kept, KeyRef, UNSWAPPED, Version};

/// Versions of what is not committed are above every number that an engine gives.
const UNCOMMITTED: Version = 1 << 63;

/// What an entry takes beside its bytes, roughly.
const ENTRY_BYTES: usize = 128;

/// An entry as the transaction left it; `None` when it deleted it.
type Written = Option<Kept>;

/// The entries of one database that were written.
type Entries = BTreeMap<Box<[u8]>, Written>;

/// Uncommitted writes.
pub(crate) struct Overlay {
    /// Those that were written, by number: mostly one.
    databases: SmallVec<[(u8, Entries); 1]>,
    /// Which of the engine's databases lies beneath each.
    beneath: DatabaseTable,
    /// Databases beneath which nothing is left, one bit each.
    cleared: u16,
    /// What each write replaced; nothing is noted where no step is ever taken back.
    undo: Vec<Undo>,
    keeps_undo: bool,
    /// Where each step begins in `undo`.
    steps: Vec<usize>,
    bytes: usize,
    last_version: Version,
}

enum Undo {
    Entry { database: u8, key: Box<[u8]>, before: Option<Written> },
    Clear { database: u8, before: Entries, cleared: bool },
    Swap(u8, u8),
}

/// Where an entry is to be looked for.
pub(crate) enum Current<'a> {
    /// It was written; `None` when it is gone.
    Written(Option<&'a Kept>),
    /// In the engine, at this address.
    Beneath(KeyRef<'a>),
}

/// What a step that was undone had written, in the order of writing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// Database and key of each entry.
    pub keys: Vec<(u8, Box<[u8]>)>,
}

impl Default for Overlay {
    fn default() -> Self {
        Self {
            databases: SmallVec::new(),
            beneath: UNSWAPPED,
            cleared: 0,
            undo: Vec::new(),
            keeps_undo: true,
            steps: Vec::new(),
            bytes: 0,
            last_version: UNCOMMITTED,
        }
    }
}

impl Overlay {
    /// One of which nothing is ever taken back.
    pub(crate) fn without_undo() -> Self {
        Self { keeps_undo: false, ..Self::default() }
    }

    fn entries(&self, database: u8) -> Option<&Entries> {
        self.databases.iter().find(|(number, _)| *number == database).map(|(_, entries)| entries)
    }

    fn entries_mut(&mut self, database: u8) -> &mut Entries {
        let place = self.databases.partition_point(|(number, _)| *number < database);
        if self.databases.get(place).is_none_or(|(number, _)| *number != database) {
            self.databases.insert(place, (database, Entries::new()));
        }
        &mut self.databases[place].1
    }

    /// Begins a step that can be undone by itself.
    pub(crate) fn begin_step(&mut self) {
        self.steps.push(self.undo.len());
    }

    /// Ends it; one that wrote nothing is none.
    pub(crate) fn end_step(&mut self) {
        if self.steps.last() == Some(&self.undo.len()) {
            self.steps.pop();
        }
    }

    /// How many steps could be undone.
    pub(crate) fn steps(&self) -> usize {
        self.steps.len()
    }

    /// Where a key's entry is.
    pub(crate) fn current<'a>(&'a self, key: KeyRef<'a>, now_ms: u64) -> Current<'a> {
        let database = usize::from(key.database);
        match self.entries(key.database).and_then(|entries| entries.get(key.key)) {
            Some(written) => Current::Written(written.as_ref().filter(|entry| !entry.has_expired(now_ms))),
            None if self.cleared & 1 << database != 0 => Current::Written(None),
            None => Current::Beneath(KeyRef { database: self.beneath[database], ..key }),
        }
    }

    /// Puts an entry, or deletes it; its version, until it is committed.
    pub(crate) fn write(&mut self, key: KeyRef<'_>, written: Option<Kept>) -> Version {
        self.last_version += 1;
        let version = self.last_version;
        let mut written = written;
        if let Some(entry) = &mut written {
            entry.version = version;
        }
        self.bytes += cost(key.key, &written);
        let before = self.entries_mut(key.database).insert(key.key.into(), written);
        if self.keeps_undo {
            self.undo.push(Undo::Entry { database: key.database, key: key.key.into(), before });
        }
        version
    }

    /// Removes every entry of a database.
    pub(crate) fn clear(&mut self, database: u8) {
        let bit = 1 << database;
        let (before, cleared) = (std::mem::take(self.entries_mut(database)), self.cleared & bit != 0);
        self.cleared |= bit;
        if self.keeps_undo {
            self.undo.push(Undo::Clear { database, before, cleared });
        }
    }

    /// Exchanges two databases.
    pub(crate) fn swap(&mut self, first: u8, second: u8) {
        self.exchange(first, second);
        if self.keeps_undo {
            self.undo.push(Undo::Swap(first, second));
        }
    }

    fn exchange(&mut self, first: u8, second: u8) {
        let (one, other) = (usize::from(first), usize::from(second));
        let entries = std::mem::take(self.entries_mut(first));
        let entries = std::mem::replace(self.entries_mut(second), entries);
        *self.entries_mut(first) = entries;
        self.beneath.swap(one, other);
        if (self.cleared >> one & 1) != (self.cleared >> other & 1) {
            self.cleared ^= 1 << one | 1 << other;
        }
    }

    /// Takes back the latest step that was not taken back yet.
    pub(crate) fn undo(&mut self) -> Option<Undone> {
        let start = self.steps.pop()?;
        let mut undone = Undone::default();
        while self.undo.len() > start
            && let Some(record) = self.undo.pop()
        {
            match record {
                Undo::Entry { database, key, before } => {
                    let entries = self.entries_mut(database);
                    let after = match before {
                        Some(before) => entries.insert(key.clone(), before),
                        None => entries.remove(&key),
                    };
                    self.bytes -= after.map_or(0, |written| cost(&key, &written));
                    undone.keys.push((database, key));
                }
                Undo::Clear { database, before, cleared } => {
                    *self.entries_mut(database) = before;
                    if !cleared {
                        self.cleared &= !(1 << database);
                    }
                }
                Undo::Swap(first, second) => self.exchange(first, second),
            }
        }
        undone.keys.reverse();
        Some(undone)
    }

    /// Bytes that it takes, what can be undone included, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a database still has entries beneath, and which that is.
    pub(crate) fn beneath(&self, database: u8) -> Option<u8> {
        let index = usize::from(database);
        (self.cleared & 1 << index == 0).then(|| self.beneath[index])
    }

    /// What was written in a database, by key.
    pub(crate) fn written(
        &self,
        database: u8,
        range: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> impl DoubleEndedIterator<Item = (&[u8], Option<&Kept>)> {
        let entries = self.entries(database).into_iter();
        entries
            .flat_map(move |entries| entries.range::<[u8], _>(range))
            .map(|(key, written)| (&**key, written.as_ref()))
    }

    /// Everything that was written, by database and key.
    pub(crate) fn all(&self) -> impl Iterator<Item = (KeyRef<'_>, Option<&Kept>)> {
        self.databases.iter().flat_map(|(database, entries)| {
            entries.iter().map(|(key, written)| (KeyRef::new(*database, key), written.as_ref()))
        })
    }

    /// The batch that makes it true, but for what must hold before.
    pub(crate) fn changes(&self) -> Vec<Change<'_>> {
        let mut changes = Vec::with_capacity(self.databases.iter().map(|(_, entries)| entries.len()).sum());
        let mut order = UNSWAPPED;
        for place in 0..order.len() {
            let wanted = self.beneath[place];
            if let Some(at) = order.iter().position(|number| *number == wanted)
                && at != place
            {
                changes.push(Change::Swap { first: place as u8, second: at as u8 });
                order.swap(place, at);
            }
        }
        let cleared = (0..DATABASES).filter(|database| self.cleared & 1 << database != 0);
        changes.extend(cleared.map(|database| Change::Clear { database }));
        changes.extend(self.all().map(|(key, written)| match written {
            Some(entry) => Change::Put {
                key,
                guard: Guard::None,
                value: entry.bytes(),
                kind: entry.kind,
                expires: entry.expires_at_ms.map_or(Expires::Never, Expires::At),
            },
            None => Change::Delete { key, guard: Guard::None },
        }));
        changes
    }
}

fn cost(key: &[u8], written: &Written) -> usize {
    ENTRY_BYTES + 2 * key.len() + written.as_ref().map_or(0, |entry| entry.bytes().len())
}

#[cfg(test)]
mod tests {
    use super::{Current, Overlay};
    use crate::engine::{Change, Kept, KeyRef, Kind};

    fn kept(value: &[u8]) -> Option<Kept> {
        Some(Kept::new(value, Kind::Raw, None, 0))
    }

    fn value(overlay: &Overlay, key: KeyRef<'_>) -> Option<Vec<u8>> {
        match overlay.current(key, 0) {
            Current::Written(entry) => entry.map(|entry| entry.bytes().to_vec()),
            Current::Beneath(key) => Some(format!("beneath {}", key.database).into_bytes()),
        }
    }

    #[test]
    fn steps_are_undone_one_by_one_and_bytes_come_back() {
        let mut overlay = Overlay::default();
        let house = KeyRef::new(0, b"house");
        for text in [&b"large"[..], b"small"] {
            overlay.begin_step();
            overlay.write(house, kept(text));
            overlay.end_step();
        }
        assert_eq!(value(&overlay, house).unwrap(), b"small");
        overlay.undo().unwrap();
        assert_eq!(value(&overlay, house).unwrap(), b"large");
        overlay.undo().unwrap();
        assert_eq!(value(&overlay, house).unwrap(), b"beneath 0");
        assert!(overlay.undo().is_none() && overlay.changes().is_empty());
        assert_eq!(overlay.bytes(), 0);
    }

    #[test]
    fn cleared_and_swapped_databases_come_back_too() {
        let mut overlay = Overlay::default();
        let key = KeyRef::new(1, b"k");
        overlay.begin_step();
        overlay.write(key, kept(b"v"));
        overlay.end_step();
        overlay.begin_step();
        overlay.swap(1, 2);
        overlay.clear(1);
        overlay.end_step();
        assert_eq!(value(&overlay, key), None);
        assert_eq!(value(&overlay, KeyRef::new(2, b"k")).unwrap(), b"v");
        let changes = overlay.changes();
        assert!(matches!(
            changes[..],
            [Change::Swap { first: 1, second: 2 }, Change::Clear { database: 1 }, Change::Put { .. }]
        ));
        overlay.undo().unwrap();
        assert_eq!(value(&overlay, key).unwrap(), b"v");
        assert_eq!(value(&overlay, KeyRef::new(2, b"k")).unwrap(), b"beneath 2");
    }
}
