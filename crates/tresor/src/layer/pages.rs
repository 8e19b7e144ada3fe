//! Pages of a scan, decoded, and pages to adopt, encoded.
//!
//! A page of a few megabytes can hold gigabytes of compressed zeros. So a page is cut where its values,
//! decoded, reach [`PAGE_BYTES`]: in key order behind an entry, in any order by asking for fewer.

use super::{
    codec::{Codec, Coding},
    coded::Coded,
    encoding::decoded,
};
use crate::{
    engine::{
        ChangeCursor, ChangePage, ChangeRef, Content, EntryRef, KeyRef, Order, PAGE_BYTES, Page, Position,
        Scan, ValueRef,
    },
    error::Result,
};

/// One decoded page.
pub(super) async fn scan<C: Codec>(coded: &Coded<C>, scan: &Scan<'_>, now_ms: u64) -> Result<Page> {
    let mut scan = scan.clone();
    loop {
        let stored = coded.inner.scan(&scan, now_ms).await?;
        if stored.iter().all(|(_, entry)| coded.codec.leaves(entry.kind)) {
            return Ok(stored);
        }
        let fitting = fitting(&coded.codec, &stored);
        if fitting == stored.len() || scan.order != Order::Any || scan.limit <= 1 {
            let take = if scan.order == Order::Any { stored.len() } else { fitting };
            return decode(&coded.codec, &stored, (scan.database, take));
        }
        scan.limit = fitting.min(scan.limit - 1).max(1);
    }
}

/// How many entries from the first on are a page, once decoded.
fn fitting(codec: &impl Codec, stored: &Page) -> usize {
    let mut bytes = 0_usize;
    let before_full = stored.iter().take_while(|(key, entry)| {
        let is_room = bytes < PAGE_BYTES;
        let decoded = codec.decoded_bytes((entry.value.bytes(), entry.kind));
        bytes = bytes.saturating_add(key.key.len() + key.member.len()).saturating_add(decoded);
        is_room
    });
    before_full.count()
}

fn decode(codec: &impl Codec, stored: &Page, (database, take): (u8, usize)) -> Result<Page> {
    let mut page = Page::new(database);
    let mut value = Vec::new();
    for (key, entry) in stored.iter().take(take) {
        let entry = decoded(codec, key, entry, &mut value)?;
        page.push(key.key, key.member, &entry, Content::Entries);
    }
    page.sequence = stored.sequence;
    page.next = match stored.iter().nth(take.wrapping_sub(1)) {
        Some((last, _)) if take < stored.len() => {
            Some(Position::Behind { key: last.key.to_vec(), member: last.member.to_vec() })
        }
        _ => stored.next.clone(),
    };
    Ok(page)
}

/// A page of changes, decoded. Where its values take too much room it ends early, and the cursor goes back.
pub(super) fn changes(
    codec: &impl Codec,
    stored: ChangePage,
    cursor: &mut ChangeCursor,
    database: u8,
) -> Result<ChangePage> {
    let leaves = |change: ChangeRef<'_>| change.entry.is_none_or(|entry| codec.leaves(entry.kind));
    if stored.iter().all(leaves) {
        return Ok(stored);
    }
    let mut page = stored.without_changes();
    let mut value = Vec::new();
    for (told, change) in stored.iter().enumerate() {
        let coming = change.entry.map_or(0, |entry| codec.decoded_bytes((entry.value.bytes(), entry.kind)));
        if told > 0 && page.bytes().saturating_add(coming) > PAGE_BYTES {
            page.end_before(change.sequence, cursor);
            break;
        }
        let key = KeyRef::new(database, change.key);
        let entry = change.entry.map(|entry| decoded(codec, key, entry, &mut value)).transpose()?;
        page.push(&ChangeRef { entry, ..change });
    }
    Ok(page)
}

/// The page that the store is to keep.
pub(super) fn encoded(codec: &impl Codec, entries: &Page) -> Result<Page> {
    let database = entries.iter().next().map_or(0, |(key, _)| key.database);
    let mut page = Page::new(database);
    let mut value = Vec::new();
    for (key, entry) in entries.iter() {
        value.clear();
        let entry = match codec.encode(key, (entry.value.bytes(), entry.kind), &mut value)? {
            Coding::AsItIs => entry,
            Coding::Into(kind) => EntryRef { value: ValueRef::Inline(&value), kind, ..entry },
        };
        page.push(key.key, key.member, &entry, Content::Entries);
    }
    page.sequence = entries.sequence;
    page.next = entries.next.clone();
    Ok(page)
}
