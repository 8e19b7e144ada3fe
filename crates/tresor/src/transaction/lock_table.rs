//! Who holds which lock and who waits for it: the table itself, without threads, futures or time.
//!
//! A lock is on a key or on a range of keys, shared or exclusive. A request is granted when it conflicts with
//! no lock of another owner and with no earlier request that still waits, so nobody is overtaken for ever;
//! only an owner whose own locks keep an earlier request waiting goes before it, because that one cannot go
//! on anyway. A range covers keys that do not exist, which is what keeps phantoms out. Invariant: a request
//! that could be granted never waits. One table under one mutex: an operation takes well under a
//! microsecond, and every question about who waits for whom has one consistent answer.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::ControlFlow,
    sync::Arc,
    task::Waker,
};

use smallvec::SmallVec;

use super::target::{Extent, Mode, Place, Range, Target};
use crate::engine::DATABASES;

/// Who holds locks: a transaction, or one plain command.
pub(crate) type Owner = u64;

/// On whose behalf: a client, which waits for one thing at a time and may have several transactions.
pub(crate) type Party = u64;

/// A request that had to wait.
pub(crate) type WaitId = u64;

/// Who asks for a lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    pub(crate) owner: Owner,
    pub(crate) party: Party,
    /// Holds nothing while it waits, so it can always be sent to the back instead of losing.
    pub(crate) patient: bool,
}

/// A lock that is held, or asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder {
    pub(crate) owner: Owner,
    pub(crate) party: Party,
    mode: Mode,
}

#[derive(Default)]
struct KeyLock {
    holders: SmallVec<[Holder; 1]>,
    /// In the order of their turns.
    queue: VecDeque<WaitId>,
}

#[derive(Default)]
struct Locked {
    keys: BTreeMap<Arc<[u8]>, KeyLock>,
    ranges: Vec<(Arc<Range>, Holder)>,
    /// Requests that wait for a range.
    range_waits: Vec<WaitId>,
    /// All requests that wait, by turn.
    waiting: BTreeMap<u64, WaitId>,
}

/// A request that waits, or has ended and not been told yet.
pub(crate) struct Wait {
    pub(crate) asker: Asker,
    pub(crate) deadline_ns: u64,
    pub(crate) state: WaitState,
    pub(crate) waker: Option<Waker>,
    mode: Mode,
    place: Place,
    turn: u64,
}

/// What has become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitState {
    Waiting,
    Granted,
    TimedOut,
    Deadlock,
    /// Its transaction was ended from outside.
    Ended,
}

/// What asking came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Granted {
        /// The owner did not hold it before.
        new: bool,
    },
    Blocked,
    /// By another owner of the same party, which cannot go on while this one waits.
    BlockedByItself,
}

/// All locks of a database's keys.
#[derive(Default)]
pub(crate) struct LockTable {
    databases: [Locked; DATABASES as usize],
    owners: HashMap<Owner, SmallVec<[Place; 4]>>,
    waits: HashMap<WaitId, Wait>,
    /// What each party that waits waits for.
    blocked: HashMap<Party, WaitId>,
    last_turn: u64,
    last_wait: WaitId,
    /// Wakers of requests that have ended; taken and woken outside the mutex.
    woken: Vec<Waker>,
}

type Visit<'v> = dyn FnMut(Holder) -> ControlFlow<()> + 'v;

impl LockTable {
    /// Asks for a lock without waiting for it.
    pub(crate) fn ask(&mut self, asker: Asker, target: Target<'_>, mode: Mode) -> Asked {
        if let Target::Key { database, key } = target {
            let locked = &mut self.databases[usize::from(database)];
            if locked.ranges.is_empty() && locked.range_waits.is_empty() && !locked.keys.contains_key(key) {
                let key: Arc<[u8]> = key.into();
                let holder = Holder { owner: asker.owner, party: asker.party, mode };
                let lock = KeyLock { holders: SmallVec::from_buf([holder]), queue: VecDeque::new() };
                locked.keys.insert(key.clone(), lock);
                let place = Place { database, extent: Extent::Key(key) };
                self.owners.entry(asker.owner).or_default().push(place);
                return Asked::Granted { new: true };
            }
        }
        let place = target.keep();
        if self.holds(asker.owner, &place, mode) {
            return Asked::Granted { new: false };
        }
        let (mut blocked, mut by_itself) = (false, false);
        let _ = self.blockers(asker, &place, mode, u64::MAX, &mut |holder| {
            blocked = true;
            by_itself |= holder.party == asker.party;
            ControlFlow::Continue(())
        });
        match (blocked, by_itself) {
            (_, true) => Asked::BlockedByItself,
            (true, false) => Asked::Blocked,
            (false, false) => Asked::Granted { new: self.grant(asker, place, mode) },
        }
    }

    /// Waits behind everybody who waits now. Deadlocks are looked for by `deadlock.rs`.
    pub(crate) fn enqueue(
        &mut self,
        asker: Asker,
        target: Target<'_>,
        mode: Mode,
        deadline_ns: u64,
    ) -> WaitId {
        self.last_wait += 1;
        let id = self.last_wait;
        let (place, state) = (target.keep(), WaitState::Waiting);
        self.waits.insert(id, Wait { asker, deadline_ns, state, waker: None, mode, place, turn: 0 });
        self.blocked.insert(asker.party, id);
        self.line_up(id);
        id
    }

    /// Sends a request that waits behind everybody else; the one before whom it stood may then go on.
    pub(crate) fn send_back(&mut self, id: WaitId) {
        let Some(place) = self.leave_line(id) else { return };
        self.line_up(id);
        self.promote(&place);
    }

    fn line_up(&mut self, id: WaitId) {
        self.last_turn += 1;
        let Some(wait) = self.waits.get_mut(&id) else { return };
        wait.turn = self.last_turn;
        let locked = &mut self.databases[usize::from(wait.place.database)];
        locked.waiting.insert(wait.turn, id);
        match &wait.place.extent {
            Extent::Key(key) => locked.keys.entry(key.clone()).or_default().queue.push_back(id),
            Extent::Range(_) => locked.range_waits.push(id),
        }
    }

    fn leave_line(&mut self, id: WaitId) -> Option<Place> {
        let wait = self.waits.get(&id)?;
        let place = wait.place.clone();
        let locked = &mut self.databases[usize::from(place.database)];
        locked.waiting.remove(&wait.turn);
        match &place.extent {
            Extent::Key(key) => {
                if let Some(lock) = locked.keys.get_mut(key) {
                    let at = lock.queue.iter().position(|waiting| *waiting == id);
                    at.map(|at| lock.queue.remove(at));
                    if lock.queue.is_empty() && lock.holders.is_empty() {
                        locked.keys.remove(key);
                    }
                }
            }
            Extent::Range(_) => locked.range_waits.retain(|waiting| *waiting != id),
        }
        Some(place)
    }

    /// Ends a request that waits, and lets those behind it go on; whoever awaits it is woken.
    pub(crate) fn end_wait(&mut self, id: WaitId, state: WaitState) {
        if self.waits.get(&id).is_none_or(|wait| wait.state != WaitState::Waiting) {
            return;
        }
        let place = self.leave_line(id);
        self.finish(id, state);
        if let Some(place) = place {
            self.promote(&place);
        }
    }

    fn finish(&mut self, id: WaitId, state: WaitState) {
        if let Some(wait) = self.waits.get_mut(&id) {
            wait.state = state;
            self.woken.extend(wait.waker.take());
            self.blocked.remove(&wait.asker.party);
        }
    }

    /// Forgets a request, whatever has become of it.
    pub(crate) fn forget(&mut self, id: WaitId) {
        self.end_wait(id, WaitState::Ended);
        self.waits.remove(&id);
    }

    pub(crate) fn wait_mut(&mut self, id: WaitId) -> Option<&mut Wait> {
        self.waits.get_mut(&id)
    }

    pub(crate) fn wait(&self, id: WaitId) -> Option<&Wait> {
        self.waits.get(&id)
    }

    /// What a party waits for.
    pub(crate) fn blocked(&self, party: Party) -> Option<WaitId> {
        self.blocked.get(&party).copied()
    }

    /// The requests that should have been granted by now.
    pub(crate) fn overdue(&self, now_ns: u64) -> Vec<WaitId> {
        let waits = self.waits.iter();
        let late = |wait: &Wait| wait.state == WaitState::Waiting && wait.deadline_ns <= now_ns;
        waits.filter(|(_, wait)| late(wait)).map(|(id, _)| *id).collect()
    }

    /// Whether nobody has or wants a lock.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        let free = |locked: &Locked| {
            locked.keys.is_empty()
                && locked.ranges.is_empty()
                && locked.range_waits.is_empty()
                && locked.waiting.is_empty()
        };
        self.databases.iter().all(free) && self.owners.is_empty() && self.waits.is_empty()
    }

    /// How many requests wait.
    pub(crate) fn waiting(&self) -> usize {
        self.blocked.len()
    }

    /// Ends what an owner waits for, and frees its locks.
    pub(crate) fn end(&mut self, owner: Owner, party: Party) {
        if let Some(id) = self.blocked(party)
            && self.waits.get(&id).is_some_and(|wait| wait.asker.owner == owner)
        {
            self.end_wait(id, WaitState::Ended);
        }
        self.release(owner);
    }

    /// Frees every lock of an owner.
    pub(crate) fn release(&mut self, owner: Owner) {
        let Some(places) = self.owners.remove(&owner) else { return };
        for place in &places {
            let locked = &mut self.databases[usize::from(place.database)];
            match &place.extent {
                Extent::Key(key) => {
                    let Some(lock) = locked.keys.get_mut(key) else { continue };
                    lock.holders.retain(|holder| holder.owner != owner);
                    if lock.holders.is_empty() && lock.queue.is_empty() {
                        locked.keys.remove(key);
                    }
                }
                Extent::Range(range) => {
                    locked.ranges.retain(|(held, holder)| holder.owner != owner || !Arc::ptr_eq(held, range));
                }
            }
        }
        for place in &places {
            self.promote(place);
        }
    }

    /// Whether anybody has a lock on this key in some database.
    pub(crate) fn is_locked(&self, key: &[u8]) -> bool {
        self.databases.iter().any(|locked| {
            locked.keys.get(key).is_some_and(|lock| !lock.holders.is_empty())
                || locked.ranges.iter().any(|(range, _)| range.covers(key))
        })
    }

    /// Those whose requests have ended; wake them outside the mutex.
    pub(crate) fn take_woken(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.woken)
    }

    fn holds(&self, owner: Owner, place: &Place, mode: Mode) -> bool {
        let locked = &self.databases[usize::from(place.database)];
        let enough = |holder: &Holder| holder.owner == owner && holder.mode >= mode;
        match &place.extent {
            Extent::Key(key) => locked.keys.get(key).is_some_and(|lock| lock.holders.iter().any(enough)),
            Extent::Range(range) => {
                locked.ranges.iter().any(|(held, holder)| enough(holder) && held.contains(range))
            }
        }
    }

    /// Gives a lock; whether its owner had none on exactly this.
    fn grant(&mut self, asker: Asker, place: Place, mode: Mode) -> bool {
        let locked = &mut self.databases[usize::from(place.database)];
        let holder = Holder { owner: asker.owner, party: asker.party, mode };
        match &place.extent {
            Extent::Key(key) => {
                let lock = locked.keys.entry(key.clone()).or_default();
                if let Some(held) = lock.holders.iter_mut().find(|held| held.owner == asker.owner) {
                    held.mode = mode;
                    return false;
                }
                lock.holders.push(holder);
            }
            Extent::Range(range) => locked.ranges.push((range.clone(), holder)),
        }
        self.owners.entry(asker.owner).or_default().push(place);
        true
    }

    /// Grants what has become free in and around a place.
    fn promote(&mut self, place: &Place) {
        let locked = &self.databases[usize::from(place.database)];
        if locked.waiting.is_empty() {
            return;
        }
        let by_key_alone = matches!(place.extent, Extent::Key(_))
            && locked.ranges.is_empty()
            && locked.range_waits.is_empty();
        let candidates: SmallVec<[WaitId; 8]> = match &place.extent {
            Extent::Key(key) if by_key_alone => {
                locked.keys.get(key).map_or_else(SmallVec::new, |lock| lock.queue.iter().copied().collect())
            }
            _ => locked.waiting.values().copied().collect(),
        };
        let mut behind_exclusive = false;
        for id in candidates {
            let Some(wait) = self.waits.get(&id) else { continue };
            // Only who has a lock on the key itself goes before one that waits for it exclusively.
            if behind_exclusive && !self.holds(wait.asker.owner, place, Mode::Shared) {
                continue;
            }
            let (asker, mode, turn) = (wait.asker, wait.mode, wait.turn);
            let place = wait.place.clone();
            let free =
                self.blockers(asker, &place, mode, turn, &mut |_| ControlFlow::Break(())).is_continue();
            if free {
                self.grant(asker, place, mode);
                self.leave_line(id);
                self.finish(id, WaitState::Granted);
            } else {
                behind_exclusive |= by_key_alone && mode == Mode::Exclusive;
            }
        }
    }

    /// Whom a waiting request waits for.
    pub(crate) fn waits_for(&self, id: WaitId, visit: &mut Visit<'_>) -> ControlFlow<()> {
        match self.waits.get(&id) {
            Some(wait) => self.blockers(wait.asker, &wait.place, wait.mode, wait.turn, visit),
            None => ControlFlow::Continue(()),
        }
    }

    /// Shows those who keep a request waiting: holders, and requests of an earlier turn.
    fn blockers(
        &self,
        asker: Asker,
        place: &Place,
        mode: Mode,
        turn: u64,
        visit: &mut Visit<'_>,
    ) -> ControlFlow<()> {
        self.conflicting_holders(place, mode, &mut |holder| match holder.owner == asker.owner {
            true => ControlFlow::Continue(()),
            false => visit(holder),
        })?;
        self.earlier_waits(asker.owner, place, (mode, turn), &mut |wait| {
            visit(Holder { owner: wait.asker.owner, party: wait.asker.party, mode: wait.mode })
        })
    }

    fn is_kept_waiting_by(&self, wait: &Wait, owner: Owner) -> bool {
        let mut visit = |holder: Holder| match holder.owner == owner {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        self.conflicting_holders(&wait.place, wait.mode, &mut visit).is_break()
    }

    fn conflicting_holders(&self, place: &Place, mode: Mode, visit: &mut Visit<'_>) -> ControlFlow<()> {
        let locked = &self.databases[usize::from(place.database)];
        let mut look = |holder: &Holder| match holder.mode.conflicts(mode) {
            true => visit(*holder),
            false => ControlFlow::Continue(()),
        };
        match &place.extent {
            Extent::Key(key) => {
                if let Some(lock) = locked.keys.get(key) {
                    lock.holders.iter().try_for_each(&mut look)?;
                }
                locked
                    .ranges
                    .iter()
                    .filter(|(range, _)| range.covers(key))
                    .try_for_each(|(_, holder)| look(holder))
            }
            Extent::Range(range) => {
                if !range.is_empty() {
                    let keys = locked.keys.range::<[u8], _>(range.bounds());
                    keys.flat_map(|(_, lock)| &lock.holders).try_for_each(&mut look)?;
                }
                let held = locked.ranges.iter().filter(|(held, _)| held.overlaps(range));
                held.map(|(_, holder)| holder).try_for_each(look)
            }
        }
    }

    /// Shows the requests with an earlier turn that conflict, but those that wait for `owner` itself. Behind
    /// one that is exclusive on the same key nothing more needs to be looked at: it waits for all of them.
    fn earlier_waits(
        &self,
        owner: Owner,
        place: &Place,
        (mode, turn): (Mode, u64),
        visit: &mut dyn FnMut(&Wait) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let locked = &self.databases[usize::from(place.database)];
        let earlier = |id: &WaitId| {
            let conflicts =
                |wait: &&Wait| wait.turn < turn && wait.asker.owner != owner && wait.mode.conflicts(mode);
            self.waits.get(id).filter(conflicts).filter(|wait| !self.is_kept_waiting_by(wait, owner))
        };
        match &place.extent {
            Extent::Key(key) => {
                if let Some(lock) = locked.keys.get(key) {
                    let turn_of = |id: &WaitId| self.waits.get(id).map_or(0, |wait| wait.turn);
                    let ahead = lock.queue.partition_point(|id| turn_of(id) < turn);
                    for wait in lock.queue.range(..ahead).rev().filter_map(earlier) {
                        visit(wait)?;
                        if wait.mode == Mode::Exclusive {
                            break;
                        }
                    }
                }
                let covering =
                    |wait: &&Wait| matches!(&wait.place.extent, Extent::Range(range) if range.covers(key));
                locked.range_waits.iter().filter_map(earlier).filter(covering).try_for_each(visit)
            }
            Extent::Range(range) => {
                let overlapping = |wait: &&Wait| match &wait.place.extent {
                    Extent::Key(key) => range.covers(key),
                    Extent::Range(other) => range.overlaps(other),
                };
                locked.waiting.values().filter_map(earlier).filter(overlapping).try_for_each(visit)
            }
        }
    }
}
