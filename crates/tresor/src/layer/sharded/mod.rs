//! Shards: one store over several engines, each with a part of the keys, and more of them while it serves.
//!
//! Which shard has a key follows from the key and from the shards' names and weights (`ring.rs`,
//! `routes.rs`). A command with one key is one shard's; what concerns several is one step all the same
//! (`stripes.rs`, `whole.rs`), also through a crash (`intents.rs`). Why it is made this way:
//! `docs/decisions/0010-shards.md`.

mod adopt;
mod core;
mod figures;
mod intent;
mod intents;
mod layout;
mod member;
mod moving;
mod open;
mod plan;
mod read;
mod rebalance;
pub mod ring;
mod routes;
mod scan;
mod stripes;
mod telling;
mod wanted;
mod whole;
mod work;
mod write;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

pub(in crate::layer) use self::core::start;
pub(crate) use self::member::needs_directory;
use self::{core::Core, work::Worker};
pub use self::{
    member::{MAX_NAME_BYTES, Shard},
    rebalance::{Listed, Move, Pace, Progress},
};
use crate::{
    engine::{
        Batch, Capabilities, Change, Count, Each, Edit, Engine, Eventual, Isolation, KeyRef, Outcome, Page,
        Removals, Scan, Seen, Sequence, Status, Visit,
    },
    error::Result,
};

/// Several engines as one.
pub struct Sharded {
    core: Arc<Core>,
    worker: Worker,
    closed: AtomicBool,
}

impl Sharded {
    async fn close_now(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.worker.stop(&self.core);
        if let Some(intents) = &self.core.intents {
            intents.close();
        }
        let closed = figures::close(&self.core).await;
        // Another may open the layer now.
        self.core.laid.lock().file = None;
        closed
    }
}

impl Engine for Sharded {
    fn capabilities(&self) -> Capabilities {
        let start = Capabilities {
            name: "sharded",
            atomic_batches: true,
            guards: true,
            ordered: true,
            swap: true,
            durable: true,
            shared: false,
            takes_back: false,
            // For moves too, and any engine may join.
            waits: true,
            max_value_bytes: usize::MAX,
        };
        let routes = self.core.routes.load();
        self.core.asked(&routes).into_iter().fold(start, |all, (_, member)| {
            let one = member.engine.capabilities();
            Capabilities {
                name: all.name,
                atomic_batches: all.atomic_batches && one.atomic_batches,
                guards: all.guards && one.guards,
                ordered: all.ordered && one.ordered,
                swap: all.swap && one.swap,
                durable: all.durable && one.durable,
                shared: all.shared || one.shared,
                takes_back: all.takes_back,
                waits: all.waits,
                max_value_bytes: all.max_value_bytes.min(one.max_value_bytes),
            }
        })
    }

    #[inline]
    fn read<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        isolation: Isolation,
        now_ms: u64,
        visit: &'a mut Visit<'a>,
    ) -> Eventual<'a, Seen> {
        read::read(&self.core, keys, isolation, now_ms, visit)
    }

    fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
        scan::scan(&self.core, scan, now_ms)
    }

    #[inline]
    fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
        write::write(&self.core, batch, now_ms)
    }

    fn write_each<'a>(&'a self, changes: &'a [Change<'a>], now_ms: u64) -> Eventual<'a, Each> {
        write::write_each(&self.core, changes, now_ms)
    }

    fn update<'a>(&'a self, key: KeyRef<'a>, now_ms: u64, edit: &'a mut Edit<'_>) -> Eventual<'a, Outcome> {
        write::update(&self.core, key, now_ms, edit)
    }

    fn adopt<'a>(&'a self, entries: &'a Page, above: Sequence, now_ms: u64) -> Eventual<'a, Sequence> {
        start(adopt::adopt(&self.core, entries, above, now_ms))
    }

    fn durable(&self, upto: Sequence) -> Eventual<'_, ()> {
        figures::durable(&self.core, upto)
    }

    fn count(&self, database: u8) -> Eventual<'_, Count> {
        start(figures::count(&self.core, database))
    }

    fn status(&self) -> Eventual<'_, Status> {
        start(figures::status(&self.core))
    }

    fn tell_removals(&self, removals: &Arc<Removals>) -> bool {
        self.core.tell_removals(removals)
    }

    fn save(&self) -> Eventual<'_, ()> {
        start(figures::save(&self.core))
    }

    fn close(&self) -> Eventual<'_, ()> {
        start(self.close_now())
    }
}

impl Drop for Sharded {
    fn drop(&mut self) {
        if let Err(error) = crate::engine::block_on(self.close_now()) {
            tracing::error!(%error, "closing the shards failed");
        }
    }
}
