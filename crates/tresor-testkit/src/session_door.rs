//! The library's own door: commands through a session, replies as values.
//!
//! No socket and no codec lies between, so a golden script that fails here and not on the wire, or
//! the other way round, says on which side the defect is.

use tresor::{
    Database,
    command::Args,
    engine::block_on,
    reply::{OwnedWriter, ReplyWriter},
    session::Session,
};

use crate::Reply;

/// One client of a database.
pub struct SessionDoor {
    session: Session,
    writer: ReplyWriter,
}

impl SessionDoor {
    /// A client on the database's first gate.
    pub fn new(database: &Database) -> Self {
        Self { session: database.session(0), writer: ReplyWriter::Owned(OwnedWriter::default()) }
    }

    /// Executes a command and waits until its reply may be given.
    pub fn execute(&mut self, words: &[Vec<u8>]) -> Reply {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        block_on(self.run(&words));
        let ReplyWriter::Owned(writer) = &mut self.writer else { unreachable!("made as an owned writer") };
        let mut replies = writer.take();
        assert_eq!(replies.len(), 1, "one reply for one command");
        owned(replies.remove(0))
    }

    async fn run(&mut self, words: Args<'_>) {
        self.session.enter().await;
        match self.session.prepare(words) {
            Ok(command) => self.session.execute(command, &mut self.writer).await,
            Err(error) => self.session.refuse(&error, &mut self.writer),
        }
        self.session.leave();
        self.session.durable().await.expect("what was answered becomes durable");
    }
}

fn owned(reply: tresor::reply::Reply) -> Reply {
    use tresor::reply::Reply as From;
    let all = |replies: Vec<From>| replies.into_iter().map(owned).collect();
    match reply {
        From::Simple(text) => Reply::Simple(text),
        From::Error(message) => Reply::Error(message),
        From::Integer(number) => Reply::Integer(number),
        From::Bulk(bytes) => Reply::Bulk(bytes.to_vec()),
        From::Null => Reply::Null,
        From::Array(elements) => Reply::Array(all(elements)),
        From::Map(pairs) => {
            Reply::Map(pairs.into_iter().map(|(key, value)| (owned(key), owned(value))).collect())
        }
        From::Set(elements) => Reply::Set(all(elements)),
        From::Push(elements) => Reply::Push(all(elements)),
        From::Double(number) => Reply::Double(number.to_string()),
        From::Boolean(value) => Reply::Boolean(value),
        From::BigNumber(digits) => Reply::BigNumber(digits),
        From::Verbatim(format, text) => Reply::Verbatim(format, text.into_bytes()),
    }
}
