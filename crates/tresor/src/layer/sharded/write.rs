//! Writes that one shard does by itself: routed, and given on as they are.
//!
//! What concerns several shards, or has to wait, goes to `whole.rs`.

use smallvec::SmallVec;

use super::{
    core::{Core, pass, start},
    ring::hash_of_key,
    routes::Routes,
    whole,
};
use crate::{
    engine::{Batch, Change, DatabaseTable, Each, Edit, Eventual, Guard, KeyRef, Outcome},
    error::Result,
};

/// Applies a batch.
#[inline]
pub(super) fn write<'a>(core: &'a Core, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
    if let [change] = batch.changes {
        if let Some(key) = change.key()
            && let Some((held, member)) = core.enter(key, true)
        {
            return pass(held, member, member.engine.write(batch, now_ms));
        }
    } else if let Some((held, member)) = core.enter_all(batch.changes) {
        return pass(held, member, member.engine.write(batch, now_ms));
    }
    start(whole::write(core, batch, now_ms))
}

/// Edits one entry.
#[inline]
pub(super) fn update<'a>(
    core: &'a Core,
    key: KeyRef<'a>,
    now_ms: u64,
    edit: &'a mut Edit<'_>,
) -> Eventual<'a, Outcome> {
    if let Some((held, member)) = core.enter(key, true) {
        return pass(held, member, member.engine.update(key, now_ms, edit));
    }
    start(async move {
        let (_held, routes) =
            way(core, &[hash_of_key(key.key)], |routes| routes.route(key.key, hash_of_key(key.key)).copying)
                .await;
        let member = core.member(routes.owner(key.key));
        member.check()?;
        let outcome = member.engine.update(routes.physical(key), now_ms, edit).await;
        outcome.map_err(|error| member.named(error))
    })
}

/// The stripes of these hashes shared, and the routes by then, once nothing of it is being copied.
pub(super) async fn way<'a>(
    core: &'a Core,
    hashes: &[u64],
    copying: impl Fn(&Routes) -> bool,
) -> (super::stripes::Held<'a>, std::sync::Arc<Routes>) {
    loop {
        let held = core.stripes.shared(hashes).await;
        let routes = core.routes.load_full();
        if !copying(&routes) {
            return (held, routes);
        }
        drop(held);
        core.routes_after(routes.version).await;
    }
}

/// Applies changes each for itself, those of one key in their order.
pub(super) fn write_each<'a>(core: &'a Core, changes: &'a [Change<'a>], now_ms: u64) -> Eventual<'a, Each> {
    start(async move {
        if changes.iter().any(|change| change.key().is_none()) {
            return one_by_one(core, changes, now_ms).await;
        }
        let keys = || changes.iter().filter_map(Change::key);
        let hashes: SmallVec<[u64; 16]> = keys().map(|key| hash_of_key(key.key)).collect();
        let copying = |routes: &Routes| {
            routes.moving.is_some()
                && keys().zip(&hashes).any(|(key, hash)| routes.route(key.key, *hash).copying)
        };
        let (_held, routes) = way(core, &hashes, copying).await;
        let mut groups: SmallVec<[Group<'a>; 8]> = SmallVec::new();
        for ((index, change), hash) in changes.iter().enumerate().zip(&hashes) {
            let Some(key) = change.key() else { continue };
            let owner = routes.route(key.key, *hash).owner;
            let at = groups.iter().position(|group| group.owner == owner).unwrap_or_else(|| {
                groups.push(Group { owner, changes: Vec::new(), indexes: Vec::new() });
                groups.len() - 1
            });
            groups[at].changes.push(physical(change, routes.mapping));
            groups[at].indexes.push(index);
        }
        apply_each(core, &groups, now_ms).await
    })
}

/// Changes of one shard, and their places among all.
struct Group<'a> {
    owner: u8,
    changes: Vec<Change<'a>>,
    indexes: Vec<usize>,
}

async fn apply_each(core: &Core, groups: &[Group<'_>], now_ms: u64) -> Result<Each> {
    let answers: SmallVec<[_; 8]> = groups
        .iter()
        .map(|group| {
            let member = core.member(group.owner);
            match member.check() {
                Ok(()) => start(member.engine.write_each(&group.changes, now_ms)),
                Err(error) => Eventual::Now(Err(error)),
            }
        })
        .collect();
    let mut each = Each::default();
    for (answer, group) in answers.into_iter().zip(groups) {
        let member = core.member(group.owner);
        match answer.await {
            Ok(part) => {
                each.sequence = each.sequence.max(part.sequence);
                let failures = part.failures.into_iter();
                each.failures.extend(failures.map(|(at, error)| (group.indexes[at], member.named(error))));
            }
            Err(error) => {
                let error = member.named(error);
                each.failures.extend(group.indexes.iter().map(|index| (*index, error.again())));
            }
        }
    }
    each.failures.sort_by_key(|(index, _)| *index);
    Ok(each)
}

async fn one_by_one(core: &Core, changes: &[Change<'_>], now_ms: u64) -> Result<Each> {
    let mut each = Each::default();
    for (index, change) in changes.iter().enumerate() {
        each.note(index, write(core, Batch::blind(std::slice::from_ref(change)), now_ms).await);
    }
    Ok(each)
}

/// A change as the shards know its database.
pub(super) fn physical<'a>(change: &Change<'a>, mapping: DatabaseTable) -> Change<'a> {
    let mut change = *change;
    match &mut change {
        Change::Put { key, .. }
        | Change::Patch { key, .. }
        | Change::Expire { key, .. }
        | Change::Delete { key, .. }
        | Change::Check { key, .. } => key.database = mapping[usize::from(key.database)],
        Change::Clear { database } => *database = mapping[usize::from(*database)],
        Change::Swap { .. } => {}
    }
    change
}

/// A change without its guard, once that was found to hold.
pub(super) fn unguarded<'a>(change: Change<'a>) -> Change<'a> {
    let mut change = change;
    match &mut change {
        Change::Put { guard, .. }
        | Change::Patch { guard, .. }
        | Change::Expire { guard, .. }
        | Change::Delete { guard, .. }
        | Change::Check { guard, .. } => *guard = Guard::None,
        Change::Clear { .. } | Change::Swap { .. } => {}
    }
    change
}
