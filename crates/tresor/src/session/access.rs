//! The way from a command to the engine: every read and write of a session passes through here.
//!
//! While nobody has a transaction open a call goes straight to the engine; else by way of the locks
//! (`isolated`). Each notes the highest sequence number that its reply tells of, which is what the reply
//! waits for. The choice stands here once, so that no command can forget it.

use std::slice;

use smallvec::SmallVec;

use super::Session;
use crate::{
    engine::{Applied, Batch, Change, Count, Each, Edit, EntryRef, Isolation, KeyRef, Outcome, Page, Scan},
    error::Result,
};

impl Session {
    /// Reads one key and counts the hit or miss. `visit` runs under the engine's lock: it is short and
    /// only copies. Between [`enter`](Self::enter) and [`leave`](Self::leave), as all below.
    ///
    /// # Errors
    /// A key that is too long, and whatever the engine fails with.
    #[inline]
    pub async fn read(
        &mut self,
        key: &[u8],
        mut visit: impl FnMut(Option<EntryRef<'_>>) + Send,
    ) -> Result<()> {
        let key = self.key(key)?;
        let mut hit = false;
        let mut visit = |_: usize, entry: Option<EntryRef<'_>>| {
            hit = entry.is_some();
            visit(entry);
        };
        let seen = match self.direct {
            true => self.core.engine.read(&[key], Isolation::Each, self.now_ms, &mut visit).await?,
            false => Box::pin(self.read_isolated(&[key], Isolation::Each, &mut visit)).await?,
        };
        self.count_hits(u64::from(hit), u64::from(!hit));
        self.saw(seen.sequence);
        if !hit {
            self.missed(key, seen.sequence);
        }
        Ok(())
    }

    /// Reads several keys as of one moment, in the order of `keys`.
    pub async fn read_together(
        &mut self,
        keys: &[KeyRef<'_>],
        mut visit: impl FnMut(usize, Option<EntryRef<'_>>) + Send,
    ) -> Result<()> {
        let mut hits = 0;
        let mut missing = SmallVec::<[usize; 4]>::new();
        let mut visit = |index: usize, entry: Option<EntryRef<'_>>| {
            match entry {
                Some(_) => hits += 1,
                None => missing.push(index),
            }
            visit(index, entry);
        };
        let seen = match self.direct {
            true => self.core.engine.read(keys, Isolation::Together, self.now_ms, &mut visit).await?,
            false => Box::pin(self.read_isolated(keys, Isolation::Together, &mut visit)).await?,
        };
        self.count_hits(hits, keys.len() as u64 - hits);
        self.saw(seen.sequence);
        missing.iter().for_each(|index| self.missed(keys[*index], seen.sequence));
        Ok(())
    }

    /// Reads several keys each as of its own moment, and counts no hits and misses: for searches.
    pub(crate) async fn look_at(
        &mut self,
        keys: &[KeyRef<'_>],
        mut visit: impl FnMut(usize, Option<EntryRef<'_>>) + Send,
    ) -> Result<()> {
        let seen = match self.direct {
            true => self.core.engine.read(keys, Isolation::Each, self.now_ms, &mut visit).await?,
            false => Box::pin(self.read_isolated(keys, Isolation::Each, &mut visit)).await?,
        };
        self.saw(seen.sequence);
        Ok(())
    }

    /// Applies changes whole or not at all; check sizes with [`key`](Self::key) and
    /// [`value_bytes`](Self::value_bytes) first. A failed guard is no error but in the outcome.
    #[inline]
    pub async fn write(&mut self, changes: &[Change<'_>]) -> Result<Outcome> {
        self.write_batch(Batch::of(changes)).await
    }

    /// The same for changes of whose effects nothing is wanted: whether they were applied.
    #[inline]
    pub async fn write_blind(&mut self, changes: &[Change<'_>]) -> Result<bool> {
        let outcome = self.write_batch(Batch::blind(changes)).await?;
        Ok(matches!(outcome.applied, Applied::Whole(_)))
    }

    /// Applies changes of single entries without guards, each for itself, those of one key in their order;
    /// tells which have failed.
    pub async fn write_each(&mut self, changes: &[Change<'_>]) -> Result<Each> {
        if self.direct && !self.core.notifications.are_on() {
            let each = self.core.engine.write_each(changes, self.now_ms).await?;
            self.saw(each.sequence);
            return Ok(each);
        }
        let mut each = Each::default();
        for (index, change) in changes.iter().enumerate() {
            each.note(index, self.write_batch(Batch::blind(slice::from_ref(change))).await);
        }
        Ok(each)
    }

    #[inline]
    pub(super) async fn write_batch(&mut self, batch: Batch<'_>) -> Result<Outcome> {
        let outcome = match self.core.notifications.are_on() {
            false => self.write_quietly(batch).await?,
            true => Box::pin(self.write_told(batch)).await?,
        };
        self.saw(outcome.sequence);
        Ok(outcome)
    }

    #[inline]
    pub(super) async fn write_quietly(&mut self, batch: Batch<'_>) -> Result<Outcome> {
        match self.direct {
            true => self.core.engine.write(batch, self.now_ms).await,
            false => Box::pin(self.write_isolated(batch)).await,
        }
    }

    /// Reads, edits and writes one key as one step; an error of `edit` leaves the entry as it is.
    pub async fn update(&mut self, key: KeyRef<'_>, edit: &mut Edit<'_>) -> Result<Outcome> {
        let outcome = match self.core.notifications.are_on() {
            false => self.update_quietly(key, edit).await?,
            true => Box::pin(self.update_told(key, edit)).await?,
        };
        self.saw(outcome.sequence);
        Ok(outcome)
    }

    #[inline]
    pub(super) async fn update_quietly(&mut self, key: KeyRef<'_>, edit: &mut Edit<'_>) -> Result<Outcome> {
        match self.direct {
            true => self.core.engine.update(key, self.now_ms, edit).await,
            false => Box::pin(self.update_isolated(key, edit)).await,
        }
    }

    /// Reads one page of a scan. Leave the gate between two pages, so that others get in.
    pub async fn scan(&mut self, scan: &Scan<'_>) -> Result<Page> {
        let page = match self.direct {
            true => self.core.engine.scan(scan, self.now_ms).await?,
            false => Box::pin(self.scan_isolated(scan)).await?,
        };
        self.saw(page.sequence);
        Ok(page)
    }

    /// Counts the keys of a database.
    pub(crate) async fn count(&mut self, database: u8) -> Result<Count> {
        let core = self.core.clone();
        let count = match self.direct {
            true => core.engine.count(database).await?,
            false => Box::pin(self.count_isolated(database)).await?,
        };
        self.saw(count.sequence);
        Ok(count)
    }
}
