//! Taking values along to a new key, or another cipher, while the store serves.
//!
//! A walk over the store in bounded pages. Each value under an old key is written again, guarded by its
//! version, so a writer in between wins. A walk that was broken off loses nothing: the next one finds
//! what is left.

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
}

impl Encrypted {
    /// Writes every value that is not under the current key, by the current cipher, again, and answers when
    /// that is durable. Each takes a new version. An old key can go when a walk that began after
    /// [`rotate`](Self::rotate), and after all writes begun before it had ended, has left none.
    pub fn reencrypt(&self, now_ms: u64) -> Eventual<'_, Reencrypted> {
        Eventual::later(async move {
            let mut walk = Walk { encrypted: self, now_ms, sequence: 0, result: Reencrypted::default() };
            for database in 0..DATABASES {
                walk.database(database).await?;
            }
            self.inner.durable(walk.sequence).await?;
            Ok(walk.result)
        })
    }
}

struct Walk<'a> {
    encrypted: &'a Encrypted,
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
    async fn database(&mut self, database: u8) -> Result<()> {
        let mut scan = Scan::all(database, Order::Any, Content::Entries, PAGE_ENTRIES);
        loop {
            let mut page = self.encrypted.inner.scan(&scan, self.now_ms).await?;
            for (key, entry) in page.iter() {
                if let Some(old) = self.old(&entry) {
                    self.rewrite(key, old).await?;
                }
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
