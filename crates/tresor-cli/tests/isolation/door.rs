//! What the front doors have in common for a client of transactions, and how each of them can refuse.
//!
//! A door speaks its protocol from raw bytes: a mistake in the program's own clients must not be made
//! twice. Whatever answer is not foreseen here ends the test with its text.

use std::io;

use tresor_testkit::Ports;

use crate::{http::Http, line::Line, resp::Resp};

/// Why something was not done.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The server has ended the transaction, as the victim of a deadlock or for idleness.
    Ended,
    /// Nothing was done, and the transaction is open as before.
    Refused,
    /// The server does not know itself.
    Unknown,
    /// The connection broke: whether the last thing that was asked for was done is not known.
    Lost,
}

/// What was asked for, or why it was not done.
pub(crate) type Told<T> = Result<T, Trouble>;

/// One of the front doors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Resp,
    Line,
    Http,
}

/// A client's connection, with at most one transaction open.
pub(crate) trait Door: Send {
    /// Begins a transaction; a brief one may be left open without being in others' way for long.
    fn begin(&mut self, brief: bool) -> Told<()>;
    /// What a key holds, in the transaction if one is open.
    fn get(&mut self, key: &str) -> Told<Option<String>>;
    /// Lets a key hold a value, in the transaction if one is open.
    fn put(&mut self, key: &str, value: &str) -> Told<()>;
    /// All keys that begin so, in the transaction; `None` where the protocol cannot ask.
    fn keys(&mut self, prefix: &str) -> Option<Told<Vec<String>>>;
    /// Reads, then writes, outside of a transaction and as one step; `None` where the protocol cannot. Whatever
    /// is written has to be noted before.
    fn batch(
        &mut self,
        _reads: &[String],
        _writes: &[(String, String)],
    ) -> Option<Told<Vec<Option<String>>>> {
        None
    }
    /// Takes the latest step back.
    fn rollback(&mut self) -> Told<()>;
    fn commit(&mut self) -> Told<()>;
    /// Asks to commit and does not listen; the connection is of no use afterwards.
    fn commit_unheard(&mut self);
    fn abort(&mut self) -> Told<()>;
    /// The Redis protocol, which can do more.
    fn resp(&mut self) -> Option<&mut Resp> {
        None
    }
}

impl Protocol {
    /// Connects; `None` while the server is away.
    pub(crate) fn connect(self, ports: Ports) -> Option<Box<dyn Door>> {
        let door: io::Result<Box<dyn Door>> = match self {
            Self::Resp => Resp::connect(ports.resp).map(|door| Box::new(door) as _),
            Self::Line => Line::connect(ports.line).map(|door| Box::new(door) as _),
            Self::Http => Http::connect(ports.http).map(|door| Box::new(door) as _),
        };
        door.ok()
    }
}

/// What went wrong, by the kind of error that all doors name alike.
pub(crate) fn trouble(kind: &str, answer: &str) -> Trouble {
    match kind {
        "Deadlock" | "UnknownTransaction" => Trouble::Ended,
        "LockTimeout" | "Unavailable" => Trouble::Refused,
        "UnknownOutcome" => Trouble::Unknown,
        _ => panic!("not foreseen: {answer}"),
    }
}
