//! Whether two stores hold the same: read again from both, told by count and checksum.
//!
//! The checksum of a store is the sum, modulo 2^128, of a 128-bit hash of each entry: database, key,
//! member, kind, value and expiry. A sum needs no order, so stores with an order and without compare.
//! Only where it differs are entries looked up one by one, to say how many do.

use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128, SipHasher13};
use tresor::{
    clock::{Clock, SystemClock},
    engine::{Content, DATABASES, Engine, EntryRef, Isolation, KeyRef, Order, Page, Scan},
};

use crate::{failure::Outcome, progress::Progress};

/// Entries of a page.
const PAGE_ENTRIES: usize = 1024;

/// What a store comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Total {
    /// Entries.
    pub(crate) entries: u64,
    /// Bytes of their keys, members and values.
    pub(crate) bytes: u64,
    /// Databases with entries.
    pub(crate) databases: u64,
    checksum: u128,
}

impl Total {
    /// Reads all of a store as it is at a moment.
    pub(crate) fn of(engine: &dyn Engine, now_ms: u64, progress: &Progress) -> Outcome<Self> {
        let mut total = Self::default();
        for database in 0..DATABASES {
            let before = total.entries;
            each_page(engine, (database, now_ms), &mut |page| {
                for (key, entry) in page.iter() {
                    total.checksum = total.checksum.wrapping_add(hash(key, &entry));
                }
                total.entries += page.len() as u64;
                total.bytes += page.bytes() as u64;
                progress.advance(page.len() as u64);
                Ok(())
            })?;
            total.databases += u64::from(total.entries > before);
        }
        Ok(total)
    }
}

/// Entries in which two stores differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// In the first alone.
    pub(crate) missing: u64,
    /// In both, but not the same.
    pub(crate) other: u64,
    /// In the second alone.
    pub(crate) surplus: u64,
}

impl Difference {
    /// Looks each entry of one up in the other. An entry whose time has come by then counts in neither: a
    /// cluster's own clock goes on.
    pub(crate) fn between(first: &dyn Engine, second: &dyn Engine, now_ms: u64) -> Outcome<Self> {
        let mut difference = Self::default();
        for database in 0..DATABASES {
            each_page(first, (database, now_ms), &mut |page| {
                for ((_, entry), found) in page.iter().zip(found(second, page, now_ms)?) {
                    match found {
                        None if !has_expired(&entry) => difference.missing += 1,
                        Some(false) => difference.other += 1,
                        _ => {}
                    }
                }
                Ok(())
            })?;
            each_page(second, (database, now_ms), &mut |page| {
                for ((_, entry), found) in page.iter().zip(found(first, page, now_ms)?) {
                    difference.surplus += u64::from(found.is_none() && !has_expired(&entry));
                }
                Ok(())
            })?;
        }
        Ok(difference)
    }

    /// All of them.
    pub(crate) fn entries(self) -> u64 {
        self.missing + self.other + self.surplus
    }
}

fn has_expired(entry: &EntryRef<'_>) -> bool {
    entry.expires_at_ms.is_some_and(|at_ms| at_ms <= SystemClock::new().now_ms())
}

/// For each entry of a page whether another store has the same one; `None` where it has none of that key.
fn found(engine: &dyn Engine, page: &Page, now_ms: u64) -> Outcome<Vec<Option<bool>>> {
    let (keys, hashes): (Vec<KeyRef<'_>>, Vec<u128>) =
        page.iter().map(|(key, entry)| (key, hash(key, &entry))).unzip();
    let mut found = vec![None; keys.len()];
    let mut visit = |index: usize, entry: Option<EntryRef<'_>>| {
        found[index] = entry.map(|entry| hash(keys[index], &entry) == hashes[index]);
    };
    engine.read(&keys, Isolation::Each, now_ms, &mut visit).wait()?;
    Ok(found)
}

fn each_page(
    engine: &dyn Engine,
    (database, now_ms): (u8, u64),
    visit: &mut dyn FnMut(&Page) -> Outcome,
) -> Outcome {
    let mut scan = Scan::all(database, Order::Any, Content::Entries, PAGE_ENTRIES);
    loop {
        let mut page = engine.scan(&scan, now_ms).wait()?;
        visit(&page)?;
        let Some(next) = page.next.take() else { return Ok(()) };
        scan.position = next;
    }
}

fn hash(key: KeyRef<'_>, entry: &EntryRef<'_>) -> u128 {
    let mut hasher = SipHasher13::new();
    hasher.write(&[key.database, entry.kind as u8, u8::from(entry.expires_at_ms.is_some())]);
    hasher.write(&entry.expires_at_ms.unwrap_or(0).to_le_bytes());
    hasher.write(&(key.key.len() as u64).to_le_bytes());
    hasher.write(key.key);
    hasher.write(&(key.member.len() as u64).to_le_bytes());
    hasher.write(key.member);
    hasher.write(entry.value.bytes());
    hasher.finish128().as_u128()
}

#[cfg(test)]
mod tests {
    use tresor::{
        Kind,
        engine::{Batch, Change, Engine, Expires, Guard, KeyRef},
    };
    use tresor_testkit::ModelEngine;

    use super::{Difference, Total};
    use crate::progress::Progress;

    const FAR_MS: u64 = 4_102_444_800_000;

    type Put<'a> = (u8, &'a [u8], &'a [u8], Kind, Expires);

    fn store(entries: &[Put<'_>]) -> ModelEngine {
        let engine = ModelEngine::new();
        for (database, key, value, kind, expires) in entries {
            let key = KeyRef::new(*database, key);
            let put = Change::Put { key, guard: Guard::None, value, kind: *kind, expires: *expires };
            engine.write(Batch::blind(&[put]), 1).wait().expect("a model takes it");
        }
        engine
    }

    fn total(engine: &ModelEngine) -> Total {
        Total::of(engine, 1, &Progress::unknown()).expect("a model is read")
    }

    #[test]
    fn whatever_differs_is_seen_and_counted() {
        let whole = [
            (0, &b"a"[..], &b"1"[..], Kind::Raw, Expires::Never),
            (0, b"b", b"2", Kind::Json, Expires::At(FAR_MS)),
            (9, b"a", b"1", Kind::Raw, Expires::Never),
        ];
        let mut turned = whole;
        turned.reverse();
        let first = store(&whole);
        assert_eq!(total(&first), total(&store(&turned)), "the order does not count");
        let changed = |at: usize, entry| {
            let mut entries = whole;
            entries[at] = entry;
            entries
        };
        for (entries, missing, other, surplus) in [
            (changed(0, (0, b"a", b"2", Kind::Raw, Expires::Never)), 0, 1, 0),
            (changed(0, (0, b"a", b"1", Kind::Json, Expires::Never)), 0, 1, 0),
            (changed(0, (0, b"a", b"1", Kind::Raw, Expires::At(FAR_MS))), 0, 1, 0),
            (changed(0, (0, b"c", b"1", Kind::Raw, Expires::Never)), 1, 0, 1),
            (changed(0, (1, b"a", b"1", Kind::Raw, Expires::Never)), 1, 0, 1),
            (changed(1, (0, b"b", b"2", Kind::Json, Expires::At(FAR_MS + 1))), 0, 1, 0),
        ] {
            let second = store(&entries);
            assert_ne!(total(&first), total(&second), "{entries:?}");
            let difference = Difference::between(&first, &second, 1).expect("both are read");
            assert_eq!(difference, Difference { missing, other, surplus }, "{entries:?}");
        }
    }

    #[test]
    fn what_has_expired_meanwhile_is_no_difference() {
        let first = store(&[(0, b"a", b"1", Kind::Raw, Expires::At(2))]);
        let second = store(&[]);
        assert_ne!(total(&first), total(&second));
        let difference = Difference::between(&first, &second, 1).expect("both are read");
        assert_eq!(difference.entries(), 0);
        assert_eq!(Difference::between(&second, &first, 1).expect("both are read").entries(), 0);
    }
}
