//! A small blocking client of the Redis protocol, versions 2 and 3.
//!
//! It has its own decoder on purpose: a mistake in the product's codec must not be made twice. It can
//! also send any bytes and see the connection closed, for tests that attack.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use crate::Reply;

/// How long it waits for a reply.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One connection.
pub struct RespClient {
    input: BufReader<TcpStream>,
}

impl RespClient {
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

    /// Switches to a version of the protocol.
    pub fn hello(&mut self, version: u8) -> io::Result<Reply> {
        self.command(&["HELLO", &version.to_string()])
    }

    /// Sends a command and reads its reply.
    pub fn command(&mut self, words: &[impl AsRef<[u8]>]) -> io::Result<Reply> {
        self.send(&encode(words))?;
        self.reply()
    }

    /// Sends all commands at once, then reads all replies.
    pub fn pipeline(&mut self, commands: &[Vec<Vec<u8>>]) -> io::Result<Vec<Reply>> {
        let bytes: Vec<u8> = commands.iter().flat_map(|words| encode(words)).collect();
        self.send(&bytes)?;
        commands.iter().map(|_| self.reply()).collect()
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.input.get_mut().write_all(bytes)
    }

    /// Reads one reply. `UnexpectedEof` when the server has closed the connection.
    pub fn reply(&mut self) -> io::Result<Reply> {
        let line = self.line()?;
        let (mark, rest) = line.split_at_checked(1).ok_or_else(|| broken("an empty line"))?;
        Ok(match mark {
            "+" => Reply::Simple(rest.into()),
            "-" => Reply::Error(rest.into()),
            ":" => Reply::Integer(number(rest)?),
            "," => Reply::Double(rest.into()),
            "#" => Reply::Boolean(rest == "t"),
            "(" => Reply::BigNumber(rest.into()),
            "_" => Reply::Null,
            "$" => self.bulk(rest)?.map_or(Reply::Null, Reply::Bulk),
            "!" => Reply::Error(String::from_utf8_lossy(&self.some_bulk(rest)?).into_owned()),
            "=" => {
                let text = self.some_bulk(rest)?;
                let (format, text) = text.split_at_checked(4).ok_or_else(|| broken(&line))?;
                Reply::Verbatim(String::from_utf8_lossy(&format[..3]).into_owned(), text.to_vec())
            }
            "*" if rest == "-1" => Reply::NullArray,
            "*" => Reply::Array(self.elements(rest, 1)?),
            "~" => Reply::Set(self.elements(rest, 1)?),
            ">" => Reply::Push(self.elements(rest, 1)?),
            "%" => Reply::Map(pairs(self.elements(rest, 2)?)),
            "|" => {
                // Attributes come before the reply that they describe.
                self.elements(rest, 2)?;
                return self.reply();
            }
            _ => return Err(broken(&line)),
        })
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

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.input.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
        }
        let line = line.strip_suffix(b"\r\n").ok_or_else(|| broken("a line without CRLF"))?;
        String::from_utf8(line.to_vec()).map_err(|_| broken("a line that is not UTF-8"))
    }

    fn bulk(&mut self, length: &str) -> io::Result<Option<Vec<u8>>> {
        let length: i64 = number(length)?;
        let Ok(length) = u64::try_from(length) else { return Ok(None) };
        let mut bytes = Vec::new();
        self.input.by_ref().take(length + 2).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length + 2 || !bytes.ends_with(b"\r\n") {
            return Err(broken("a bulk string that does not end where it says"));
        }
        bytes.truncate(bytes.len() - 2);
        Ok(Some(bytes))
    }

    fn some_bulk(&mut self, length: &str) -> io::Result<Vec<u8>> {
        self.bulk(length)?.ok_or_else(|| broken("a null where there is none"))
    }

    fn elements(&mut self, count: &str, each: usize) -> io::Result<Vec<Reply>> {
        let count: usize = number(count)?;
        (0..count * each).map(|_| self.reply()).collect()
    }
}

/// A command as an array of bulk strings.
pub fn encode(words: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend(word);
        bytes.extend(b"\r\n");
    }
    bytes
}

fn pairs(elements: Vec<Reply>) -> Vec<(Reply, Reply)> {
    let mut elements = elements.into_iter();
    std::iter::from_fn(|| Some((elements.next()?, elements.next()?))).collect()
}

fn number<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| broken(text))
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not the Redis protocol: {what}"))
}
