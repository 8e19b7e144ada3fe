//! One client's keys, and the store as it knows it: after what was acknowledged, and after each
//! command that was sent and not answered yet.
//!
//! A key's name tells how it is used (counter, text, fleeting), so that the reply to each command and
//! the entry it leaves follow from the model alone. Only fleeting keys expire while a test runs, and
//! nothing is ever built on what they held.

use std::collections::{BTreeMap, VecDeque};

use tresor::clock::{Clock, SystemClock};
use tresor_testkit::{Reply, Server};

/// What an entry holds, and when it expires in Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) value: Vec<u8>,
    pub(crate) expires_at_ms: Option<u64>,
}

pub(crate) type Entries = BTreeMap<String, Entry>;

/// A command as words.
pub(crate) type Command = Vec<Vec<u8>>;

/// A command that was sent: the reply it must get, and the client's entries after it.
pub(crate) struct Sent {
    pub(crate) command: Command,
    pub(crate) reply: Reply,
    pub(crate) after: Entries,
}

/// A client's side of the story.
pub(crate) struct Account {
    client: u64,
    /// After the last acknowledged command.
    known: Entries,
    /// Sent and not acknowledged, in order.
    pub(crate) sent: VecDeque<Sent>,
}

impl Account {
    pub(crate) fn new(client: u64) -> Self {
        Self { client, known: Entries::new(), sent: VecDeque::new() }
    }

    /// The name of one of this client's keys.
    pub(crate) fn name(&self, kind: &str, number: u64) -> String {
        format!("client{}:{kind}{number}", self.client)
    }

    /// The entries after everything sent so far.
    pub(crate) fn latest(&self) -> &Entries {
        self.sent.back().map_or(&self.known, |sent| &sent.after)
    }

    /// The oldest command sent was answered.
    pub(crate) fn acknowledge(&mut self, reply: &Reply) {
        let sent = self.sent.pop_front().expect("only what was sent is answered");
        assert_eq!(*reply, sent.reply, "the answer to {}", shown(&sent.command));
        self.known = sent.after;
    }

    /// Finds out where the store stopped, and goes on from there. Returns how many commands that were
    /// never answered had been done.
    pub(crate) fn settle(&mut self, server: &Server) -> usize {
        let names: Vec<String> = ["counter", "text", "fleeting"]
            .iter()
            .flat_map(|kind| (0..NUMBERS).map(|number| self.name(kind, number)).collect::<Vec<_>>())
            .collect();
        let clock = SystemClock::new();
        let before_ms = clock.now_ms();
        let found = read(server, &names);
        let after_ms = clock.now_ms();
        let agrees = |entries: &Entries| {
            names.iter().all(|name| match (entries.get(name), found.get(name)) {
                (None, found) => found.is_none(),
                (Some(entry), None) => entry.expires_at_ms.is_some_and(|at| at <= after_ms),
                (Some(entry), Some(found)) => {
                    entry == found && entry.expires_at_ms.is_none_or(|at| at > before_ms)
                }
            })
        };
        let sent = std::mem::take(&mut self.sent);
        let candidates: Vec<&Entries> =
            std::iter::once(&self.known).chain(sent.iter().map(|sent| &sent.after)).collect();
        let Some(done) = candidates.iter().rposition(|entries| agrees(entries)) else {
            let commands: Vec<String> = sent.iter().map(|sent| shown(&sent.command)).collect();
            panic!(
                "client {}: what came back\n{}\nis neither what was acknowledged\n{}\nnor that with any of \
                 these on top: {commands:#?}",
                self.client,
                listed(&found),
                listed(&self.known)
            );
        };
        self.known = candidates[done].clone();
        done
    }
}

/// How many keys of each kind a client has.
pub(crate) const NUMBERS: u64 = 5;

fn read(server: &Server, names: &[String]) -> Entries {
    let mut client = server.resp();
    let ask = |word: &str| -> Vec<Command> {
        names.iter().map(|name| vec![word.into(), name.clone().into_bytes()]).collect()
    };
    // The value last: an entry whose expiry was read may be gone by then, which `settle` allows for.
    let expiries = client.pipeline(&ask("PEXPIRETIME")).expect("the server answers");
    let values = client.pipeline(&ask("GET")).expect("the server answers");
    let mut entries = Entries::new();
    for ((name, expiry), value) in names.iter().zip(expiries).zip(values) {
        if let Some(value) = value.bytes() {
            // -1 for never.
            let expires_at_ms = expiry.integer().and_then(|at| u64::try_from(at).ok());
            entries.insert(name.clone(), Entry { value: value.to_vec(), expires_at_ms });
        }
    }
    entries
}

fn shown(command: &[Vec<u8>]) -> String {
    let words: Vec<_> = command.iter().map(|word| String::from_utf8_lossy(word)).collect();
    words.join(" ")
}

fn listed(entries: &Entries) -> String {
    let row = |(name, entry): (&String, &Entry)| {
        let value = String::from_utf8_lossy(&entry.value);
        format!("  {name} = {value} (expires {:?})", entry.expires_at_ms)
    };
    entries.iter().map(row).collect::<Vec<_>>().join("\n")
}
