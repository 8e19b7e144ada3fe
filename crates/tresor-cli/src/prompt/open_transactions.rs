//! Which transactions this connection has open, as its lines and their answers tell.
//!
//! The server alone knows for certain. It may end an idle transaction by itself, and after a Deadlock the
//! victim's transaction is gone, but both are still open where this connection waited for itself, which
//! takes two of them. What is not certain stays on show until UnknownTransaction is answered.

use std::{collections::BTreeSet, fmt};

use serde_json::Value;

use super::command_word;

/// The ids of open transactions.
#[derive(Debug, Default)]
pub(super) struct OpenTransactions {
    ids: BTreeSet<u64>,
    latest: Option<u64>,
}

impl OpenTransactions {
    /// Takes note of what a line has begun or ended.
    pub(super) fn follow(&mut self, line: &str, answer: &Value) {
        let named = self.named(line);
        match (command_word(line).as_str(), answer["status"].as_str(), answer["code"].as_str()) {
            ("BEGIN", Some("Ok"), _) => {
                self.latest = answer["transaction_id"].as_u64();
                self.ids.extend(self.latest);
            }
            ("COMMITALL", Some("Ok"), _) => self.ids.clear(),
            ("COMMIT" | "ABORT", Some("Ok"), _) | (_, _, Some("UnknownTransaction")) => {
                if let Some(id) = named {
                    self.ids.remove(&id);
                }
            }
            (_, _, Some("Deadlock")) if self.ids.len() == 1 => {
                self.ids.retain(|id| named != Some(*id));
            }
            _ => {}
        }
    }

    /// The transaction that a line names as its last word, if it has a place for one.
    fn named(&self, line: &str) -> Option<u64> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let fewest = match command_word(line).as_str() {
            "PUT" => 4,
            "GET" => 3,
            _ => 2,
        };
        match words.last().filter(|_| words.len() >= fewest)? {
            &"@" => self.latest,
            word => word.parse().ok(),
        }
    }
}

/// ` [1 2]`, or nothing where none is open.
impl fmt::Display for OpenTransactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ids.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = self.ids.iter().map(u64::to_string).collect();
        write!(f, " [{}]", ids.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::OpenTransactions;

    #[test]
    fn ids_come_and_go_with_the_answers() {
        let mut open = OpenTransactions::default();
        let ok = json!({"status": "Ok"});
        let error = |code: &str| json!({"status": "Error", "code": code, "message": "m"});
        let mut after = |line: &str, answer: &serde_json::Value| {
            open.follow(line, answer);
            open.to_string()
        };
        assert_eq!(after("begin", &json!({"status": "Ok", "transaction_id": 4})), " [4]");
        assert_eq!(after("BEGIN", &json!({"status": "Ok", "transaction_id": 9})), " [4 9]");
        assert_eq!(after("PUT a b 4", &ok), " [4 9]");
        assert_eq!(after("COMMIT 4", &error("Deadlock")), " [4 9]");
        assert_eq!(after("GET a 4", &error("UnknownTransaction")), " [9]");
        assert_eq!(after("abort @", &ok), "");
        assert_eq!(after("BEGIN", &json!({"status": "Ok", "transaction_id": 10})), " [10]");
        assert_eq!(after("PUT a 10", &error("Deadlock")), " [10]");
        assert_eq!(after("PUT a b 10", &error("Deadlock")), "");
        assert_eq!(after("BEGIN", &json!({"status": "Ok", "transaction_id": 11})), " [11]");
        assert_eq!(after("COMMITALL", &json!({"status": "Ok", "committed": 1})), "");
    }
}
