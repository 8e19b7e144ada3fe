//! An engine that takes changes back when it cannot keep them, as one whose answers stand.
//!
//! Whoever waits for several changes at once, of one connection or of several shards, keeps one number, the
//! highest that it met, so it could not ask such an engine about the number of each change. Here every answer
//! waits for what it tells of; a refusal so reaches whoever made the change, or saw it, and nobody else.
//! Changes that were begun together wait together.

use std::sync::Arc;

use super::sharded::start;
use crate::{
    engine::{
        Batch, Capabilities, Count, Edit, Engine, EntryRef, Eventual, Isolation, Kept, KeyRef, Outcome, Page,
        Removals, Scan, Seen, Sequence, Status, Visit,
    },
    error::Result,
};

/// An engine that answers when nothing of it can be taken back any more.
struct Settled {
    inner: Arc<dyn Engine>,
}

/// The engine itself where its answers stand already.
pub(super) fn settled(engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
    if engine.capabilities().takes_back { Arc::new(Settled { inner: engine }) } else { engine }
}

impl Settled {
    async fn stands(&self, outcome: Eventual<'_, Outcome>) -> Result<Outcome> {
        let outcome = outcome.await?;
        self.inner.durable(outcome.sequence).await?;
        Ok(outcome)
    }
}

impl Engine for Settled {
    fn capabilities(&self) -> Capabilities {
        Capabilities { takes_back: false, waits: true, ..self.inner.capabilities() }
    }

    fn read<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        isolation: Isolation,
        now_ms: u64,
        visit: &'a mut Visit<'a>,
    ) -> Eventual<'a, Seen> {
        start(async move {
            let mut entries = Vec::with_capacity(keys.len());
            let seen = {
                let mut keep = |_: usize, entry: Option<EntryRef<'_>>| entries.push(entry.map(Kept::of));
                self.inner.read(keys, isolation, now_ms, &mut keep).await?
            };
            self.inner.durable(seen.sequence).await?;
            for (index, entry) in entries.iter().enumerate() {
                visit(index, entry.as_ref().map(Kept::as_entry));
            }
            Ok(seen)
        })
    }

    fn expect(&self, keys: &[KeyRef<'_>]) {
        self.inner.expect(keys);
    }

    fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
        start(async move {
            let page = self.inner.scan(scan, now_ms).await?;
            self.inner.durable(page.sequence).await?;
            Ok(page)
        })
    }

    fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
        start(self.stands(self.inner.write(batch, now_ms)))
    }

    fn update<'a>(&'a self, key: KeyRef<'a>, now_ms: u64, edit: &'a mut Edit<'_>) -> Eventual<'a, Outcome> {
        start(self.stands(self.inner.update(key, now_ms, edit)))
    }

    fn adopt<'a>(&'a self, entries: &'a Page, above: Sequence, now_ms: u64) -> Eventual<'a, Sequence> {
        start(async move {
            let sequence = self.inner.adopt(entries, above, now_ms).await?;
            self.inner.durable(sequence).await?;
            Ok(sequence)
        })
    }

    fn durable(&self, _upto: Sequence) -> Eventual<'_, ()> {
        Eventual::Now(Ok(()))
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
