//! Writes: guards, steps, numbers, log, and then the tables.
//!
//! Under the locks of all keys concerned a batch is planned against the entries as they are, appended to
//! the log, and put into the tables in one go. What was there is read only where somebody asks: a put
//! that nobody waits to hear about costs no read. If the log has no room the locks are left with nothing
//! changed, and everything runs again when there is.

use std::{borrow::Cow, collections::HashMap, sync::atomic::Ordering};

use smallvec::SmallVec;

use super::{
    address,
    store::{Hold, Store, Whole},
    stored::{self, Stored},
    tables::Changes,
};
use crate::{
    engine::{
        Applied, Batch, Change, DatabaseTable, Edit, Effect, Eventual, Expires, Guard, KeyRef, Kind, Outcome,
        Removal, Sequence, Version,
        step::{Step, holds, retry},
    },
    error::Result,
    oplog::{Logged, Refused},
};

/// Applies a batch; later only when the log has no room at hand.
pub(super) fn write<'a>(store: &'a Store, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
    eventually(store, move || try_write(store, batch, now_ms))
}

/// Edits one entry; later only when the log has no room at hand.
pub(super) fn update<'a>(
    store: &'a Store,
    key: KeyRef<'a>,
    now_ms: u64,
    edit: &'a mut Edit<'_>,
) -> Eventual<'a, Outcome> {
    eventually(store, move || try_update(store, key, now_ms, edit))
}

/// Attempts something at once, and again when the log has room.
pub(super) fn eventually<'a, T: Send + 'a>(
    store: &'a Store,
    mut attempt: impl FnMut() -> Result<T, Refused> + Send + 'a,
) -> Eventual<'a, T> {
    match attempt() {
        Ok(outcome) => Eventual::Now(Ok(outcome)),
        Err(Refused::Failed(error)) => Eventual::Now(Err(error)),
        Err(Refused::NoRoom { bytes }) => {
            Eventual::later(retry(move |bytes| store.log.room(bytes), bytes, attempt))
        }
    }
}

pub(super) fn try_write(store: &Store, batch: Batch<'_>, now_ms: u64) -> Result<Outcome, Refused> {
    let failed = Refused::Failed;
    store.check_open().map_err(failed)?;
    store.space.take(batch.changes.iter().map(grows_by).sum()).map_err(failed)?;
    let (mut hold, _locked) = store.hold(batch.changes).map_err(failed)?;
    let mut plan = Plan::new(hold.whole(), now_ms, batch.blind);
    plan.reserve(batch.changes.len());
    for (index, change) in batch.changes.iter().enumerate() {
        let Some(key) = change.key() else { continue };
        if change.guard() == Guard::None && batch.blind {
            continue;
        }
        let (met, seen) = plan.meet(store, key).map_err(failed)?;
        if !holds(change.guard(), met.as_ref().map(Stored::entry).as_ref()) {
            let version = met.map(|stored| stored.version);
            return Ok(Outcome { sequence: seen, applied: Applied::Refused { index, version } });
        }
    }
    plan.all(batch.changes).map_err(failed)?;
    let (planned, effects, observed) = (plan.planned, plan.effects, plan.observed);
    finish(store, &mut hold, now_ms, &planned, effects, observed)
}

fn try_update(store: &Store, key: KeyRef<'_>, now_ms: u64, edit: &mut Edit<'_>) -> Result<Outcome, Refused> {
    let failed = Refused::Failed;
    store.check_open().map_err(failed)?;
    let (mut hold, _locked) = store.hold_key(key).map_err(failed)?;
    let mut plan = Plan::new(hold.whole(), now_ms, false);
    let (met, _) = plan.meet(store, key).map_err(failed)?;
    let entry = met.as_ref().map(Stored::entry);
    let edited = edit(entry).map_err(failed)?;
    let step = Step::of_edit(edited, entry.as_ref()).map_err(failed)?;
    if let Some(step @ (Step::Put { .. } | Step::Patch { .. })) = &step {
        store.space.take(step_bytes(step)).map_err(failed)?;
    }
    plan.step(key, step).map_err(failed)?;
    let (planned, effects, observed) = (plan.planned, plan.effects, plan.observed);
    finish(store, &mut hold, now_ms, &planned, effects, observed)
}

/// Bytes that a change may add.
fn grows_by(change: &Change<'_>) -> usize {
    match change {
        Change::Put { key, value, .. } => key.key.len() + value.len(),
        Change::Patch { key, offset, bytes, .. } => key.key.len() + offset + bytes.len(),
        _ => 0,
    }
}

fn step_bytes(step: &Step<'_>) -> usize {
    match step {
        Step::Put { value, .. } => value.len(),
        Step::Patch { offset, bytes } => offset + bytes.len(),
        Step::Expire(_) | Step::Delete => 0,
    }
}

/// What one change of a batch comes to.
pub(super) enum Planned<'a> {
    /// Nothing to do; the entry, if it is there, is as this earlier change of the batch left it.
    Nothing(Option<usize>),
    /// A change of one entry.
    Entry(Box<Entry<'a>>),
    /// Everything in a physical database goes.
    Clear(u8),
    /// The table from logical to physical changes.
    Mapping(DatabaseTable),
}

/// A change of one entry, under its physical database.
pub(super) struct Entry<'a> {
    pub(super) key: KeyRef<'a>,
    pub(super) address: Vec<u8>,
    /// What the log is told.
    pub(super) step: Step<'a>,
    /// What the entry then is, where the step does not say it whole.
    pub(super) result: Option<Step<'a>>,
    /// When it was due before the batch, if that is known.
    pub(super) was_due_ms: Option<u64>,
    /// A later change of the batch says what the entry is in the end.
    pub(super) superseded: bool,
    /// It goes because its time is over.
    pub(super) expires: bool,
}

/// Finds out what each change of a batch does, a later one seeing what an earlier one did.
pub(super) struct Plan<'p, 'a> {
    whole: &'p Whole,
    now_ms: u64,
    blind: bool,
    pub(super) planned: Vec<Planned<'a>>,
    pub(super) effects: SmallVec<[Effect; 1]>,
    pub(super) observed: Sequence,
    mapping: DatabaseTable,
    /// Entries that were looked up, by their address before the batch: expired ones with their due time.
    met: HashMap<KeyRef<'a>, Met>,
    /// The latest step of each entry so far.
    latest: HashMap<KeyRef<'a>, usize>,
    cleared: u16,
}

#[derive(Clone)]
struct Met {
    stored: Option<Stored>,
    was_due_ms: Option<u64>,
    seen: Sequence,
}

impl<'p, 'a> Plan<'p, 'a> {
    pub(super) fn new(whole: &'p Whole, now_ms: u64, blind: bool) -> Self {
        Self {
            whole,
            now_ms,
            blind,
            planned: Vec::new(),
            effects: SmallVec::new(),
            observed: 0,
            mapping: whole.mapping,
            met: HashMap::new(),
            latest: HashMap::new(),
            cleared: 0,
        }
    }

    /// Makes room for so many changes.
    pub(super) fn reserve(&mut self, changes: usize) {
        self.planned.reserve_exact(changes);
        self.effects.reserve_exact(changes);
        if changes > 1 {
            self.latest.reserve(changes);
        }
    }

    /// An entry as it was before the batch, and the number that whoever looks has seen.
    fn meet(&mut self, store: &Store, key: KeyRef<'a>) -> Result<(Option<Stored>, Sequence)> {
        let physical = KeyRef { database: self.whole.physical(key.database), ..key };
        if let Some(met) = self.met.get(&physical) {
            return Ok((met.stored.clone(), met.seen));
        }
        let found = self.look(physical)?;
        let seen = found.stored.as_ref().map_or(0, |stored| stored.version);
        let seen = match found.stored {
            Some(_) => seen.max(store.turned()),
            None => found.seen.max(store.removed(key.key)),
        };
        self.observed = self.observed.max(seen);
        let met = Met { seen, ..found };
        self.met.insert(physical, met.clone());
        Ok((met.stored, seen))
    }

    fn look(&self, physical: KeyRef<'_>) -> Result<Met> {
        let stored = self.whole.get(physical.database, &address::encode(physical)?)?;
        let was_due_ms = stored.as_ref().and_then(|stored| stored.expires_at_ms);
        let seen = stored.as_ref().map_or(0, |stored| stored.version);
        Ok(Met { stored: stored.filter(|stored| !stored.is_expired(self.now_ms)), was_due_ms, seen })
    }

    pub(super) fn all(&mut self, changes: &[Change<'a>]) -> Result<()> {
        for change in changes {
            match change.key() {
                Some(key) => self.entry(change, key)?,
                None => self.database(change),
            }
        }
        Ok(())
    }

    fn database(&mut self, change: &Change<'_>) {
        match *change {
            Change::Clear { database } => {
                let physical = self.mapping[usize::from(database)];
                self.cleared |= 1 << physical;
                self.latest.retain(|key, _| key.database != physical);
                self.planned.push(Planned::Clear(physical));
            }
            Change::Swap { first, second } => {
                self.mapping.swap(usize::from(first), usize::from(second));
                self.planned.push(Planned::Mapping(self.mapping));
            }
            _ => self.planned.push(Planned::Nothing(None)),
        }
        self.effects.push(Effect { existed: false, version: 0 });
    }

    fn entry(&mut self, change: &Change<'a>, key: KeyRef<'a>) -> Result<()> {
        let key = KeyRef { database: self.mapping[usize::from(key.database)], ..key };
        let earlier = self.latest.get(&key).copied();
        if let Some(at) = earlier {
            return self.on_top(change, key, at);
        }
        let before = match self.cleared & 1 << key.database {
            0 if self.needs(change) || self.met.contains_key(&key) => self.before(key)?,
            _ => Met { stored: None, was_due_ms: None, seen: 0 },
        };
        if self.blind && !self.needs(change) {
            return self.push(key, blind_step(change)?, before, None);
        }
        let entry = before.stored.as_ref().map(Stored::entry);
        let step = Step::of_change(change, entry.as_ref())?;
        self.push(key, step, before, None)
    }

    /// What was there before the batch at a physical address.
    fn before(&mut self, key: KeyRef<'a>) -> Result<Met> {
        if let Some(met) = self.met.get(&key) {
            return Ok(met.clone());
        }
        let met = self.look(key)?;
        self.met.insert(key, met.clone());
        Ok(met)
    }

    /// Whether a change has to know what was there.
    fn needs(&self, change: &Change<'_>) -> bool {
        !self.blind
            || matches!(
                change,
                Change::Patch { .. } | Change::Expire { .. } | Change::Put { expires: Expires::Keep, .. }
            )
    }

    /// A change on top of an earlier one of this batch: what it leads to is stated whole, so that each
    /// record says all that is needed to apply it.
    fn on_top(&mut self, change: &Change<'a>, key: KeyRef<'a>, at: usize) -> Result<()> {
        let (result, was_due_ms) = match &self.planned[at] {
            Planned::Entry(entry) => {
                (entry.result.clone().unwrap_or_else(|| entry.step.clone()), entry.was_due_ms)
            }
            _ => (Step::Delete, None),
        };
        let entry = result.entry(self.now_ms);
        let step = Step::of_change(change, entry.as_ref())?;
        let step = step.map(|step| step.result(entry.as_ref()).unwrap_or(step));
        let stored = entry.map(|entry| Stored {
            value: entry.value.to_bytes(),
            kind: entry.kind,
            version: 0,
            expires_at_ms: entry.expires_at_ms,
        });
        if let (Some(_), Planned::Entry(entry)) = (&step, &mut self.planned[at]) {
            entry.superseded = true;
        }
        self.push(key, step, Met { stored, was_due_ms, seen: 0 }, Some(at))
    }

    /// One step for an entry that was met just now.
    fn step(&mut self, key: KeyRef<'a>, step: Option<Step<'a>>) -> Result<()> {
        let key = KeyRef { database: self.whole.physical(key.database), ..key };
        let before = self.before(key)?;
        self.push(key, step, before, None)
    }

    fn push(
        &mut self,
        key: KeyRef<'a>,
        step: Option<Step<'a>>,
        before: Met,
        earlier: Option<usize>,
    ) -> Result<()> {
        let version = before.stored.as_ref().map_or(0, |stored| stored.version);
        self.effects.push(Effect { existed: before.stored.is_some(), version });
        let Some(step) = step else {
            self.planned.push(Planned::Nothing(earlier.filter(|_| before.stored.is_some())));
            return Ok(());
        };
        let result = match step {
            Step::Patch { .. } | Step::Expire(_) => {
                step.result(before.stored.as_ref().map(Stored::entry).as_ref())
            }
            Step::Put { .. } | Step::Delete => None,
        };
        self.latest.insert(key, self.planned.len());
        let address = address::encode(key)?;
        let was_due_ms = before.was_due_ms;
        self.planned.push(Planned::Entry(Box::new(Entry {
            key,
            address,
            step,
            result,
            was_due_ms,
            superseded: false,
            expires: false,
        })));
        Ok(())
    }
}

/// A change that nobody hears about, as a step: a deletion of what may not be there is one too.
fn blind_step<'a>(change: &Change<'a>) -> Result<Option<Step<'a>>> {
    match change {
        Change::Delete { .. } => Ok(Some(Step::Delete)),
        change => Step::of_change(change, None),
    }
}

fn logged<'b>(planned: &'b Planned<'_>) -> Option<Logged<'b>> {
    match planned {
        Planned::Nothing(_) => None,
        Planned::Entry(entry) if entry.expires => {
            Some(Logged::Delete { key: entry.key, removal: Some(Removal::Expired) })
        }
        Planned::Entry(entry) => Some(entry.step.logged(entry.key)),
        Planned::Clear(physical) => Some(Logged::Clear { database: *physical }),
        Planned::Mapping(mapping) => Some(Logged::Mapping(*mapping)),
    }
}

/// Logs and applies what was planned.
pub(super) fn finish(
    store: &Store,
    hold: &mut Hold<'_>,
    now_ms: u64,
    planned: &[Planned<'_>],
    mut effects: SmallVec<[Effect; 1]>,
    observed: Sequence,
) -> Result<Outcome, Refused> {
    let logged: SmallVec<[Logged<'_>; 2]> = planned.iter().filter_map(logged).collect();
    if logged.is_empty() {
        return Ok(Outcome { sequence: observed, applied: Applied::Whole(effects) });
    }
    let last = store.log.append(now_ms, &logged)?;
    let mut number = last + 1 - logged.len() as u64;
    drop(logged);
    apply(store, hold, planned, (number, now_ms)).map_err(|error| Refused::Failed(store.poisoned(&error)))?;
    for (at, planned) in planned.iter().enumerate() {
        if let Planned::Nothing(earlier) = planned {
            if let Some(earlier) = earlier {
                effects[at].version = effects[*earlier].version;
            }
            continue;
        }
        effects[at].version = number;
        number += 1;
    }
    Ok(Outcome { sequence: last, applied: Applied::Whole(effects) })
}

/// Puts what was planned into the tables: visible together, except around a Clear, which nobody sees
/// because it has the store alone.
fn apply(
    store: &Store,
    hold: &mut Hold<'_>,
    planned: &[Planned<'_>],
    (first, now_ms): (Version, u64),
) -> Result<()> {
    let steps = planned.iter().filter(|planned| !matches!(planned, Planned::Nothing(_)));
    let mut rest: SmallVec<[(Version, &Planned<'_>); 2]> = (first..).zip(steps).collect();
    while !rest.is_empty() {
        let entries = rest.iter().take_while(|(_, planned)| matches!(planned, Planned::Entry(_))).count();
        if let Hold::Alone(whole) = &mut *hold {
            make_tables(whole, &rest[..entries])?;
        }
        put_all(store, hold.whole(), &rest[..entries], now_ms)?;
        if let (Some((number, planned)), Hold::Alone(whole)) = (rest.get(entries), &mut *hold) {
            match planned {
                Planned::Clear(physical) => whole.tables.clear(*physical)?,
                Planned::Mapping(mapping) => whole.mapping = *mapping,
                Planned::Nothing(_) | Planned::Entry(_) => {}
            }
            store.turned.fetch_max(*number, Ordering::AcqRel);
        }
        rest.drain(..(entries + 1).min(rest.len()));
    }
    Ok(())
}

/// Makes the tables that these changes need: one that was emptied before them is gone.
fn make_tables(whole: &mut Whole, entries: &[(Version, &Planned<'_>)]) -> Result<()> {
    entries.iter().try_for_each(|(_, planned)| match planned {
        Planned::Entry(entry) => whole.tables.make(entry.key.database),
        _ => Ok(()),
    })
}

fn put_all(store: &Store, whole: &Whole, entries: &[(Version, &Planned<'_>)], now_ms: u64) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut changes = whole.tables.changes();
    for (number, planned) in entries {
        if let Planned::Entry(entry) = planned
            && !entry.superseded
        {
            put(store, &mut changes, *number, entry);
        }
    }
    changes.commit()?;
    note_expired(store, entries, now_ms);
    Ok(())
}

/// Counts what had expired and is gone now. A put that looked at nothing does not know whether it met any.
fn note_expired(store: &Store, entries: &[(Version, &Planned<'_>)], now_ms: u64) {
    for (_, planned) in entries {
        if let Planned::Entry(entry) = planned
            && !entry.superseded
            && let Some(due_ms) = entry.was_due_ms.filter(|due_ms| *due_ms <= now_ms)
        {
            store.expired.note(due_ms, now_ms);
        }
    }
}

fn put(store: &Store, changes: &mut Changes<'_>, number: Version, entry: &Entry<'_>) {
    let due_ms = match entry.result.as_ref().unwrap_or(&entry.step) {
        Step::Put { value, kind, expires_at_ms } => {
            if *kind == Kind::Packed {
                store.note_packed(changes);
            }
            let encoded = stored::encode(value, *kind, number, *expires_at_ms);
            changes.put(entry.key.database, &entry.address, encoded, *expires_at_ms);
            *expires_at_ms
        }
        _ => {
            store.note_removal(entry.key.key, number);
            changes.remove(entry.key.database, &entry.address);
            None
        }
    };
    // A batch of tables must not say two things of one row.
    if let Some(at_ms) = entry.was_due_ms.filter(|_| entry.was_due_ms != due_ms) {
        changes.forget_due(at_ms, entry.key.database, &entry.address);
    }
}

/// Does again what the log says, over tables that may have it already, or something later.
pub(super) fn replay(whole: &mut Whole, version: Version, change: &Logged<'_>) -> Result<()> {
    let (key, step) = match *change {
        Logged::Put { key, kind, expires_at_ms, value } => {
            (key, Step::Put { value: Cow::Borrowed(value), kind, expires_at_ms })
        }
        Logged::Patch { key, offset, bytes } => (key, Step::Patch { offset, bytes: Cow::Borrowed(bytes) }),
        Logged::Expire { key, expires_at_ms } => (key, Step::Expire(expires_at_ms)),
        Logged::Delete { key, .. } => (key, Step::Delete),
        Logged::Adopt { key, version, kind, expires_at_ms, value } => {
            return put_as_it_is(whole, key, version, (value, kind, expires_at_ms));
        }
        Logged::Lift { .. } => return Ok(()),
        Logged::Clear { database } => return whole.tables.clear(database),
        Logged::Mapping(mapping) => {
            whole.mapping = mapping;
            return Ok(());
        }
    };
    let mut result = None;
    if matches!(step, Step::Patch { .. } | Step::Expire(_)) {
        // The tables may have it already, or what came after it.
        let stored = whole.get(key.database, &address::encode(key)?)?;
        let Some(stored) = stored.filter(|stored| stored.version < version) else { return Ok(()) };
        result = step.result(Some(&stored.entry()));
    }
    match result.as_ref().unwrap_or(&step) {
        Step::Put { value, kind, expires_at_ms } => {
            put_as_it_is(whole, key, version, (value, *kind, *expires_at_ms))
        }
        _ => {
            let mut changes = whole.tables.changes();
            changes.remove(key.database, &address::encode(key)?);
            changes.commit()
        }
    }
}

/// Puts an entry under a version of its own; what the tables have of it does not matter.
fn put_as_it_is(
    whole: &mut Whole,
    key: KeyRef<'_>,
    version: Version,
    (value, kind, expires_at_ms): (&[u8], Kind, Option<u64>),
) -> Result<()> {
    whole.tables.make(key.database)?;
    let mut changes = whole.tables.changes();
    if kind == Kind::Packed {
        changes.note_packed();
    }
    let encoded = stored::encode(value, kind, version, expires_at_ms);
    changes.put(key.database, &address::encode(key)?, encoded, expires_at_ms);
    changes.commit()
}

/// An expired entry's removal.
pub(super) fn removal(key: KeyRef<'_>, address: Vec<u8>, was_due_ms: u64) -> Planned<'_> {
    Planned::Entry(Box::new(Entry {
        key,
        address,
        step: Step::Delete,
        result: None,
        was_due_ms: Some(was_due_ms),
        superseded: false,
        expires: true,
    }))
}
