//! What a connection executes in one go, and what it may send meanwhile.
//!
//! Replies that were there before a command that waits must not wait with it: [`Sending`] lets them
//! out while [`Work`] is under way.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tresor::{
    command::{Command, CommandId, Flag},
    engine::Change,
    reply::ReplyWriter,
    session::Session,
};

use crate::link::Closed;

/// What is executed in one go.
#[derive(Clone, Copy)]
pub(crate) enum Work<'a> {
    Command(Command<'a>),
    /// Keys of neighbouring plain GETs.
    Gets(&'a [&'a [u8]]),
    /// What neighbouring plain puts of one command change.
    Puts(CommandId, &'a [Change<'a>]),
}

impl Work<'_> {
    #[inline]
    pub(crate) fn replies(self) -> usize {
        match self {
            Self::Command(_) => 1,
            Self::Gets(keys) => keys.len(),
            Self::Puts(_, changes) => changes.len(),
        }
    }

    /// Whether it waits for others whatever the engine.
    #[inline]
    pub(crate) fn waits(self) -> bool {
        matches!(self, Self::Command(command) if command.row.has(Flag::AllGates))
    }

    #[inline]
    pub(crate) async fn run(self, session: &mut Session, reply: &mut ReplyWriter) {
        match self {
            Self::Command(command) => session.execute(command, reply).await,
            Self::Gets(keys) => session.execute_gets(keys, reply).await,
            Self::Puts(id, changes) => session.execute_puts(id, changes, reply).await,
        }
    }
}

/// Replies on their way out while something else is executed.
pub(crate) struct Sending<F> {
    pub(crate) future: F,
    /// `None` before the first poll: nothing was sent, and all is still held.
    pub(crate) state: Option<Poll<Result<(), Closed>>>,
}

impl<F: Future<Output = Result<(), Closed>> + Unpin> Sending<F> {
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) {
        if !matches!(self.state, Some(Poll::Ready(_))) {
            self.state = Some(Pin::new(&mut self.future).poll(context));
        }
    }
}
