//! The client side of the Redis protocol: requests, where replies end, a plain blocking connection.
//!
//! The decoder keeps no reply: it counts, across any number of reads, so that a reply of a million keys
//! costs the load generator next to nothing.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use memchr::memchr;

use crate::Outcome;

/// Appends a command as an array of bulk strings.
pub(super) fn append(buffer: &mut Vec<u8>, words: &[&[u8]]) {
    buffer.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        buffer.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        buffer.extend_from_slice(word);
        buffer.extend_from_slice(b"\r\n");
    }
}

/// Finds where replies end.
#[derive(Default)]
pub(super) struct Decoder {
    /// Elements that the reply begun still lacks.
    missing: u64,
}

impl Decoder {
    /// The bytes up to which `input` is understood, and whether a reply ends there. Call again with
    /// what follows. An error reply is an error.
    pub(super) fn step(&mut self, input: &[u8]) -> Outcome<Option<(usize, bool)>> {
        let Some(end) = memchr(b'\n', input) else { return Ok(None) };
        let line = &input[..end];
        let number = || {
            let digits = line.get(1..line.len().saturating_sub(1)).unwrap_or_default();
            std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<i64>().ok())
        };
        let broken = || format!("not the Redis protocol: {}", String::from_utf8_lossy(line));
        let mut length = end + 1;
        let mut elements = 0;
        match line.first() {
            Some(b'$' | b'=') => {
                let bytes = number().ok_or_else(broken)?;
                if bytes >= 0 {
                    length += bytes as usize + 2;
                }
            }
            Some(b'*' | b'~' | b'>') => elements = number().ok_or_else(broken)?.max(0) as u64,
            Some(b'-') => return Err(String::from_utf8_lossy(line).trim().to_owned()),
            Some(b'+' | b':' | b'_' | b',' | b'#') => {}
            _ => return Err(broken()),
        }
        if length > input.len() {
            return Ok(None);
        }
        self.missing = self.missing.max(1) - 1 + elements;
        Ok(Some((length, self.missing == 0)))
    }
}

/// A blocking connection for single commands.
pub(super) struct Client(TcpStream);

impl Client {
    pub(super) fn connect(port: u16) -> Outcome<Self> {
        let connect = || {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(120)))?;
            Ok(Self(stream))
        };
        connect().map_err(|error: std::io::Error| format!("port {port}: {error}"))
    }

    /// Sends a command and answers with the bytes of its reply. An error reply is an error.
    pub(super) fn command(&mut self, words: &[&str]) -> Outcome<Vec<u8>> {
        let mut request = Vec::new();
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        append(&mut request, &words);
        self.0.write_all(&request).map_err(|error| error.to_string())?;
        let (mut reply, mut decoder, mut at) = (Vec::new(), Decoder::default(), 0);
        let mut chunk = [0; 16 * 1024];
        loop {
            while let Some((length, ends)) = decoder.step(&reply[at..])? {
                at += length;
                if ends {
                    return Ok(reply);
                }
            }
            match self.0.read(&mut chunk).map_err(|error| error.to_string())? {
                0 => return Err("the server closed the connection".to_owned()),
                length => reply.extend_from_slice(&chunk[..length]),
            }
        }
    }

    /// The number that a command answers.
    pub(super) fn number(&mut self, words: &[&str]) -> Outcome<u64> {
        let reply = String::from_utf8_lossy(&self.command(words)?).into_owned();
        let digits = reply.trim_start_matches(':').trim();
        digits.parse().map_err(|_| format!("{}: not a number: {reply}", words.join(" ")))
    }

    /// A number of INFO, in one of its sections.
    pub(super) fn info(&mut self, section: &str, name: &str) -> Outcome<u64> {
        let reply = self.command(&["INFO", section])?;
        info_number(&reply, name).ok_or_else(|| format!("INFO {section} has no number {name}"))
    }
}

/// A number in the text of INFO.
pub(super) fn info_number(text: &[u8], name: &str) -> Option<u64> {
    String::from_utf8_lossy(text)
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::Decoder;

    /// How many replies end in `bytes`, when they come one byte at a time.
    fn replies(bytes: &[u8]) -> usize {
        let (mut decoder, mut start, mut replies) = (Decoder::default(), 0, 0);
        for end in 1..=bytes.len() {
            while let Some((length, ends)) = decoder.step(&bytes[start..end]).expect("no error reply") {
                start += length;
                replies += usize::from(ends);
            }
        }
        assert_eq!(start, bytes.len());
        replies
    }

    #[test]
    fn replies_are_counted_however_they_are_cut() {
        assert_eq!(replies(b"+OK\r\n:12\r\n$-1\r\n$2\r\n\r\n\r\n"), 4);
        assert_eq!(replies(b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n:2\r\n+OK\r\n*0\r\n"), 3);
    }

    #[test]
    fn an_error_reply_is_an_error() {
        assert_eq!(Decoder::default().step(b"-ERR no\r\n"), Err("-ERR no".to_owned()));
    }
}
