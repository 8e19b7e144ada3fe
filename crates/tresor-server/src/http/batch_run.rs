//! A batch on its way through the engine: one call that applies all of it or nothing.
//!
//! The engine's batches do not read. A batch that reads as well reads first, and has the engine check, with
//! the changes, that nothing it read has another version by then; if it has, everything is tried again. So it
//! takes no locks, works on a cluster too, and its versions are real. A `get` sees what stands before it in
//! the batch. Invariant: nothing is told of a batch that was not applied, or read as of one moment.

use std::collections::BTreeMap;

use bytes::Bytes;
use tresor::{
    Error, ErrorKind, Guard, Kind, Result, Version,
    engine::{Applied, Change, Effect, KeyRef},
    session::Session,
};

use super::operation::{Action, Operation};

/// How often a batch is tried whose reads are overtaken by others' writes.
const ATTEMPTS: usize = 32;

/// Bytes that the reads of one batch may come to.
const MAX_READ_BYTES: usize = 16 * 1024 * 1024;

/// An entry that was read.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) value: Bytes,
    pub(super) kind: Kind,
    pub(super) version: Version,
}

/// What is told of one operation.
pub(super) enum Seen {
    /// What a change did; whether its version is that of an entry.
    Effect(Effect, bool),
    /// What was read.
    Entry(Option<Entry>),
}

/// A guard that failed.
pub(super) struct Refused {
    /// Which operation's.
    pub(super) index: usize,
    /// The entry's version; `None` when it is absent.
    pub(super) version: Option<Version>,
}

/// What is told of all operations, in their order.
pub(super) struct Results(Vec<Seen>);

impl Results {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Seen> {
        self.0.iter()
    }

    /// About how many bytes it is.
    pub(super) fn bytes(&self) -> usize {
        let bytes = |seen: &Seen| match seen {
            Seen::Entry(Some(entry)) => entry.value.len(),
            _ => 0,
        };
        self.0.iter().map(bytes).sum::<usize>() + 64 * self.0.len()
    }
}

/// What the keys that a batch reads were before it.
type Before<'a> = BTreeMap<&'a [u8], Option<Entry>>;

enum Attempt {
    Done(Results),
    Refused(Refused),
    /// What it had read was changed meanwhile.
    Overtaken,
}

/// Applies a batch to the session's database; answers when that, or what it has read, is durable.
pub(super) async fn run(session: &mut Session, operations: &[Operation]) -> Result<Result<Results, Refused>> {
    for _ in 0..ATTEMPTS {
        session.enter().await;
        let attempt = attempt(session, operations).await;
        session.leave();
        let attempt = attempt?;
        session.durable().await?;
        match attempt {
            Attempt::Done(results) => return Ok(Ok(results)),
            Attempt::Refused(refused) => return Ok(Err(refused)),
            Attempt::Overtaken => {}
        }
    }
    let message =
        "others kept changing what the batch reads: nothing was done, try again, or read less in it";
    Err(Error::new(ErrorKind::LockTimeout, message))
}

async fn attempt(session: &mut Session, operations: &[Operation]) -> Result<Attempt> {
    let before = read(session, operations).await?;
    let (database, now_ms) = (session.selected(), session.now_ms());
    let mut places = Vec::with_capacity(operations.len());
    let mut changes = Vec::with_capacity(operations.len() + before.len());
    for (index, operation) in operations.iter().enumerate() {
        if let Some(change) = operation.change(database, now_ms) {
            places.push(index);
            changes.push(change);
        }
    }
    if changes.is_empty() {
        return Ok(Attempt::Done(results(operations, before, &[])));
    }
    // Behind the guards of the request, so that those are told first.
    changes.extend(before.iter().map(|(key, entry)| Change::Check {
        key: KeyRef::new(database, key),
        guard: entry.as_ref().map_or(Guard::Absent, |entry| Guard::Version(entry.version)),
    }));
    Ok(match session.write(&changes).await?.applied {
        Applied::Whole(effects) => Attempt::Done(results(operations, before, &effects)),
        Applied::Refused { index, version } => match places.get(index) {
            Some(index) => Attempt::Refused(Refused { index: *index, version }),
            None => Attempt::Overtaken,
        },
    })
}

/// The entries of all keys that are asked for, as of one moment.
async fn read<'a>(session: &mut Session, operations: &'a [Operation]) -> Result<Before<'a>> {
    let gets = operations.iter().filter(|operation| matches!(operation.action, Action::Get));
    let mut before: Before<'a> = gets.map(|operation| (&*operation.key, None)).collect();
    if before.is_empty() {
        return Ok(before);
    }
    let database = session.selected();
    let keys: Vec<_> = before.keys().map(|key| KeyRef::new(database, key)).collect();
    let (mut found, mut bytes) = (vec![None; keys.len()], 0);
    let keep = |index: usize, entry: Option<tresor::engine::EntryRef<'_>>| {
        let Some(entry) = entry else { return };
        bytes += entry.value.bytes().len();
        // What is over the limit is not copied: the batch fails.
        if bytes <= MAX_READ_BYTES {
            let value = entry.value.to_bytes();
            found[index] = Some(Entry { value, kind: entry.kind, version: entry.version });
        }
    };
    session.read_together(&keys, keep).await?;
    if bytes > MAX_READ_BYTES {
        let message = format!("the values asked for have {bytes} bytes, over the limit of {MAX_READ_BYTES}");
        return Err(Error::new(ErrorKind::TooLarge, format!("{message}: get them one by one")));
    }
    before.values_mut().zip(found).for_each(|(entry, found)| *entry = found);
    Ok(before)
}

/// What each operation has done or seen; `effects` are those of the changes, in order.
fn results<'a>(operations: &'a [Operation], before: Before<'a>, effects: &[Effect]) -> Results {
    let mut now = before;
    let mut effects = effects.iter();
    let one = |operation: &'a Operation| {
        let entry = now.get_mut(&*operation.key);
        if let Action::Get = operation.action {
            return Seen::Entry(entry.and_then(|entry| entry.clone()));
        }
        let effect = effects.next().copied().unwrap_or(Effect { existed: false, version: 0 });
        if let Some(entry) = entry {
            change(entry, &operation.action, effect.version);
        }
        let has_version = match operation.action {
            Action::Put { .. } => true,
            Action::Delete => false,
            _ => effect.existed,
        };
        Seen::Effect(effect, has_version)
    };
    Results(operations.iter().map(one).collect())
}

/// What an operation makes of an entry, for those behind it that read it.
fn change(entry: &mut Option<Entry>, action: &Action, version: Version) {
    match action {
        Action::Put { value, kind, .. } => {
            *entry = Some(Entry { value: value.clone(), kind: *kind, version });
        }
        Action::Delete => *entry = None,
        Action::Expire(_) => {
            if let Some(entry) = entry {
                entry.version = version;
            }
        }
        Action::Check | Action::Get => {}
    }
}
