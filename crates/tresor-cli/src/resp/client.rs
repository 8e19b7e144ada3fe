//! A blocking client with pipelining: queue requests, send them together, take replies in order.

use std::{
    io::{Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tresor::reply::Reply;

use super::{RespOptions, reply, request};
use crate::failure::{Failure, Outcome};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How much is read at a time.
const READ_BYTES: usize = 64 * 1024;

/// A connection to a server.
pub(crate) struct Client {
    address: String,
    stream: TcpStream,
    unsent: Vec<u8>,
    received: BytesMut,
}

impl Client {
    /// Connects and gives the password, if there is one.
    pub(crate) fn connect(options: &RespOptions) -> Outcome<Self> {
        let stream = connect(&options.resp)?;
        let mut client = Self {
            address: options.resp.clone(),
            stream,
            unsent: Vec::new(),
            received: BytesMut::with_capacity(READ_BYTES),
        };
        if let Some(password) = options.credentials.password()? {
            client.call(&[b"AUTH", password.as_bytes()])?;
        }
        Ok(client)
    }

    /// Sends one request and takes its reply; an error reply is a failure.
    pub(crate) fn call(&mut self, words: &[&[u8]]) -> Outcome<Reply> {
        self.queue(words);
        self.flush()?;
        match self.receive()? {
            Reply::Error(text) => Err(self.failed(text)),
            reply => Ok(reply),
        }
    }

    /// Adds a request to those that [`Client::flush`] sends.
    pub(crate) fn queue(&mut self, words: &[&[u8]]) {
        request::append(&mut self.unsent, words);
    }

    /// How many bytes wait to be sent.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.unsent.len()
    }

    /// Sends what was queued.
    pub(crate) fn flush(&mut self) -> Outcome {
        let sent = self.stream.write_all(&self.unsent);
        self.unsent.clear();
        sent.map_err(|error| self.failed(error))
    }

    /// Takes the next reply, an error reply included.
    pub(crate) fn receive(&mut self) -> Outcome<Reply> {
        loop {
            let whole = reply::length(&self.received).map_err(|_| self.no_resp())?;
            if let Some(length) = whole {
                let bytes: Bytes = self.received.split_to(length).freeze();
                return reply::decode(&bytes).map_err(|_| self.no_resp());
            }
            let start = self.received.len();
            self.received.resize(start + READ_BYTES, 0);
            let read = self.stream.read(&mut self.received[start..]);
            self.received.truncate(start + read.as_ref().copied().unwrap_or(0));
            match read {
                Ok(0) => return Err(self.failed("the server closed the connection")),
                Ok(_) => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    fn failed(&self, reason: impl std::fmt::Display) -> Failure {
        Failure::failed(format!("{}: {reason}", self.address))
    }

    fn no_resp(&self) -> Failure {
        self.failed("this is not the Redis protocol; give its port with --resp HOST:PORT")
    }
}

fn connect(address: &str) -> Outcome<TcpStream> {
    let unreachable = |reason: String| {
        Failure::failed(format!(
            "no answer from {address}: {reason}. Is the server running? Name its Redis port with --resp HOST:PORT"
        ))
    };
    let resolved = address.to_socket_addrs().map_err(|error| unreachable(error.to_string()))?;
    let mut reason = "the name has no address".to_owned();
    for each in resolved {
        match TcpStream::connect_timeout(&each, CONNECT_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => reason = error.to_string(),
        }
    }
    Err(unreachable(reason))
}
