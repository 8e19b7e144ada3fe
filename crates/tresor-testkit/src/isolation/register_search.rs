//! Whether one order of all transactions on registers explains every read, and real time too.
//!
//! All registers together are one object and a transaction is one operation on it, so this is the
//! question of linearizability, and the search is that of Wing and Gong with states remembered, done
//! at each end of a transaction (Lowe, "Testing for linearizability", 2017). It keeps every pair of
//! "which open transactions have happened" and "what the registers hold" that is possible. A
//! transaction that only reads happens as soon as it can: it changes nothing for the others. And
//! because every value is written once, none is written over while somebody has still to read it.
//!
//! Registers that no transaction touches together are searched apart: linearizability is local.
//!
//! One of unknown outcome that counts has happened before the first of its readers had ended; so those
//! open for ever do not pile up. One that nobody read is left out by `Observed`: writes that nobody saw
//! can be struck from any explanation.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use super::{
    anomaly::{Anomaly, Phenomenon},
    footprint::Key,
    history::Outcome,
    observed::Observed,
};

/// How many steps the search takes before it gives up; a history of n transactions by a dozen clients
/// takes 10 to 1000 times n.
const STEPS: u64 = 200_000_000;

/// How many transactions may be open at once.
const SLOTS: usize = 64;

/// What came of the search.
pub(super) enum Search {
    /// There is an order.
    Explained,
    /// There is none.
    Unexplained(Anomaly),
    /// The steps did not suffice, or more than 64 transactions were open at once.
    Undecided,
}

/// A transaction's part in it.
struct Move {
    reads: Vec<(usize, u64)>,
    writes: Vec<(usize, u64)>,
}

/// Which of the open transactions have happened, and what the registers then hold.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Position {
    happened: u64,
    held: Box<[u64]>,
}

/// 0 is what an absent register holds; values are shifted by one.
const ABSENT: u64 = 0;

/// Any value that nobody reads any more: which one it is makes no difference.
const READ: u64 = u64::MAX;

/// Runs the search over a history's registers.
pub(super) fn search(observed: &Observed<'_>) -> Search {
    let ends = ends(observed);
    let mut steps = 0;
    for group in groups(observed) {
        match search_group(observed, &group, &ends, &mut steps) {
            Search::Explained => {}
            other => return other,
        }
    }
    Search::Explained
}

fn search_group(observed: &Observed<'_>, group: &[usize], ends: &[Duration], steps: &mut u64) -> Search {
    let mut frontier = Frontier::new(observed, group);
    for (_, is_end, transaction) in events(observed, group, ends) {
        if is_end {
            *steps += frontier.end(transaction);
            if frontier.positions.is_empty() {
                let story = format!("up to T{transaction} no order explains what registers held");
                let open = frontier.slots.iter().flatten().copied().filter(|open| *open != transaction);
                let transactions = [transaction].into_iter().chain(open).collect();
                return Search::Unexplained(observed.anomaly(Phenomenon::Unexplained, transactions, story));
            }
        } else if !frontier.begin(transaction) {
            return Search::Undecided;
        }
        if *steps > STEPS {
            return Search::Undecided;
        }
    }
    Search::Explained
}

/// The transactions that count and touch registers, together where they share one, directly or not.
fn groups(observed: &Observed<'_>) -> Vec<Vec<usize>> {
    // Each register leads to another of its group, or is the one that the group is known by.
    let mut leads: Vec<Key> = (0..observed.keys.len() as Key).collect();
    let root = |leads: &[Key], mut key: Key| {
        while leads[key as usize] != key {
            key = leads[key as usize];
        }
        key
    };
    let mut firsts = Vec::new();
    for index in observed.all_counted() {
        let footprint = &observed.footprints[index];
        let read = footprint.registers_read.iter().map(|(key, _)| *key);
        let mut keys = read.chain(footprint.written.register.iter().map(|(key, _)| *key));
        let Some(first) = keys.next() else { continue };
        let first = root(&leads, first);
        for key in keys {
            let other = root(&leads, key);
            leads[other as usize] = first;
        }
        firsts.push((index, first));
    }
    let mut groups: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    for (index, first) in firsts {
        groups.entry(root(&leads, first)).or_default().push(index);
    }
    groups.into_values().collect()
}

/// Beginnings and ends in the order of their times; what begins when another ends is beside it.
fn events(observed: &Observed<'_>, group: &[usize], ends: &[Duration]) -> Vec<(Duration, bool, usize)> {
    let mut events = Vec::with_capacity(group.len() * 2);
    for index in group {
        events.push((observed.transactions[*index].began, false, *index));
        events.push((ends[*index], true, *index));
    }
    events.sort_unstable();
    events
}

/// When each transaction has happened at the latest.
fn ends(observed: &Observed<'_>) -> Vec<Duration> {
    let latest = |index: usize| match observed.transactions[index].outcome {
        Outcome::Committed => observed.transactions[index].ended,
        Outcome::Aborted | Outcome::Unknown => Duration::MAX,
    };
    let mut ends: Vec<_> = (0..observed.transactions.len()).map(latest).collect();
    let mut left: Vec<usize> = observed.all_counted().collect();
    while let Some(reader) = left.pop() {
        let end = ends[reader];
        for read in observed.footprints[reader].registers_read.iter().filter_map(|(_, read)| *read) {
            let Some(writer) = observed.counted_writer(read) else { continue };
            // It may begin later than its reader ends, in a history that nothing explains.
            let end = end.max(observed.transactions[writer].began);
            if observed.transactions[writer].outcome == Outcome::Unknown && end < ends[writer] {
                ends[writer] = end;
                left.push(writer);
            }
        }
    }
    ends
}

struct Frontier {
    moves: BTreeMap<usize, Move>,
    /// Who has still to read what a register holds: all readers that have not ended.
    readers: HashMap<(usize, u64), Vec<usize>>,
    slots: Vec<Option<usize>>,
    positions: HashSet<Position>,
}

impl Frontier {
    fn new(observed: &Observed<'_>, group: &[usize]) -> Self {
        let mut places: HashMap<Key, usize> = HashMap::new();
        let mut moves = BTreeMap::new();
        for index in group {
            let footprint = &observed.footprints[*index];
            let mut place = |key: Key| {
                let next = places.len();
                *places.entry(key).or_insert(next)
            };
            let reads: Vec<_> = footprint
                .registers_read
                .iter()
                .map(|(key, value)| (place(*key), value.map_or(ABSENT, |value| value + 1)))
                .collect();
            let writes =
                footprint.written.register.iter().map(|(key, value)| (place(*key), value + 1)).collect();
            moves.insert(*index, Move { reads, writes });
        }
        let mut readers: HashMap<(usize, u64), Vec<usize>> = HashMap::new();
        for (index, of_transaction) in &moves {
            for read in &of_transaction.reads {
                readers.entry(*read).or_default().push(*index);
            }
        }
        let mut start = Position { happened: 0, held: vec![ABSENT; places.len()].into() };
        forget_read(&mut start, &readers);
        Self { moves, readers, slots: Vec::new(), positions: HashSet::from([start]) }
    }

    /// A transaction begins; false if too many are open.
    fn begin(&mut self, transaction: usize) -> bool {
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if free >= SLOTS {
            return false;
        }
        if free == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[free] = Some(transaction);
        if self.moves[&transaction].writes.is_empty() {
            let positions = std::mem::take(&mut self.positions);
            self.positions = positions.into_iter().map(|position| self.with_readers(position)).collect();
        }
        true
    }

    /// A transaction has ended: keeps the positions in which it has happened, or can happen now, after
    /// any others that are open. Returns how many steps that took.
    fn end(&mut self, transaction: usize) -> u64 {
        let mut steps = 0;
        let slot = self.slots.iter().position(|open| *open == Some(transaction));
        let bit = 1u64 << slot.expect("what ends has begun");
        let mut seen: HashSet<Position> = self.positions.clone();
        let mut left: Vec<Position> = self.positions.drain().collect();
        let mut kept = HashSet::new();
        while let Some(position) = left.pop() {
            if position.happened & bit != 0 {
                kept.insert(Position { happened: position.happened & !bit, ..position });
                continue;
            }
            for (slot, open) in self.slots.iter().enumerate() {
                steps += 1;
                let Some(open) = open else { continue };
                let Some(next) = self.after(&position, slot, *open) else { continue };
                let next = self.with_readers(next);
                if seen.insert(next.clone()) {
                    left.push(next);
                }
            }
        }
        if !kept.is_empty() {
            self.slots.iter_mut().filter(|open| **open == Some(transaction)).for_each(|open| *open = None);
            self.forget(transaction, &mut kept);
        }
        self.positions = kept;
        steps
    }

    /// A transaction will read no more; what nobody else will read either becomes one value.
    fn forget(&mut self, transaction: usize, kept: &mut HashSet<Position>) {
        let mut is_last = false;
        for read in &self.moves[&transaction].reads {
            if let Some(of_value) = self.readers.get_mut(read) {
                of_value.retain(|reader| *reader != transaction);
                if of_value.is_empty() {
                    self.readers.remove(read);
                    is_last = true;
                }
            }
        }
        if is_last {
            let forgetful = kept.drain().map(|mut position| {
                forget_read(&mut position, &self.readers);
                position
            });
            *kept = forgetful.collect();
        }
    }

    /// The position after an open transaction that writes has happened too, if it can.
    fn after(&self, position: &Position, slot: usize, transaction: usize) -> Option<Position> {
        let of_transaction = &self.moves[&transaction];
        let bit = 1u64 << slot;
        let is_new = position.happened & bit == 0 && !of_transaction.writes.is_empty();
        if !is_new || !sees(position, of_transaction) {
            return None;
        }
        let may = |(place, _): &(usize, u64)| !self.is_awaited(position, *place, transaction);
        if !of_transaction.writes.iter().all(may) {
            return None;
        }
        let mut next = position.clone();
        next.happened |= bit;
        of_transaction.writes.iter().for_each(|(place, value)| next.held[*place] = *value);
        forget_read(&mut next, &self.readers);
        Some(next)
    }

    /// Whether somebody other than a transaction has still to read what a register holds.
    fn is_awaited(&self, position: &Position, place: usize, transaction: usize) -> bool {
        let Some(readers) = self.readers.get(&(place, position.held[place])) else { return false };
        readers.iter().filter(|reader| **reader != transaction).any(|reader| {
            let slot = self.slots.iter().position(|open| *open == Some(*reader));
            slot.is_none_or(|slot| position.happened & (1 << slot) == 0)
        })
    }

    /// A position with all open transactions done that only read and see just what is held.
    fn with_readers(&self, mut position: Position) -> Position {
        for (slot, open) in self.slots.iter().enumerate() {
            let Some(open) = open else { continue };
            let of_open = &self.moves[open];
            if of_open.writes.is_empty() && sees(&position, of_open) {
                position.happened |= 1 << slot;
            }
        }
        position
    }
}

fn sees(position: &Position, of_transaction: &Move) -> bool {
    of_transaction.reads.iter().all(|(place, value)| position.held[*place] == *value)
}

/// Makes one value of all that nobody will read.
fn forget_read(position: &mut Position, readers: &HashMap<(usize, u64), Vec<usize>>) {
    for (place, value) in position.held.iter_mut().enumerate() {
        if !readers.contains_key(&(place, *value)) {
            *value = READ;
        }
    }
}
