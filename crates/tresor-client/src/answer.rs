//! One line of an answer: a JSON object with a status, and the members that a command promises.
//!
//! Members stay text until somebody asks for them, so a long value is read once.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::{
    error::{Error, ErrorKind, Result},
    transaction::{OpenTransaction, TransactionId},
    value::{Value, decode_key},
};

/// The members of an answer that is no error.
pub(crate) struct Answer<'l>(BTreeMap<String, &'l RawValue>);

impl<'l> Answer<'l> {
    /// Reads a line; an error answer becomes an error.
    pub(crate) fn read(line: &'l str) -> Result<Self> {
        let answer = Self(serde_json::from_str(line).map_err(|error| no_answer(line).caused_by(error))?);
        match answer.text("status").as_deref() {
            Ok("Ok") => Ok(answer),
            Ok("Error") => Err(Error::answered(&answer.text("code")?, &answer.text("message")?)),
            _ => Err(no_answer(line)),
        }
    }

    /// A member that is a number.
    pub(crate) fn number(&self, name: &str) -> Result<u64> {
        serde_json::from_str(self.member(name)?.get()).map_err(|error| senseless(name).caused_by(error))
    }

    /// A member that is a key.
    pub(crate) fn key(&self, name: &str) -> Result<Vec<u8>> {
        decode_key(self.text(name)?)
    }

    /// A member that is a value.
    pub(crate) fn value(&self, name: &str) -> Result<Value> {
        Value::decode(self.member(name)?)
    }

    /// A member that is a value, or null for none.
    pub(crate) fn value_or_null(&self, name: &str) -> Result<Option<Value>> {
        value_or_null(self.member(name)?)
    }

    /// A member that is an object of keys and values.
    pub(crate) fn entries(&self, name: &str) -> Result<BTreeMap<Vec<u8>, Value>> {
        keyed(self.member(name)?, name, Value::decode)
    }

    /// A member that is an array of transactions.
    pub(crate) fn transactions(&self, name: &str) -> Result<Vec<OpenTransaction>> {
        let listed: Vec<BTreeMap<String, &RawValue>> = serde_json::from_str(self.member(name)?.get())
            .map_err(|error| senseless(name).caused_by(error))?;
        listed
            .into_iter()
            .map(|members| {
                let each = Answer(members);
                let id = TransactionId::from(each.number("transaction_id")?);
                let writes = keyed(each.member("writes")?, "writes", value_or_null)?;
                Ok(OpenTransaction { id, writes })
            })
            .collect()
    }

    fn text(&self, name: &str) -> Result<String> {
        serde_json::from_str(self.member(name)?.get()).map_err(|error| senseless(name).caused_by(error))
    }

    fn member(&self, name: &str) -> Result<&'l RawValue> {
        self.0.get(name).copied().ok_or_else(|| senseless(name))
    }
}

fn keyed<T>(
    object: &RawValue,
    name: &str,
    decode: impl Fn(&RawValue) -> Result<T>,
) -> Result<BTreeMap<Vec<u8>, T>> {
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_str(object.get()).map_err(|error| senseless(name).caused_by(error))?;
    members.into_iter().map(|(key, value)| Ok((decode_key(key)?, decode(value)?))).collect()
}

fn value_or_null(answered: &RawValue) -> Result<Option<Value>> {
    if answered.get() == "null" { Ok(None) } else { Value::decode(answered).map(Some) }
}

fn senseless(name: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("the server's answer has no `{name}` that makes sense"))
}

/// What came back is no answer: most likely this is another port of the server.
pub(crate) fn no_answer(line: &str) -> Error {
    let shown: String = line.chars().take(60).collect();
    let message = format!("this is not the line protocol ({shown:?}); give the server's line port");
    Error::new(ErrorKind::Protocol, message)
}

#[cfg(test)]
mod tests {
    use super::Answer;
    use crate::error::ErrorKind;

    fn kind_of(line: &str) -> ErrorKind {
        Answer::read(line).err().map(|error| error.kind()).unwrap()
    }

    #[test]
    fn members_are_read_as_what_they_are() {
        let answer = Answer::read(
            r#"{"status":"Ok","transaction_id":7,"key":"base64:/w==","value":null,
                "entries":{"a":"1","b":{"base64":"/w=="}},"more":[]}"#,
        )
        .unwrap();
        assert_eq!(answer.number("transaction_id").unwrap(), 7);
        assert_eq!(answer.key("key").unwrap(), [0xff]);
        assert_eq!(answer.value_or_null("value").unwrap(), None);
        assert_eq!(answer.entries("entries").unwrap()[&b"b"[..]].bytes(), [0xff]);
        assert_eq!(answer.number("key").unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(answer.value("absent").unwrap_err().kind(), ErrorKind::Protocol);
    }

    #[test]
    fn errors_and_strangers_are_told_apart() {
        assert_eq!(kind_of(r#"{"status":"Error","code":"Deadlock","message":"m"}"#), ErrorKind::Deadlock);
        for line in ["-ERR unknown command", "HTTP/1.1 400 Bad Request", "{}", "[]", r#"{"status":"Fine"}"#] {
            assert_eq!(kind_of(line), ErrorKind::Protocol, "{line}");
        }
    }
}
