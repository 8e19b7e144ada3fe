//! A client that sends exactly the bytes it is given, and reads answers strictly.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use crate::described;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's value; empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }
}

pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends bytes; false when the server has closed.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends a request with a good Host and a length, and reads its answer, which has to be a described one.
    pub(crate) fn request(&mut self, method: &str, target: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.send(&request(method, target, headers, body));
        let answer = self.answer_to(method).unwrap_or_else(|| panic!("no answer to {method} {target}"));
        if let Err(complaint) = described::check(method, target, &answer) {
            panic!("{method} {target} is not as /openapi.json says: {complaint}: {answer:?}");
        }
        answer
    }

    /// Sends bytes as they are and reads the answer to what is no HEAD.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Option<Answer> {
        self.send(bytes);
        self.answer_to("GET")
    }

    /// Reads an answer; `None` when the connection ends before there is a whole one.
    pub(crate) fn answer_to(&mut self, method: &str) -> Option<Answer> {
        let end = loop {
            match self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end) => break end,
                None => self.fill()?,
            }
        };
        let head = String::from_utf8(self.take(end + 4)).expect("the head is text");
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next()?;
        let status = status_line.strip_prefix("HTTP/1.1 ").or(status_line.strip_prefix("HTTP/1.0 "));
        let status: u16 = status.expect("a status line")[..3].parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").expect("name: value"))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        if status == 100 {
            return self.answer_to(method);
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        if method != "HEAD" && status != 204 && status != 304 {
            answer.body = self.body(&answer)?;
        }
        Some(answer)
    }

    fn body(&mut self, answer: &Answer) -> Option<Vec<u8>> {
        if answer.header("transfer-encoding") == "chunked" {
            return self.chunks();
        }
        if answer.header("content-length").is_empty() {
            return Some(self.until_closed());
        }
        let length: usize = answer.header("content-length").parse().expect("a length");
        while self.buffer.len() < length {
            self.fill()?;
        }
        Some(self.take(length))
    }

    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match self.buffer.windows(2).position(|window| window == b"\r\n") {
                    Some(end) => break end,
                    None => self.fill()?,
                }
            };
            let line = String::from_utf8(self.take(end + 2)).expect("a chunk's length is text");
            let length = usize::from_str_radix(line.trim_end(), 16).expect("a chunk's length");
            while self.buffer.len() < length + 2 {
                self.fill()?;
            }
            let mut chunk = self.take(length + 2);
            assert_eq!(chunk.split_off(length), b"\r\n");
            if length == 0 {
                return Some(body);
            }
            body.extend(chunk);
        }
    }

    /// Everything up to the end of the connection.
    pub(crate) fn until_closed(&mut self) -> Vec<u8> {
        while self.fill().is_some() {}
        std::mem::take(&mut self.buffer)
    }

    /// Ends the sending side.
    pub(crate) fn finish_sending(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn take(&mut self, bytes: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(bytes);
        std::mem::replace(&mut self.buffer, rest)
    }

    /// Reads some more; `None` at the end of the connection.
    fn fill(&mut self) -> Option<()> {
        let mut piece = [0; 64 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => None,
            Ok(read) => {
                self.buffer.extend_from_slice(&piece[..read]);
                Some(())
            }
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => {
                panic!("the server did not answer in time")
            }
            Err(_) => None,
        }
    }
}

/// The bytes of a request with `Host: localhost`.
pub(crate) fn request(method: &str, target: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n").into_bytes();
    for header in headers {
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    if !body.is_empty() || method == "PUT" || method == "POST" {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

impl Client {
    /// Reads until `bytes` have come or the connection ends; how many came.
    pub(crate) fn until_closed_or(&mut self, bytes: usize) -> usize {
        while self.buffer.len() < bytes && self.fill().is_some() {}
        self.buffer.len()
    }

    /// Everything up to the end of `text`, which has to come; panics if the connection ends before.
    pub(crate) fn until(&mut self, text: &str) -> String {
        let mut seen = 0;
        let end = loop {
            match self.buffer[seen..].windows(text.len()).position(|window| window == text.as_bytes()) {
                Some(at) => break seen + at + text.len(),
                None => seen = self.buffer.len().saturating_sub(text.len()),
            }
            assert!(
                self.fill().is_some(),
                "{text:?} did not come: {:?}",
                String::from_utf8_lossy(&self.buffer)
            );
        };
        String::from_utf8_lossy(&self.take(end)).into_owned()
    }
}
