//! The Redis protocol: `TRESOR.BEGIN` and what follows it, and commands sent as they are.

use std::io;

use tresor_testkit::{Reply, RespClient, resp_client::encode};

use crate::door::{Door, Told, Trouble, trouble};

/// A connection to the Redis port.
pub(crate) struct Resp {
    client: RespClient,
}

impl Resp {
    pub(crate) fn connect(port: u16) -> io::Result<Self> {
        Ok(Self { client: RespClient::connect(port)? })
    }

    /// A command and its reply, which is no error.
    pub(crate) fn ask(&mut self, words: &[impl AsRef<[u8]>]) -> Told<Reply> {
        let reply = self.client.command(words).map_err(|_| Trouble::Lost)?;
        told(reply)
    }

    /// The reply to a command that was sent before, if it is no error.
    pub(crate) fn reply(&mut self) -> Told<Reply> {
        self.client.reply().map_err(|_| Trouble::Lost).and_then(told)
    }

    /// Sends a command without listening.
    pub(crate) fn send(&mut self, words: &[impl AsRef<[u8]>]) {
        self.send_bytes(&encode(words));
    }

    /// The same with commands that are encoded already.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        // A connection that is broken already is as good as one that is not listened to.
        let _ = self.client.send(bytes);
    }
}

fn told(reply: Reply) -> Told<Reply> {
    let Some(text) = reply.error() else { return Ok(reply) };
    let kind = match text.split(' ').next() {
        Some("DEADLOCK") => "Deadlock",
        Some("LOCKTIMEOUT") => "LockTimeout",
        Some("UNKNOWN") => "UnknownOutcome",
        _ if text == "ERR no such transaction" => "UnknownTransaction",
        _ if text.starts_with("ERR unavailable: ") => "Unavailable",
        _ => "",
    };
    Err(trouble(kind, text))
}

/// The text of a reply that is a value or nil.
pub(crate) fn value(reply: &Reply) -> Option<String> {
    reply.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// The texts of an array of values.
pub(crate) fn values(reply: Reply) -> Vec<Option<String>> {
    let Reply::Array(replies) = reply else { panic!("not an array: {reply}") };
    replies.iter().map(value).collect()
}

impl Door for Resp {
    fn begin(&mut self, _: bool) -> Told<()> {
        self.ask(&["TRESOR.BEGIN"]).map(drop)
    }

    fn get(&mut self, key: &str) -> Told<Option<String>> {
        self.ask(&["GET", key]).map(|reply| value(&reply))
    }

    fn put(&mut self, key: &str, value: &str) -> Told<()> {
        self.ask(&["SET", key, value]).map(drop)
    }

    fn keys(&mut self, prefix: &str) -> Option<Told<Vec<String>>> {
        let found = self.ask(&["KEYS", &format!("{prefix}*")]);
        Some(found.map(|reply| values(reply).into_iter().flatten().collect()))
    }

    fn rollback(&mut self) -> Told<()> {
        self.ask(&["TRESOR.ROLLBACK"]).map(drop)
    }

    fn commit(&mut self) -> Told<()> {
        self.ask(&["TRESOR.COMMIT"]).map(drop)
    }

    fn commit_unheard(&mut self) {
        self.send(&["TRESOR.COMMIT"]);
    }

    fn abort(&mut self) -> Told<()> {
        self.ask(&["TRESOR.ABORT"]).map(drop)
    }

    fn resp(&mut self) -> Option<&mut Resp> {
        Some(self)
    }
}
