//! Which transactions count, and who wrote what they saw.
//!
//! A committed transaction counts. One of unknown outcome counts exactly if a transaction that counts
//! read something it wrote: if nobody did, a database in which it never happened looks the same, so
//! leaving it out accuses nobody wrongly and hides nothing.

use std::collections::{HashMap, HashSet};

use super::{
    anomaly::{Anomaly, Phenomenon},
    footprint::{Footprint, Key},
    history::{Outcome, Transaction},
};

/// A history with its keys numbered and its writers known.
pub(super) struct Observed<'h> {
    pub(super) transactions: &'h [Transaction],
    pub(super) footprints: Vec<Footprint>,
    pub(super) keys: Vec<String>,
    /// Whether each transaction happened, as far as can be seen.
    pub(super) counted: Vec<bool>,
    writers: HashMap<u64, Writer>,
    /// All that transactions that count read and did not write themselves.
    seen: HashSet<u64>,
}

/// Who wrote something, and whether it took it back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer {
    pub(super) transaction: usize,
    pub(super) undone: bool,
}

impl<'h> Observed<'h> {
    /// Panics if a number is written twice: then reads tell nothing.
    pub(super) fn new(transactions: &'h [Transaction]) -> Self {
        let (mut numbers, mut keys) = (HashMap::new(), Vec::new());
        let mut number = |key: &str| {
            *numbers.entry(key.to_owned()).or_insert_with(|| {
                keys.push(key.to_owned());
                (keys.len() - 1) as Key
            })
        };
        let footprints: Vec<_> =
            transactions.iter().map(|transaction| Footprint::of(transaction, &mut number)).collect();
        let mut writers = HashMap::new();
        for (transaction, footprint) in footprints.iter().enumerate() {
            let kept = footprint.written.all().map(|written| (written, false));
            for (written, undone) in kept.chain(footprint.undone.iter().map(|written| (*written, true))) {
                let before = writers.insert(written, Writer { transaction, undone });
                assert!(
                    before.is_none(),
                    "{written} is written twice, also by {}",
                    transactions[transaction]
                );
            }
        }
        let counted: Vec<_> =
            transactions.iter().map(|transaction| transaction.outcome == Outcome::Committed).collect();
        let mut observed = Self { transactions, footprints, keys, counted, writers, seen: HashSet::new() };
        observed.count_the_seen();
        observed
    }

    /// Follows reads from what is committed to what is not known to be.
    fn count_the_seen(&mut self) {
        let mut left: Vec<usize> = self.all_counted().collect();
        while let Some(reader) = left.pop() {
            for read in self.footprints[reader].reads() {
                if !self.seen.insert(read) {
                    continue;
                }
                let Some(writer) = self.writers.get(&read) else { continue };
                let index = writer.transaction;
                if self.transactions[index].outcome == Outcome::Unknown && !self.counted[index] {
                    self.counted[index] = true;
                    left.push(index);
                }
            }
        }
    }

    /// The transactions that count.
    pub(super) fn all_counted(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.transactions.len()).filter(|index| self.counted[*index])
    }

    /// Who wrote something.
    pub(super) fn writer(&self, written: u64) -> Option<Writer> {
        self.writers.get(&written).copied()
    }

    /// The transaction that wrote something and counts.
    pub(super) fn counted_writer(&self, written: u64) -> Option<usize> {
        let writer = self.writer(written)?;
        (self.counted[writer.transaction] && !writer.undone).then_some(writer.transaction)
    }

    /// Whether any transaction that counts saw something, other than its writer.
    pub(super) fn is_seen(&self, written: u64) -> bool {
        self.seen.contains(&written)
    }

    /// A key's name.
    pub(super) fn name(&self, key: Key) -> &str {
        &self.keys[key as usize]
    }

    /// What is wrong with reading something that nobody wrote, or somebody who took it back.
    pub(super) fn wrongly_read(&self, reader: usize, key: Key, read: u64) -> Option<Anomaly> {
        let key = self.name(key);
        let Some(writer) = self.writer(read) else {
            let story = format!("T{reader} read {read} in {key}, which nobody wrote there");
            return Some(self.anomaly(Phenomenon::Unwritten, vec![reader], story));
        };
        let index = writer.transaction;
        let why = match self.transactions[index].outcome {
            _ if writer.undone => "took back",
            Outcome::Aborted => "wrote and aborted",
            Outcome::Committed | Outcome::Unknown => return None,
        };
        let story = format!("T{reader} read {read} in {key}, which T{index} {why}");
        Some(self.anomaly(Phenomenon::AbortedRead, vec![reader, index], story))
    }

    /// What is wrong if a committed write was seen by nobody, although one of these reads of its key
    /// began after it had ended.
    pub(super) fn lost(&self, writer: usize, key: Key, written: u64, readers: &[usize]) -> Option<Anomaly> {
        let transaction = &self.transactions[writer];
        if transaction.outcome != Outcome::Committed || self.is_seen(written) {
            return None;
        }
        let later =
            |reader: &&usize| **reader != writer && self.transactions[**reader].began > transaction.ended;
        let reader = *readers.iter().find(later)?;
        let key = self.name(key);
        let story = format!(
            "T{writer} wrote {written} to {key}, and nobody saw it, nor T{reader}, which began later"
        );
        Some(self.anomaly(Phenomenon::LostWrite, vec![writer, reader], story))
    }

    /// An anomaly, with its transactions printed below its story.
    pub(super) fn anomaly(&self, phenomenon: Phenomenon, transactions: Vec<usize>, story: String) -> Anomaly {
        self.with_transactions(Anomaly { phenomenon, real_time: false, transactions, story })
    }

    /// The same with its transactions printed below its story.
    pub(super) fn with_transactions(&self, mut anomaly: Anomaly) -> Anomaly {
        for index in &anomaly.transactions {
            anomaly.story += &format!("\n  T{index}: {}", self.transactions[*index]);
        }
        anomaly
    }
}
