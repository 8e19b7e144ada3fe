//! The line protocol: a command a line, a JSON object a line back.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

use crate::door::{Door, Told, Trouble, trouble};

/// Longer than anything has to wait for a lock.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to the line port.
pub(crate) struct Line {
    stream: BufReader<TcpStream>,
    /// The open transaction, as it is named in commands; with a blank before it.
    transaction: String,
    begun: u64,
}

impl Line {
    pub(crate) fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), transaction: String::new(), begun: 0 })
    }

    fn send(&mut self, line: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes())
    }

    fn answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 || !line.ends_with('\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line)
    }

    /// A command and its answer; `None` for what is not there.
    fn find(&mut self, line: &str) -> Told<Option<Value>> {
        let answer = self.send(line).and_then(|()| self.answer()).map_err(|_| Trouble::Lost)?;
        let value: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("not JSON: {answer}"));
        if value["status"] == "Ok" {
            return Ok(Some(value));
        }
        match value["code"].as_str() {
            Some("NotFound") => Ok(None),
            code => Err(trouble(code.unwrap_or_default(), &answer)),
        }
    }

    fn ask(&mut self, line: &str) -> Told<Value> {
        self.find(line).map(|answer| answer.unwrap_or_else(|| panic!("not found: {line}")))
    }

    /// Ends the open transaction.
    fn end(&mut self, word: &str) -> Told<()> {
        let transaction = std::mem::take(&mut self.transaction);
        let answer = self.ask(&format!("{word}{transaction}"));
        if let Err(Trouble::Refused) = &answer {
            self.transaction = transaction;
        }
        answer.map(drop)
    }
}

impl Door for Line {
    fn begin(&mut self, _: bool) -> Told<()> {
        let answer = self.ask("BEGIN")?;
        let id = answer["transaction_id"].as_u64().unwrap_or_else(|| panic!("no id: {answer}"));
        self.begun += 1;
        // Both ways to name it.
        self.transaction = if self.begun.is_multiple_of(3) { " @".into() } else { format!(" {id}") };
        Ok(())
    }

    fn get(&mut self, key: &str) -> Told<Option<String>> {
        let answer = self.find(&format!("GET {key}{}", self.transaction))?;
        let text = |answer: Value| answer["value"].as_str().map(str::to_owned);
        Ok(answer.map(|answer| text(answer.clone()).unwrap_or_else(|| panic!("no text: {answer}"))))
    }

    fn put(&mut self, key: &str, value: &str) -> Told<()> {
        self.ask(&format!("PUT {key} \"{value}\"{}", self.transaction)).map(drop)
    }

    fn keys(&mut self, _: &str) -> Option<Told<Vec<String>>> {
        None
    }

    fn rollback(&mut self) -> Told<()> {
        self.ask(&format!("ROLLBACK{}", self.transaction)).map(drop)
    }

    fn commit(&mut self) -> Told<()> {
        self.end("COMMIT")
    }

    fn commit_unheard(&mut self) {
        // A connection that is broken already is as good as one that is not listened to.
        let _ = self.send(&format!("COMMIT{}", self.transaction));
    }

    fn abort(&mut self) -> Told<()> {
        if self.transaction.is_empty() {
            return Ok(());
        }
        self.end("ABORT")
    }
}
