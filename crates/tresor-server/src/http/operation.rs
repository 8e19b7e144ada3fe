//! What `POST /v1/batch` is asked to do: a list of operations, each with its key and its guard.
//!
//! Members that an operation does not take are errors, not noise: a guard that is spelled wrong must not
//! become a write without one. What is wrong with one of them is told with its place in the list.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tresor::{
    Error, ErrorKind, Kind, Result,
    engine::{Change, Expires, Guard, KeyRef},
};

use super::{
    capped_list::CappedList,
    document::{key_of_text, read_value},
    etag::Etag,
    problem::Problem,
    ttl::Ttl,
};

/// Operations of one batch.
pub(super) const MAX_OPERATIONS: usize = 10_000;

/// One operation.
pub(super) struct Operation {
    pub(super) key: Vec<u8>,
    pub(super) guard: Guard,
    pub(super) action: Action,
}

/// What is done to its key.
pub(super) enum Action {
    Put {
        value: Bytes,
        kind: Kind,
        ttl: Option<Ttl>,
    },
    Delete,
    /// Sets the time to live, or takes it away.
    Expire(Option<Ttl>),
    /// Only the guard counts.
    Check,
    Get,
}

impl Operation {
    /// Reads `{"operations":[…]}`; versions are those of the store with this id.
    pub(super) fn parse_all(body: &Bytes, store_id: u64) -> Result<Vec<Self>, Problem> {
        let wrong = |error| Error::invalid(format!("the body is not what it should be: {error}"));
        let ListDocument { operations: CappedList(operations) } =
            serde_json::from_slice(body).map_err(wrong)?;
        if operations.len() > MAX_OPERATIONS {
            let message = format!("a batch has at most {MAX_OPERATIONS} operations: send several");
            return Err(Error::new(ErrorKind::TooLarge, message).into());
        }
        let one = |(index, text): (usize, &&RawValue)| {
            Self::parse(body, text.get(), store_id).map_err(|error| at(index, &error))
        };
        operations.iter().enumerate().map(one).collect()
    }

    fn parse(body: &Bytes, text: &str, store_id: u64) -> Result<Self> {
        let document: Document<'_> =
            serde_json::from_str(text).map_err(|error| Error::invalid(error.to_string()))?;
        document.check_members()?;
        let guard = match document.guard {
            None => Guard::None,
            Some(Condition::Absent) => Guard::Absent,
            Some(Condition::Present) => Guard::Present,
            Some(Condition::Version(etag)) => Etag::parse(&etag)?.guard(store_id),
        };
        let ttl = match document.ttl.map(RawValue::get) {
            None => None,
            Some("null") if document.op == Op::Expire => None,
            Some(ttl) => Some(Ttl::parse(ttl)?),
        };
        let action = match (document.op, document.value) {
            (Op::Put, Some(value)) => {
                let (value, kind) = read_value(body, value.get())?;
                Action::Put { value, kind, ttl }
            }
            (Op::Put, None) => return Err(Error::invalid("put needs a \"value\"")),
            (Op::Delete, _) => Action::Delete,
            (Op::Expire, _) => Action::Expire(ttl),
            (Op::Check, _) => Action::Check,
            (Op::Get, _) => Action::Get,
        };
        let key = match document.key {
            Cow::Borrowed(text) => key_of_text(Cow::Borrowed(text.as_bytes())),
            Cow::Owned(text) => key_of_text(Cow::Owned(text.into_bytes())),
        };
        Ok(Self { key: key?, guard, action })
    }

    /// The engine's change, as of `now_ms`; a `get` is none.
    pub(super) fn change(&self, database: u8, now_ms: u64) -> Option<Change<'_>> {
        let (key, guard) = (KeyRef::new(database, &self.key), self.guard);
        Some(match &self.action {
            Action::Put { value, kind, ttl } => {
                Change::Put { key, guard, value, kind: *kind, expires: Ttl::expires(*ttl, now_ms) }
            }
            Action::Delete => Change::Delete { key, guard },
            Action::Expire(ttl) => {
                let expires_at_ms = match Ttl::expires(*ttl, now_ms) {
                    Expires::At(moment_ms) => Some(moment_ms),
                    Expires::Never | Expires::Keep => None,
                };
                Change::Expire { key, guard, expires_at_ms }
            }
            Action::Check => Change::Check { key, guard },
            Action::Get => return None,
        })
    }
}

/// An error of the operation at a place.
pub(super) fn at(index: usize, error: &Error) -> Problem {
    Problem::from(Error::new(error.kind(), format!("operations[{index}]: {error}"))).member("index", index)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListDocument<'a> {
    #[serde(borrow)]
    operations: CappedList<'a, MAX_OPERATIONS>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Op {
    Put,
    Delete,
    Expire,
    Check,
    Get,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Condition {
    Absent,
    Present,
    Version(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    op: Op,
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "as_it_is")]
    value: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_it_is")]
    ttl: Option<&'a RawValue>,
    #[serde(default, rename = "if")]
    guard: Option<Condition>,
}

/// A member as it was written: `null` is there, too.
pub(super) fn as_it_is<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Document<'_> {
    /// Refuses members that this operation has no use for, and misses those that it cannot do without.
    fn check_members(&self) -> Result<()> {
        let op = self.op;
        let stray = [
            ("value", self.value.is_some() && op != Op::Put),
            ("ttl", self.ttl.is_some() && !matches!(op, Op::Put | Op::Expire)),
            ("if", self.guard.is_some() && op == Op::Get),
        ];
        if let Some((name, _)) = stray.iter().find(|(_, is_stray)| *is_stray) {
            let op = format!("{op:?}").to_lowercase();
            return Err(Error::invalid(format!("{op} takes no \"{name}\"")));
        }
        match op {
            Op::Check if self.guard.is_none() => Err(Error::invalid("check needs an \"if\"")),
            Op::Expire if self.ttl.is_none() => {
                Err(Error::invalid("expire needs a \"ttl\": seconds, or null for none"))
            }
            _ => Ok(()),
        }
    }
}
