//! Neighbouring commands of one kind that are executed as one: plain GETs, and plain puts.
//!
//! Each counts, fails and is answered as if it had come alone; what they share is one call of the
//! engine, which then has their cache misses, or their ways over a network, at once.

use smallvec::SmallVec;

use super::{Replies, Session};
use crate::{
    command::{CATALOG, CommandId, change_of_put, is},
    engine::{Change, Expires, Guard, Isolation, KeyRef, Kind, MAX_KEY_BYTES},
    error::{Error, Result},
    reply::ReplyWriter,
};

impl Session {
    /// Whether every command is answered and none is refused beforehand: only then may commands be
    /// executed as a run.
    #[inline]
    pub fn runs(&self) -> bool {
        self.direct
            && !self.gathers
            && self.authenticated
            && self.replies == Replies::On
            && !self.hears
            && !self.timing.each
            && !self.core.notifications.are_on()
            && !self.core.memory_limit.refuses()
    }

    /// Executes a run of [plain GETs](Self::plain_get), replies in order.
    #[inline]
    pub async fn execute_gets(&mut self, keys: &[&[u8]], reply: &mut ReplyWriter) {
        debug_assert!(self.direct, "runs are for when nobody has a transaction open");
        self.begin_command(CommandId::Get, keys.len() as u64);
        let mark = reply.mark();
        if let Err(error) = self.read_run(keys, reply).await {
            reply.rewind(mark);
            match keys {
                [_] => self.fail_one(CommandId::Get, &error, reply),
                _ => self.read_each(keys, reply).await,
            }
        }
        self.end_run(CommandId::Get, &[&b"get"[..], keys[0]], keys.len());
    }

    /// Reads each key by itself, after a run failed: a store over several may have failed for some alone.
    #[cold]
    async fn read_each(&mut self, keys: &[&[u8]], reply: &mut ReplyWriter) {
        for key in keys {
            let mark = reply.mark();
            if let Err(error) = self.read_run(&[*key], reply).await {
                reply.rewind(mark);
                self.fail_one(CommandId::Get, &error, reply);
            }
        }
    }

    /// What a plain SET or TRESOR.PUT changes, which are the puts that runs are made of; `None` for any
    /// other command and for one that has to be refused.
    #[inline]
    pub fn plain_put<'a>(&self, words: &[&'a [u8]]) -> Option<(CommandId, Change<'a>)> {
        match words {
            [name, key, value] if is(name, "SET") => Some((CommandId::Set, self.plain_set(key, value)?)),
            [name, _, _, _] | [name, _, _, _, _, _] if is(name, "TRESOR.PUT") => {
                let change = change_of_put(self, words).ok();
                change.map(|change| (CommandId::TresorPut, change))
            }
            _ => None,
        }
    }

    /// What a SET without options changes; `None` for one that has to be refused.
    #[inline]
    pub(super) fn plain_set<'a>(&self, key: &'a [u8], value: &'a [u8]) -> Option<Change<'a>> {
        let (key, value) = (self.key(key).ok()?, self.value(value).ok()?);
        Some(Change::Put { key, guard: Guard::None, value, kind: Kind::Raw, expires: Expires::Never })
    }

    /// Whether this is a plain GET, which runs are made of.
    #[inline]
    pub fn plain_get<'a>(&self, words: &[&'a [u8]]) -> Option<&'a [u8]> {
        match words {
            [name, key] if is(name, "GET") && key.len() <= MAX_KEY_BYTES => Some(key),
            _ => None,
        }
    }

    /// Executes a run of [plain puts](Self::plain_put) of one command, replies in order.
    #[inline]
    pub async fn execute_puts(&mut self, id: CommandId, puts: &[Change<'_>], reply: &mut ReplyWriter) {
        debug_assert!(self.direct, "runs are for when nobody has a transaction open");
        self.begin_command(id, puts.len() as u64);
        match self.core.engine.write_each(puts, self.now_ms).await {
            Ok(each) => {
                self.saw(each.sequence);
                match each.failures.is_empty() {
                    true => puts.iter().for_each(|_| reply.ok()),
                    false => self.answer_some(id, puts.len(), each.failures, reply),
                }
            }
            Err(error) => puts.iter().for_each(|_| self.fail_one(id, &error, reply)),
        }
        self.end_puts(id, puts);
    }

    /// Behind a run of plain puts.
    #[inline]
    pub(super) fn end_puts(&mut self, id: CommandId, puts: &[Change<'_>]) {
        if let Some(Change::Put { key, value, .. }) = puts.first() {
            let name = CATALOG[id as usize].name.as_bytes();
            self.end_run(id, &[name, key.key, value], puts.len());
        }
    }

    async fn read_run(&mut self, keys: &[&[u8]], reply: &mut ReplyWriter) -> Result<()> {
        let keys: SmallVec<[KeyRef<'_>; 32]> =
            keys.iter().map(|key| KeyRef::new(self.selected, key)).collect();
        let mut hits = 0;
        let seen = self
            .core
            .engine
            .read(&keys, Isolation::Each, self.now_ms, &mut |_, entry| match entry {
                Some(entry) => {
                    hits += 1;
                    reply.value(entry.value);
                }
                None => reply.null(),
            })
            .await?;
        self.count_hits(hits, keys.len() as u64 - hits);
        self.saw(seen.sequence);
        Ok(())
    }

    /// Replies to a run of which some failed.
    #[cold]
    fn answer_some(
        &self,
        id: CommandId,
        puts: usize,
        failures: Vec<(usize, Error)>,
        reply: &mut ReplyWriter,
    ) {
        let mut failures = failures.into_iter().peekable();
        for index in 0..puts {
            match failures.next_if(|(at, _)| *at == index) {
                Some((_, error)) => self.fail_one(id, &error, reply),
                None => reply.ok(),
            }
        }
    }

    #[cold]
    pub(super) fn fail_one(&self, id: CommandId, error: &Error, reply: &mut ReplyWriter) {
        self.core.metrics.worker(self.worker).failed(id);
        self.core.metrics.error(error);
        reply.error(error);
    }
}
