//! More shards, fewer shards, other weights: asked for, tried out, watched and waited for.
//!
//! All of it is one thing: a ring that the present one changes into, by moving the keys whose owner is
//! another there and no others. The work is done in the background (`work.rs`, `moving.rs`), one change at a
//! time, and goes on after a restart where it was.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Sharded,
    core::{Core, too_many},
    figures,
    layout::{self, Moved, Seat, next_weights, ring_of},
    member::Shard,
    open::has_entries,
    ring::hash_of_key,
    routes::{Moving, Place},
    scan,
};
use crate::{
    engine::{Content, DATABASES, Engine, Order, Page, Scan, block_on},
    error::{Error, ErrorKind, Result},
};

/// Entries looked at together when a change is tried out.
const TRIED_TOGETHER: usize = 1024;

/// A shard and its part in the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// What it is called.
    pub name: String,
    /// Its weight now; 0 while it has no keys of its own.
    pub weight: u32,
    /// Its weight once the move that is going on is done; the same when there is none.
    pub next_weight: u32,
    /// Its part of all hashes, between 0 and 1: about its part of the keys.
    pub share: f64,
    /// Its engine's name.
    pub engine: &'static str,
    /// Why its keys fail for now, if they do.
    pub trouble: Option<String>,
}

/// What would move from one shard to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// From where.
    pub from: String,
    /// To where.
    pub to: String,
    /// So many entries.
    pub keys: u64,
    /// With so many bytes of keys and values.
    pub bytes: u64,
}

/// How a move is doing, or how the last one went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// It is going on.
    pub moving: bool,
    /// Entries moved so far, since the move or this run began.
    pub keys: u64,
    /// About how many there were to move then.
    pub expected_keys: u64,
    /// Bytes of keys and values moved so far.
    pub bytes: u64,
    /// How long it has taken so far, in milliseconds.
    pub elapsed_ms: u64,
    /// Entries a second, on average.
    pub keys_per_second: u64,
    /// Why it does not get on; it is tried again and again.
    pub trouble: Option<String>,
}

/// How fast keys are moved at most; `None` for as fast as it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Entries a second.
    pub keys_per_second: Option<u64>,
    /// Bytes a second.
    pub bytes_per_second: Option<u64>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { keys_per_second: Some(20_000), bytes_per_second: Some(32 * 1024 * 1024) }
    }
}

impl Sharded {
    /// All shards, in the order in which they came.
    pub fn list(&self) -> Vec<Listed> {
        let laid = self.core.laid.lock();
        let ring = self.core.routes.load().ring.clone();
        let shares = ring.shares(&ring);
        let listed = |(seat, number): (&Seat, &u8)| {
            let member = self.core.member(*number);
            Listed {
                name: seat.name.clone(),
                weight: seat.weight,
                next_weight: seat.next,
                share: shares.get(&(*number, *number)).copied().unwrap_or(0.0).min(1.0),
                engine: member.engine.capabilities().name,
                trouble: member.check().err().map(|error| error.to_string()),
            }
        };
        laid.layout.seats.iter().zip(&laid.numbers).map(listed).collect()
    }

    /// Adds a shard and begins to move to it what becomes its own. [`Exists`](ErrorKind::Exists) for a name
    /// that is taken; otherwise as [`rebalance`](Self::rebalance).
    pub fn add(&self, shard: Shard) -> Result<()> {
        shard.check()?;
        let (name, weight) = (shard.name.clone(), shard.weight);
        shard.check_durable(self.core.intents.is_some())?;
        let status = block_on(shard.engine.status());
        let store_id =
            status.map_err(|error| Error::new(error.kind(), format!("shard {name}: {error}")))?.store_id;
        {
            let mut laid = self.core.laid.lock();
            if laid.seat(&name).is_some() {
                return Err(Error::new(ErrorKind::Exists, format!("there is a shard {name} already")));
            }
            let number = self.core.add_again(shard)?;
            laid.numbers.push(number);
            laid.layout.seats.push(Seat { name: name.clone(), weight: 0, next: 0, store_id });
        }
        let begun = self.rebalance(&[(&name, weight)]);
        if begun.is_err() {
            self.core.laid.lock().remove(|seat| seat.name == name);
        }
        begun
    }

    /// Begins to empty a shard; once that is done it is none of the shards any more. Its engine stays open
    /// until the layer is closed. Errors as [`rebalance`](Self::rebalance).
    pub fn remove(&self, name: &str) -> Result<()> {
        let mut laid = self.core.laid.lock();
        if laid.seat(name).is_some_and(|seat| seat.weight == 0 && seat.next == 0) {
            // It was open beside the others and never had a key.
            laid.remove(|seat| seat.name == name);
            return Ok(());
        }
        drop(laid);
        self.rebalance(&[(name, 0)])
    }

    /// Gives shards other weights and begins to move what becomes another's; weight 0 removes a shard.
    /// [`NotFound`](ErrorKind::NotFound) for a name that is none, [`Unavailable`](ErrorKind::Unavailable)
    /// while keys are being moved already, [`Unsupported`](ErrorKind::Unsupported) if a shard takes no
    /// entries as they are, [`Invalid`](ErrorKind::Invalid) for a shard that has had no weight and has entries:
    /// they were never part of this store.
    pub fn rebalance(&self, weights: &[(&str, u32)]) -> Result<()> {
        let core = &*self.core;
        let expected = expected(core, weights)?;
        let numbers = core.laid.lock().numbers.clone();
        for number in numbers {
            let member = core.member(number);
            takes_entries(&member.name, &*member.engine)?;
        }
        self.refuse_strangers(weights)?;
        layout::change(core, &core.laid, |laid| {
            next_weights(&mut laid.layout, weights)?;
            laid.layout.moved = Some(Moved { before: Place::Start, done: Place::Start });
            Ok(())
        })?;
        set_out(core);
        core.start_moving(expected);
        Ok(())
    }

    /// Refuses a shard with entries of its own where one comes to the ring: moving would remove them.
    fn refuse_strangers(&self, weights: &[(&str, u32)]) -> Result<()> {
        for (name, weight) in weights {
            let seat = self.core.laid.lock().waiting(name).filter(|_| *weight > 0);
            let Some(member) = seat.map(|number| self.core.member(number)) else { continue };
            if has_entries(&*member.engine).map_err(|error| member.named(error))? {
                let message = format!(
                    "shard {name} has entries of its own, which it would lose as a part of this store: name an \
                     empty store, and copy these entries into the whole (`tresor copy`)"
                );
                return Err(Error::invalid(message));
            }
        }
        Ok(())
    }

    /// The engine of a shard that is there, or was there last under this name.
    pub fn engine(&self, name: &str) -> Option<Arc<dyn Engine>> {
        let named = self.core.members().filter(|(_, member)| member.name == name);
        named.last().map(|(_, member)| member.given.clone())
    }

    /// What [`rebalance`](Self::rebalance) with these weights would move, by shard; a name that is none
    /// stands for a new shard. Looks at all entries.
    pub fn try_out(&self, weights: &[(&str, u32)]) -> Result<Vec<Move>> {
        self.try_out_while(weights, &|| true)
    }

    /// The same for as long as it is asked to go on; [`Unavailable`](ErrorKind::Unavailable) when it is not.
    pub fn try_out_while(&self, weights: &[(&str, u32)], go_on: &dyn Fn() -> bool) -> Result<Vec<Move>> {
        let core = &*self.core;
        let (mut layout, mut numbers) = {
            let laid = core.laid.lock();
            (laid.layout.clone(), laid.numbers.clone())
        };
        for (name, _) in weights {
            if layout.seats.iter().all(|seat| seat.name != *name) {
                let free = (0..=u8::MAX).rev().find(|number| !numbers.contains(number));
                numbers.push(free.ok_or_else(too_many)?);
                layout.seats.push(Seat { name: (*name).to_owned(), weight: 0, next: 0, store_id: 0 });
            }
        }
        next_weights(&mut layout, weights)?;
        let next = ring_of(&layout, &numbers, |seat| seat.next);
        let names: BTreeMap<u8, &str> =
            numbers.iter().copied().zip(layout.seats.iter().map(|seat| seat.name.as_str())).collect();
        let mut moves: BTreeMap<(u8, u8), (u64, u64)> = BTreeMap::new();
        for database in 0..DATABASES {
            each_page(core, database, go_on, |page| {
                let routes = core.routes.load();
                for (key, entry) in page.iter() {
                    let hash = hash_of_key(key.key);
                    let (from, to) = (routes.ring.owner(hash), next.owner(hash));
                    if from != to {
                        let sum = moves.entry((from, to)).or_default();
                        let bytes = key.key.len() + key.member.len() + entry.value.bytes().len();
                        *sum = (sum.0 + 1, sum.1 + bytes as u64);
                    }
                }
            })?;
        }
        let named = |number| names.get(&number).copied().unwrap_or_default().to_owned();
        let told = |((from, to), (keys, bytes))| Move { from: named(from), to: named(to), keys, bytes };
        Ok(moves.into_iter().map(told).collect())
    }

    /// How the move that is going on is doing, or how the last one went.
    pub fn progress(&self) -> Progress {
        self.core.progress()
    }

    /// Blocks until no move is going on, or the layer is closed.
    pub fn wait(&self) -> Progress {
        self.core.wait_for_move();
        self.core.progress()
    }

    /// How fast keys are moved from now on.
    pub fn set_pace(&self, pace: Pace) {
        self.core.set_pace(pace);
    }
}

/// Has the routes lead to the ring that the layout says is next.
pub(super) fn set_out(core: &Core) {
    let laid = core.laid.lock();
    let Some(Moved { done, .. }) = laid.layout.moved.clone() else { return };
    let next = Arc::new(laid.ring(|seat| seat.next));
    core.change_routes(|routes| {
        routes.moving = Some(Moving { next, done, copying: None, settling: None });
        routes.members = laid.members();
    });
}

/// About how many entries a move to the next ring moves.
pub(super) fn expected(core: &Core, weights: &[(&str, u32)]) -> Result<u64> {
    let status = block_on(figures::status(core))?;
    let laid = core.laid.lock();
    let mut layout = laid.layout.clone();
    if !weights.is_empty() {
        next_weights(&mut layout, weights)?;
    }
    let next = ring_of(&layout, &laid.numbers, |seat| seat.next);
    let shares = core.routes.load().ring.shares(&next);
    let moved: f64 = shares.iter().filter(|((from, to), _)| from != to).map(|(_, share)| share).sum();
    Ok((status.keys.iter().sum::<u64>() as f64 * moved) as u64)
}

/// Refuses an engine that cannot be moved to.
pub(super) fn takes_entries(name: &str, engine: &dyn Engine) -> Result<()> {
    let adopted = block_on(engine.adopt(&Page::default(), 0, 0));
    adopted.map(drop).map_err(|error| Error::new(error.kind(), format!("shard {name}: {error}")))
}

fn each_page(core: &Core, database: u8, go_on: &dyn Fn() -> bool, mut each: impl FnMut(&Page)) -> Result<()> {
    let mut all = Scan::all(database, Order::Ascending, Content::Entries, TRIED_TOGETHER);
    loop {
        if !go_on() {
            return Err(Error::new(ErrorKind::Unavailable, "trying it out was broken off"));
        }
        let page = block_on(scan::scan(core, &all, 0))?;
        each(&page);
        match page.next {
            Some(next) => all.position = next,
            None => return Ok(()),
        }
    }
}
