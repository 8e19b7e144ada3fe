//! A small blocking client of the line protocol.
//!
//! It quotes by itself on purpose: a mistake in the product's words must not be made twice. It can also
//! send any bytes and see the connection closed, for tests that attack.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use serde_json::Value;

/// How long it waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One connection.
pub struct LineClient {
    input: BufReader<TcpStream>,
}

impl LineClient {
    /// Connects to a port of 127.0.0.1.
    pub fn connect(port: u16) -> io::Result<Self> {
        Self::connect_to(("127.0.0.1", port))
    }

    /// Connects to any address.
    pub fn connect_to(address: impl ToSocketAddrs) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self { input: BufReader::new(stream) })
    }

    /// The connection itself, to set options or shut it down.
    pub fn stream(&self) -> &TcpStream {
        self.input.get_ref()
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.input.get_mut().write_all(bytes.as_ref())
    }

    /// Sends a line and reads its answer as it came, without its line end.
    pub fn text(&mut self, line: &str) -> io::Result<String> {
        self.send(format!("{line}\n"))?;
        self.answer_text()
    }

    /// Sends a line and reads its answer.
    pub fn ask(&mut self, line: &str) -> io::Result<Value> {
        self.send(format!("{line}\n"))?;
        self.answer()
    }

    /// Reads one answer as it came, without its line end. `UnexpectedEof` when the server has closed the
    /// connection.
    pub fn answer_text(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.input.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
        }
        let whole = line.strip_suffix(b"\n").ok_or_else(|| broken("an answer without a line end"))?;
        String::from_utf8(whole.to_vec()).map_err(|_| broken("an answer that is not UTF-8"))
    }

    /// Reads one answer.
    pub fn answer(&mut self) -> io::Result<Value> {
        let text = self.answer_text()?;
        serde_json::from_str(&text).map_err(|error| broken(&format!("{error} in {text}")))
    }

    /// All that comes until the server closes; an error when it does not close in time.
    pub fn until_closed(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.input.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            // Closed with our input unread.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(bytes),
            Err(error) => Err(error),
        }
    }
}

/// Any bytes as one quoted word.
pub fn word(bytes: &[u8]) -> String {
    let escaped = bytes.iter().map(|byte| match byte {
        b'"' => "\\\"".to_owned(),
        b'\\' => "\\\\".to_owned(),
        b'\n' => "\\n".to_owned(),
        b' '..=b'~' => char::from(*byte).to_string(),
        other => format!("\\x{other:02x}"),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not the line protocol: {what}"))
}
