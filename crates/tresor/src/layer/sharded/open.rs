//! Opening a layer: its files, what an earlier run left in them, and the shards that it is told of.
//!
//! The file decides which shards there are and what they weigh, because that is what the keys went by. A
//! shard that the file does not know waits beside the others until it is given a weight.

use std::{path::Path, sync::Arc, sync::atomic::AtomicBool};

use super::{
    Sharded,
    core::{Core, too_many},
    intents::{Intents, Left},
    layout::{self, Laid, Layout, Moved, Seat},
    member::{Member, Shard},
    rebalance::{expected, set_out, takes_entries},
    routes::{Place, Routes},
    work::Worker,
};
use crate::{
    clock::{Clock, SystemClock},
    engine::{
        Content, DATABASES, Engine, Order, Scan, block_on, database_table::UNSWAPPED,
        json_file::place::Place as File,
    },
    error::{Error, ErrorKind, Result},
    files::{Files, SystemFiles},
};

/// Keys asked for at once when it only matters whether there are any.
const LOOKED_AT: usize = 16;

impl Sharded {
    /// A store over engines in memory that ends with the process. [`Invalid`](ErrorKind::Invalid) for an
    /// engine that outlives it: [`open`](Self::open) takes those.
    pub fn new(shards: impl IntoIterator<Item = Shard>) -> Result<Arc<Self>> {
        let seams = (Arc::new(SystemFiles) as Arc<dyn Files>, Arc::new(SystemClock::new()) as Arc<dyn Clock>);
        Self::open(None, seams, shards.into_iter().collect())
    }

    /// A store over these shards, whose layer keeps its own files in a directory: which shards there are,
    /// how far a move has come, and batches that are not done on all shards. These are finished first, and a
    /// move goes on. All shards that the directory knows must be given; their weights are those of the
    /// directory, and a shard that it does not know has none until [`rebalance`](Self::rebalance) gives it one.
    ///
    /// The first time, one of the shards may have entries already: it begins with all the weight, and a move
    /// to the weights given begins at once. [`Invalid`](ErrorKind::Invalid) if several have some.
    pub fn open(
        directory: Option<&Path>,
        (files, clock): (Arc<dyn Files>, Arc<dyn Clock>),
        shards: Vec<Shard>,
    ) -> Result<Arc<Self>> {
        check(&shards, directory.is_some())?;
        let mut file = None;
        let mut known = None;
        if let Some(directory) = directory {
            let path = directory.join(layout::NAME);
            let (place, bytes) = File::open(files.clone(), &path)?;
            let unreadable = |error: Error| Error::new(error.kind(), format!("{}: {error}", path.display()));
            known = bytes.map(|bytes| Layout::decode(&bytes)).transpose().map_err(unreadable)?;
            file = Some(place);
        }
        let layout = match known {
            Some(layout) => again(layout, &shards)?,
            None => first(&shards)?,
        };
        let numbers: Vec<u8> = (0..layout.seats.len() as u8).collect();
        let mut laid = Laid { layout, numbers, file };
        // Before any other file carries the layer's number.
        laid.save()?;
        let ring = Arc::new(laid.ring(|seat| seat.weight));
        let intents =
            directory.map(|directory| Intents::open(files, directory, laid.layout.layer)).transpose();
        let (intents, left) = intents?.unzip();
        let left = left.unwrap_or(Left { mapping: UNSWAPPED, intents: Vec::new() });
        let routes =
            Routes { version: 0, mapping: left.mapping, ring, moving: None, members: laid.members() };
        let core = Arc::new(Core::new(routes, laid, intents, clock));
        seat(&core, shards)?;
        resume(&core, left);
        let worker = Worker::start(core.clone())?;
        Ok(Arc::new(Self { core, worker, closed: AtomicBool::new(false) }))
    }
}

fn check(shards: &[Shard], layer_is_durable: bool) -> Result<()> {
    for (at, shard) in shards.iter().enumerate() {
        shard.check()?;
        shard.check_durable(layer_is_durable)?;
        if shards[..at].iter().any(|other| other.name == shard.name) {
            return Err(Error::invalid(format!("two shards are called {}", shard.name)));
        }
    }
    match shards.len() {
        0 => Err(Error::invalid("a sharded store needs a shard at least")),
        1..=super::core::MAX_MEMBERS => Ok(()),
        _ => Err(too_many()),
    }
}

/// The layout of shards that were never together before. Nobody knows by which weights keys came to several
/// of them, so only one may have some: a store of one engine, which this makes a sharded one.
fn first(shards: &[Shard]) -> Result<Layout> {
    let mut filled: Vec<&str> = Vec::new();
    for shard in shards {
        if has_entries(&*shard.engine).map_err(|error| named(shard, error))? {
            filled.push(&shard.name);
        }
    }
    if filled.len() > 1 {
        let message = format!(
            "shards {} have entries already, and nobody knows which key belongs where: only one may have some \
             when shards come together first. Begin with empty shards and copy the entries into them \
             (`tresor copy`)",
            filled.join(", ")
        );
        return Err(Error::invalid(message));
    }
    let begins = filled.first().filter(|_| shards.len() > 1);
    if begins.is_some() {
        shards.iter().try_for_each(|shard| takes_entries(&shard.name, &*shard.engine))?;
    }
    let seat = |shard: &Shard| {
        let store_id = store_id_of(shard)?;
        let weight = if begins.is_none_or(|begins| *begins == shard.name) { shard.weight } else { 0 };
        Ok(Seat { name: shard.name.clone(), weight, next: shard.weight, store_id })
    };
    let seats = shards.iter().map(seat).collect::<Result<_>>()?;
    let moved = begins.map(|_| Moved { before: Place::Start, done: Place::Start });
    Ok(Layout { layer: random()?, store_id: random()?, seats, moved })
}

/// Whether an engine has anything, expired entries included.
pub(super) fn has_entries(engine: &dyn Engine) -> Result<bool> {
    for database in 0..DATABASES {
        let mut scan = Scan::all(database, Order::Any, Content::Keys, LOOKED_AT);
        loop {
            let page = block_on(engine.scan(&scan, 0))?;
            if !page.is_empty() {
                return Ok(true);
            }
            match page.next {
                Some(next) => scan.position = next,
                None => break,
            }
        }
    }
    Ok(false)
}

/// The layout that a file says, with the shards that are there now.
fn again(mut layout: Layout, shards: &[Shard]) -> Result<Layout> {
    for seat in &mut layout.seats {
        let Some(shard) = shards.iter().find(|shard| shard.name == seat.name) else {
            let name = &seat.name;
            let message = format!(
                "shard {name} is missing; keys are on it. Name it again, or remove it while it is there"
            );
            return Err(Error::invalid(message));
        };
        let store_id = store_id_of(shard)?;
        if store_id != seat.store_id {
            // Its versions may come again: no ETag may hold that was given before.
            seat.store_id = store_id;
            layout.store_id = random()?;
        }
    }
    for shard in shards {
        if layout.seats.iter().all(|seat| seat.name != shard.name) {
            let store_id = store_id_of(shard)?;
            layout.seats.push(Seat { name: shard.name.clone(), weight: 0, next: 0, store_id });
        }
    }
    Ok(layout)
}

fn store_id_of(shard: &Shard) -> Result<u64> {
    let status = block_on(shard.engine.status());
    status.map(|status| status.store_id).map_err(|error| named(shard, error))
}

fn named(shard: &Shard, error: Error) -> Error {
    Error::new(error.kind(), format!("shard {}: {error}", shard.name))
}

/// Gives every seat its member.
fn seat(core: &Arc<Core>, mut shards: Vec<Shard>) -> Result<()> {
    let names: Vec<String> = core.laid.lock().layout.seats.iter().map(|seat| seat.name.clone()).collect();
    for name in names {
        let at = shards.iter().position(|shard| shard.name == name);
        let shard = shards.swap_remove(at.expect("a layout names only shards that are there"));
        core.add(Member::new(shard)).ok_or_else(too_many)?;
    }
    Ok(())
}

/// Finishes what an earlier run had begun, or leaves it to the thread.
fn resume(core: &Core, left: Left) {
    for (number, parts) in left.intents {
        core.mend(Some(number), parts);
    }
    if let Err(error) = core.mend_all() {
        tracing::warn!(%error, "a batch over several shards is not finished yet");
    }
    if core.laid.lock().layout.moved.is_some() {
        set_out(core);
        // Only a figure to show: a shard that does not answer now is asked again by the move.
        core.start_moving(expected(core, &[]).unwrap_or(0));
    }
}

fn random() -> Result<u64> {
    getrandom::u64().map_err(|error| {
        Error::new(ErrorKind::Internal, "the system gives no random numbers").caused_by(error)
    })
}
