//! The one table of the line protocol's commands: name, words, what they mean, what is answered.
//!
//! HELP and every error that names a syntax come from here. Invariant: a row's place is its command's number.

use super::answer::{begin, end};
use crate::{json::write_string, protocol::MOST_ARGUMENTS};

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Begin,
    Put,
    Get,
    Find,
    Del,
    Rollback,
    Abort,
    Commit,
    CommitAll,
    ShowAll,
    Auth,
    Ping,
    Select,
    Help,
    Quit,
}

/// What there is to know about a command.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: Name,
    /// The word that calls it.
    pub(super) word: &'static str,
    /// The words behind it, by name.
    arguments: &'static str,
    /// How many of those there are at least and at most.
    counts: (usize, usize),
    summary: &'static str,
    answer: &'static str,
    /// It changes entries, now or with a commit: CLIENT PAUSE WRITE holds it back.
    pub(super) writes: bool,
    /// It may be used before AUTH.
    pub(super) open: bool,
}

const ROW: Row = Row {
    name: Name::Ping,
    word: "",
    arguments: "",
    counts: (0, 0),
    summary: "",
    answer: OK,
    writes: false,
    open: false,
};

const OK: &str = "{\"status\":\"Ok\"}";

/// All commands, in the order in which HELP shows them.
pub(super) const ROWS: [Row; 15] = [
    Row {
        name: Name::Begin,
        word: "BEGIN",
        summary: "Begin a transaction; @ names it until the next BEGIN",
        answer: "{\"status\":\"Ok\",\"transaction_id\":1}",
        ..ROW
    },
    Row {
        name: Name::Put,
        word: "PUT",
        arguments: "key value [id]",
        counts: (2, 3),
        summary: "Set a key, in a transaction or at once",
        writes: true,
        ..ROW
    },
    Row {
        name: Name::Get,
        word: "GET",
        arguments: "key [id]",
        counts: (1, 2),
        summary: "Read a key, in a transaction with its own writes",
        answer: "{\"status\":\"Ok\",\"key\":\"k\",\"value\":\"v\"}",
        ..ROW
    },
    Row {
        name: Name::Find,
        word: "FIND",
        arguments: "[option value ...] [CURSOR cursor] [WITHVALUES] [EXPLAIN]",
        counts: (0, MOST_ARGUMENTS),
        summary: "Find entries by patterns and ranges of keys and values, or the nearest to a vector; the options are those of TRESOR.FIND",
        answer: "{\"status\":\"Ok\",\"entries\":[{\"key\":\"k\",\"value\":\"v\"}],\"cursor\":\"…\"}",
        ..ROW
    },
    Row {
        name: Name::Del,
        word: "DEL",
        arguments: "key [id] | id",
        counts: (1, 2),
        summary: "Delete a key, or every key that a transaction has written",
        answer: "{\"status\":\"Ok\",\"deleted\":1}",
        writes: true,
        ..ROW
    },
    Row {
        name: Name::Rollback,
        word: "ROLLBACK",
        arguments: "id",
        counts: (1, 1),
        summary: "Undo the latest write of a transaction that is not undone yet; it stays open",
        answer: "{\"status\":\"Ok\",\"key\":\"k\",\"value\":\"before\"}",
        ..ROW
    },
    Row {
        name: Name::Abort,
        word: "ABORT",
        arguments: "id",
        counts: (1, 1),
        summary: "Discard a transaction and free its locks",
        ..ROW
    },
    Row {
        name: Name::Commit,
        word: "COMMIT",
        arguments: "id",
        counts: (1, 1),
        summary: "Apply all that a transaction has written at once and free its locks",
        writes: true,
        ..ROW
    },
    Row {
        name: Name::CommitAll,
        word: "COMMITALL",
        summary: "Commit every transaction that this connection has begun",
        answer: "{\"status\":\"Ok\",\"committed\":1}",
        writes: true,
        ..ROW
    },
    Row {
        name: Name::ShowAll,
        word: "SHOWALL",
        summary: "Show all committed entries and the open transactions of every connection",
        answer: "{\"status\":\"Ok\",\"entries\":{\"k\":\"v\"},\"transactions\":[{\"transaction_id\":1,\"writes\":{\"k\":\"v\"}}]}",
        ..ROW
    },
    Row {
        name: Name::Auth,
        word: "AUTH",
        arguments: "password",
        counts: (1, 1),
        summary: "Show the password that the server asks for",
        open: true,
        ..ROW
    },
    Row {
        name: Name::Ping,
        word: "PING",
        summary: "Ask whether the server is there",
        answer: "{\"status\":\"Ok\",\"message\":\"PONG\"}",
        ..ROW
    },
    Row {
        name: Name::Select,
        word: "SELECT",
        arguments: "n",
        counts: (1, 1),
        summary: "Use the database of this number, 0 to 15, on this connection",
        ..ROW
    },
    Row {
        name: Name::Help,
        word: "HELP",
        summary: "List the commands",
        answer: "{\"status\":\"Ok\",\"commands\":[{\"name\":\"PING\",\"syntax\":\"PING\",\"summary\":\"…\",\"answer\":\"…\"}]}",
        open: true,
        ..ROW
    },
    Row {
        name: Name::Quit,
        word: "QUIT",
        summary: "End the connection; what it has open is rolled back",
        answer: "{\"status\":\"Ok\",\"message\":\"BYE\"}",
        open: true,
        ..ROW
    },
];

impl Row {
    /// The command that a word calls, in any case.
    #[inline]
    pub(super) fn find(word: &[u8]) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.word.as_bytes().eq_ignore_ascii_case(word))
    }

    /// Whether so many words may follow it.
    #[inline]
    pub(super) fn takes(&self, arguments: usize) -> bool {
        (self.counts.0..=self.counts.1).contains(&arguments)
    }

    /// How it is written.
    pub(super) fn syntax(&self) -> String {
        let forms = self.arguments.split(" | ").map(|arguments| format!("{} {arguments}", self.word));
        forms.collect::<Vec<_>>().join(" | ").trim_end().to_owned()
    }
}

/// HELP's answer.
pub(super) fn write_help(out: &mut Vec<u8>) {
    begin(out, "commands");
    for (place, row) in ROWS.iter().enumerate() {
        out.push(if place == 0 { b'[' } else { b',' });
        let syntax = row.syntax();
        let members = [
            ("{\"name\":", row.word),
            (",\"syntax\":", &syntax),
            (",\"summary\":", row.summary),
            (",\"answer\":", row.answer),
        ];
        for (opening, text) in members {
            out.extend_from_slice(opening.as_bytes());
            write_string(out, text);
        }
        out.push(b'}');
    }
    out.push(b']');
    end(out);
}

#[cfg(test)]
mod tests {
    use super::ROWS;

    #[test]
    fn rows_stand_in_their_commands_places_and_show_answers_that_are_json() {
        for (place, row) in ROWS.iter().enumerate() {
            assert_eq!(row.name as usize, place, "{}", row.word);
            let answer: serde_json::Value = serde_json::from_str(row.answer).unwrap();
            assert_eq!(answer["status"], "Ok", "{}", row.word);
            assert!(!row.summary.is_empty() && row.counts.0 <= row.counts.1, "{}", row.word);
        }
    }
}
