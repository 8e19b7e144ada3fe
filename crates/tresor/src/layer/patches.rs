//! Patches of values that the store cannot patch itself, because it keeps them in another form.
//!
//! A patch alone is the engine's `update`. In a batch the values concerned are read first, the batch is
//! played through on them, and each patch becomes a put of the whole value. Checks at the end of the
//! batch say that what was read still stands; if one fails somebody else got on, and it runs again.

use std::{borrow::Cow, collections::HashMap};

use super::{
    codec::Codec,
    coded::Coded,
    encoding::{Encoded, decoded},
};
use crate::{
    engine::{
        Applied, Batch, Change, DatabaseTable, Edited, Engine, EntryRef, Expires, Guard, Isolation, KeyRef,
        Kind, Outcome, UNSWAPPED,
    },
    error::{Error, ErrorKind, Result},
    yield_now::yield_now,
};

/// Whether there is a patch among these changes.
pub(super) fn are_in(changes: &[Change<'_>]) -> bool {
    changes.iter().any(|change| matches!(change, Change::Patch { .. }))
}

/// Writes bytes into a value, zeros filling a gap.
pub(super) fn patch(
    value: &mut Vec<u8>,
    (offset, bytes): (usize, &[u8]),
    max_value_bytes: usize,
) -> Result<()> {
    let end = offset.saturating_add(bytes.len());
    if end > max_value_bytes {
        let message = format!("a value of {end} bytes is over the limit of {max_value_bytes}");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    if value.len() < end {
        value.resize(end, 0);
    }
    value[offset..end].copy_from_slice(bytes);
    Ok(())
}

/// Writes a batch with patches in it.
pub(super) async fn write<C: Codec>(coded: &Coded<C>, batch: Batch<'_>, now_ms: u64) -> Result<Outcome> {
    let capabilities = coded.inner.capabilities();
    if !capabilities.guards {
        let message = format!("engine {} cannot change a part of a value", capabilities.name);
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    if let [Change::Patch { key, guard, offset, bytes }] = *batch.changes {
        return alone(coded, (key, guard), (offset, bytes), now_ms).await;
    }
    loop {
        let prepared = match prepare(coded, batch.changes, now_ms).await {
            Ok(prepared) => prepared,
            Err(error) => return coded.refused_or(batch.changes, now_ms, error).await,
        };
        match attempt(coded, batch, &prepared, now_ms).await? {
            Some(outcome) => return Ok(outcome),
            None => yield_now().await,
        }
    }
}

async fn alone<C: Codec>(
    coded: &Coded<C>,
    (key, guard): (KeyRef<'_>, Guard),
    (offset, bytes): (usize, &[u8]),
    now_ms: u64,
) -> Result<Outcome> {
    let mut refused = None;
    let mut edit = |entry: Option<EntryRef<'_>>| {
        let version = entry.map(|entry| entry.version);
        refused = (!guard.holds(version)).then_some(version);
        if refused.is_some() {
            return Ok(Edited::Keep);
        }
        let mut value = Vec::new();
        let entry = entry.map(|entry| decoded(&coded.codec, key, entry, &mut value)).transpose()?;
        coded.patched(key, entry, (offset, bytes))
    };
    let outcome = coded.inner.update(key, now_ms, &mut edit).await?;
    Ok(match refused {
        Some(version) => Outcome { applied: Applied::Refused { index: 0, version }, ..outcome },
        None => outcome,
    })
}

/// For each change of a batch the value and expiry that its patch puts, if it is one.
type Puts = Vec<Option<(Vec<u8>, Expires)>>;

/// A batch whose patches have become puts.
struct Prepared<'x> {
    puts: Puts,
    /// That what the puts were made of still stands.
    checks: Vec<Change<'x>>,
}

/// `None` when an entry changed between reading and writing.
async fn attempt<C: Codec>(
    coded: &Coded<C>,
    batch: Batch<'_>,
    prepared: &Prepared<'_>,
    now_ms: u64,
) -> Result<Option<Outcome>> {
    let asked = batch.changes.len();
    let mut changes: Vec<Change<'_>> = Vec::with_capacity(asked + prepared.checks.len());
    changes.extend(batch.changes.iter().zip(&prepared.puts).map(|(change, put)| put_for(change, put)));
    changes.extend_from_slice(&prepared.checks);
    let encoded = match Encoded::of(&coded.codec, &changes) {
        Ok(encoded) => encoded,
        Err(error) => return coded.refused_or(batch.changes, now_ms, error).await.map(Some),
    };
    let changes = encoded.changes(&changes);
    let mut outcome = coded.inner.write(Batch { changes: &changes, ..batch }, now_ms).await?;
    match &mut outcome.applied {
        Applied::Refused { index, .. } if *index >= asked => return Ok(None),
        Applied::Refused { .. } => {}
        Applied::Whole(effects) => effects.truncate(asked),
    }
    Ok(Some(outcome))
}

/// The put that a patch has become; any other change as it is.
fn put_for<'x>(change: &Change<'x>, put: &'x Option<(Vec<u8>, Expires)>) -> Change<'x> {
    match (*change, put) {
        (Change::Patch { key, guard, .. }, Some((value, expires))) => {
            Change::Put { key, guard, value, kind: Kind::Raw, expires: *expires }
        }
        (change, _) => change,
    }
}

async fn prepare<'x, C: Codec>(
    coded: &Coded<C>,
    changes: &[Change<'x>],
    now_ms: u64,
) -> Result<Prepared<'x>> {
    let names = patched_names(changes);
    let mut entries = HashMap::with_capacity(names.len());
    let mut checks = Vec::with_capacity(names.len());
    let mut keep = |index: usize, entry: Option<EntryRef<'_>>| {
        let guard = entry.map_or(Guard::Absent, |entry| Guard::Version(entry.version));
        checks.push(Change::Check { key: names[index], guard });
        entries.insert(names[index], Current::of(entry));
    };
    coded.read_decoded(&names, Isolation::Together, now_ms, &mut keep).await?;
    let play = Play {
        entries,
        databases: UNSWAPPED,
        puts: vec![None; changes.len()],
        max_value_bytes: coded.capabilities().max_value_bytes,
        now_ms,
    };
    Ok(Prepared { puts: play.all(changes)?, checks })
}

/// The entries that patches are for, as they are called before the batch, each once.
fn patched_names<'x>(changes: &[Change<'x>]) -> Vec<KeyRef<'x>> {
    let mut databases = UNSWAPPED;
    let mut names: Vec<KeyRef<'x>> = Vec::new();
    for change in changes {
        match *change {
            Change::Swap { first, second } => databases.swap(usize::from(first), usize::from(second)),
            Change::Patch { key, .. } => {
                names.push(KeyRef { database: databases[usize::from(key.database)], ..key });
            }
            _ => {}
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// An entry in the middle of a batch.
struct Current<'x> {
    /// `None`: absent.
    value: Option<Cow<'x, [u8]>>,
    expires_at_ms: Option<u64>,
    /// The patch that put the value there. Its bytes stay here, where the next patch finds them, until
    /// the value is replaced: so many patches of one large value hold it once.
    patch: Option<usize>,
}

impl Current<'_> {
    fn of(entry: Option<EntryRef<'_>>) -> Self {
        Self {
            value: entry.map(|entry| Cow::Owned(entry.value.bytes().to_vec())),
            expires_at_ms: entry.and_then(|entry| entry.expires_at_ms),
            patch: None,
        }
    }

    fn is_there(&self, now_ms: u64) -> bool {
        self.value.is_some() && self.expires_at_ms.is_none_or(|at_ms| now_ms < at_ms)
    }
}

/// A batch, played through on the entries that its patches are for.
struct Play<'x> {
    /// By their names before the batch.
    entries: HashMap<KeyRef<'x>, Current<'x>>,
    databases: DatabaseTable,
    puts: Puts,
    max_value_bytes: usize,
    now_ms: u64,
}

impl<'x> Play<'x> {
    fn all(mut self, changes: &[Change<'x>]) -> Result<Puts> {
        for (index, change) in changes.iter().enumerate() {
            match *change {
                Change::Swap { first, second } => {
                    self.databases.swap(usize::from(first), usize::from(second));
                }
                Change::Clear { database } => self.clear(database),
                Change::Patch { key, offset, bytes, .. } => self.patch(index, key, (offset, bytes))?,
                Change::Put { key, value, expires, .. } => self.put(key, value, expires),
                Change::Expire { key, expires_at_ms, .. } => {
                    self.with(key, |current, _, _| current.expires_at_ms = expires_at_ms);
                }
                Change::Delete { key, .. } => self.with(key, |current, puts, _| replace(current, puts, None)),
                Change::Check { .. } => {}
            }
        }
        for current in self.entries.values_mut() {
            replace(current, &mut self.puts, None);
        }
        Ok(self.puts)
    }

    /// Works on an entry, if it is one that a patch is for.
    fn with(&mut self, key: KeyRef<'x>, work: impl FnOnce(&mut Current<'x>, &mut Puts, u64)) {
        let name = KeyRef { database: self.databases[usize::from(key.database)], ..key };
        if let Some(current) = self.entries.get_mut(&name) {
            work(current, &mut self.puts, self.now_ms);
        }
    }

    fn put(&mut self, key: KeyRef<'x>, value: &'x [u8], expires: Expires) {
        self.with(key, |current, puts, now_ms| {
            let kept = current.expires_at_ms.filter(|_| current.is_there(now_ms));
            replace(current, puts, Some(Cow::Borrowed(value)));
            current.expires_at_ms = match expires {
                Expires::Never => None,
                Expires::At(at_ms) => Some(at_ms),
                Expires::Keep => kept,
            };
        });
    }

    fn patch(&mut self, index: usize, key: KeyRef<'x>, bytes: (usize, &[u8])) -> Result<()> {
        let mut result = Ok(());
        let max_value_bytes = self.max_value_bytes;
        self.with(key, |current, puts, now_ms| {
            let is_there = current.is_there(now_ms);
            if !is_there {
                replace(current, puts, Some(Cow::Borrowed(&[])));
            }
            let expires = if is_there { Expires::Keep } else { Expires::Never };
            current.patch = Some(index);
            puts[index] = Some((Vec::new(), expires));
            if let Some(value) = &mut current.value {
                result = patch(value.to_mut(), bytes, max_value_bytes);
            }
        });
        result
    }

    fn clear(&mut self, database: u8) {
        let before = self.databases[usize::from(database)];
        for (_, current) in self.entries.iter_mut().filter(|(name, _)| name.database == before) {
            replace(current, &mut self.puts, None);
        }
    }
}

/// Replaces an entry, without an expiry; what a patch made of it goes to that patch.
fn replace<'x>(current: &mut Current<'x>, puts: &mut Puts, value: Option<Cow<'x, [u8]>>) {
    let before = std::mem::replace(&mut current.value, value);
    current.expires_at_ms = None;
    if let Some(index) = current.patch.take()
        && let Some((put, _)) = &mut puts[index]
    {
        *put = before.map_or(Vec::new(), Cow::into_owned);
    }
}
