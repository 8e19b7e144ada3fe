//! MULTI and EXEC: commands that are queued, and executed as one step that nobody sees half of.
//!
//! EXEC runs the queue over an overlay and applies one batch, inside its gate from start to end. With no
//! transaction open it locks nothing: the batch is guarded by the version of everything that was read, and if
//! somebody came in between it runs again; after a few times it makes everybody look at locks, and takes
//! them. A queue of nothing but plain SETs, which read nothing, needs no overlay: it is the batch. Commands
//! whose keys cannot be told beforehand run with all gates taken. Unlike a transaction with locks, and as in
//! Redis, a command that fails keeps none of the others from being applied.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc};

use smallvec::SmallVec;

use super::{Session, isolated::Wanted};
use crate::{
    command::{Args, CATALOG, Command, CommandId, Flag, Row, database_number, dispatch},
    engine::{Applied, Batch, Change, Guard, KeyRef, Version},
    error::{Error, ErrorKind, Result},
    publish::Wording,
    reply::ReplyWriter,
    transaction::{Discipline, Mode, State, Target, Transaction},
};

/// How often a queue is run again without locks after somebody came in between.
const ATTEMPTS_WITHOUT_LOCKS: usize = 3;

/// Bytes that remembering a queued command takes, beside its words.
const COMMAND_BYTES: usize = 64;

/// The most bytes of a queue whose memory is kept for the next one of the same client.
const KEPT_QUEUE_BYTES: usize = 4096;

/// SET, a key, a value.
const PLAIN_SET_WORDS: usize = 3;

/// What plain SETs change, and before that what must hold for them.
type Puts<'a> = SmallVec<[Change<'a>; 16]>;

/// Commands between MULTI and EXEC.
#[derive(Default)]
pub(super) struct Queue {
    bytes: Vec<u8>,
    /// Where each word ends in `bytes`.
    ends: Vec<usize>,
    /// Each command and where its words end in `ends`.
    commands: Vec<(CommandId, usize)>,
    /// A command could not be queued: EXEC will refuse.
    spoiled: bool,
}

/// A key under WATCH, and its version then; `None` if it was absent.
pub(super) struct Watched {
    database: u8,
    key: Box<[u8]>,
    version: Option<Version>,
}

impl Watched {
    fn check(&self) -> Change<'_> {
        Change::Check { key: KeyRef::new(self.database, &self.key), guard: guard_of(self.version) }
    }
}

/// What holds of an entry that is as it was seen.
fn guard_of(version: Option<Version>) -> Guard {
    version.map_or(Guard::Absent, Guard::Version)
}

/// What running a queue came to.
enum Ran {
    Applied,
    /// A watched key has changed.
    WatchFailed,
    /// Something that it read has changed meanwhile.
    Overtaken,
}

impl Queue {
    fn push(&mut self, command: Command<'_>) {
        for word in command.args {
            self.bytes.extend_from_slice(word);
            self.ends.push(self.bytes.len());
        }
        self.commands.push((command.row.id, self.ends.len()));
    }

    /// Forgets all, and keeps its memory if that is little.
    fn cleared(mut self) -> Option<Self> {
        if self.held_bytes() > KEPT_QUEUE_BYTES {
            return None;
        }
        self.bytes.clear();
        self.ends.clear();
        self.commands.clear();
        self.spoiled = false;
        Some(self)
    }

    fn held_bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<usize>() + self.commands.len() * COMMAND_BYTES
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static Row, SmallVec<[&[u8]; 8]>)> {
        let (mut word, mut start) = (0, 0);
        self.commands.iter().map(move |(id, end)| {
            let ends = &self.ends[word..*end];
            word = *end;
            let words = ends.iter().map(|end| &self.bytes[std::mem::replace(&mut start, *end)..*end]);
            (&CATALOG[*id as usize], words.collect())
        })
    }

    /// Keys and values, if there is nothing but SETs without options.
    fn plain_sets(&self) -> Option<impl Iterator<Item = (&[u8], &[u8])>> {
        let mut end = 0;
        let is_plain = self.commands.iter().all(|(id, its_end)| {
            end += PLAIN_SET_WORDS;
            *id == CommandId::Set && *its_end == end
        });
        let pair = |ends: &[usize]| (&self.bytes[ends[0]..ends[1]], &self.bytes[ends[1]..ends[2]]);
        is_plain.then(|| self.ends.chunks_exact(PLAIN_SET_WORDS).map(pair))
    }

    /// Whether some command's keys cannot be told from its words.
    fn is_unbounded(&self) -> bool {
        self.commands.iter().any(|(id, _)| {
            let row = &CATALOG[*id as usize];
            row.keys.first == 0 && (row.has(Flag::Readonly) || row.has(Flag::Write))
        })
    }

    /// Whether some command subscribes or publishes, which is not to be done twice.
    fn speaks(&self) -> bool {
        self.commands.iter().any(|(id, _)| CATALOG[*id as usize].has(Flag::PubSub))
    }

    /// The keys that it touches, by database.
    fn keys(&self, mut database: u8) -> Vec<(u8, &[u8])> {
        let mut keys = Vec::new();
        for (row, words) in self.iter() {
            keys.extend(row.keys.places(words.len()).map(|place| (database, words[place])));
            if row.id == CommandId::Select
                && let Some(selected) = words.get(1).and_then(|word| database_number(word).ok())
            {
                database = selected;
            }
        }
        keys
    }
}

impl Session {
    /// How many commands MULTI has queued; `None` outside MULTI.
    pub fn queued(&self) -> Option<usize> {
        self.queue().map(|queue| queue.commands.len())
    }

    fn queue(&self) -> Option<&Queue> {
        self.isolated.as_ref().and_then(|isolated| isolated.queue.as_ref())
    }

    /// Notes that a command could not be queued.
    #[inline]
    pub(super) fn spoil_queue(&mut self) {
        if self.gathers
            && let Some(queue) = self.isolated().queue.as_mut()
        {
            queue.spoiled = true;
        }
    }

    pub(crate) fn begin_queue(&mut self) -> Result<()> {
        if self.queue().is_some() {
            return Err(Error::invalid("MULTI calls can not be nested"));
        }
        if self.bound().is_some() {
            return Err(Error::invalid(
                "MULTI inside a transaction with locks: TRESOR.COMMIT or TRESOR.ABORT first",
            ));
        }
        let isolated = self.isolated();
        isolated.queue = Some(isolated.spare_queue.take().unwrap_or_default());
        self.gathers = true;
        self.note_queue();
        Ok(())
    }

    pub(crate) fn discard_queue(&mut self) -> Result<()> {
        if self.isolated().queue.take().is_none() {
            return Err(Error::invalid("DISCARD without MULTI"));
        }
        self.gathers = false;
        self.unwatch();
        self.note_queue();
        Ok(())
    }

    fn note_queue(&self) {
        self.client().note_queued(self.queued());
    }

    pub(crate) fn unwatch(&mut self) {
        self.isolated().watched.clear();
        self.client().note_watched(0);
    }

    pub(crate) async fn watch(&mut self, keys: &[KeyRef<'_>]) -> Result<()> {
        if self.queue().is_some() {
            return Err(Error::invalid("WATCH inside MULTI is not allowed"));
        }
        if self.bound().is_some() {
            return Err(Error::invalid(
                "WATCH inside a transaction with locks: reading a key is enough there",
            ));
        }
        let mut versions = SmallVec::<[Option<Version>; 8]>::new();
        self.told_as(Wording::Unread);
        self.read_together(keys, |_, entry| versions.push(entry.map(|entry| entry.version))).await?;
        let isolated = self.isolated();
        for (key, version) in keys.iter().zip(versions) {
            let known = |watched: &Watched| watched.database == key.database && *watched.key == *key.key;
            if !isolated.watched.iter().any(known) {
                let key = Watched { database: key.database, key: key.key.into(), version };
                isolated.watched.push(key);
            }
        }
        let watched = isolated.watched.len();
        self.client().note_watched(watched);
        Ok(())
    }

    /// The transaction that TRESOR.BEGIN has begun on this connection.
    pub(crate) fn bound(&self) -> Option<u64> {
        self.isolated.as_ref().and_then(|isolated| isolated.bound)
    }

    /// Lets every command belong to a transaction from now on, or to none.
    pub(crate) fn bind(&mut self, id: Option<u64>) {
        self.isolated().bound = id;
        self.gathers = id.is_some();
    }

    /// Whether the client is inside MULTI, and this is not one of the few commands that are executed at once.
    #[inline]
    pub(super) fn is_to_be_queued(&self, command: Command<'_>) -> bool {
        use CommandId as Id;
        self.queue().is_some()
            && !matches!(
                command.row.id,
                Id::Exec | Id::Discard | Id::Multi | Id::Watch | Id::Quit | Id::Reset
            )
    }

    /// A command of a client that is inside a transaction, or one that MULTI does not queue.
    pub(super) async fn execute_gathered(
        &mut self,
        command: Command<'_>,
        reply: &mut ReplyWriter,
    ) -> Result<()> {
        use CommandId as Id;
        let id = command.row.id;
        let Some(bound) = self.bound() else { return dispatch(id, self, command.args, reply).await };
        let outside = matches!(
            id,
            Id::TresorCommit
                | Id::TresorAbort
                | Id::TresorRollback
                | Id::TresorBegin
                | Id::Multi
                | Id::Watch
                | Id::Quit
                | Id::Reset
        );
        if outside {
            return dispatch(id, self, command.args, reply).await;
        }
        self.enter_transaction(bound)?;
        let result = dispatch(id, self, command.args, reply).await;
        self.leave_transaction();
        result
    }

    pub(super) fn enqueue(&mut self, command: Command<'_>, reply: &mut ReplyWriter) -> Result<()> {
        if command.row.has(Flag::NoMulti) {
            self.spoil_queue();
            return Err(Error::invalid("Command not allowed inside a transaction"));
        }
        let limit = self.core.transactions.limits.max_bytes;
        let Some(queue) = self.isolated().queue.as_mut() else { return Ok(()) };
        let words: usize = command.args.iter().map(|word| word.len()).sum();
        if queue.held_bytes() + words + COMMAND_BYTES > limit {
            self.spoil_queue();
            let message =
                format!("what MULTI has queued would be over {limit} bytes: raise --max-transaction-bytes");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        if !queue.spoiled {
            queue.push(command);
        }
        reply.simple("QUEUED");
        self.note_queue();
        Ok(())
    }

    /// Executes what is queued.
    pub(crate) async fn execute_queue(&mut self, reply: &mut ReplyWriter) -> Result<()> {
        let isolated = self.isolated();
        let Some(queue) = isolated.queue.take() else { return Err(Error::invalid("EXEC without MULTI")) };
        let watched = std::mem::take(&mut isolated.watched);
        self.gathers = false;
        self.client().note_watched(0);
        self.note_queue();
        if queue.spoiled {
            return Err(Error::invalid("EXECABORT Transaction discarded because of previous errors."));
        }
        let result = self.run_until_applied(&queue, &watched, reply).await;
        self.isolated().spare_queue = queue.cleared();
        result
    }

    async fn run_until_applied(
        &mut self,
        queue: &Queue,
        watched: &[Watched],
        reply: &mut ReplyWriter,
    ) -> Result<()> {
        let (mark, selected) = (reply.mark(), self.selected());
        let mut without_locks = ATTEMPTS_WITHOUT_LOCKS;
        loop {
            let ran = match (queue.speaks(), queue.is_unbounded()) {
                (true, _) => self.run_speaking(queue, watched, reply).await?,
                (false, true) => self.run_alone(queue, watched, reply).await?,
                (false, false) => self.run_together(queue, watched, reply).await?,
            };
            match ran {
                Ran::Applied => {
                    self.tell_monitors_of(queue, selected);
                    return Ok(());
                }
                Ran::WatchFailed => {
                    reply.rewind(mark);
                    self.select(selected);
                    reply.null_array();
                    return Ok(());
                }
                Ran::Overtaken => {
                    reply.rewind(mark);
                    self.select(selected);
                    without_locks -= 1;
                    if without_locks == 0 {
                        self.make_everyone_lock().await?;
                        without_locks = ATTEMPTS_WITHOUT_LOCKS;
                    }
                }
            }
        }
    }

    /// Sees to it that commands look at locks for a while.
    async fn make_everyone_lock(&mut self) -> Result<()> {
        let core = self.core.clone();
        core.transactions.linger()?;
        self.raise_flag(&core).await;
        Ok(())
    }

    async fn run_alone(
        &mut self,
        queue: &Queue,
        watched: &[Watched],
        reply: &mut ReplyWriter,
    ) -> Result<Ran> {
        let core = self.core.clone();
        let alone = self.alone(&core).await?;
        let ran = self.run(queue, watched, Discipline::Owning, reply).await;
        drop(alone);
        self.come_back().await;
        ran
    }

    /// Runs a queue that subscribes or publishes: what did not happen is not heard of.
    async fn run_speaking(
        &mut self,
        queue: &Queue,
        watched: &[Watched],
        reply: &mut ReplyWriter,
    ) -> Result<Ran> {
        let before = self.listening_to();
        let ran = self.run_alone(queue, watched, reply).await;
        let applied = matches!(ran, Ok(Ran::Applied));
        self.publish_queued(applied);
        if !applied {
            self.restore_listening(&before, reply.protocol()).await;
        }
        ran
    }

    async fn run_together(
        &mut self,
        queue: &Queue,
        watched: &[Watched],
        reply: &mut ReplyWriter,
    ) -> Result<Ran> {
        if self.direct {
            return match self.plain_puts(queue, watched) {
                Some(puts) => self.run_plain_puts(queue, &puts, reply).await,
                None => self.run(queue, watched, Discipline::Optimistic, reply).await,
            };
        }
        let keys = queue.keys(self.selected());
        let target = |(database, key)| (Target::Key { database, key }, Mode::Exclusive);
        let wanted: Wanted<'_> = keys.into_iter().map(target).collect();
        let _hold = self.hold(&wanted).await?;
        // Optimistic all the same: the last transaction may end any time, and others then look at no locks.
        self.run(queue, watched, Discipline::Optimistic, reply).await
    }

    /// The batch that a queue of plain SETs is, behind a check of each watched key; `None` for any other queue,
    /// and while changes, or commands, are told of one by one.
    fn plain_puts<'a>(&self, queue: &'a Queue, watched: &'a [Watched]) -> Option<Puts<'a>> {
        if self.core.notifications.are_on() || self.timing.each {
            return None;
        }
        let mut puts: Puts<'a> = watched.iter().map(Watched::check).collect();
        for (key, value) in queue.plain_sets()? {
            puts.push(self.plain_set(key, value)?);
        }
        Some(puts)
    }

    async fn run_plain_puts(
        &mut self,
        queue: &Queue,
        puts: &[Change<'_>],
        reply: &mut ReplyWriter,
    ) -> Result<Ran> {
        let commands = queue.commands.len();
        let exec = self.begin_inner();
        self.begin_command(CommandId::Set, commands as u64);
        self.end_inner(exec);
        reply.array(commands);
        if puts.is_empty() {
            return Ok(Ran::Applied);
        }
        let outcome = self.core.engine.write(Batch::blind(puts), self.now_ms).await?;
        self.saw(outcome.sequence);
        match outcome.applied {
            Applied::Whole(_) => (0..commands).for_each(|_| reply.ok()),
            Applied::Refused { .. } => return Ok(Ran::WatchFailed),
        }
        Ok(Ran::Applied)
    }

    /// Runs the queue and applies what it has written.
    async fn run(
        &mut self,
        queue: &Queue,
        watched: &[Watched],
        discipline: Discipline,
        reply: &mut ReplyWriter,
    ) -> Result<Ran> {
        let transaction = Arc::new(Transaction::unlisted(discipline));
        (self.scope, self.direct, self.pinned) = (Some(transaction.clone()), false, true);
        reply.array(queue.commands.len());
        let exec = self.begin_inner();
        let mut puts = Puts::new();
        for (row, words) in queue.iter() {
            // Neighbouring plain SETs are one write.
            if !self.timing.each
                && let Some((CommandId::Set, put)) = self.plain_put(&words)
            {
                puts.push(put);
                continue;
            }
            self.run_puts(&mut puts, reply).await;
            let mark = reply.mark();
            self.begin_command(row.id, 1);
            if let Err(error) = self.run_one(row.id, &words, reply).await {
                reply.rewind(mark);
                self.fail_one(row.id, &error, reply);
            }
            self.end_command(Command { row, args: &words });
        }
        self.run_puts(&mut puts, reply).await;
        self.end_inner(exec);
        let ran = self.apply_queue(&transaction, watched).await;
        self.scope = None;
        self.pinned = false;
        self.direct = !self.core.transactions.are_open();
        ran
    }

    async fn run_puts(&mut self, puts: &mut Puts<'_>, reply: &mut ReplyWriter) {
        if puts.is_empty() {
            return;
        }
        self.begin_command(CommandId::Set, puts.len() as u64);
        let written = self.write_batch(Batch::blind(puts)).await;
        self.end_puts(CommandId::Set, puts);
        for _ in puts.drain(..) {
            match &written {
                Ok(_) => reply.ok(),
                Err(error) => self.fail_one(CommandId::Set, error, reply),
            }
        }
    }

    /// A command inside EXEC; boxed, because EXEC is one of the commands.
    fn run_one<'a>(
        &'a mut self,
        id: CommandId,
        words: Args<'a>,
        reply: &'a mut ReplyWriter,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>> {
        Box::pin(dispatch(id, self, words, reply))
    }

    async fn apply_queue(&mut self, transaction: &Transaction, watched: &[Watched]) -> Result<Ran> {
        let mut state = transaction.with(std::mem::take);
        if state.overtaken {
            return Ok(Ran::Overtaken);
        }
        let mut events = std::mem::take(&mut state.events);
        let Some(guarded) = Guarded::of(&state, watched) else { return Ok(Ran::WatchFailed) };
        if guarded.changes.is_empty() {
            self.tell_kept(events);
            return Ok(Ran::Applied);
        }
        let outcome = self.write_whole(&guarded.changes, &mut events).await?;
        self.saw(outcome.sequence);
        Ok(match outcome.applied {
            Applied::Whole(_) => Ran::Applied,
            Applied::Refused { index, .. } if guarded.watches.get(index) == Some(&true) => Ran::WatchFailed,
            Applied::Refused { .. } => Ran::Overtaken,
        })
    }
}

/// A batch with what must hold for it.
struct Guarded<'a> {
    changes: Vec<Change<'a>>,
    /// Which of them fail because of a watched key; none where there is nothing.
    watches: Vec<bool>,
}

impl<'a> Guarded<'a> {
    /// `None` if a watched key was seen to have changed already.
    fn of(state: &'a State, watched: &'a [Watched]) -> Option<Self> {
        let changes = state.overlay.changes();
        // What was read of one key is of one moment anyway.
        let seen = if changes.is_empty() && watched.is_empty() && state.seen.len() < 2 {
            None
        } else {
            Some(&state.seen)
        };
        let seen = seen.into_iter().flatten();
        // What a key's version must be, and whether it is watched.
        type Wanted = (Option<Version>, bool);
        let mut guards: BTreeMap<(u8, &[u8]), Wanted> =
            seen.map(|((database, key), version)| ((*database, &**key), (*version, false))).collect();
        for watch in watched {
            let before = guards.insert((watch.database, &watch.key), (watch.version, true));
            if before.is_some_and(|(version, _)| version != watch.version) {
                return None;
            }
        }
        if guards.is_empty() {
            return Some(Self { changes, watches: Vec::new() });
        }
        let mut guarded = Self { changes: Vec::new(), watches: Vec::new() };
        // Where whole databases change too, keys are not what they were called before.
        let moves = changes.iter().any(|change| change.key().is_none());
        let mut own = Vec::with_capacity(changes.len());
        for mut change in changes {
            let place = change.key().filter(|_| !moves).map(|key| (key.database, key.key));
            let (version, watch) = place.and_then(|place| guards.remove(&place)).unzip();
            if let (Some(version), Change::Put { guard, .. } | Change::Delete { guard, .. }) =
                (version, &mut change)
            {
                *guard = guard_of(version);
            }
            own.push((change, watch.unwrap_or(false)));
        }
        for ((database, key), (version, watch)) in guards {
            let check = Change::Check { key: KeyRef::new(database, key), guard: guard_of(version) };
            guarded.changes.push(check);
            guarded.watches.push(watch);
        }
        for (change, watch) in own {
            guarded.changes.push(change);
            guarded.watches.push(watch);
        }
        Some(guarded)
    }
}
