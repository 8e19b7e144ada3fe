//! One client of the library: words in, whatever was replied out.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of this")]

use std::sync::Arc;

use tresor::{
    Config, Database,
    engine::{
        Engine, block_on,
        memory::{MemoryEngine, MemoryOptions},
    },
    reply::{OwnedWriter, Reply, ReplyWriter},
    session::Session,
};

/// An empty database in memory.
pub fn database() -> Database {
    let engine: Arc<dyn Engine> = MemoryEngine::volatile(&MemoryOptions::default()).expect("an empty engine");
    Database::over(engine, Config { workers: 2, ..Config::memory() }).expect("an open engine")
}

/// A client of it.
pub struct TestClient {
    pub session: Session,
    pub writer: ReplyWriter,
}

impl TestClient {
    /// One that the others can see.
    pub fn connect(database: &Database, peer: &str) -> Self {
        let mut session = database.session(0);
        session.set_address(peer, "127.0.0.1:6379");
        Self { session, writer: ReplyWriter::Owned(OwnedWriter::default()) }
    }

    /// Executes a command line; its words are divided by single blanks.
    pub fn replies(&mut self, line: &str) -> Vec<Reply> {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        block_on(async {
            self.session.enter().await;
            match self.session.prepare(&words) {
                Ok(command) => self.session.execute(command, &mut self.writer).await,
                Err(error) => self.session.refuse(&error, &mut self.writer),
            }
            self.session.leave();
        });
        self.take()
    }

    /// What was replied since this was last asked.
    pub fn take(&mut self) -> Vec<Reply> {
        match &mut self.writer {
            ReplyWriter::Owned(writer) => writer.take(),
            ReplyWriter::Resp(_) => unreachable!("made as an owned writer"),
        }
    }

    /// The same for a command that has one reply.
    pub fn reply(&mut self, line: &str) -> Reply {
        let mut replies = self.replies(line);
        assert_eq!(replies.len(), 1, "{line}: {replies:?}");
        replies.remove(0)
    }

    /// The same for one whose reply is a text.
    pub fn text(&mut self, line: &str) -> String {
        match self.reply(line) {
            Reply::Simple(text) | Reply::Error(text) | Reply::Verbatim(_, text) => text,
            Reply::Bulk(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            other => panic!("{line}: {other:?} is no text"),
        }
    }
}
