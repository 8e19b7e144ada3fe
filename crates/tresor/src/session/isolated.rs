//! The way to the engine when somebody has a transaction open: under locks, or over what is not committed.
//!
//! A plain command holds the locks of its keys for one call of the engine. A command of a transaction locks
//! what it touches until the transaction ends, reads its own writes over the engine's entries, and writes
//! nothing but its overlay. A lock is never waited for inside a gate; after a wait the time is taken anew,
//! since a key may have expired meanwhile.

use std::sync::Arc;

use smallvec::SmallVec;

use super::Session;
use crate::{
    database::Core,
    engine::{
        Applied, Batch, Change, Count, Edit, Effect, EntryRef, Expires, Guard, Isolation, Kept, KeyRef,
        Outcome, Page, Scan, Seen, Sequence, Visit, step::Step,
    },
    error::{Error, ErrorKind, Result},
    transaction::{
        Answer, Asker, Current, Discipline, Fault, Mode, Overlay, Owner, Party, Target, Transaction, planted,
    },
};

/// Bytes that remembering a lock takes, beside its key.
const LOCK_BYTES: usize = 160;

/// Locks to ask for.
pub(super) type Wanted<'a> = SmallVec<[(Target<'a>, Mode); 8]>;

/// Locks of a plain command, until it is dropped.
pub(super) struct Hold {
    core: Arc<Core>,
    owner: Owner,
}

impl Hold {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { owner: core.transactions.plain_owner(), core }
    }

    /// Who asks. Patient is who has no locks besides.
    pub(super) fn asker(&self, party: Party, patient: bool) -> Asker {
        Asker { owner: self.owner, party, patient }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.core.transactions.locks.release(self.owner);
    }
}

/// Entries as a transaction sees them.
#[derive(Default)]
struct Found {
    entries: SmallVec<[Option<Kept>; 4]>,
    sequence: Sequence,
}

pub(super) fn wanted_of_keys<'a>(keys: &[KeyRef<'a>], mode: Mode) -> Wanted<'a> {
    keys.iter().map(|key| (Target::of_key(*key), mode)).collect()
}

fn wanted_of_changes<'a>(changes: &[Change<'a>]) -> Wanted<'a> {
    let mut wanted = Wanted::new();
    for change in changes {
        match *change {
            Change::Check { key, .. } => wanted.push((Target::of_key(key), Mode::Shared)),
            Change::Clear { database } => wanted.push((Target::whole(database), Mode::Exclusive)),
            Change::Swap { first, second } => {
                wanted.extend([first, second].map(|database| (Target::whole(database), Mode::Exclusive)));
            }
            Change::Put { key, .. }
            | Change::Patch { key, .. }
            | Change::Expire { key, .. }
            | Change::Delete { key, .. } => wanted.push((Target::of_key(key), Mode::Exclusive)),
        }
    }
    wanted
}

impl Session {
    /// Takes locks for one call of the engine.
    pub(super) async fn hold(&mut self, wanted: &[(Target<'_>, Mode)]) -> Result<Hold> {
        let core = self.core.clone();
        let hold = Hold::new(core);
        let asker = hold.asker(self.party(), self.has_no_transaction());
        let transactions = &hold.core.transactions;
        let deadline_ns = transactions.lock_deadline_ns();
        while let Some(id) = transactions.locks.ask_all(asker, wanted, deadline_ns)? {
            self.outside(transactions.locks.granted(id)).await?;
        }
        Ok(hold)
    }

    /// Locks for the rest of a transaction; what it may not have, or may not remember, changes nothing.
    async fn lock(&mut self, transaction: &Transaction, wanted: &[(Target<'_>, Mode)]) -> Result<()> {
        if transaction.discipline != Discipline::Locking {
            return Ok(());
        }
        let core = self.core.clone();
        let transactions = &core.transactions;
        for (target, mode) in wanted {
            self.make_room(transaction, LOCK_BYTES + 2 * target.bytes())?;
            let deadline_ns = transactions.lock_deadline_ns();
            match transactions.locks.ask(transaction.asker(), (*target, *mode), deadline_ns)? {
                Answer::Granted { new: false } => continue,
                Answer::Granted { new: true } => {}
                Answer::InLine(id) => {
                    let granted = self.outside(transactions.locks.granted(id)).await;
                    if let Err(error) = granted {
                        if error.kind() == ErrorKind::Deadlock {
                            transactions.lost(transaction);
                        }
                        return Err(error);
                    }
                }
            }
            transaction.with(|state| state.locked_bytes += LOCK_BYTES + 2 * target.bytes());
        }
        Ok(())
    }

    fn make_room(&self, transaction: &Transaction, bytes: usize) -> Result<()> {
        let limit = self.core.transactions.limits.max_bytes;
        let held = transaction.with(|state| state.overlay.bytes() + state.locked_bytes);
        if held + bytes > limit {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the transaction would hold {} bytes, the limit is {limit}: commit it first, or raise \
                     --max-transaction-bytes",
                    held + bytes
                ),
            ));
        }
        Ok(())
    }

    pub(super) async fn read_isolated(
        &mut self,
        keys: &[KeyRef<'_>],
        isolation: Isolation,
        visit: &mut Visit<'_>,
    ) -> Result<Seen> {
        let Some(transaction) = self.scope.clone() else {
            if planted(Fault::ReadingUncommitted)
                && let [key] = keys
                && let Some(entry) = self.core.transactions.uncommitted(*key)
            {
                visit(0, Some(entry.as_entry()));
                return Ok(Seen { sequence: 0 });
            }
            let _hold = self.hold(&wanted_of_keys(keys, Mode::Shared)).await?;
            return self.core.engine.read(keys, isolation, self.now_ms, visit).await;
        };
        self.lock(&transaction, &wanted_of_keys(keys, Mode::Shared)).await?;
        let found = self.load_current(&transaction, keys).await?;
        for (index, entry) in found.entries.iter().enumerate() {
            visit(index, entry.as_ref().map(Kept::as_entry));
        }
        Ok(Seen { sequence: found.sequence })
    }

    /// The entries of keys that are locked, or looked at without locks, as the transaction sees them.
    async fn load_current(&mut self, transaction: &Transaction, keys: &[KeyRef<'_>]) -> Result<Found> {
        let now_ms = self.now_ms;
        let mut found = Found { entries: SmallVec::new(), sequence: 0 };
        let (mut beneath, mut places) = (SmallVec::<[KeyRef<'_>; 4]>::new(), SmallVec::<[usize; 4]>::new());
        transaction.with(|state| {
            for (place, key) in keys.iter().enumerate() {
                let entry = match state.overlay.current(*key, now_ms) {
                    Current::Written(entry) => entry.cloned(),
                    Current::Beneath(there) => {
                        beneath.push(KeyRef { database: there.database, ..*key });
                        places.push(place);
                        None
                    }
                };
                found.entries.push(entry);
            }
        });
        if beneath.is_empty() {
            return Ok(found);
        }
        let entries = &mut found.entries;
        let mut keep =
            |index: usize, entry: Option<EntryRef<'_>>| entries[places[index]] = entry.map(Kept::of);
        let seen = self.core.engine.read(&beneath, Isolation::Together, now_ms, &mut keep).await?;
        found.sequence = seen.sequence;
        if transaction.discipline == Discipline::Optimistic {
            transaction.with(|state| {
                for (key, place) in beneath.iter().zip(&places) {
                    let version = found.entries[*place].as_ref().map(|entry| entry.version);
                    let first = *state.seen.entry((key.database, key.key.into())).or_insert(version);
                    state.overtaken |= first != version;
                }
            });
        }
        Ok(found)
    }

    /// What a transaction sees of keys that it has locked already.
    pub(super) async fn entries_in(
        &mut self,
        transaction: &Transaction,
        keys: &[KeyRef<'_>],
    ) -> Result<Vec<Option<Kept>>> {
        let found = self.load_current(transaction, keys).await?;
        self.saw(found.sequence);
        Ok(found.entries.into_vec())
    }

    pub(super) async fn write_isolated(&mut self, batch: Batch<'_>) -> Result<Outcome> {
        let Some(transaction) = self.scope.clone() else {
            let wanted = wanted_of_changes(batch.changes);
            let _hold = self.hold(if planted(Fault::IgnoringLocks) { &[] } else { &wanted }).await?;
            return self.core.engine.write(batch, self.now_ms).await;
        };
        let bytes = batch.changes.iter().map(bytes_of).sum();
        self.make_room(&transaction, bytes)?;
        if transaction.discipline == Discipline::Locking {
            self.lock(&transaction, &wanted_of_changes(batch.changes)).await?;
        }
        let looks = !batch.blind || batch.changes.iter().any(depends);
        let keys: SmallVec<[KeyRef<'_>; 4]> =
            if looks { batch.changes.iter().filter_map(Change::key).collect() } else { SmallVec::new() };
        let found = if looks { self.load_current(&transaction, &keys).await? } else { Found::default() };
        let sequence = found.sequence;
        if let Some(refused) = refusal(batch.changes, &found) {
            return Ok(Outcome { sequence, applied: refused });
        }
        let now_ms = self.now_ms;
        transaction
            .with(|state| apply(&mut state.overlay, batch.changes, &found, now_ms))
            .map(|effects| Outcome { sequence, applied: Applied::Whole(effects) })
    }

    pub(super) async fn update_isolated(&mut self, key: KeyRef<'_>, edit: &mut Edit<'_>) -> Result<Outcome> {
        let wanted = [(Target::of_key(key), Mode::Exclusive)];
        let Some(transaction) = self.scope.clone() else {
            let _hold = self.hold(if planted(Fault::IgnoringLocks) { &[] } else { &wanted }).await?;
            return self.core.engine.update(key, self.now_ms, edit).await;
        };
        self.lock(&transaction, &wanted).await?;
        let found = self.load_current(&transaction, &[key]).await?;
        let entry = found.entries.first().and_then(Option::as_ref).map(Kept::as_entry);
        let step = Step::of_edit(edit(entry)?, entry.as_ref())?;
        let bytes = match &step {
            Some(Step::Put { value, .. }) => value.len(),
            Some(Step::Patch { bytes, .. }) => bytes.len(),
            _ => 0,
        };
        self.make_room(&transaction, bytes + entry.map_or(0, |entry| entry.value.bytes().len()))?;
        let effect = transaction.with(|state| {
            state.overlay.begin_step();
            let effect = take(&mut state.overlay, key, step, entry.as_ref());
            state.overlay.end_step();
            effect
        });
        Ok(Outcome { sequence: found.sequence, applied: Applied::Whole(SmallVec::from_buf([effect])) })
    }

    /// Pages of plain commands show what is committed and wait for nobody; in a transaction a scan locks all
    /// that it goes over, keys that are not there included.
    pub(super) async fn scan_isolated(&mut self, scan: &Scan<'_>) -> Result<Page> {
        let Some(transaction) = self.scope.clone() else {
            return self.core.engine.scan(scan, self.now_ms).await;
        };
        if !planted(Fault::NoPhantomProtection) {
            self.lock(&transaction, &[(super::merged::target_of(scan), Mode::Shared)]).await?;
        }
        let beneath = transaction.with(|state| state.overlay.beneath(scan.database));
        let page = match beneath {
            Some(database) => self.core.engine.scan(&Scan { database, ..scan.clone() }, self.now_ms).await?,
            None => Page::new(scan.database),
        };
        let fresh = super::merged::fresh_keys(&transaction, scan);
        let found = self.find_beneath(&transaction, scan.database, &fresh).await?;
        Ok(super::merged::merge(&transaction, scan, page, &found, self.now_ms))
    }

    /// Which of the keys of a database are not there beneath what was written.
    async fn find_beneath(
        &self,
        transaction: &Transaction,
        database: u8,
        keys: &[Box<[u8]>],
    ) -> Result<Vec<Box<[u8]>>> {
        let Some(database) = transaction.with(|state| state.overlay.beneath(database)) else {
            return Ok(keys.to_vec());
        };
        let beneath: Vec<_> = keys.iter().map(|key| KeyRef::new(database, key)).collect();
        let mut absent = Vec::new();
        let mut look = |index: usize, entry: Option<EntryRef<'_>>| {
            if entry.is_none() {
                absent.push(keys[index].clone());
            }
        };
        self.core.engine.read(&beneath, Isolation::Together, self.now_ms, &mut look).await?;
        Ok(absent)
    }

    pub(super) async fn count_isolated(&mut self, database: u8) -> Result<Count> {
        let core = self.core.clone();
        let Some(transaction) = self.scope.clone() else { return core.engine.count(database).await };
        self.lock(&transaction, &[(Target::whole(database), Mode::Shared)]).await?;
        let mut count = match transaction.with(|state| state.overlay.beneath(database)) {
            Some(database) => core.engine.count(database).await?,
            None => Count::default(),
        };
        let (keys, alive) = super::merged::written_keys(&transaction, database, self.now_ms);
        let absent = self.find_beneath(&transaction, database, &keys).await?.len();
        count.keys = (count.keys + alive as u64).saturating_sub((keys.len() - absent) as u64);
        Ok(count)
    }
}

/// Whether a change needs to know what is there.
fn depends(change: &Change<'_>) -> bool {
    match change {
        Change::Put { guard, expires, .. } => *guard != Guard::None || *expires == Expires::Keep,
        Change::Delete { guard, .. } => *guard != Guard::None,
        Change::Patch { .. } | Change::Expire { .. } | Change::Check { .. } => true,
        Change::Clear { .. } | Change::Swap { .. } => false,
    }
}

fn bytes_of(change: &Change<'_>) -> usize {
    let value = match change {
        Change::Put { value, .. } => value.len(),
        Change::Patch { offset, bytes, .. } => offset.saturating_add(bytes.len()),
        _ => 0,
    };
    value.saturating_add(change.key().map_or(0, |key| 2 * key.key.len()))
}

/// The first guard that does not hold; all are looked at before anything changes.
fn refusal(changes: &[Change<'_>], found: &Found) -> Option<Applied> {
    let mut entries = found.entries.iter();
    for (index, change) in changes.iter().enumerate().filter(|(_, change)| change.key().is_some()) {
        let version = entries.next()?.as_ref().map(|entry| entry.version);
        if !change.guard().holds(version) {
            return Some(Applied::Refused { index, version });
        }
    }
    None
}

/// Writes a batch into the overlay as one step, whole or not at all.
fn apply(
    overlay: &mut Overlay,
    changes: &[Change<'_>],
    found: &Found,
    now_ms: u64,
) -> Result<SmallVec<[Effect; 1]>> {
    overlay.begin_step();
    let mut found = found.entries.iter();
    let mut effects = SmallVec::with_capacity(changes.len());
    for change in changes {
        let result = match *change {
            Change::Clear { database } => {
                overlay.clear(database);
                Ok(Effect { existed: false, version: 0 })
            }
            Change::Swap { first, second } => {
                overlay.swap(first, second);
                Ok(Effect { existed: false, version: 0 })
            }
            _ => apply_one(overlay, change, found.next().map(Option::as_ref), now_ms),
        };
        match result {
            Ok(effect) => effects.push(effect),
            Err(error) => {
                overlay.end_step();
                if !effects.is_empty() {
                    overlay.undo();
                }
                return Err(error);
            }
        }
    }
    overlay.end_step();
    Ok(effects)
}

fn apply_one(
    overlay: &mut Overlay,
    change: &Change<'_>,
    beneath: Option<Option<&Kept>>,
    now_ms: u64,
) -> Result<Effect> {
    let Some(key) = change.key() else { return Ok(Effect { existed: false, version: 0 }) };
    // An earlier change of the same batch may have written it.
    let before = match overlay.current(key, now_ms) {
        Current::Written(entry) => entry.cloned(),
        Current::Beneath(_) => beneath.flatten().cloned(),
    };
    let entry = before.as_ref().map(Kept::as_entry);
    let step = match change {
        // Nobody has looked whether there is something to delete.
        Change::Delete { .. } if beneath.is_none() => Some(Step::Delete),
        change => Step::of_change(change, entry.as_ref())?,
    };
    Ok(take(overlay, key, step, entry.as_ref()))
}

fn take(
    overlay: &mut Overlay,
    key: KeyRef<'_>,
    step: Option<Step<'_>>,
    before: Option<&EntryRef<'_>>,
) -> Effect {
    let existed = before.is_some();
    let version = match step {
        None => before.map_or(0, |entry| entry.version),
        Some(step) => {
            let written = match step.result(before) {
                Some(Step::Put { value, kind, expires_at_ms }) => {
                    Some(Kept::new(&value, kind, expires_at_ms, 0))
                }
                _ => None,
            };
            overlay.write(key, written)
        }
    };
    Effect { existed, version }
}
