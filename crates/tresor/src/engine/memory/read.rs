//! Reads and scans: entries shown under their shard's lock.

use smallvec::SmallVec;

use super::{
    ahead::{AHEAD, Ahead, lock_ahead},
    cursor::Cursor,
    keyspace::{Keyspace, SHARDS},
    shard::Shard,
    store::{Address, Store},
};
use crate::{
    engine::{
        Content, EntryRef, Eventual, Isolation, KeyRef, Order, PAGE_BYTES, Page, Position, Scan, Seen,
        Sequence, Visit,
    },
    error::{Error, Result},
    yield_now::yield_now,
};

/// Shows each key's entry, each on its own or all as of one moment.
#[inline]
pub(super) fn read(
    store: &Store,
    keys: &[KeyRef<'_>],
    isolation: Isolation,
    now_ms: u64,
    visit: &mut Visit<'_>,
) -> Seen {
    if isolation == Isolation::Together && keys.len() > 1 {
        return read_together(store, keys, now_ms, visit);
    }
    let mut sequence = 0;
    for (chunk, from) in keys.chunks(AHEAD).zip((0..).step_by(AHEAD)) {
        let mut ahead = if chunk.len() > 1 { lock_ahead(store, chunk) } else { Ahead::new() };
        for (at, key) in chunk.iter().enumerate() {
            let visit = |entry: Option<EntryRef<'_>>| visit(from + at, entry);
            let seen = match ahead.get_mut(at) {
                Some((address, Some(shard))) => show(store, (shard, address), now_ms, visit),
                _ => read_one(store, *key, now_ms, visit),
            };
            sequence = sequence.max(seen);
        }
    }
    Seen { sequence }
}

#[inline]
fn read_one(
    store: &Store,
    key: KeyRef<'_>,
    now_ms: u64,
    visit: impl FnOnce(Option<EntryRef<'_>>),
) -> Sequence {
    let mut address = store.address(key);
    if store.existing(address.physical).is_none() {
        visit(None);
        return 0;
    }
    let (_, mut shard) = store.lock(&mut address, key.database);
    show(store, (&mut shard, &address), now_ms, visit)
}

/// Shows one entry, marks it as used, and tells the number that was observed.
#[inline]
fn show(
    store: &Store,
    (shard, address): (&mut Shard, &Address<'_>),
    now_ms: u64,
    visit: impl FnOnce(Option<EntryRef<'_>>),
) -> Sequence {
    let place = shard.find(&address.name);
    let removed = shard.removed;
    let Some(place) = place else {
        visit(None);
        return removed;
    };
    let sequence = match shard.entry(place) {
        Some(entry) if !entry.is_expired(now_ms) => {
            visit(Some(entry.read()));
            entry.version()
        }
        expired => {
            visit(None);
            let version = expired.map_or(removed, |entry| entry.version());
            return if store.bury(address, shard, Some(place), now_ms) { shard.removed } else { version };
        }
    };
    store.limit.touch(shard, place);
    sequence
}

fn read_together(store: &Store, keys: &[KeyRef<'_>], now_ms: u64, visit: &mut Visit<'_>) -> Seen {
    let mut mapping = store.mapping();
    let (addresses, mut guards) = loop {
        let addresses: SmallVec<[Address<'_>; 16]> = keys.iter().map(|key| store.address(*key)).collect();
        let mut places: SmallVec<[(u8, usize); 16]> =
            addresses.iter().map(|address| (address.physical, address.shard)).collect();
        places.sort_unstable();
        places.dedup();
        let guards: SmallVec<[_; 16]> = places
            .iter()
            .map(|(physical, shard)| ((*physical, *shard), store.keyspace(*physical).lock(*shard)))
            .collect();
        let now = store.mapping();
        if now == mapping {
            break (addresses, guards);
        }
        mapping = now;
    };
    let mut sequence = 0;
    for (index, address) in addresses.iter().enumerate() {
        let at = guards
            .binary_search_by_key(&(address.physical, address.shard), |(place, _)| *place)
            .expect("every key's shard is locked");
        let shard = &mut *guards[at].1;
        sequence = sequence.max(show(store, (shard, address), now_ms, |entry| visit(index, entry)));
    }
    Seen { sequence }
}

/// One page of a scan; later only while the index for an ordered one is being built.
pub(super) fn scan<'a>(store: &'a Store, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
    let physical = store.physical(scan.database);
    let Some(keyspace) = store.existing(physical) else {
        let mut page = Page::new(scan.database);
        page.sequence = store.latest();
        return Eventual::Now(Ok(page));
    };
    if scan.order == Order::Any {
        return Eventual::Now(scan_any(store, keyspace, scan, now_ms));
    }
    if keyspace.index.next_shard(now_ms).is_none()
        && let Some(page) = scan_ordered(store, (physical, keyspace), scan, now_ms)
    {
        return Eventual::Now(Ok(page));
    }
    Eventual::later(async move {
        loop {
            if build_index(keyspace, now_ms)
                && let Some(page) = scan_ordered(store, (physical, keyspace), scan, now_ms)
            {
                return Ok(page);
            }
            yield_now().await;
        }
    })
}

fn scan_any(store: &Store, keyspace: &Keyspace, scan: &Scan<'_>, now_ms: u64) -> Result<Page> {
    let mut cursor = match scan.position {
        Position::Start => Cursor { shard: 0, position: 0 },
        Position::Anywhere(number) => {
            Cursor { shard: (number >> 32) as usize % SHARDS, position: number as u32 }
        }
        Position::Cursor(number) => {
            Cursor::decode(number, &store.hasher).ok_or_else(|| Error::invalid("invalid cursor"))?
        }
        Position::Behind { .. } => {
            return Err(Error::invalid("an unordered scan goes on from a cursor, not from behind a key"));
        }
    };
    let mut page = Page::new(scan.database);
    while cursor.shard < SHARDS && page.len() < scan.limit.max(1) && page.bytes() < PAGE_BYTES {
        cursor = scan_shard(store, keyspace, cursor, (scan, now_ms), &mut page);
    }
    page.sequence = store.latest();
    page.next = (cursor.shard < SHARDS).then(|| Position::Cursor(cursor.encode(&store.hasher)));
    Ok(page)
}

/// Adds a shard's entries from the cursor on, and tells where to go on.
fn scan_shard(
    store: &Store,
    keyspace: &Keyspace,
    cursor: Cursor,
    (scan, now_ms): (&Scan<'_>, u64),
    page: &mut Page,
) -> Cursor {
    let shard = keyspace.lock(cursor.shard);
    let page = std::cell::RefCell::new(page);
    let next = shard.table().scan(
        cursor.position,
        &store.hasher,
        &mut |entry| {
            if !entry.is_expired(now_ms) {
                let (key, member) = entry.name();
                page.borrow_mut().push(key, member, &entry.read(), scan.content);
            }
        },
        &mut || {
            let page = page.borrow();
            page.len() >= scan.limit.max(1) || page.bytes() >= PAGE_BYTES
        },
    );
    match next {
        Some(position) => Cursor { shard: cursor.shard, position },
        None => Cursor { shard: cursor.shard + 1, position: 0 },
    }
}

/// Takes another shard into the index, so that others get their turn soon; true when it is whole.
fn build_index(keyspace: &Keyspace, now_ms: u64) -> bool {
    let Some(number) = keyspace.index.next_shard(now_ms) else { return true };
    {
        let shard = keyspace.lock(number);
        for entry in shard.table().iter() {
            let (key, member) = entry.name();
            keyspace.index.insert(key, member);
        }
    }
    keyspace.index.took_in(number);
    false
}

/// A page in key order; `None` if the index is not whole (any more).
fn scan_ordered(
    store: &Store,
    (physical, keyspace): (u8, &Keyspace),
    scan: &Scan<'_>,
    now_ms: u64,
) -> Option<Page> {
    let limit = scan.limit.max(1);
    let mut position = scan.position.clone();
    loop {
        let from = Scan { position: position.clone(), ..scan.clone() };
        let (names, more) = keyspace.index.names(&from, limit)?;
        let mut page = Page::new(scan.database);
        page.sequence = store.latest();
        let mut seen = 0;
        while seen < names.len() && !is_full(&page, scan) {
            let until = names.len().min(seen + AHEAD);
            let keys: SmallVec<[KeyRef<'_>; AHEAD]> = (seen..until)
                .map(|at| names.get(at))
                .map(|(key, member)| KeyRef { database: scan.database, key, member })
                .collect();
            seen += push_chunk(store, (physical, keyspace), &keys, (scan, now_ms), &mut page);
        }
        let goes_on = more || seen < names.len();
        if seen > 0 {
            let (key, member) = names.get(seen - 1);
            position = Position::Behind { key: key.to_vec(), member: member.to_vec() };
        }
        if !page.is_empty() || !goes_on {
            page.next = goes_on.then_some(position);
            return Some(page);
        }
        // Every name of this page had expired: look further.
    }
}

/// Keys take no more than their limit allows.
fn is_full(page: &Page, scan: &Scan<'_>) -> bool {
    scan.content == Content::Entries && page.bytes() >= PAGE_BYTES
}

/// Adds the entries of up to [`AHEAD`] keys until the page is full; how many were looked at.
fn push_chunk(
    store: &Store,
    (physical, keyspace): (u8, &Keyspace),
    keys: &[KeyRef<'_>],
    (scan, now_ms): (&Scan<'_>, u64),
    page: &mut Page,
) -> usize {
    let mut ahead = lock_ahead(store, keys);
    if ahead.iter().any(|(address, _)| address.physical != physical) {
        // A swap came in between: these locks are another keyspace's, and nobody may wait with them in hand.
        ahead.clear();
    }
    for (at, key) in keys.iter().enumerate() {
        match ahead.get(at) {
            Some((address, Some(shard))) => {
                push_if_there((shard, address), (scan, now_ms), page);
            }
            _ => {
                let address = store.address(*key);
                push_if_there((&keyspace.lock(address.shard), &address), (scan, now_ms), page);
            }
        }
        if is_full(page, scan) {
            return at + 1;
        }
    }
    keys.len()
}

/// Adds an entry to a page, unless it has gone or expired.
fn push_if_there(
    (shard, address): (&Shard, &Address<'_>),
    (scan, now_ms): (&Scan<'_>, u64),
    page: &mut Page,
) {
    if let Some(entry) = shard.find(&address.name).and_then(|place| shard.entry(place))
        && !entry.is_expired(now_ms)
    {
        page.push(address.name.key, address.name.member, &entry.read(), scan.content);
    }
}
