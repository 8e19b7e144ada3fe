//! HTTP: transactions under `/v1/transactions`, plain reads and writes under `/keys`.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value, json};

use crate::door::{Door, Told, Trouble, trouble};

/// Longer than anything has to wait for a lock.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to the HTTP port that is kept.
pub(crate) struct Http {
    stream: BufReader<TcpStream>,
    port: u16,
    /// The path of the open transaction.
    transaction: String,
}

struct Answer {
    status: u16,
    /// Whether it tells when to try again.
    retry: bool,
    body: String,
}

impl Http {
    pub(crate) fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), port, transaction: String::new() })
    }

    fn send(&mut self, method: &str, path: &str, (content_type, body): (&str, &str)) -> io::Result<()> {
        let port = self.port;
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n");
        if method != "GET" {
            let length = body.len();
            request += &format!("Content-Type: {content_type}\r\nContent-Length: {length}\r\n");
        }
        self.stream.get_mut().write_all(format!("{request}\r\n{body}").as_bytes())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 || !line.ends_with("\r\n") {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.len() - 2);
        Ok(line)
    }

    fn bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not an answer: {first}"));
        let (mut length, mut chunked, mut retry) = (0, false, false);
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap_or_else(|_| panic!("length {value}")),
                "transfer-encoding" => chunked = true,
                "retry-after" => retry = true,
                _ => {}
            }
        }
        let body = if chunked { self.chunks()? } else { self.bytes(length)? };
        Ok(Answer { status, retry, body: String::from_utf8_lossy(&body).into_owned() })
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let length = usize::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("a chunk of {line}"));
            body.extend(self.bytes(length)?);
            self.line()?;
            if length == 0 {
                return Ok(body);
            }
        }
    }

    /// A request and its answer; `None` for an entry that is not there.
    fn find(&mut self, method: &str, path: &str, body: (&str, &str)) -> Told<Option<String>> {
        let answer = self.send(method, path, body).and_then(|()| self.answer()).map_err(|_| Trouble::Lost)?;
        let Answer { status, retry, body } = answer;
        if (200..300).contains(&status) {
            return Ok(Some(body));
        }
        let problem: Value = serde_json::from_str(&body).unwrap_or_default();
        let kind = problem["type"].as_str().and_then(|name| name.rsplit(':').next());
        match kind.unwrap_or_default() {
            "NotFound" => Ok(None),
            // Whatever kept it back, nothing was done.
            _ if retry => Err(Trouble::Refused),
            kind => Err(trouble(kind, &format!("{method} {path}: {status} {body}"))),
        }
    }

    fn post(&mut self, path: &str, body: &str) -> Told<String> {
        self.find("POST", path, ("application/json", body)).map(Option::unwrap_or_default)
    }

    fn end(&mut self, word: &str) -> Told<()> {
        let transaction = std::mem::take(&mut self.transaction);
        let answer = self.post(&format!("{transaction}/{word}"), "");
        if let Err(Trouble::Refused) = &answer {
            self.transaction = transaction;
        }
        answer.map(drop)
    }
}

impl Door for Http {
    fn begin(&mut self, brief: bool) -> Told<()> {
        let body = if brief { r#"{"timeout":0.2}"# } else { "" };
        let answer = self.post("/v1/transactions", body)?;
        let document: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("not JSON: {answer}"));
        let id = document["transaction_id"].as_str().unwrap_or_else(|| panic!("no id: {answer}"));
        self.transaction = format!("/v1/transactions/{id}");
        Ok(())
    }

    fn get(&mut self, key: &str) -> Told<Option<String>> {
        let path = format!("{}/keys/{key}", self.transaction);
        self.find("GET", &path, ("", ""))
    }

    fn put(&mut self, key: &str, value: &str) -> Told<()> {
        let path = format!("{}/keys/{key}", self.transaction);
        self.find("PUT", &path, ("application/octet-stream", value)).map(drop)
    }

    fn keys(&mut self, prefix: &str) -> Option<Told<Vec<String>>> {
        let path = format!("{}/keys", self.transaction);
        let answer = self.find("GET", &path, ("", "")).map(Option::unwrap_or_default);
        Some(answer.map(|answer| {
            let document: Value =
                serde_json::from_str(&answer).unwrap_or_else(|_| panic!("not JSON: {answer}"));
            let entries = document.as_object().unwrap_or_else(|| panic!("not an object: {answer}"));
            entries.keys().filter(|key| key.starts_with(prefix)).cloned().collect()
        }))
    }

    fn batch(&mut self, reads: &[String], writes: &[(String, String)]) -> Option<Told<Vec<Option<String>>>> {
        let reads = reads.iter().map(|key| json!({ "op": "get", "key": key }));
        let writes = writes.iter().map(|(key, value)| json!({ "op": "put", "key": key, "value": value }));
        let count = reads.len();
        let body = json!({ "operations": reads.chain(writes).collect::<Vec<_>>() }).to_string();
        let answer = match self.post("/v1/batch", &body) {
            Ok(answer) => answer,
            Err(trouble) => return Some(Err(trouble)),
        };
        let document: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("not JSON: {answer}"));
        let value = |place: usize| document["results"][place]["value"].as_str().map(str::to_owned);
        Some(Ok((0..count).map(value).collect()))
    }

    fn rollback(&mut self) -> Told<()> {
        let path = format!("{}/rollback", self.transaction);
        self.post(&path, "").map(drop)
    }

    fn commit(&mut self) -> Told<()> {
        self.end("commit")
    }

    fn commit_unheard(&mut self) {
        let path = format!("{}/commit", self.transaction);
        // A connection that is broken already is as good as one that is not listened to.
        let _ = self.send("POST", &path, ("application/json", ""));
    }

    fn abort(&mut self) -> Told<()> {
        if self.transaction.is_empty() {
            return Ok(());
        }
        self.end("abort")
    }
}
