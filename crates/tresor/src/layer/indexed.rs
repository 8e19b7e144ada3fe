//! The outermost layer: an engine whose changes are noted in the indexes that they concern.
//!
//! A key counts as changing before the engine is asked, and what became of it is noted with its version before anybody
//! gets the answer. What a patch made of a value is read back, as the patch alone does not say it. Calls that concern no
//! index go on as they are.

use std::sync::Arc;

use super::sharded::start;
use crate::{
    engine::{
        Applied, Batch, Capabilities, Change, ChangeCursor, ChangePage, ChangesWanted, Count, Each, Edit,
        Edited, Effect, Engine, EntryRef, Eventual, Isolation, KeyRef, Outcome, Page, Removals, Scan, Seen,
        Sequence, Status, Visit,
    },
    error::Result,
    index::{Begun, Indexes, Part},
};

/// An engine with indexes.
pub(crate) struct Indexed {
    pub(crate) inner: Arc<dyn Engine>,
    pub(crate) indexes: Arc<Indexes>,
}

/// What an edit came to, as far as indexes are concerned.
enum Became {
    Unchanged,
    Gone,
    Value(Vec<Option<Part>>),
    /// What only the engine knows.
    Patched,
}

impl Indexed {
    /// Says which entries and databases these changes are about; `None` where no index is concerned.
    fn begin(&self, changes: &[Change<'_>]) -> Option<Begun> {
        if !self.indexes.any() {
            return None;
        }
        let mut whole = Vec::new();
        for change in changes {
            match *change {
                Change::Clear { database } => whole.push(database),
                Change::Swap { first, second } => whole.extend([first, second]),
                _ => {}
            }
        }
        let begun = self.indexes.begin(changes.iter().filter_map(Change::key), &whole);
        (!begun.is_empty()).then_some(begun)
    }

    async fn write_noted(&self, changes: &[Change<'_>], begun: Begun, now_ms: u64) -> Result<Outcome> {
        // Not blind: what is noted needs the versions.
        let outcome = self.inner.write(Batch::of(changes), now_ms).await?;
        if let Applied::Whole(effects) = &outcome.applied {
            for (change, effect) in changes.iter().zip(effects) {
                self.note(&begun, change, *effect, now_ms).await?;
            }
        }
        self.indexes.finish(begun);
        Ok(outcome)
    }

    async fn note(&self, begun: &Begun, change: &Change<'_>, effect: Effect, now_ms: u64) -> Result<()> {
        match *change {
            Change::Put { key, value, .. } => begun.note(key, effect.version, begun.parts(key, value)),
            Change::Delete { key, .. } if effect.existed => begun.note(key, effect.version, Vec::new()),
            Change::Patch { key, .. } => self.note_as_it_is(begun, key, now_ms).await?,
            _ => {}
        }
        Ok(())
    }

    async fn note_as_it_is(&self, begun: &Begun, key: KeyRef<'_>, now_ms: u64) -> Result<()> {
        let mut found = None;
        let keys = [key];
        let mut visit = |_: usize, entry: Option<EntryRef<'_>>| {
            found = entry.map(|entry| (entry.version, begun.parts(key, entry.value.bytes())));
        };
        let seen = self.inner.read(&keys, Isolation::Each, now_ms, &mut visit).await?;
        let (version, parts) = found.unwrap_or((seen.sequence, Vec::new()));
        begun.note(key, version, parts);
        Ok(())
    }

    async fn update_noted(
        &self,
        key: KeyRef<'_>,
        begun: Begun,
        now_ms: u64,
        edit: &mut Edit<'_>,
    ) -> Result<Outcome> {
        let mut became = Became::Unchanged;
        let mut noting = |entry: Option<EntryRef<'_>>| {
            let edited = edit(entry)?;
            became = match &edited {
                Edited::Keep | Edited::Expire(_) => Became::Unchanged,
                Edited::Delete => Became::Gone,
                Edited::Put { value, .. } => Became::Value(begun.parts(key, value)),
                Edited::Patch { .. } => Became::Patched,
            };
            Ok(edited)
        };
        let outcome = self.inner.update(key, now_ms, &mut noting).await?;
        match (became, outcome.effect()) {
            (Became::Gone, Some(effect)) => begun.note(key, effect.version, Vec::new()),
            (Became::Value(parts), Some(effect)) => begun.note(key, effect.version, parts),
            (Became::Patched, Some(_)) => self.note_as_it_is(&begun, key, now_ms).await?,
            _ => {}
        }
        self.indexes.finish(begun);
        Ok(outcome)
    }

    async fn adopt_noted(
        &self,
        entries: &Page,
        begun: Begun,
        above: Sequence,
        now_ms: u64,
    ) -> Result<Sequence> {
        let sequence = self.inner.adopt(entries, above, now_ms).await?;
        for (key, entry) in entries.iter() {
            begun.note(key, entry.version, begun.parts(key, entry.value.bytes()));
        }
        self.indexes.finish(begun);
        Ok(sequence)
    }
}

impl Engine for Indexed {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn read<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        isolation: Isolation,
        now_ms: u64,
        visit: &'a mut Visit<'a>,
    ) -> Eventual<'a, Seen> {
        self.inner.read(keys, isolation, now_ms, visit)
    }

    fn expect(&self, keys: &[KeyRef<'_>]) {
        self.inner.expect(keys);
    }

    fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
        self.inner.scan(scan, now_ms)
    }

    fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
        match self.begin(batch.changes) {
            None => self.inner.write(batch, now_ms),
            Some(begun) => start(self.write_noted(batch.changes, begun, now_ms)),
        }
    }

    fn write_each<'a>(&'a self, changes: &'a [Change<'a>], now_ms: u64) -> Eventual<'a, Each> {
        if !self.indexes.concern(changes) {
            return self.inner.write_each(changes, now_ms);
        }
        start(async move {
            let mut each = Each::default();
            for (place, change) in changes.iter().enumerate() {
                each.note(place, self.write(Batch::blind(std::slice::from_ref(change)), now_ms).await);
            }
            Ok(each)
        })
    }

    fn update<'a>(&'a self, key: KeyRef<'a>, now_ms: u64, edit: &'a mut Edit<'_>) -> Eventual<'a, Outcome> {
        if !self.indexes.any() {
            return self.inner.update(key, now_ms, edit);
        }
        let begun = self.indexes.begin(std::iter::once(key), &[]);
        if begun.is_empty() {
            return self.inner.update(key, now_ms, edit);
        }
        start(self.update_noted(key, begun, now_ms, edit))
    }

    fn adopt<'a>(&'a self, entries: &'a Page, above: Sequence, now_ms: u64) -> Eventual<'a, Sequence> {
        let begun = self.indexes.begin(entries.iter().map(|(key, _)| key), &[]);
        if begun.is_empty() {
            return self.inner.adopt(entries, above, now_ms);
        }
        start(self.adopt_noted(entries, begun, above, now_ms))
    }

    fn changes<'a>(
        &'a self,
        cursor: &'a mut ChangeCursor,
        wanted: &'a ChangesWanted<'a>,
    ) -> Eventual<'a, ChangePage> {
        self.inner.changes(cursor, wanted)
    }

    fn durable(&self, upto: Sequence) -> Eventual<'_, ()> {
        self.inner.durable(upto)
    }

    fn count(&self, database: u8) -> Eventual<'_, Count> {
        self.inner.count(database)
    }

    fn status(&self) -> Eventual<'_, Status> {
        self.inner.status()
    }

    fn tell_removals(&self, removals: &Arc<Removals>) -> bool {
        self.inner.tell_removals(removals)
    }

    fn save(&self) -> Eventual<'_, ()> {
        self.inner.save()
    }

    fn close(&self) -> Eventual<'_, ()> {
        self.inner.close()
    }
}
