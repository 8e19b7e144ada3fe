//! MULTI and EXEC, with what was read under WATCH before.
//!
//! A watched key that was read is as good as read inside: EXEC executes nothing if it has changed since.

use tresor_testkit::{
    Reply,
    isolation::{Begun, Operation},
};

use crate::{
    door::{Told, Trouble},
    resp::{Resp, value},
};

/// Commands to be executed together.
#[derive(Default)]
pub(crate) struct Queue {
    commands: Vec<Vec<String>>,
    operations: Vec<Operation>,
}

/// Reads before MULTI.
pub(crate) struct Watched;

impl Watched {
    /// Watches a key and reads it.
    pub(crate) fn read(door: &mut Resp, key: &str) -> Told<Option<String>> {
        door.ask(&["WATCH", key])?;
        door.ask(&["GET", key]).map(|reply| value(&reply))
    }
}

/// Takes an operation's answer from the reply to its command.
pub(crate) type Answer<'a> = &'a dyn Fn(&mut Operation, &Reply);

impl Queue {
    /// Adds a command and what it means.
    pub(crate) fn push(&mut self, words: &[&str], operation: Operation) {
        self.commands.push(words.iter().map(|word| (*word).to_owned()).collect());
        self.operations.push(operation);
    }

    /// Executes everything after what was read under WATCH; false if a watched key has changed. `unheard`
    /// hangs up before the reply.
    pub(crate) fn execute(
        mut self,
        door: &mut Resp,
        watched: Vec<Operation>,
        unheard: bool,
        (begun, answer): (&mut Begun, Answer<'_>),
    ) -> Told<bool> {
        door.ask(&["MULTI"])?;
        for words in &self.commands {
            door.ask(words)?;
        }
        let reads = |operation: &Operation| {
            matches!(
                operation,
                Operation::Read { .. }
                    | Operation::ReadList { .. }
                    | Operation::ReadSet { .. }
                    | Operation::ReadBalances(_)
            )
        };
        // From here on it may happen, without a word about what is read in it.
        begun.instead(
            watched.iter().chain(self.operations.iter().filter(|each| !reads(each))).cloned().collect(),
        );
        if unheard {
            door.send(&["EXEC"]);
            return Err(Trouble::Lost);
        }
        let replies = match door.ask(&["EXEC"])? {
            Reply::Array(replies) => replies,
            Reply::NullArray | Reply::Null => return Ok(false),
            other => panic!("EXEC: {other}"),
        };
        for (operation, reply) in self.operations.iter_mut().zip(&replies) {
            assert!(reply.error().is_none(), "{operation}: {reply}");
            answer(operation, reply);
        }
        begun.instead(watched.into_iter().chain(self.operations).collect());
        Ok(true)
    }
}
