//! The blocking client, on the standard library's socket.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpStream, ToSocketAddrs},
};

use crate::{
    batches::batches,
    calls::typed_calls,
    connection::{self, Connection, unreachable},
    error::Result,
    options::Options,
    request::{self, Request},
    transaction::{Contents, TransactionId, Undone},
    value::Value,
};

/// A connection to a server. Its transactions live as long as it does.
///
/// One connection runs one command at a time; programs with threads give each its own. After
/// [`UnknownOutcome`](crate::ErrorKind::UnknownOutcome) it is of no more use: connect again.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    socket: BufReader<TcpStream>,
}

impl Client {
    /// Connects to `host:port`, the server's line port (7379 by default).
    pub fn connect(address: &str) -> Result<Self> {
        Self::connect_with(address, &Options::default())
    }

    /// The same with a password, or with other limits.
    pub fn connect_with(address: &str, options: &Options) -> Result<Self> {
        let socket = open(address, options).map_err(|error| unreachable(address, error))?;
        let connection = Connection::new(address, options);
        let mut client = Self { connection, socket: BufReader::new(socket) };
        if let Some(password) = &options.password {
            client.authenticate(password)?;
        }
        Ok(client)
    }

    /// The address it was connected with.
    pub fn address(&self) -> &str {
        self.connection.address()
    }

    typed_calls!([] []);

    /// Sends lines and takes as many answers.
    fn exchange<L: AsRef<str>>(&mut self, lines: &[L]) -> Result<Vec<String>> {
        let batches = batches(lines)?;
        self.connection.begin()?;
        let mut answers = Vec::with_capacity(lines.len());
        for batch in batches {
            self.socket.get_mut().write_all(&batch.bytes).map_err(|error| self.connection.lost(error))?;
            for _ in 0..batch.lines {
                answers.push(self.receive()?);
            }
        }
        self.connection.end();
        Ok(answers)
    }

    fn receive(&mut self) -> Result<String> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.socket).take(self.connection.max_answer_bytes as u64);
        bounded.read_until(b'\n', &mut line).map_err(|error| self.connection.lost(error))?;
        self.connection.line(line)
    }
}

/// A socket to the first of the name's addresses that takes it.
fn open(address: &str, options: &Options) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for each in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&each, options.connect_timeout) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                socket.set_write_timeout(Some(options.connect_timeout))?;
                socket.set_read_timeout(options.answer_timeout)?;
                return Ok(socket);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}
