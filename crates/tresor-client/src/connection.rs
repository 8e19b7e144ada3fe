//! What both clients know of a connection: its name, its bounds, and whether it is still in step.
//!
//! Answers come in the order of lines and carry no number. So a connection on which an exchange did not
//! run to its end (a timeout, a lost socket, a future that was dropped) is never used again: its next
//! answer would be that of an earlier line.

use std::io;

use crate::{
    answer::no_answer,
    error::{Error, ErrorKind, Result},
    options::Options,
};

/// A connection without its socket.
#[derive(Debug)]
pub(crate) struct Connection {
    address: String,
    pub(crate) max_answer_bytes: usize,
    in_step: bool,
}

impl Connection {
    pub(crate) fn new(address: &str, options: &Options) -> Self {
        Self { address: address.to_owned(), max_answer_bytes: options.max_answer_bytes, in_step: true }
    }

    /// The address it was made with.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Before the first byte of an exchange.
    pub(crate) fn begin(&mut self) -> Result<()> {
        if !self.in_step {
            let message = format!(
                "the connection to {} was given up when an answer did not come: connect again",
                self.address
            );
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        self.in_step = false;
        Ok(())
    }

    /// After the last byte of an exchange.
    pub(crate) fn end(&mut self) {
        self.in_step = true;
    }

    /// An answer's line as it was read, with its end if it has one.
    pub(crate) fn line(&self, mut read: Vec<u8>) -> Result<String> {
        if read.pop_if(|last| *last == b'\n').is_none() {
            return Err(if read.len() >= self.max_answer_bytes {
                self.too_long()
            } else {
                self.lost(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"))
            });
        }
        read.pop_if(|last| *last == b'\r');
        String::from_utf8(read).map_err(|error| {
            let shown = String::from_utf8_lossy(error.as_bytes()).into_owned();
            no_answer(&shown)
        })
    }

    fn too_long(&self) -> Error {
        let message = format!(
            "an answer of {} is longer than {} bytes: raise max_answer_bytes, or ask for less",
            self.address, self.max_answer_bytes
        );
        Error::new(ErrorKind::TooLarge, message)
    }

    /// The socket failed after a line was sent.
    pub(crate) fn lost(&self, error: io::Error) -> Error {
        let message = format!("no answer from {}; what was sent may or may not have been done", self.address);
        let reason: Box<dyn std::error::Error + Send + Sync> = match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "the time to wait is over".into(),
            _ => error.into(),
        };
        Error::new(ErrorKind::UnknownOutcome, message).caused_by(reason)
    }
}

/// Nobody took the connection.
pub(crate) fn unreachable(address: &str, error: io::Error) -> Error {
    let message = format!("cannot connect to a server's line port at {address}");
    Error::new(ErrorKind::Unavailable, message).caused_by(error)
}

/// An answer's line as a JSON object.
pub(crate) fn json(line: &str) -> Result<serde_json::Value> {
    match serde_json::from_str(line) {
        Ok(object @ serde_json::Value::Object(_)) => Ok(object),
        Ok(_) => Err(no_answer(line)),
        Err(error) => Err(no_answer(line).caused_by(error)),
    }
}
