//! Keyspace notifications: events of keys, published once what they tell of is durable.
//!
//! Sessions and engines hand in what has happened; who hands in publishes too, if it is durable already.
//! Otherwise a thread waits for the disk, and everything that comes meanwhile stands behind. Invariant:
//! nothing is told of before it is durable, nothing of a change that failed, and the events of a key come in
//! the order of its changes. With no class of events chosen all this is one relaxed load for a write.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    hash::RandomState,
    mem,
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::Poll,
    thread::{self, JoinHandle},
};

use parking_lot::Mutex;

use super::{
    Event, EventClasses, Hub,
    in_order::{InOrder, Place, place_of},
    told::Told,
};
use crate::{
    clock::Clock,
    engine::{Audience, Engine, Eventual, KeyRef, Removal, Removals, Sequence, block_on},
    error::{Error, ErrorKind, Result},
};

/// Events that may wait for the disk; those that come then are lost. Who writes waits for the disk as well, so
/// that it takes clients who want no replies to get there.
const WAITING: usize = 1 << 20;

/// The notifications of a database.
pub(crate) struct Notifications {
    classes: AtomicU32,
    shared: Arc<Shared>,
    removals: Arc<Removals>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    hub: Arc<Hub>,
    engine: Arc<dyn Engine>,
    clock: Arc<dyn Clock>,
    hasher: RandomState,
    /// A copy, for the thread.
    classes: AtomicU32,
    pending: Mutex<Pending>,
    lost: AtomicU64,
    stop: AtomicBool,
    waiter: OnceLock<thread::Thread>,
}

#[derive(Default)]
struct Pending {
    order: InOrder,
    ready: VecDeque<Told>,
    /// Somebody publishes, or waits until it may: everyone else leaves what is ready to it.
    busy: bool,
    /// What the thread waits to publish.
    handed: Vec<Told>,
}

impl Notifications {
    pub(crate) fn new(
        hub: Arc<Hub>,
        engine: Arc<dyn Engine>,
        clock: Arc<dyn Clock>,
        removals: Arc<Removals>,
    ) -> Self {
        let shared = Arc::new(Shared {
            hub,
            engine,
            clock,
            hasher: RandomState::new(),
            classes: AtomicU32::new(0),
            pending: Mutex::default(),
            lost: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            waiter: OnceLock::new(),
        });
        // Weak, because the engine has the listener and what listens has the engine.
        let told = Arc::downgrade(&shared);
        removals.listen(Audience::Notifications, move |removal, key, sequence| {
            if let Some(told) = told.upgrade() {
                told.removed(removal, key, sequence);
            }
        });
        Self { classes: AtomicU32::new(0), shared, removals, thread: Mutex::default() }
    }

    /// Whether anybody could hear of anything.
    #[inline]
    pub(crate) fn are_on(&self) -> bool {
        self.classes.load(Relaxed) != 0
    }

    /// Whether anybody could hear of an event.
    pub(crate) fn tell(&self, event: Event) -> bool {
        EventClasses::from_bits(self.classes.load(Relaxed)).tell(event)
    }

    /// The classes that were chosen.
    pub(crate) fn classes(&self) -> EventClasses {
        EventClasses::from_bits(self.shared.classes.load(Relaxed))
    }

    /// Chooses classes of events.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the system has no thread for them.
    pub(crate) fn choose(&self, classes: EventClasses) -> Result<()> {
        if classes.any() {
            self.start()?;
        }
        self.shared.classes.store(classes.bits(), Relaxed);
        self.classes.store(if classes.any() { classes.bits() } else { 0 }, Relaxed);
        self.removals
            .tell(Audience::Notifications, classes.tell(Event::Expired) || classes.tell(Event::Evicted));
        Ok(())
    }

    fn start(&self) -> Result<()> {
        let mut running = self.thread.lock();
        if running.is_some() {
            return Ok(());
        }
        let shared = self.shared.clone();
        let thread = thread::Builder::new().name("tresor-notify".into()).spawn(move || shared.run());
        let thread = thread.map_err(|error| {
            Error::new(ErrorKind::Unavailable, "cannot start the thread of notifications").caused_by(error)
        })?;
        self.shared.waiter.get_or_init(|| thread.thread().clone());
        *running = Some(thread);
        Ok(())
    }

    /// Ends the thread; what is not durable by now is not told of.
    pub(crate) fn stop(&self) {
        self.shared.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.lock().take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the thread of notifications panicked");
            }
        }
    }

    /// Keys are about to be changed; the places to finish with.
    pub(crate) fn begin<'a>(&self, keys: impl Iterator<Item = KeyRef<'a>>) -> Vec<Place> {
        let mut places: Vec<_> = keys.map(|key| place_of(&self.shared.hasher, key)).collect();
        places.sort_unstable();
        places.dedup();
        self.shared.pending.lock().order.begin(&places);
        places
    }

    /// They are changed, or not, and this is what happened. Publishes what is durable; who listens is woken by
    /// the caller, when there is no more to come for the moment.
    pub(crate) fn finish(&self, places: &[Place], told: Vec<Told>) {
        {
            let mut pending = self.shared.pending.lock();
            let Pending { order, ready, .. } = &mut *pending;
            let place = |told: &Told| place_of(&self.shared.hasher, KeyRef::new(told.database, &told.key));
            let told = told.into_iter().map(|told| (place(&told), told)).collect();
            order.finish(places, told, |told| self.shared.push(ready, told));
        }
        self.shared.publish_ready();
    }
}

impl Drop for Notifications {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn push(&self, ready: &mut VecDeque<Told>, told: Told) {
        if ready.len() < WAITING {
            return ready.push_back(told);
        }
        if self.lost.fetch_add(1, Relaxed) == 0 {
            tracing::warn!(waiting = WAITING, "keyspace notifications are lost: the disk does not keep up");
        }
    }

    /// Notes what an engine has removed by itself. Under the entry's lock: the thread does the rest.
    fn removed(&self, removal: Removal, key: KeyRef<'_>, sequence: Sequence) {
        let event = match removal {
            Removal::Expired => Event::Expired,
            Removal::Evicted => Event::Evicted,
        };
        if !EventClasses::from_bits(self.classes.load(Relaxed)).tell(event) || !key.member.is_empty() {
            return;
        }
        let told = Told { event, database: key.database, key: key.key.into(), number: sequence, sequence };
        let mut pending = self.pending.lock();
        let Pending { order, ready, .. } = &mut *pending;
        order.note(place_of(&self.hasher, key), told, |told| self.push(ready, told));
        drop(pending);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waiter) = self.waiter.get() {
            waiter.unpark();
        }
    }

    /// Publishes what is ready, if that is durable; else the thread will.
    fn publish_ready(&self) {
        loop {
            let mut pending = self.pending.lock();
            if pending.busy || pending.ready.is_empty() {
                return;
            }
            pending.busy = true;
            let told: Vec<_> = mem::take(&mut pending.ready).into();
            drop(pending);
            if !self.is_durable(&told) {
                self.pending.lock().handed = told;
                return self.wake();
            }
            self.publish(&told);
            self.pending.lock().busy = false;
        }
    }

    /// Whether all of it is known to be durable without waiting.
    fn is_durable(&self, told: &[Told]) -> bool {
        !self.engine.capabilities().takes_back
            && matches!(self.engine.durable(highest(told)), Eventual::Now(Ok(())))
    }

    /// The thread: waits for the disk in place of those who hand in.
    fn run(&self) {
        while !self.stop.load(Relaxed) {
            let told = mem::take(&mut self.pending.lock().handed);
            if told.is_empty() {
                self.publish_ready();
                self.hub.wake();
                if self.pending.lock().handed.is_empty() {
                    thread::park();
                }
                continue;
            }
            self.publish_once_durable(told);
            self.pending.lock().busy = false;
            self.publish_ready();
            self.hub.wake();
        }
    }

    fn publish_once_durable(&self, mut told: Vec<Told>) {
        if !self.engine.capabilities().takes_back {
            if self.becomes_durable(highest(&told)) {
                self.publish(&told);
            }
            return;
        }
        // Each number may be taken back by itself.
        let mut kept = (0, true);
        told.retain(|told| {
            if kept.0 != told.sequence {
                kept = (told.sequence, self.becomes_durable(told.sequence));
            }
            kept.1
        });
        self.publish(&told);
    }

    /// Waits until it is; false if it will never be, or the database is closing.
    fn becomes_durable(&self, sequence: Sequence) -> bool {
        let mut durable = pin!(self.engine.durable(sequence));
        block_on(poll_fn(|context| {
            if self.stop.load(Relaxed) {
                return Poll::Ready(false);
            }
            durable.as_mut().poll(context).map(|durable| durable.is_ok())
        }))
    }

    fn publish(&self, told: &[Told]) {
        let classes = EventClasses::from_bits(self.classes.load(Relaxed));
        let now_ms = self.clock.now_ms();
        let mut channel = Vec::new();
        for told in told.iter().filter(|told| classes.tell(told.event)) {
            let name = told.event.name().as_bytes();
            for (chosen, kind, end, payload) in [
                (classes.by_key(), "keyspace", &*told.key, name),
                (classes.by_event(), "keyevent", name, &*told.key),
            ] {
                if chosen {
                    channel.clear();
                    channel.extend_from_slice(format!("__{kind}@{}__:", told.database).as_bytes());
                    channel.extend_from_slice(end);
                    self.hub.publish(&channel, payload, now_ms);
                }
            }
        }
    }
}

fn highest(told: &[Told]) -> Sequence {
    told.iter().map(|told| told.sequence).max().unwrap_or(0)
}
