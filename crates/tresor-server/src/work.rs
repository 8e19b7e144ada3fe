//! What a connection of the Redis protocol executes in one go.

use tresor::{
    command::{Command, CommandId, Flag},
    engine::Change,
    reply::ReplyWriter,
    session::Session,
};

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
