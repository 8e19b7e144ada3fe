//! Small stores that execute random transactions, one with full isolation and others that each lack
//! something: the checker has to let the first pass and to catch every other by its anomaly.
//!
//! A store works on versions of everything, as numbered commits. What it lacks is the only difference.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Finding, Operation, Outcome, Phenomenon, Transaction, check,
    known_histories::{all, append, insert, list, read, write},
};
use crate::random::{Random, seed};

/// What a store leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lacks {
    Nothing,
    /// Sees what others have not committed; aborted writes are taken back later.
    ReadCommitted,
    /// Each operation sees what is committed by then; nothing is validated.
    RepeatableRead,
    /// One snapshot for all reads; only who writes the same key second is aborted.
    WriteSkewProtection,
    /// As the full one, but reads of a whole set are not validated.
    PhantomProtection,
    /// As the full one, but transactions that only read see a past state.
    FreshReads,
    /// As the full one, but now and then a commit loses a write.
    AllWrites,
    /// As the full one, but a plain write asks nobody.
    PlainWritesIsolated,
}

/// What all keys hold.
type State = BTreeMap<String, Vec<u64>>;

struct Store {
    lacks: Lacks,
    /// The state after each commit.
    versions: Vec<State>,
    /// Writes that are not committed, of all open transactions: what dirty reads see.
    dirty: Vec<(usize, String, u64)>,
}

/// A transaction under way.
struct Open {
    transaction: Transaction,
    left: Vec<Operation>,
    snapshot: usize,
    writes: Vec<(String, u64)>,
}

fn key_of(operation: &Operation) -> &str {
    match operation {
        Operation::Append { key, .. }
        | Operation::ReadList { key, .. }
        | Operation::Write { key, .. }
        | Operation::Read { key, .. }
        | Operation::Insert { key, .. }
        | Operation::ReadSet { key, .. } => key,
        Operation::ReadBalances(_) | Operation::Undo => "",
    }
}

impl Store {
    fn latest(&self) -> usize {
        self.versions.len() - 1
    }

    fn seen(&self, open: &Open, id: usize, key: &str) -> Vec<u64> {
        let version = match self.lacks {
            Lacks::RepeatableRead => self.latest(),
            _ => open.snapshot,
        };
        let mut seen = self.versions[version].get(key).cloned().unwrap_or_default();
        if self.lacks == Lacks::ReadCommitted {
            let others = self.dirty.iter().filter(|(other, written, _)| *other != id && written == key);
            seen.extend(others.map(|(_, _, written)| *written));
            seen.retain({
                let mut known = std::collections::HashSet::new();
                move |each| known.insert(*each)
            });
        }
        seen.extend(open.writes.iter().filter(|(written, _)| written == key).map(|(_, written)| *written));
        seen
    }

    fn step(&mut self, open: &mut Open, id: usize) {
        let mut operation = open.left.remove(0);
        match &mut operation {
            Operation::Append { key, element: written }
            | Operation::Write { key, value: written }
            | Operation::Insert { key, member: written } => {
                open.writes.push((key.clone(), *written));
                self.dirty.push((id, key.clone(), *written));
            }
            Operation::ReadList { key, elements: answer } | Operation::ReadSet { key, members: answer } => {
                *answer = self.seen(open, id, key);
            }
            Operation::Read { key, value } => *value = self.seen(open, id, key).last().copied(),
            Operation::ReadBalances(_) | Operation::Undo => {}
        }
        open.transaction.operations.push(operation);
    }

    /// Whether a transaction may commit.
    fn is_valid(&self, open: &Open) -> bool {
        let unchanged = |operation: &Operation| {
            let key = key_of(operation);
            self.versions[open.snapshot].get(key) == self.versions[self.latest()].get(key)
        };
        let operations = &open.transaction.operations;
        let is_read = |operation: &&Operation| {
            matches!(
                operation,
                Operation::ReadList { .. } | Operation::Read { .. } | Operation::ReadSet { .. }
            )
        };
        match self.lacks {
            Lacks::RepeatableRead | Lacks::ReadCommitted => true,
            Lacks::WriteSkewProtection => operations.iter().filter(|each| !is_read(each)).all(unchanged),
            Lacks::FreshReads if open.writes.is_empty() => true,
            Lacks::PhantomProtection => operations
                .iter()
                .filter(|each| is_read(each) && !matches!(each, Operation::ReadSet { .. }))
                .all(unchanged),
            Lacks::PlainWritesIsolated if operations.len() == 1 => true,
            _ => operations.iter().filter(is_read).all(unchanged),
        }
    }

    fn commit(&mut self, open: &Open, random: &mut Random) {
        let mut state = self.versions[self.latest()].clone();
        if self.lacks == Lacks::PlainWritesIsolated && open.transaction.operations.len() == 1 {
            // It writes what was there when it began, with its own behind.
            for (key, _) in &open.writes {
                let stale = self.versions[open.snapshot].get(key).cloned().unwrap_or_default();
                state.insert(key.clone(), stale);
            }
        }
        for (key, written) in &open.writes {
            if self.lacks != Lacks::AllWrites || !random.one_in(20) {
                state.entry(key.clone()).or_default().push(*written);
            }
        }
        self.versions.push(state);
    }
}

fn operations(random: &mut Random, number: &mut u64, generation: u64) -> Vec<Operation> {
    let mut operations = Vec::new();
    let count = if random.one_in(4) { 1 } else { 2 + random.below(3) };
    for _ in 0..count {
        *number += 1;
        let key = format!("{}{generation}", random.below(3));
        operations.push(match random.below(6) {
            0 => append(&format!("l{key}"), *number),
            1 => list(&format!("l{key}"), &[]),
            2 => write(&format!("r{key}"), *number),
            3 => read(&format!("r{key}"), None),
            4 => insert(&format!("s{key}"), *number),
            _ => all(&format!("s{key}"), &[]),
        });
    }
    operations
}

/// Executes transactions of eight clients, an operation at a time.
fn execute(lacks: Lacks, seed: u64, transactions: u64) -> Vec<Transaction> {
    let mut random = Random::new(seed);
    let mut store = Store { lacks, versions: vec![State::new()], dirty: Vec::new() };
    let mut clients: Vec<Option<Open>> = (0..8).map(|_| None).collect();
    let (mut history, mut number, mut begun) = (Vec::new(), 0, 0);
    let mut now = 0;
    while begun < transactions || clients.iter().any(Option::is_some) {
        now += 1;
        let id = random.index(clients.len());
        let Some(open) = &mut clients[id] else {
            if begun < transactions {
                begun += 1;
                let left = operations(&mut random, &mut number, begun / 40);
                clients[id] = Some(begin(&store, id, (left, now), &mut random));
            }
            continue;
        };
        if !open.left.is_empty() {
            store.step(open, id);
            continue;
        }
        let Some(mut open) = clients[id].take() else { continue };
        let commits = store.is_valid(&open) && !random.one_in(10);
        if commits {
            store.commit(&open, &mut random);
        }
        store.dirty.retain(|(other, _, _)| *other != id);
        open.transaction.ended = Duration::from_millis(now);
        open.transaction.outcome = match commits {
            _ if random.one_in(12) => Outcome::Unknown,
            true => Outcome::Committed,
            false => Outcome::Aborted,
        };
        history.push(open.transaction);
    }
    history
}

fn begin(store: &Store, id: usize, (left, now): (Vec<Operation>, u64), random: &mut Random) -> Open {
    let only_reads = left.iter().all(|operation| {
        matches!(operation, Operation::ReadList { .. } | Operation::Read { .. } | Operation::ReadSet { .. })
    });
    let behind = if store.lacks == Lacks::FreshReads && only_reads { random.index(6) } else { 0 };
    let (began, ended) = (Duration::from_millis(now), Duration::from_millis(now));
    let process = id as u64;
    let outcome = Outcome::Unknown;
    Open {
        transaction: Transaction { process, began, ended, operations: Vec::new(), outcome },
        left,
        snapshot: store.latest().saturating_sub(behind),
        writes: Vec::new(),
    }
}

/// What is found in a store's histories, over several seeds.
fn found(lacks: Lacks) -> Vec<Phenomenon> {
    found_in(lacks, seed(&format!("{lacks:?}")))
}

fn found_in(lacks: Lacks, seed: u64) -> Vec<Phenomenon> {
    let mut phenomena: Vec<Phenomenon> = (0..10)
        .filter_map(|round| check(&execute(lacks, seed.wrapping_add(round), 400)).err())
        .flat_map(|finding: Finding| finding.phenomena())
        .collect();
    phenomena.sort_unstable();
    phenomena.dedup();
    phenomena
}

#[track_caller]
fn is_caught(lacks: Lacks, as_these: &[Phenomenon]) {
    let seed = seed(&format!("{lacks:?}"));
    let mut found = Vec::new();
    // What is rare may take more histories than ten to show.
    for tens in 0..10 {
        found.extend(found_in(lacks, seed.wrapping_add(tens * 10)));
        if as_these.iter().all(|each| found.contains(each)) {
            break;
        }
    }
    println!("{lacks:?}: {found:?}");
    assert!(as_these.iter().all(|each| found.contains(each)), "{lacks:?}: only {found:?}");
}

#[test]
fn full_isolation_passes() {
    assert_eq!(found(Lacks::Nothing), []);
}

#[test]
fn uncommitted_data_that_is_read_is_caught() {
    is_caught(Lacks::ReadCommitted, &[Phenomenon::AbortedRead]);
}

#[test]
fn reads_of_what_is_committed_meanwhile_are_caught() {
    is_caught(Lacks::RepeatableRead, &[Phenomenon::Internal, Phenomenon::LostUpdate, Phenomenon::ReadSkew]);
}

#[test]
fn a_snapshot_without_more_is_caught_by_write_skew() {
    let found = found(Lacks::WriteSkewProtection);
    assert!(found.contains(&Phenomenon::WriteSkew), "{found:?}");
    assert!(!found.contains(&Phenomenon::LostUpdate), "a snapshot loses no updates: {found:?}");
}

#[test]
fn phantoms_are_caught() {
    assert_eq!(found(Lacks::PhantomProtection), [Phenomenon::Phantom]);
}

#[test]
fn stale_reads_are_caught_by_real_time() {
    let seed = seed("stale_reads");
    let Err(Finding::Anomalies(anomalies)) = check(&execute(Lacks::FreshReads, seed, 2000)) else {
        panic!("stale reads are not caught");
    };
    assert!(anomalies.iter().any(|anomaly| anomaly.real_time), "{anomalies:?}");
}

#[test]
fn a_write_lost_at_commit_is_caught() {
    is_caught(Lacks::AllWrites, &[Phenomenon::LostWrite]);
}

#[test]
fn a_plain_write_that_asks_nobody_is_caught() {
    is_caught(Lacks::PlainWritesIsolated, &[Phenomenon::LostWrite]);
}
