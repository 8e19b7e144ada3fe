//! How long commands take, and who is told: counters, the slow log, latency events, monitors.
//!
//! Reading the clock costs a good part of what a plain command does, so neighbours of one kind share a reading.
//! A command has a time of its own if it can be slow (its row does not call it fast, the engine may have to
//! wait, locks are looked at) or if somebody wants to hear of each. Invariant: while nobody does, a fast command
//! in memory pays for all this with the test of one flag.

use super::{Session, multi::Queue};
use crate::{
    command::{Args, CATALOG, Command, CommandId, Flag, database_number, shown_words},
    latency_events::{LatencyEvent, Sample},
    publish::{Wording, monitor_line},
    slow_log::{SlowCommand, cut_words, more},
};

/// After this many commands of one kind the time is taken anew.
const COMMANDS_PER_TIME: u64 = 64;

/// Commands of one kind in a row, and since when.
pub(super) struct Timing {
    id: CommandId,
    calls: u64,
    since_ns: u64,
    /// Somebody wants to hear of each command.
    pub(super) each: bool,
    /// Fast commands have times of their own too.
    alone: bool,
}

impl Default for Timing {
    fn default() -> Self {
        Self { id: CommandId::Ping, calls: 0, since_ns: 0, each: false, alone: false }
    }
}

impl Timing {
    /// The command that was timed last.
    pub(super) fn latest(&self) -> CommandId {
        self.id
    }
}

/// What is timed once those inside it have ended: EXEC.
pub(super) struct Outer {
    id: CommandId,
    calls: u64,
}

impl Session {
    /// Takes the time, and looks who wants to know of commands.
    #[inline]
    pub(super) fn begin_timing(&mut self) {
        (self.now_ms, self.timing.since_ns) = self.core.time.now();
        let observers = &self.core.observers;
        self.timing.each = observers.want_each();
        self.timing.alone = self.timing.each || observers.engine_waits || !self.direct;
    }

    /// Each command of this client is told of from now on.
    pub(super) fn time_each(&mut self) {
        (self.timing.each, self.timing.alone) = (true, true);
    }

    /// Counts the commands since the last reading of the clock, and reads it; how long they took.
    #[inline]
    pub(super) fn finish_run(&mut self) -> u64 {
        if self.timing.calls == 0 {
            return 0;
        }
        let before_ns = self.timing.since_ns;
        let (now_ms, now_ns) = self.core.time.now();
        if !self.pinned {
            self.now_ms = now_ms;
        }
        self.timing.since_ns = now_ns;
        let spent_ns = now_ns.saturating_sub(before_ns);
        self.core.metrics.worker(self.worker).executed(self.timing.id, self.timing.calls, spent_ns);
        self.timing.calls = 0;
        spent_ns
    }

    /// Before a command, or a run of `calls` plain ones.
    #[inline]
    pub(super) fn begin_command(&mut self, id: CommandId, calls: u64) {
        self.latest = id;
        if self.timing.id != id || self.timing.calls >= COMMANDS_PER_TIME {
            self.finish_run();
            self.timing.id = id;
        }
        self.timing.calls += calls;
        self.wording = Wording::Plain;
    }

    /// Behind a command.
    #[inline]
    pub(super) fn end_command(&mut self, command: Command<'_>) {
        if self.timing.alone || !command.row.has(Flag::Fast) {
            self.end_alone(command);
        }
    }

    fn end_alone(&mut self, command: Command<'_>) {
        let spent_ns = self.finish_run();
        if self.is_slow(spent_ns) {
            self.note_slow(command, 0, spent_ns);
        }
        // What EXEC executes may have to be executed again: it is told of once it is applied.
        if self.timing.each && !self.pinned {
            self.tell_monitors(self.selected, command);
        }
    }

    /// Behind a run of plain commands of which `first` is the first: they have one time together.
    #[inline]
    pub(super) fn end_run(&mut self, id: CommandId, first: Args<'_>, calls: usize) {
        if self.timing.alone || id != CommandId::Get {
            let spent_ns = self.finish_run();
            if self.is_slow(spent_ns) {
                self.note_slow(Command { row: &CATALOG[id as usize], args: first }, calls - 1, spent_ns);
            }
        }
    }

    /// Lets what the running command consists of be timed by itself.
    pub(super) fn begin_inner(&mut self) -> Outer {
        Outer { id: self.timing.id, calls: std::mem::take(&mut self.timing.calls) }
    }

    /// Back to the running command, whose time begins now.
    pub(super) fn end_inner(&mut self, outer: Outer) {
        self.finish_run();
        (self.timing.id, self.timing.calls) = (outer.id, outer.calls);
    }

    #[inline]
    fn is_slow(&self, spent_ns: u64) -> bool {
        let observers = &self.core.observers;
        observers.slow_log().takes(spent_ns) || observers.latency_events().takes(spent_ns)
    }

    /// Keeps a command that took long, and that so many others like it took the time with it.
    #[cold]
    fn note_slow(&self, command: Command<'_>, others: usize, spent_ns: u64) {
        let observers = &self.core.observers;
        let at_s = self.timing.since_ns / 1_000_000_000;
        if observers.latency_events().takes(spent_ns) {
            let fast = command.row.has(Flag::Fast);
            let event = if fast { LatencyEvent::FastCommand } else { LatencyEvent::Command };
            observers.latency_events().add(event, Sample { at_s, took_ms: spent_ns / 1_000_000 });
        }
        if observers.slow_log().takes(spent_ns) {
            let mut words = cut_words(shown_words(command.row.id, command.args));
            if others > 0 {
                words.push(more(others, "commands"));
            }
            let labels = self.client().labels();
            let (peer, name) = (labels.peer, labels.name);
            observers.slow_log().add(SlowCommand {
                id: 0,
                at_s,
                spent_us: spent_ns / 1000,
                words,
                peer,
                name,
            });
        }
    }

    /// Shows monitors a command that was executed. Not those for operators, as in Redis.
    #[cold]
    fn tell_monitors(&mut self, database: u8, command: Command<'_>) {
        if command.row.has(Flag::Admin) || self.core.hub.monitors().is_empty() {
            return;
        }
        let peer = self.client().labels().peer;
        let words = shown_words(command.row.id, command.args);
        let line = monitor_line(self.timing.since_ns, (database, &peer), words);
        self.core.hub.tell_monitors(line, self.now_ms);
        self.published = true;
        // If it is one itself, the line stands behind the reply.
        self.mail_due |= self.monitors();
    }

    /// Shows monitors the commands of an EXEC that was applied; `database` is what was selected before it.
    pub(super) fn tell_monitors_of(&mut self, queue: &Queue, mut database: u8) {
        if !self.timing.each {
            return;
        }
        for (row, words) in queue.iter() {
            if row.id == CommandId::Select
                && let Some(selected) = words.get(1).and_then(|word| database_number(word).ok())
            {
                database = selected;
            }
            self.tell_monitors(database, Command { row, args: &words });
        }
    }
}
