//! Typed requests: a line, and how its answer is read. Neither knows a socket.

use crate::{
    answer::Answer,
    error::{ErrorKind, Result},
    quoting,
    transaction::{Contents, TransactionId, Undone},
    value::Value,
};

/// A line to send, and what its answer means.
pub(crate) struct Request<T> {
    /// The line without its end.
    pub(crate) line: String,
    read: fn(Result<Answer<'_>>) -> Result<T>,
}

impl<T> Request<T> {
    /// The meaning of the answer's line.
    pub(crate) fn answered(&self, line: &str) -> Result<T> {
        (self.read)(Answer::read(line))
    }
}

/// A line of a command word, words that may be any bytes, and a transaction.
fn line(command: &str, words: &[&[u8]], transaction: Option<TransactionId>) -> String {
    let mut line = command.to_owned();
    for word in words {
        line.push(' ');
        quoting::append(&mut line, word);
    }
    if let Some(id) = transaction {
        line.push(' ');
        line.push_str(&id.to_string());
    }
    line
}

/// A request whose answer says no more than that it was done.
fn done(line: String) -> Request<()> {
    Request { line, read: |answer| answer.map(drop) }
}

pub(crate) fn ping() -> Request<()> {
    done(line("PING", &[], None))
}

pub(crate) fn authenticate(password: &str) -> Request<()> {
    done(line("AUTH", &[password.as_bytes()], None))
}

pub(crate) fn select(database: u32) -> Request<()> {
    done(format!("SELECT {database}"))
}

pub(crate) fn quit() -> Request<()> {
    done(line("QUIT", &[], None))
}

pub(crate) fn begin() -> Request<TransactionId> {
    Request { line: line("BEGIN", &[], None), read: |answer| Ok(answer?.number("transaction_id")?.into()) }
}

pub(crate) fn put(key: &[u8], value: &[u8], transaction: Option<TransactionId>) -> Request<()> {
    done(line("PUT", &[key, value], transaction))
}

pub(crate) fn get(key: &[u8], transaction: Option<TransactionId>) -> Request<Option<Value>> {
    let read = |answer: Result<Answer<'_>>| match answer {
        Ok(answer) => answer.value("value").map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    Request { line: line("GET", &[key], transaction), read }
}

pub(crate) fn delete(key: &[u8], transaction: Option<TransactionId>) -> Request<bool> {
    Request { line: line("DEL", &[key], transaction), read: |answer| Ok(answer?.number("deleted")? > 0) }
}

pub(crate) fn delete_written(transaction: TransactionId) -> Request<u64> {
    Request { line: line("DEL", &[], Some(transaction)), read: |answer| answer?.number("deleted") }
}

pub(crate) fn rollback(transaction: TransactionId) -> Request<Undone> {
    let read = |answer: Result<Answer<'_>>| {
        let answer = answer?;
        Ok(Undone { key: answer.key("key")?, value: answer.value_or_null("value")? })
    };
    Request { line: line("ROLLBACK", &[], Some(transaction)), read }
}

pub(crate) fn abort(transaction: TransactionId) -> Request<()> {
    done(line("ABORT", &[], Some(transaction)))
}

pub(crate) fn commit(transaction: TransactionId) -> Request<()> {
    done(line("COMMIT", &[], Some(transaction)))
}

pub(crate) fn commit_all() -> Request<u64> {
    Request { line: line("COMMITALL", &[], None), read: |answer| answer?.number("committed") }
}

pub(crate) fn show_all() -> Request<Contents> {
    let read = |answer: Result<Answer<'_>>| {
        let answer = answer?;
        Ok(Contents {
            entries: answer.entries("entries")?,
            transactions: answer.transactions("transactions")?,
        })
    };
    Request { line: line("SHOWALL", &[], None), read }
}

#[cfg(test)]
mod tests {
    use super::{delete, get, put, show_all};
    use crate::transaction::TransactionId;

    #[test]
    fn lines_have_their_words_in_order() {
        let id = Some(TransactionId::from(7));
        assert_eq!(put(b"a b", b"1", id).line, r#"PUT "a b" "1" 7"#);
        assert_eq!(delete(b"2", None).line, r#"DEL "2""#);
    }

    #[test]
    fn answers_become_values() {
        let get = get(b"k", None);
        assert_eq!(get.answered(r#"{"status":"Ok","key":"k","value":"v"}"#).unwrap().unwrap(), "v");
        let absent = r#"{"status":"Error","code":"NotFound","message":"there is no key `k`"}"#;
        assert_eq!(get.answered(absent).unwrap(), None);
        let contents = show_all()
            .answered(
                r#"{"status":"Ok","entries":{"a":"1"},
                    "transactions":[{"transaction_id":3,"writes":{"b":"2","c":null}}]}"#,
            )
            .unwrap();
        assert_eq!(contents.entries[&b"a"[..]], "1");
        assert_eq!(contents.transactions[0].id.number(), 3);
        assert_eq!(contents.transactions[0].writes[&b"c"[..]], None);
    }
}
