//! Reads: one shard is asked as it is, several are asked at once and shown in the caller's order.
//!
//! All keys' stripes are held together, so a batch over several shards is seen whole or not at all. Shards
//! that are asked for one moment are asked with the stripes held alone: beside writers one would be asked
//! before a write and another after a later one.

use smallvec::SmallVec;

use super::{
    core::{Core, pass, start},
    member::Member,
    ring::hash_of_key,
    routes::Routes,
    stripes::Held,
};
use crate::{
    engine::{EntryRef, Eventual, Isolation, Kept, KeyRef, Seen, Sequence, Visit},
    error::Result,
};

/// What one shard has of the keys that it was asked for, in their order.
pub(super) struct Found {
    pub(super) entries: Vec<Option<Kept>>,
    pub(super) sequence: Sequence,
}

/// Keys that one shard is asked for, for each shard.
type Groups<'a> = SmallVec<[(u8, Vec<KeyRef<'a>>); 8]>;

/// Which of these groups each key is in.
type Places = SmallVec<[usize; 16]>;

/// Shows each key's entry, in the order of the keys.
#[inline]
pub(super) fn read<'a>(
    core: &'a Core,
    keys: &'a [KeyRef<'a>],
    isolation: Isolation,
    now_ms: u64,
    visit: &'a mut Visit<'a>,
) -> Eventual<'a, Seen> {
    if let [key] = keys
        && let Some((held, member)) = core.enter(*key, false)
    {
        return pass(held, member, member.engine.read(keys, isolation, now_ms, visit));
    }
    start(read_several(core, keys, isolation, now_ms, visit))
}

async fn read_several<'a>(
    core: &'a Core,
    keys: &'a [KeyRef<'a>],
    isolation: Isolation,
    now_ms: u64,
    visit: &'a mut Visit<'a>,
) -> Result<Seen> {
    let hashes: SmallVec<[u64; 16]> = keys.iter().map(|key| hash_of_key(key.key)).collect();
    let (_held, groups, places) = hold(core, keys, &hashes, isolation).await;
    let answers = ask(core, &groups, isolation, now_ms);
    let mut found: SmallVec<[_; 8]> = SmallVec::new();
    let mut sequence = 0;
    for answer in answers {
        let answer = answer.await?;
        sequence = sequence.max(answer.sequence);
        found.push(answer.entries.into_iter());
    }
    for (index, at) in places.into_iter().enumerate() {
        let entry = found[at].next().expect("a shard answers for every key that it was asked for");
        visit(index, entry.as_ref().map(Kept::as_entry));
    }
    Ok(Seen { sequence })
}

/// Holds the keys' stripes as the read needs them, and has the keys by shard.
async fn hold<'a>(
    core: &'a Core,
    keys: &[KeyRef<'a>],
    hashes: &[u64],
    isolation: Isolation,
) -> (Held<'a>, Groups<'a>, Places) {
    let held = core.stripes.shared(hashes).await;
    let (groups, places) = by_shard(&core.routes.load(), keys, hashes);
    if isolation == Isolation::Each || groups.len() == 1 {
        return (held, groups, places);
    }
    drop(held);
    let held = core.stripes.exclusive(hashes).await;
    let (groups, places) = by_shard(&core.routes.load(), keys, hashes);
    (held, groups, places)
}

/// Keys by the shard that has them.
fn by_shard<'a>(routes: &Routes, keys: &[KeyRef<'a>], hashes: &[u64]) -> (Groups<'a>, Places) {
    let mut groups = Groups::new();
    let place = |(key, hash): (&KeyRef<'a>, &u64)| {
        let owner = routes.route(key.key, *hash).owner;
        let at = groups.iter().position(|group| group.0 == owner).unwrap_or_else(|| {
            groups.push((owner, Vec::with_capacity(keys.len())));
            groups.len() - 1
        });
        groups[at].1.push(routes.physical(*key));
        at
    };
    let places = keys.iter().zip(hashes).map(place).collect();
    (groups, places)
}

/// Asks several shards at once.
pub(super) fn ask<'a>(
    core: &'a Core,
    groups: &'a [(u8, Vec<KeyRef<'a>>)],
    isolation: Isolation,
    now_ms: u64,
) -> SmallVec<[Eventual<'a, Found>; 8]> {
    let ask =
        |group: &'a (u8, Vec<KeyRef<'a>>)| start(find(core.member(group.0), &group.1, isolation, now_ms));
    groups.iter().map(ask).collect()
}

async fn find<'a>(
    member: &'a Member,
    keys: &'a [KeyRef<'a>],
    isolation: Isolation,
    now_ms: u64,
) -> Result<Found> {
    member.check()?;
    let mut entries = Vec::with_capacity(keys.len());
    let seen = {
        let mut visit = |_: usize, entry: Option<EntryRef<'_>>| entries.push(entry.map(Kept::of));
        member.engine.read(keys, isolation, now_ms, &mut visit).await
    };
    let seen = seen.map_err(|error| member.named(error))?;
    Ok(Found { entries, sequence: seen.sequence })
}
