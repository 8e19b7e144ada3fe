//! The async client, on tokio's socket. All but the I/O is the blocking client's.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
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

/// The twin of [`Client`](crate::Client) for programs on tokio; it needs a runtime with I/O and time.
///
/// A call whose future is dropped before its end leaves the connection of no more use, since the answer
/// to it is still to come: every later call is [`Unavailable`](crate::ErrorKind::Unavailable).
#[derive(Debug)]
pub struct AsyncClient {
    connection: Connection,
    socket: BufReader<TcpStream>,
    write_timeout: Duration,
    answer_timeout: Option<Duration>,
}

impl AsyncClient {
    /// Connects to `host:port`, the server's line port (7379 by default).
    pub async fn connect(address: &str) -> Result<Self> {
        Self::connect_with(address, &Options::default()).await
    }

    /// The same with a password, or with other limits.
    pub async fn connect_with(address: &str, options: &Options) -> Result<Self> {
        let socket = open(address, options).await.map_err(|error| unreachable(address, error))?;
        let mut client = Self {
            connection: Connection::new(address, options),
            socket: BufReader::new(socket),
            write_timeout: options.connect_timeout,
            answer_timeout: options.answer_timeout,
        };
        if let Some(password) = &options.password {
            client.authenticate(password).await?;
        }
        Ok(client)
    }

    /// The address it was connected with.
    pub fn address(&self) -> &str {
        self.connection.address()
    }

    typed_calls!([async] [.await]);

    /// Sends lines and takes as many answers.
    async fn exchange<L: AsRef<str>>(&mut self, lines: &[L]) -> Result<Vec<String>> {
        let batches = batches(lines)?;
        self.connection.begin()?;
        let mut answers = Vec::with_capacity(lines.len());
        for batch in batches {
            self.send(&batch.bytes).await.map_err(|error| self.connection.lost(error))?;
            for _ in 0..batch.lines {
                answers.push(self.receive().await?);
            }
        }
        self.connection.end();
        Ok(answers)
    }

    async fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        // Not write_all: as with a blocking socket, the timeout is that of a pause, not of a long line.
        while !bytes.is_empty() {
            let sent = timeout(self.write_timeout, self.socket.get_mut().write(bytes)).await??;
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    async fn receive(&mut self) -> Result<String> {
        let mut line = Vec::new();
        loop {
            // The buffer is filled within the time for a pause; what is in it is then taken at once.
            self.fill().await.map_err(|error| self.connection.lost(error))?;
            let room = self.connection.max_answer_bytes - line.len();
            let buffered = self.socket.buffer().len().min(room) as u64;
            let mut taken = (&mut self.socket).take(buffered);
            taken.read_until(b'\n', &mut line).await.map_err(|error| self.connection.lost(error))?;
            if buffered == 0 || line.last() == Some(&b'\n') {
                return self.connection.line(line);
            }
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.answer_timeout {
            Some(limit) => timeout(limit, self.socket.fill_buf()).await?.map(drop),
            None => self.socket.fill_buf().await.map(drop),
        }
    }
}

async fn open(address: &str, options: &Options) -> io::Result<TcpStream> {
    let socket = timeout(options.connect_timeout, TcpStream::connect(address)).await??;
    socket.set_nodelay(true)?;
    Ok(socket)
}
