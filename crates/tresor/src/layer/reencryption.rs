//! Taking values along to a new key, or another cipher, while the store serves.
//!
//! A walk over the store in bounded pages. Each value under an old key is written again, guarded by its
//! version, so a writer in between wins. A walk that was broken off loses nothing: the next one finds
//! what is left.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;

use super::{
    codec::{Codec, Coding},
    encrypted::Encrypted,
};
use crate::{
    engine::{
        Applied, Batch, Change, Content, DATABASES, EntryRef, Eventual, Expires, Guard, Isolation, KeyRef,
        Kind, Order, Scan, Sequence, Version,
    },
    error::{Error, Result},
    yield_now::yield_now,
};

/// Entries of a page.
const PAGE_ENTRIES: usize = 256;

/// What a walk came to.
#[derive(Debug, Default)]
pub struct Reencrypted {
    /// Values that were written again under the current key.
    pub rewritten: u64,
    /// Values that could not be read, and are as they were: under a key that is not there, or damaged.
    pub left: u64,
    /// Why the first of these could not.
    pub first_failure: Option<Error>,
    /// Whether it was told to stop before its end.
    pub stopped: bool,
}

/// How far a walk has come, for others to look at; and their way to stop it.
#[derive(Debug, Default)]
pub struct ReencryptionProgress {
    looked_at: AtomicU64,
    rewritten: AtomicU64,
    stopping: AtomicBool,
}

impl ReencryptionProgress {
    /// Entries looked at so far.
    pub fn looked_at(&self) -> u64 {
        self.looked_at.load(Ordering::Relaxed)
    }

    /// Values written again so far.
    pub fn rewritten(&self) -> u64 {
        self.rewritten.load(Ordering::Relaxed)
    }

    /// Ends the walk before the next entry.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether it is to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

impl Encrypted {
    /// Writes every value that is not under the current key, by the current cipher, again, and answers when
    /// that is durable. Each takes a new version. An old key can go when a walk that began after
    /// [`rotate`](Self::rotate), and after all writes begun before it had ended, has left none.
    pub fn reencrypt(&self, now_ms: u64) -> Eventual<'_, Reencrypted> {
        Eventual::later(async move {
            let progress = ReencryptionProgress::default();
            self.walk(&progress, &move || now_ms).await
        })
    }

    /// The same, watched from outside, and with the time taken anew for each page.
    pub fn reencrypt_watched<'a>(
        &'a self,
        progress: &'a ReencryptionProgress,
        now_ms: &'a (dyn Fn() -> u64 + Sync),
    ) -> Eventual<'a, Reencrypted> {
        Eventual::later(self.walk(progress, now_ms))
    }

    async fn walk(
        &self,
        progress: &ReencryptionProgress,
        now_ms: &(dyn Fn() -> u64 + Sync),
    ) -> Result<Reencrypted> {
        let result = Reencrypted::default();
        let mut walk = Walk { encrypted: self, progress, now_ms: now_ms(), sequence: 0, result };
        for database in 0..DATABASES {
            walk.database(database, now_ms).await?;
        }
        self.inner.durable(walk.sequence).await?;
        Ok(walk.result)
    }
}

struct Walk<'a> {
    encrypted: &'a Encrypted,
    progress: &'a ReencryptionProgress,
    now_ms: u64,
    sequence: Sequence,
    result: Reencrypted,
}

/// A value as the store keeps it.
struct Stored {
    value: Bytes,
    kind: Kind,
    version: Version,
}

impl Walk<'_> {
    async fn database(&mut self, database: u8, now_ms: &(dyn Fn() -> u64 + Sync)) -> Result<()> {
        let mut scan = Scan::all(database, Order::Any, Content::Entries, PAGE_ENTRIES);
        loop {
            self.now_ms = now_ms();
            let mut page = self.encrypted.inner.scan(&scan, self.now_ms).await?;
            for (key, entry) in page.iter() {
                if self.progress.is_stopping() {
                    self.result.stopped = true;
                    return Ok(());
                }
                if let Some(old) = self.old(&entry) {
                    self.rewrite(key, old).await?;
                }
                self.progress.looked_at.fetch_add(1, Ordering::Relaxed);
            }
            let Some(next) = page.next.take() else { return Ok(()) };
            scan.position = next;
            yield_now().await;
        }
    }

    fn old(&self, entry: &EntryRef<'_>) -> Option<Stored> {
        let is_current = self.encrypted.codec.is_current(entry.value.bytes(), entry.kind);
        (!is_current).then(|| Stored {
            value: entry.value.to_bytes(),
            kind: entry.kind,
            version: entry.version,
        })
    }

    /// Until the value is under the current key, whoever wrote it.
    async fn rewrite(&mut self, key: KeyRef<'_>, mut old: Stored) -> Result<()> {
        loop {
            let encoded = match self.encode(key, &old) {
                Ok(encoded) => encoded,
                Err(error) => {
                    self.result.left += 1;
                    self.result.first_failure.get_or_insert(error);
                    return Ok(());
                }
            };
            let change = Change::Put {
                key,
                guard: Guard::Version(old.version),
                value: &encoded,
                kind: Kind::Packed,
                expires: Expires::Keep,
            };
            let outcome = self.encrypted.inner.write(Batch::of(&[change]), self.now_ms).await?;
            self.sequence = self.sequence.max(outcome.sequence);
            if let Applied::Whole(_) = outcome.applied {
                self.result.rewritten += 1;
                self.progress.rewritten.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            match self.read(key).await? {
                Some(again) => old = again,
                None => return Ok(()),
            }
        }
    }

    fn encode(&self, key: KeyRef<'_>, old: &Stored) -> Result<Vec<u8>> {
        let (mut value, mut encoded) = (Vec::new(), Vec::new());
        let codec = &self.encrypted.codec;
        if let Coding::Into(kind) = codec.decode(key, (&old.value, old.kind), &mut value)? {
            codec.encode(key, (&value, kind), &mut encoded)?;
        }
        Ok(encoded)
    }

    /// What is there now, if that is old too.
    async fn read(&self, key: KeyRef<'_>) -> Result<Option<Stored>> {
        let mut found = None;
        let mut keep =
            |_: usize, entry: Option<EntryRef<'_>>| found = entry.and_then(|entry| self.old(&entry));
        self.encrypted.inner.read(&[key], Isolation::Each, self.now_ms, &mut keep).await?;
        Ok(found)
    }
}
