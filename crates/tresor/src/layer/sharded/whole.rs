//! Batches over several shards, as one step: whole or not at all, for readers and through a crash.
//!
//! Under all their keys' stripes, alone: guards are looked at, what is to be is recorded as an intent and
//! made durable, every shard does its part, and when all parts are durable the intent is dropped. A part
//! that was refused for good (no room) has the others taken back. A part of which nothing is known, or that
//! cannot be taken back, is done again until it is done; its shard is set apart until then, so nobody sees
//! the half. Nobody writes to these keys before the intent is gone: doing it again never hides a later write.

use smallvec::{SmallVec, smallvec};

use super::{
    core::{Core, start},
    plan::Plan,
    ring::hash_of_key,
    routes::{Moving, Routes},
    stripes::Held,
    wanted::Wanted,
    write::physical,
};
use crate::{
    engine::{Applied, Batch, Change, Content, Effect, Order, Outcome, Scan},
    error::{Error, ErrorKind, Result},
};

/// Applies a batch, whatever shards it concerns.
pub(super) async fn write(core: &Core, batch: Batch<'_>, now_ms: u64) -> Result<Outcome> {
    let changes = batch.changes;
    let hashes: SmallVec<[u64; 16]> =
        changes.iter().filter_map(Change::key).map(|key| hash_of_key(key.key)).collect();
    loop {
        let reach = Reach::of(&core.routes.load(), changes);
        let held = match reach {
            Reach::One(_) => core.stripes.shared(&hashes).await,
            Reach::Several => core.stripes.exclusive(&hashes).await,
            Reach::All => core.stripes.all().await,
        };
        let routes = core.routes.load_full();
        if is_copied(&routes, changes) {
            drop(held);
            core.routes_after(routes.version).await;
            continue;
        }
        // The routes may have changed before the stripes were held.
        match (reach, Reach::of(&routes, changes)) {
            (Reach::One(_), Reach::One(owner)) => return one(core, &routes, owner, (batch, now_ms)).await,
            (Reach::One(_), _) => {}
            _ => return several(core, routes, (batch, now_ms), held).await,
        }
    }
}

/// How far a batch reaches.
#[derive(Clone, Copy)]
enum Reach {
    One(u8),
    Several,
    All,
}

impl Reach {
    fn of(routes: &Routes, changes: &[Change<'_>]) -> Self {
        let mut owner = None;
        for change in changes {
            let Some(key) = change.key() else { return Self::All };
            let owns = routes.owner(key.key);
            if *owner.get_or_insert(owns) != owns {
                // A change of whole databases may follow.
                let all = changes.iter().any(|change| change.key().is_none());
                return if all { Self::All } else { Self::Several };
            }
        }
        Self::One(owner.unwrap_or(routes.members[0]))
    }
}

fn is_copied(routes: &Routes, changes: &[Change<'_>]) -> bool {
    routes.moving.as_ref().is_some_and(Moving::holds_writes)
        && changes
            .iter()
            .any(|change| change.key().is_none_or(|key| routes.route(key.key, hash_of_key(key.key)).copying))
}

/// Gives a batch to the one shard that has all its keys.
async fn one(core: &Core, routes: &Routes, owner: u8, (batch, now_ms): (Batch<'_>, u64)) -> Result<Outcome> {
    let member = core.member(owner);
    member.check()?;
    let changes: Vec<Change<'_>> =
        batch.changes.iter().map(|change| physical(change, routes.mapping)).collect();
    let outcome = member.engine.write(Batch { changes: &changes, ..batch }, now_ms).await;
    outcome.map_err(|error| member.named(error))
}

/// Applies a batch to several shards, under the stripes that are held.
async fn several<'a>(
    core: &'a Core,
    routes: std::sync::Arc<Routes>,
    (batch, now_ms): (Batch<'a>, u64),
    held: Held<'a>,
) -> Result<Outcome> {
    let plan = match Plan::make(core, &routes, batch, now_ms).await? {
        Ok(plan) => plan,
        Err(refused) => return Ok(refused),
    };
    for part in &plan.parts {
        core.member(part.number).check()?;
    }
    let outcome = if plan.is_one_step() {
        let mut effects = Effects::of(&plan);
        let results = apply(core, &plan, now_ms).await;
        for (at, result) in results.into_iter().enumerate() {
            effects.take(&plan, at, result?);
        }
        effects.outcome()
    } else {
        in_step(core, &plan, now_ms).await?
    };
    drop(held);
    Ok(outcome)
}

/// Has every part done, or none.
async fn in_step(core: &Core, plan: &Plan<'_>, now_ms: u64) -> Result<Outcome> {
    let mut unfinished = Unfinished { core, plan, intent: None, armed: true };
    if let Some(intents) = &core.intents {
        let begun = intents.begin(&plan.after(core, |_| true), plan.mapping);
        unfinished.intent = Some(begun.number);
        if let Err(error) = begun.durable.await {
            unfinished.armed = false;
            if error.kind() == ErrorKind::Poisoned {
                // A start may find it and do it: nothing may be written that it would undo.
                core.poison();
            }
            return Err(error);
        }
    }
    let mut effects = Effects::of(plan);
    let mut failures: Vec<(usize, Error)> = Vec::new();
    for (at, result) in apply(core, plan, now_ms).await.into_iter().enumerate() {
        match settle(core, plan.parts[at].number, result).await {
            Ok(outcome) => effects.take(plan, at, outcome),
            Err(error) => failures.push((at, error)),
        }
    }
    if !failures.is_empty() {
        unfinished.armed = false;
        return Err(fail(core, plan, unfinished.intent, failures).await);
    }
    if let Some(mapping) = plan.mapping {
        core.change_routes(|routes| routes.mapping = mapping);
        effects.swapped(latest(core).await?);
    }
    forget(core, unfinished.intent).await?;
    unfinished.armed = false;
    Ok(effects.outcome())
}

/// Starts every part at once; their answers.
async fn apply(core: &Core, plan: &Plan<'_>, now_ms: u64) -> Vec<Result<Outcome>> {
    let answers: Vec<_> = plan
        .parts
        .iter()
        .map(|part| {
            let batch = Batch { changes: &part.changes, blind: plan.blind };
            start(core.member(part.number).engine.write(batch, now_ms))
        })
        .collect();
    let mut results = Vec::with_capacity(answers.len());
    for (answer, part) in answers.into_iter().zip(&plan.parts) {
        results.push(answer.await.map_err(|error| core.member(part.number).named(error)));
    }
    results
}

/// A part's outcome once it cannot be lost any more, where intents are kept.
async fn settle(core: &Core, number: u8, result: Result<Outcome>) -> Result<Outcome> {
    let outcome = result?;
    if core.intents.is_some() {
        let member = core.member(number);
        member.engine.durable(outcome.sequence).await.map_err(|error| member.named(error))?;
    }
    Ok(outcome)
}

/// Drops an intent, durably.
pub(super) async fn forget(core: &Core, intent: Option<u64>) -> Result<()> {
    match (&core.intents, intent) {
        (Some(intents), Some(number)) => {
            let gone = intents.drop_intent(number).await;
            // Done again it could hide a later write: none may come.
            gone.inspect_err(|_| core.poison())
        }
        _ => Ok(()),
    }
}

/// Takes back what was done, or sees to it that the rest is; what the caller is told.
async fn fail(core: &Core, plan: &Plan<'_>, intent: Option<u64>, mut failures: Vec<(usize, Error)>) -> Error {
    let refused = failures.iter().all(|(_, error)| is_refusal(error));
    let failed: Vec<usize> = failures.iter().map(|(at, _)| *at).collect();
    let (_, error) = failures.swap_remove(0);
    if refused && (failed.len() == plan.parts.len() || plan.can_be_taken_back()) {
        return take_back(core, plan, intent, &failed, error).await;
    }
    if let Some(mapping) = plan.mapping {
        core.change_routes(|routes| routes.mapping = mapping);
    }
    core.mend(intent, plan.after(core, |at| failed.contains(&at)));
    let message = format!("{error}; the batch is finished as soon as the shard answers");
    Error::new(ErrorKind::UnknownOutcome, message)
}

async fn take_back(
    core: &Core,
    plan: &Plan<'_>,
    intent: Option<u64>,
    failed: &[usize],
    error: Error,
) -> Error {
    let before = plan.before(core, |at| !failed.contains(&at));
    if !before.is_empty()
        && let (Some(intents), Some(number)) = (&core.intents, intent)
        && let Err(worse) = intents.replace(number, &before).await
    {
        // It is still to be done, and nobody may see what is done of it until it is.
        core.poison();
        return worse;
    }
    for (at, wanted) in before.iter().enumerate() {
        if let Some(member) = core.named(&wanted.shard)
            && let Err(worse) = wanted.enforce(member).await
        {
            core.mend(intent, before[at..].to_vec());
            let message = format!("{error}; nothing of the batch stays once this is over: {worse}");
            return Error::new(error.kind(), message);
        }
    }
    match forget(core, intent).await {
        Ok(()) => error,
        Err(worse) => worse,
    }
}

/// Whether a shard that answers this has certainly changed nothing.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::OutOfMemory
            | ErrorKind::DiskFull
            | ErrorKind::TooLarge
            | ErrorKind::Invalid
            | ErrorKind::Unsupported
    )
}

/// The latest number of any shard, at least 1.
async fn latest(core: &Core) -> Result<u64> {
    let routes = core.routes.load_full();
    let mut latest = 1;
    for (_, member) in core.asked(&routes) {
        let scan = Scan::all(0, Order::Ascending, Content::Keys, 1);
        let page = member.engine.scan(&scan, 0).await.map_err(|error| member.named(error))?;
        latest = latest.max(page.sequence);
    }
    Ok(latest)
}

/// A batch that has begun. Whoever drops it halfway leaves the rest to be done.
struct Unfinished<'p, 'a> {
    core: &'p Core,
    plan: &'p Plan<'a>,
    intent: Option<u64>,
    armed: bool,
}

impl Drop for Unfinished<'_, '_> {
    fn drop(&mut self) {
        if self.armed {
            if let Some(mapping) = self.plan.mapping {
                self.core.change_routes(|routes| routes.mapping = mapping);
            }
            let wanted: Vec<Wanted> = self.plan.after(self.core, |_| true);
            self.core.mend(self.intent, wanted);
        }
    }
}

/// The effects of all parts in the order of the changes.
struct Effects {
    sequence: u64,
    effects: SmallVec<[Effect; 1]>,
    known: Vec<bool>,
}

impl Effects {
    fn of(plan: &Plan<'_>) -> Self {
        let nothing = Effect { existed: false, version: 0 };
        let effects = smallvec![nothing; plan.changes];
        Self { sequence: plan.sequence, effects, known: vec![false; plan.changes] }
    }

    fn take(&mut self, plan: &Plan<'_>, at: usize, outcome: Outcome) {
        self.sequence = self.sequence.max(outcome.sequence);
        let Applied::Whole(effects) = outcome.applied else { return };
        for (index, effect) in plan.parts[at].indexes.iter().zip(effects) {
            let all = &mut self.effects[*index];
            // A cleared database has one effect, of as many shards as there are.
            *all = Effect { existed: effect.existed, version: effect.version.max(all.version) };
            self.known[*index] = true;
        }
    }

    /// What no shard has an effect of is a swap: it has the number that was reached by then.
    fn swapped(&mut self, latest: u64) {
        self.sequence = self.sequence.max(latest);
        for (effect, known) in self.effects.iter_mut().zip(&self.known) {
            if !known {
                effect.version = self.sequence;
            }
        }
    }

    fn outcome(self) -> Outcome {
        Outcome { sequence: self.sequence, applied: Applied::Whole(self.effects) }
    }
}
