//! The engine of both layers: another engine, with a codec on the way of its values.
//!
//! Values are encoded before they go in and decoded after they came out, outside the locks of the
//! engine below. What depends on a value that is there, a patch or an edit, becomes one atomic step of
//! the engine below: its `update`, or a batch guarded by the versions that were read (`patches.rs`).

use std::{slice, sync::Arc};

use super::{
    codec::{Codec, Coding},
    encoding::{Encoded, decoded, encoded},
    gathered::Gathered,
    pages,
    patches::{self, patch},
    sharded::start,
};
use crate::{
    engine::{
        Applied, Batch, Capabilities, Change, ChangeCursor, ChangePage, ChangesWanted, Content, Count, Each,
        Edit, Edited, Engine, EntryRef, Eventual, Expires, Guard, Isolation, KeyRef, Kind, Outcome, Page,
        Removals, Scan, Seen, Sequence, Status, Visit,
    },
    error::{Error, Result},
};

/// An engine whose values pass through a codec.
pub struct Coded<C> {
    pub(super) inner: Arc<dyn Engine>,
    pub(super) codec: C,
}

impl<C: Codec> Coded<C> {
    pub(super) async fn read_decoded<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        isolation: Isolation,
        now_ms: u64,
        visit: &'a mut Visit<'a>,
    ) -> Result<Seen> {
        let mut gathered = Gathered::default();
        let mut gather = |index: usize, entry: Option<EntryRef<'_>>| {
            // What needs no decoding is shown at once, until something before it is kept for later.
            if gathered.is_empty() && entry.is_none_or(|entry| self.codec.leaves(entry.kind)) {
                visit(index, entry);
            } else {
                gathered.push(entry);
            }
        };
        let seen = self.inner.read(keys, isolation, now_ms, &mut gather).await?;
        gathered.show(&self.codec, keys, visit)?;
        Ok(seen)
    }

    async fn write_encoded(&self, batch: Batch<'_>, now_ms: u64) -> Result<Outcome> {
        if patches::are_in(batch.changes) {
            return patches::write(self, batch, now_ms).await;
        }
        let encoded = match Encoded::of(&self.codec, batch.changes) {
            Ok(encoded) => encoded,
            Err(error) => return self.refused_or(batch.changes, now_ms, error).await,
        };
        let changes = encoded.changes(batch.changes);
        self.inner.write(Batch { changes: &changes, ..batch }, now_ms).await
    }

    /// The refusal by a guard where there is one, for guards come first; else the error.
    pub(super) async fn refused_or(
        &self,
        changes: &[Change<'_>],
        now_ms: u64,
        error: Error,
    ) -> Result<Outcome> {
        let guarded = changes.iter().enumerate().filter(|(_, change)| change.guard() != Guard::None);
        let (places, checks): (Vec<usize>, Vec<Change<'_>>) = guarded
            .filter_map(|(place, change)| {
                Some((place, Change::Check { key: change.key()?, guard: change.guard() }))
            })
            .unzip();
        if checks.is_empty() {
            return Err(error);
        }
        let outcome = self.inner.write(Batch::of(&checks), now_ms).await?;
        match outcome.applied {
            Applied::Refused { index, version } => {
                Ok(Outcome { applied: Applied::Refused { index: places[index], version }, ..outcome })
            }
            Applied::Whole(_) => Err(error),
        }
    }

    async fn write_each_encoded(&self, changes: &[Change<'_>], now_ms: u64) -> Result<Each> {
        if !patches::are_in(changes)
            && let Ok(encoded) = Encoded::of(&self.codec, changes)
        {
            return self.inner.write_each(&encoded.changes(changes), now_ms).await;
        }
        // Some need a look at what is there, or fail on their own: one after another.
        let mut each = Each::default();
        for (index, change) in changes.iter().enumerate() {
            each.note(index, self.write_encoded(Batch::blind(slice::from_ref(change)), now_ms).await);
        }
        Ok(each)
    }

    /// An edit's answer to a decoded entry, encoded.
    fn edit<'e>(
        &self,
        key: KeyRef<'_>,
        entry: Option<EntryRef<'_>>,
        edit: &mut Edit<'e>,
    ) -> Result<Edited<'e>> {
        let mut value = Vec::new();
        let entry = entry.map(|entry| decoded(&self.codec, key, entry, &mut value)).transpose()?;
        let (value, kind, expires) = match edit(entry)? {
            Edited::Put { value, kind, expires } => (value, kind, expires),
            Edited::Patch { offset, bytes } => {
                return self.patched(key, entry, (offset, &bytes));
            }
            other => return Ok(other),
        };
        let mut encoded = Vec::new();
        Ok(match self.codec.encode(key, (&value, kind), &mut encoded)? {
            Coding::AsItIs => Edited::Put { value, kind, expires },
            Coding::Into(kind) => Edited::Put { value: encoded.into(), kind, expires },
        })
    }

    /// What a patch makes of a decoded entry, encoded.
    pub(super) fn patched<'e>(
        &self,
        key: KeyRef<'_>,
        entry: Option<EntryRef<'_>>,
        (offset, bytes): (usize, &[u8]),
    ) -> Result<Edited<'e>> {
        let mut value = entry.map_or(Vec::new(), |entry| entry.value.bytes().to_vec());
        patch(&mut value, (offset, bytes), self.capabilities().max_value_bytes)?;
        let expires = if entry.is_some() { Expires::Keep } else { Expires::Never };
        let (value, kind) = encoded(&self.codec, key, (value, Kind::Raw))?;
        Ok(Edited::Put { value: value.into(), kind, expires })
    }
}

impl<C: Codec> Engine for Coded<C> {
    fn capabilities(&self) -> Capabilities {
        let inner = self.inner.capabilities();
        Capabilities { max_value_bytes: self.codec.max_value_bytes(inner.max_value_bytes), ..inner }
    }

    fn read<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        isolation: Isolation,
        now_ms: u64,
        visit: &'a mut Visit<'a>,
    ) -> Eventual<'a, Seen> {
        start(self.read_decoded(keys, isolation, now_ms, visit))
    }

    fn expect(&self, keys: &[KeyRef<'_>]) {
        self.inner.expect(keys);
    }

    fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
        match scan.content {
            Content::Keys => self.inner.scan(scan, now_ms),
            Content::Entries => start(pages::scan(self, scan, now_ms)),
        }
    }

    fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
        if batch.changes.iter().any(brings_value) {
            return start(self.write_encoded(batch, now_ms));
        }
        self.inner.write(batch, now_ms)
    }

    fn write_each<'a>(&'a self, changes: &'a [Change<'a>], now_ms: u64) -> Eventual<'a, Each> {
        if changes.iter().any(brings_value) {
            return start(self.write_each_encoded(changes, now_ms));
        }
        self.inner.write_each(changes, now_ms)
    }

    fn update<'a>(&'a self, key: KeyRef<'a>, now_ms: u64, edit: &'a mut Edit<'_>) -> Eventual<'a, Outcome> {
        start(async move {
            let mut coded = |entry: Option<EntryRef<'_>>| self.edit(key, entry, edit);
            self.inner.update(key, now_ms, &mut coded).await
        })
    }

    fn adopt<'a>(&'a self, entries: &'a Page, above: Sequence, now_ms: u64) -> Eventual<'a, Sequence> {
        start(async move {
            let encoded = pages::encoded(&self.codec, entries)?;
            self.inner.adopt(&encoded, above, now_ms).await
        })
    }

    fn changes<'a>(
        &'a self,
        cursor: &'a mut ChangeCursor,
        wanted: &'a ChangesWanted<'a>,
    ) -> Eventual<'a, ChangePage> {
        if !wanted.values {
            return self.inner.changes(cursor, wanted);
        }
        start(async move {
            let page = self.inner.changes(cursor, wanted).await?;
            pages::changes(&self.codec, page, cursor, wanted.database)
        })
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

fn brings_value(change: &Change<'_>) -> bool {
    matches!(change, Change::Put { .. } | Change::Patch { .. })
}
