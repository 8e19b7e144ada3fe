//! What every part of the layer shares: members, routes, stripes, and the way to a key.
//!
//! Members are never taken away while the layer is open, so a call to one may outlive the routes that led
//! to it. A call holds its keys' stripes until it has its answer: whoever then takes a stripe alone finds
//! nobody on the way by older routes.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::{
    intents::Intents,
    layout::Laid,
    member::{Member, Shard},
    ring::hash_of_key,
    routes::{Route, Routes},
    stripes::{Shared, Stripes},
    telling::Telling,
    work::Work,
};
use crate::{
    clock::Clock,
    engine::{Change, Eventual, KeyRef, Removals, cursors::Cursors},
    error::{Error, ErrorKind, Result},
    transaction::Gates,
};

/// Shards that one run of a program can have had.
pub(super) const MAX_MEMBERS: usize = 255;

/// The state behind the layer.
pub(super) struct Core {
    /// No other layer of this process has it.
    number: u64,
    members: Box<[OnceLock<Member>]>,
    pub(super) routes: ArcSwap<Routes>,
    /// That of the routes.
    version: AtomicU64,
    /// Held by whoever makes new routes from those that are.
    changing: Mutex<()>,
    /// Woken when there are new routes.
    waiting: Mutex<Vec<Waker>>,
    pub(super) stripes: Stripes,
    /// Entered by scans; passed before anything is removed where they may still look.
    pub(super) scans: Gates,
    /// Entered by counts; closed while a key may be on two shards.
    pub(super) counts: Gates,
    pub(super) cursors: Cursors,
    pub(super) store_id: u64,
    /// What is not done on all shards; none where nothing outlives the process.
    pub(super) intents: Option<Intents>,
    pub(super) work: Work,
    pub(super) laid: Mutex<Laid>,
    /// A key may be on two shards for longer than a step.
    unclean: AtomicBool,
    /// Who hears of what the members remove by themselves.
    removals: OnceLock<Arc<Removals>>,
    pub(super) telling: Telling,
    pub(super) clock: Arc<dyn Clock>,
}

thread_local! {
    /// The routes that this thread used last, and of which layer: asking whether they are still right costs
    /// one load, where sharing them between threads costs two atomic operations.
    static LAST: RefCell<(u64, Option<Arc<Routes>>)> = const { RefCell::new((0, None)) };
}

/// The number of the next layer of this process.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// A key whose stripe is held, and who has it.
pub(super) type Way<'a> = (Shared<'a>, &'a Member);

impl Core {
    pub(super) fn new(routes: Routes, laid: Laid, intents: Option<Intents>, clock: Arc<dyn Clock>) -> Self {
        Self {
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            version: AtomicU64::new(routes.version),
            members: (0..MAX_MEMBERS).map(|_| OnceLock::new()).collect(),
            routes: ArcSwap::from_pointee(routes),
            changing: Mutex::default(),
            waiting: Mutex::default(),
            stripes: Stripes::new(),
            scans: Gates::new(1),
            counts: Gates::new(1),
            cursors: Cursors::default(),
            store_id: laid.layout.store_id,
            intents,
            work: Work::default(),
            unclean: AtomicBool::new(laid.layout.moved.is_some()),
            laid: Mutex::new(laid),
            removals: OnceLock::new(),
            telling: Telling::default(),
            clock,
        }
    }

    /// Adds a member; its number, or none when there were too many.
    pub(super) fn add(self: &Arc<Self>, mut member: Member) -> Option<u8> {
        for (number, place) in self.members.iter().enumerate() {
            match place.set(member) {
                Ok(()) => {
                    if let Some(removals) = self.removals.get() {
                        self.tell_removals_of(number as u8, removals);
                    }
                    return Some(number as u8);
                }
                Err(refused) => member = refused,
            }
        }
        None
    }

    /// Adds a shard, in its old place if its engine was one before.
    pub(super) fn add_again(self: &Arc<Self>, shard: Shard) -> Result<u8> {
        let again = self
            .members()
            .find(|(_, member)| member.name == shard.name && Arc::ptr_eq(&member.given, &shard.engine));
        match again {
            Some((number, _)) => Ok(number),
            None => self.add(Member::new(shard)).ok_or_else(too_many),
        }
    }

    /// Has what the members remove by themselves told, of those too that come later; whether all do that are there.
    pub(super) fn tell_removals(self: &Arc<Self>, removals: &Arc<Removals>) -> bool {
        if self.removals.set(removals.clone()).is_err() {
            return false;
        }
        self.members().fold(true, |all, (number, _)| self.tell_removals_of(number, removals) && all)
    }

    fn tell_removals_of(self: &Arc<Self>, number: u8, removals: &Arc<Removals>) -> bool {
        // Weak, because the layer keeps the shards.
        let core = Arc::downgrade(self);
        let its_own = removals.through(move |key| {
            let core = core.upgrade()?;
            let routes = core.routes.load();
            let database = routes.mapping.iter().position(|physical| *physical == key.database)?;
            core.telling.tells(number, key, &routes).then_some(database as u8)
        });
        self.member(number).engine.tell_removals(&Arc::new(its_own))
    }

    /// Notes whether a key may be on two shards for longer than a step.
    pub(super) fn set_unclean(&self, unclean: bool) {
        self.unclean.store(unclean, Ordering::Release);
    }

    pub(super) fn is_unclean(&self) -> bool {
        self.unclean.load(Ordering::Acquire)
    }

    /// A member that routes name.
    #[inline]
    pub(super) fn member(&self, number: u8) -> &Member {
        self.members[usize::from(number)].get().expect("routes name members that were added before")
    }

    /// The member of a name that may have keys.
    pub(super) fn named(&self, name: &str) -> Option<&Member> {
        let routes = self.routes.load();
        routes.members.iter().map(|number| self.member(*number)).find(|member| member.name == name)
    }

    /// Has every later call fail: what is on disk is uncertain.
    #[cold]
    pub(super) fn poison(&self) {
        self.members().for_each(|(_, member)| member.poison());
    }

    /// All members that there ever were.
    pub(super) fn members(&self) -> impl Iterator<Item = (u8, &Member)> {
        self.members.iter().enumerate().map_while(|(number, place)| Some((number as u8, place.get()?)))
    }

    /// The members that may have keys.
    pub(super) fn asked<'a>(&'a self, routes: &Routes) -> Vec<(u8, &'a Member)> {
        routes.members.iter().map(|number| (*number, self.member(*number))).collect()
    }

    /// Makes new routes and wakes whoever waits for them.
    pub(super) fn change_routes(&self, change: impl FnOnce(&mut Routes)) {
        {
            let _changing = self.changing.lock();
            let mut routes = Routes::clone(&self.routes.load());
            change(&mut routes);
            routes.version += 1;
            let version = routes.version;
            self.routes.store(Arc::new(routes));
            self.version.store(version, Ordering::Release);
        }
        std::mem::take(&mut *self.waiting.lock()).into_iter().for_each(Waker::wake);
    }

    /// Waits until the routes are others than these.
    pub(super) async fn routes_after(&self, version: u64) {
        poll_fn(|context| {
            if self.routes.load().version != version {
                return Poll::Ready(());
            }
            self.waiting.lock().push(context.waker().clone());
            // Registered first, looked at second: a change in between finds the waker.
            if self.routes.load().version != version { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// The way to one key at once: nobody has its stripe alone, and its shard can be asked as it is.
    #[inline]
    pub(super) fn enter(&self, key: KeyRef<'_>, writes: bool) -> Option<Way<'_>> {
        let hash = hash_of_key(key.key);
        let shared = self.stripes.try_shared(hash)?;
        // Whoever changes the routes passes every stripe before it counts on it.
        let owner = self.with_routes(|routes| {
            let route = routes.route(key.key, hash);
            (!(writes && route.copying) && routes.is_plain()).then_some(route.owner)
        })?;
        let member = self.member(owner);
        member.check().is_ok().then_some((shared, member))
    }

    /// Looks at the routes as they are.
    #[inline]
    fn with_routes<T>(&self, look: impl Fn(&Routes) -> T) -> T {
        let version = self.version.load(Ordering::Acquire);
        let known = LAST.with_borrow(|(number, routes)| match routes {
            Some(routes) if *number == self.number && routes.version == version => Some(look(routes)),
            _ => None,
        });
        known.unwrap_or_else(|| {
            let routes = self.routes.load_full();
            let answer = look(&routes);
            LAST.set((self.number, Some(routes)));
            answer
        })
    }

    /// The same for the keys of several changes, if one shard has them all.
    pub(super) fn enter_all(&self, changes: &[Change<'_>]) -> Option<(SmallVec<[Shared<'_>; 16]>, &Member)> {
        let mut held = SmallVec::new();
        let mut owner = None;
        for change in changes {
            let key = change.key()?.key;
            let hash = hash_of_key(key);
            held.push(self.stripes.try_shared(hash)?);
            let routes = self.routes.load();
            let route: Route = routes.route(key, hash);
            if route.copying || !routes.is_plain() || *owner.get_or_insert(route.owner) != route.owner {
                return None;
            }
        }
        let member = self.member(owner?);
        member.check().is_ok().then_some((held, member))
    }
}

/// Passes on a shard's answer; what was held is held until it is there.
#[inline]
pub(super) fn pass<'a, T: Send + Unpin + 'a>(
    held: impl Send + 'a,
    member: &'a Member,
    answer: Eventual<'a, T>,
) -> Eventual<'a, T> {
    match answer {
        Eventual::Now(result) => {
            drop(held);
            Eventual::Now(result.map_err(|error| member.named(error)))
        }
        later => Eventual::later(async move {
            let result = later.await;
            drop(held);
            result.map_err(|error| member.named(error))
        }),
    }
}

/// Begins at once, as every call of an engine does: runs up to the first wait.
pub(in crate::layer) fn start<'a, T>(future: impl Future<Output = Result<T>> + Send + 'a) -> Eventual<'a, T> {
    let mut future = Box::pin(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Eventual::Now(result),
        Poll::Pending => Eventual::Later(future),
    }
}

pub(super) fn too_many() -> Error {
    let message = format!("{MAX_MEMBERS} shards have come and gone; start again to add more");
    Error::new(ErrorKind::Unavailable, message)
}
