//! What is asked of all shards: counts, status, durability, saving and closing.
//!
//! Each shard numbers its changes by itself, and a caller keeps only the highest number that it met. That
//! is enough: whatever it met of a shard is at most that number, and at most the shard's latest; so every
//! shard is asked to keep what it has up to that number, where a number not yet given stands for the
//! latest. A shard may so be waited for although only its later changes are unsafe; it is never passed over.

use super::{
    core::{Core, start},
    scan,
};
use crate::{
    engine::{Count, DATABASES, Eventual, Sequence, Status},
    error::Result,
    oplog::{Durability, LogStatus},
};

/// Answers when every shard has kept its promise for what it has up to a number.
pub(super) fn durable(core: &Core, upto: Sequence) -> Eventual<'_, ()> {
    let mut later = Vec::new();
    for (_, member) in core.members().filter(|(_, member)| member.lasts) {
        match member.engine.durable(upto) {
            Eventual::Now(Ok(())) => {}
            Eventual::Now(Err(error)) => return Eventual::Now(Err(member.named(error))),
            answer => later.push((member, answer)),
        }
    }
    if later.is_empty() {
        return Eventual::Now(Ok(()));
    }
    start(async move {
        for (member, answer) in later {
            answer.await.map_err(|error| member.named(error))?;
        }
        Ok(())
    })
}

/// How many keys a database has on all shards.
pub(super) async fn count(core: &Core, database: u8) -> Result<Count> {
    if core.is_unclean() {
        // Only looking at who owns each key tells.
        return scan::count(core, database, 0).await;
    }
    let _inside = Inside::enter(core).await;
    let routes = core.routes.load_full();
    let physical = routes.mapping[usize::from(database)];
    let mut answers = Vec::new();
    for (_, member) in core.asked(&routes) {
        member.check()?;
        answers.push((member, start(member.engine.count(physical))));
    }
    let mut sum = Count::default();
    for (member, answer) in answers {
        let count = answer.await.map_err(|error| member.named(error))?;
        sum.keys += count.keys;
        sum.unsure += count.unsure;
        sum.sequence = sum.sequence.max(count.sequence);
    }
    Ok(sum)
}

/// A count that is going on: no key comes to be on two shards meanwhile.
struct Inside<'a>(&'a Core);

impl<'a> Inside<'a> {
    async fn enter(core: &'a Core) -> Self {
        core.counts.enter(0).await;
        Self(core)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.counts.leave(0);
    }
}

/// The shards' figures added up.
pub(super) async fn status(core: &Core) -> Result<Status> {
    let routes = core.routes.load_full();
    let mut answers = Vec::new();
    for (_, member) in core.asked(&routes) {
        answers.push((member, start(member.engine.status())));
    }
    let mut sum = Status { store_id: core.store_id, ..Status::default() };
    for (member, answer) in answers {
        let status = answer.await.map_err(|error| member.named(error))?;
        for database in 0..DATABASES {
            let physical = usize::from(routes.mapping[usize::from(database)]);
            let database = usize::from(database);
            sum.keys[database] += status.keys[physical];
            sum.mean_expiry_ms[database] = mean_of_both(
                (sum.expiring[database], sum.mean_expiry_ms[database]),
                (status.expiring[physical], status.mean_expiry_ms[physical]),
            );
            sum.expiring[database] += status.expiring[physical];
        }
        sum.sequence = sum.sequence.max(status.sequence);
        sum.data_bytes += status.data_bytes;
        sum.expired.add(&status.expired);
        sum.evicted += status.evicted;
        sum.packed |= status.packed;
        sum.cluster = sum.cluster.or(status.cluster);
        sum.log = match (sum.log, status.log) {
            (Some(one), Some(other)) => Some(both(one, other)),
            (one, other) => one.or(other),
        };
    }
    Ok(sum)
}

/// When so many keys of one and so many of another expire on average; 0 where that is not known of both.
fn mean_of_both((one, one_ms): (u64, u64), (other, other_ms): (u64, u64)) -> u64 {
    match (one, other) {
        (0, _) => other_ms,
        (_, 0) => one_ms,
        _ if one_ms == 0 || other_ms == 0 => 0,
        _ => {
            let sum_ms = u128::from(one) * u128::from(one_ms) + u128::from(other) * u128::from(other_ms);
            (sum_ms / u128::from(one + other)) as u64
        }
    }
}

/// Two logs as one: sums, and of what cannot be added the worse.
fn both(one: LogStatus, other: LogStatus) -> LogStatus {
    LogStatus {
        durability: weaker(one.durability, other.durability),
        latest: one.latest.max(other.latest),
        synced: one.synced.max(other.synced),
        segments: one.segments + other.segments,
        buffered_bytes: one.buffered_bytes + other.buffered_bytes,
        buffer_capacity_bytes: one.buffer_capacity_bytes + other.buffer_capacity_bytes,
        written_bytes: one.written_bytes + other.written_bytes,
        syncs: one.syncs + other.syncs,
        sync_ns: one.sync_ns + other.sync_ns,
        snapshots: one.snapshots + other.snapshots,
        last_snapshot: one.last_snapshot.min(other.last_snapshot),
        last_snapshot_time_ms: one.last_snapshot_time_ms.min(other.last_snapshot_time_ms),
        last_snapshot_bytes: one.last_snapshot_bytes + other.last_snapshot_bytes,
        snapshot_failure: one.snapshot_failure.or(other.snapshot_failure),
        snapshotting: one.snapshotting || other.snapshotting,
        shortage: one.shortage.or(other.shortage),
        poison: one.poison.or(other.poison),
    }
}

fn weaker(one: Durability, other: Durability) -> Durability {
    match (one, other) {
        (Durability::None, _) | (_, Durability::None) => Durability::None,
        (Durability::Interval { ms: one }, Durability::Interval { ms: other }) => {
            Durability::Interval { ms: one.max(other) }
        }
        (interval @ Durability::Interval { .. }, _) | (_, interval @ Durability::Interval { .. }) => interval,
        (Durability::Always, Durability::Always) => Durability::Always,
    }
}

/// Saves every shard that can be saved; an error if none can, or one fails.
pub(super) async fn save(core: &Core) -> Result<()> {
    let routes = core.routes.load_full();
    let members = core.asked(&routes);
    let none = members.iter().all(|(_, member)| !member.engine.capabilities().durable);
    let saved = |durable| none || durable;
    let mut answers = Vec::new();
    for (_, member) in members {
        if saved(member.engine.capabilities().durable) {
            answers.push((member, start(member.engine.save())));
        }
    }
    for (member, answer) in answers {
        answer.await.map_err(|error| member.named(error))?;
    }
    Ok(())
}

/// Closes every engine that ever was a shard; the first error, after all have been tried.
pub(super) async fn close(core: &Core) -> Result<()> {
    let mut outcome = Ok(());
    for (_, member) in core.members() {
        let closed = member.engine.close().await.map_err(|error| member.named(error));
        outcome = outcome.and(closed);
    }
    outcome
}
