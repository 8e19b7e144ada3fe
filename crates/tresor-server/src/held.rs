//! Answers that are not sent yet, of either protocol.
//!
//! What is held may tell of writes that no disk has yet. Invariant: when those cannot be kept, every answer
//! that is held becomes an error, in the form of its protocol and as many as there were, so that a client
//! that sent its requests ahead still knows which answer belongs to which.

use tresor::{
    Error,
    reply::{Output, ReplyWriter, RespWriter},
};

use crate::line::write_error;

/// Where a protocol writes its answers.
pub(crate) trait Answers {
    /// Their bytes.
    fn output(&mut self) -> &mut Output;

    /// Adds an error as the protocol says it.
    fn error(&mut self, error: &Error);
}

impl Answers for ReplyWriter {
    #[inline]
    fn output(&mut self) -> &mut Output {
        match self {
            Self::Resp(writer) => writer.output_mut(),
            Self::Owned(_) => unreachable!("a connection writes the Redis protocol"),
        }
    }

    fn error(&mut self, error: &Error) {
        Self::error(self, error);
    }
}

/// Lines of JSON.
#[derive(Default)]
pub(crate) struct LineAnswers {
    output: Output,
}

impl Answers for LineAnswers {
    #[inline]
    fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    fn error(&mut self, error: &Error) {
        write_error(self.output.buffer(), error);
    }
}

/// Answers that are not sent yet.
#[derive(Default)]
pub(crate) struct Held<A> {
    pub(crate) reply: A,
    /// How many they are.
    pub(crate) replies: usize,
}

impl Held<ReplyWriter> {
    /// None yet, in a version of the Redis protocol; whatever goes over `limit` bytes is dropped.
    pub(crate) fn resp(protocol: u8, limit: usize) -> Self {
        let mut writer = RespWriter::default();
        writer.set_protocol(protocol);
        writer.output_mut().set_limit(limit);
        Self { reply: ReplyWriter::Resp(writer), replies: 0 }
    }
}

impl<A: Answers> Held<A> {
    /// Their bytes.
    #[inline]
    pub(crate) fn output(&mut self) -> &mut Output {
        self.reply.output()
    }

    /// Adds an error that answers a request.
    pub(crate) fn error(&mut self, error: &Error) {
        self.replies += 1;
        self.reply.error(error);
    }

    /// Replaces all of them by the error that keeps them from being true.
    #[cold]
    pub(crate) fn retract(&mut self, error: &Error) {
        let wanted = self.replies.saturating_sub(self.output().take_withheld());
        self.output().clear(0);
        for _ in 0..wanted {
            self.reply.error(error);
        }
    }
}
