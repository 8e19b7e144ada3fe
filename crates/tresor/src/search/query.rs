//! A query: what to find, said option by option, the same ones at every front door.
//!
//! All conditions have to hold together. What limits keys (prefix, bounds, the literal beginning of a glob or
//! a regex) becomes one range of keys, so that a search reads no more than that. A query that was said
//! wrong keeps its first error and answers with it when it is run: so calls can be chained.

use std::{collections::BTreeSet, ops::Bound};

use super::{
    condition::{Range, Reading, Test, ValueCondition, glob_prefix},
    glob::Glob,
    pattern::Pattern,
    pointer::Pointer,
    vector::{self, Metric},
};
use crate::{
    engine::{MAX_KEY_BYTES, Order, behind_prefix},
    error::{Error, Result},
};

/// The most entries of a page, and of nearest neighbours.
pub const MAX_LIMIT: usize = 10_000;

/// Entries of a page unless a limit is given.
pub const DEFAULT_LIMIT: usize = 100;

/// Nearest neighbours unless a limit is given.
pub const DEFAULT_NEAREST: usize = 10;

/// Keys that may be named one by one.
pub const MAX_KEYS: usize = 10_000;

/// Conditions on values, fields apart.
const MAX_CONDITIONS: usize = 32;

/// Bytes of all that a query says.
const MAX_QUERY_BYTES: usize = 1024 * 1024;

/// What to find.
#[derive(Clone, Debug)]
pub struct Query {
    pub(super) keys: Option<BTreeSet<Vec<u8>>>,
    pub(super) range: Range,
    pub(super) key_tests: Vec<Test>,
    pub(super) values: Vec<ValueCondition>,
    pub(super) nearest: Option<Nearest>,
    pub(super) order: Order,
    limit: Option<usize>,
    pub(super) with_values: bool,
    /// The field that the next conditions on values are about.
    field: Option<Pointer>,
    /// Everything that decides what is found and in which order, to know a cursor's query again.
    said: Vec<u8>,
    /// What was said wrong first.
    wrong: Option<String>,
}

/// Which vectors are near.
#[derive(Clone, Debug)]
pub(super) struct Nearest {
    pub(super) vector: Vec<f64>,
    pub(super) metric: Metric,
    pub(super) field: Option<Pointer>,
}

impl Default for Query {
    fn default() -> Self {
        Self::new()
    }
}

macro_rules! options {
    ($($(#[$attribute:meta])* $name:ident)*) => {
        $($(#[$attribute])*
        #[must_use]
        pub fn $name(self, value: impl AsRef<[u8]>) -> Self {
            self.with(stringify!($name), value.as_ref())
        })*
    };
}

impl Query {
    /// Everything, in key order, 100 entries a page, keys alone.
    pub fn new() -> Self {
        Self {
            keys: None,
            range: Range::default(),
            key_tests: Vec::new(),
            values: Vec::new(),
            nearest: None,
            order: Order::Ascending,
            limit: None,
            with_values: false,
            field: None,
            said: Vec::new(),
            wrong: None,
        }
    }

    options! {
        /// This key, or one of several: may be said again.
        key
        /// Keys that begin with these bytes.
        prefix
        /// Keys that match a glob: `*`, `?`, `[a-z]`, `\` before a sign that is meant.
        glob
        /// Keys in which a regular expression matches somewhere; `^…$` for the whole key.
        regex
        /// Keys from this one on.
        from
        /// Keys up to this one, itself included.
        to
        /// Keys behind this one.
        after
        /// Keys before this one.
        before
        /// A JSON pointer: the conditions on values that follow are about this field of JSON values; empty for the
        /// whole value again.
        field
        /// Values that begin with these bytes.
        value_prefix
        /// Values that match a glob.
        value_glob
        /// Values in which a regular expression matches somewhere.
        value_regex
        /// Values from this one on.
        value_from
        /// Values up to this one, itself included.
        value_to
        /// Values greater than this one.
        value_after
        /// Values smaller than this one.
        value_before
        /// How values are compared with bounds: `text`, `bytes` or `number`. Unless said, as numbers if all
        /// bounds are numbers, else as text.
        value_as
        /// The entries whose vector is nearest to this one, nearest first: a JSON array of numbers, a number, or
        /// 4 bytes (a little-endian float) a dimension.
        nearest
        /// How distance is measured: `l2`, `cosine` or `ip`.
        metric
        /// `asc`, `desc`, or `any` for whatever costs least.
        order
    }

    /// At most so many entries a page, or nearest ones: 1 to 10,000.
    #[must_use]
    pub fn limit(self, entries: usize) -> Self {
        self.with("limit", entries.to_string().as_bytes())
    }

    /// Values too, not only keys.
    #[must_use]
    pub fn values(mut self) -> Self {
        self.with_values = true;
        self
    }

    pub(super) fn keys_alone(mut self) -> Self {
        self.with_values = false;
        self
    }

    fn with(mut self, name: &str, value: &[u8]) -> Self {
        if let Err(error) = self.option(name, value) {
            self.wrong.get_or_insert(error.to_string());
        }
        self
    }

    /// Says one option by its name, in any case: the names of the methods above.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for an unknown name, or a value that the option cannot have.
    pub fn option(&mut self, name: &str, value: &[u8]) -> Result<()> {
        let name = name.to_ascii_lowercase();
        if self.said.len() + value.len() > MAX_QUERY_BYTES {
            return Err(Error::invalid(format!("a query may say {MAX_QUERY_BYTES} bytes")));
        }
        self.set(&name, value)?;
        if name != "limit" {
            self.said.extend_from_slice(name.as_bytes());
            self.said.extend_from_slice(&(value.len() as u64).to_le_bytes());
            self.said.extend_from_slice(value);
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &[u8]) -> Result<()> {
        let bytes = || value.to_vec();
        match name {
            "key" => return self.add_key(value),
            "prefix" => self.narrow_to_prefix(value),
            "glob" => {
                self.narrow_to_prefix(glob_prefix(value));
                self.key_tests.push(Test::Glob(Glob::new(value)));
            }
            "regex" => {
                let pattern = Pattern::new(value)?;
                self.narrow_to_prefix(pattern.prefix());
                self.key_tests.push(Test::Regex(pattern));
            }
            "from" => self.range.raise(Bound::Included(bytes())),
            "after" => self.range.raise(Bound::Excluded(bytes())),
            "to" => self.range.cap(Bound::Included(bytes())),
            "before" => self.range.cap(Bound::Excluded(bytes())),
            "field" => self.field = Some(Pointer::parse(value)?).filter(|_| !value.is_empty()),
            "nearest" => {
                let (vector, field) = (vector::parse_wanted(value)?, self.field.clone());
                let metric = self.nearest.as_ref().map_or(Metric::default(), |nearest| nearest.metric);
                self.nearest = Some(Nearest { vector, metric, field });
            }
            "metric" => {
                let nearest = self.nearest.as_mut();
                let nearest =
                    nearest.ok_or_else(|| Error::invalid("metric follows nearest: say nearest first"))?;
                nearest.metric = Metric::parse(value)?;
            }
            "order" => self.order = parse_order(value)?,
            "limit" => self.limit = Some(parse_limit(value)?),
            _ if name.starts_with("value_") => return self.set_value(name, value),
            _ => return Err(unknown(name)),
        }
        if self.key_tests.len() > MAX_CONDITIONS {
            return Err(too_many());
        }
        Ok(())
    }

    fn set_value(&mut self, name: &str, value: &[u8]) -> Result<()> {
        let place = self.values.iter().position(|condition| condition.field == self.field);
        let place = place.unwrap_or_else(|| {
            self.values.push(ValueCondition { field: self.field.clone(), ..ValueCondition::default() });
            self.values.len() - 1
        });
        let condition = &mut self.values[place];
        match name {
            "value_prefix" => condition.tests.push(Test::Prefix(value.to_vec())),
            "value_glob" => condition.tests.push(Test::Glob(Glob::new(value))),
            "value_regex" => condition.tests.push(Test::Regex(Pattern::new(value)?)),
            "value_from" => condition.range.lower = Bound::Included(value.to_vec()),
            "value_after" => condition.range.lower = Bound::Excluded(value.to_vec()),
            "value_to" => condition.range.upper = Bound::Included(value.to_vec()),
            "value_before" => condition.range.upper = Bound::Excluded(value.to_vec()),
            "value_as" => condition.reading = Some(Reading::parse(value)?),
            _ => return Err(unknown(name)),
        }
        let tests: usize = self.values.iter().map(|condition| 1 + condition.tests.len()).sum();
        if tests > MAX_CONDITIONS { Err(too_many()) } else { Ok(()) }
    }

    fn add_key(&mut self, key: &[u8]) -> Result<()> {
        if key.len() > MAX_KEY_BYTES {
            return Err(Error::invalid(format!("a key has at most {MAX_KEY_BYTES} bytes")));
        }
        let keys = self.keys.get_or_insert_default();
        keys.insert(key.to_vec());
        match keys.len() > MAX_KEYS {
            true => Err(Error::invalid(format!("a query names at most {MAX_KEYS} keys"))),
            false => Ok(()),
        }
    }

    fn narrow_to_prefix(&mut self, prefix: &[u8]) {
        if !prefix.is_empty() {
            self.range.raise(Bound::Included(prefix.to_vec()));
            self.range.cap(behind_prefix(prefix));
        }
    }

    /// The same query for these keys alone.
    pub(super) fn only(&self, keys: BTreeSet<Vec<u8>>) -> Self {
        Self { keys: Some(keys), ..self.clone() }
    }

    /// Checks what only shows once everything is said.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid): the first thing that was said wrong, or what does not go together.
    pub fn check(&self) -> Result<()> {
        if let Some(wrong) = &self.wrong {
            return Err(Error::invalid(wrong));
        }
        for condition in &self.values {
            let reads_numbers = condition.reading() == Reading::Number;
            if let Some(end) = condition.range.ends().find(|end| reads_numbers && !is_number(end)) {
                let end = String::from_utf8_lossy(&end[..end.len().min(64)]);
                return Err(Error::invalid(format!(
                    "'{end}' is no decimal number, and values are compared as numbers"
                )));
            }
        }
        if self.nearest.is_some() && self.order != Order::Ascending {
            return Err(Error::invalid("the nearest come nearest first: say no order with nearest"));
        }
        Ok(())
    }

    /// Whether nothing is said of keys or values: everything is found.
    pub fn is_for_everything(&self) -> bool {
        self.keys.is_none()
            && self.range.is_unbounded()
            && self.key_tests.is_empty()
            && self.values.is_empty()
            && self.nearest.is_none()
    }

    pub(super) fn page_limit(&self) -> usize {
        let default = if self.nearest.is_some() { DEFAULT_NEAREST } else { DEFAULT_LIMIT };
        self.limit.unwrap_or(default)
    }

    /// Whether a key is one of those that are looked for.
    pub(super) fn takes_key(&self, key: &[u8]) -> bool {
        self.range.contains(key) && self.key_tests.iter().all(|test| test.matches(key))
    }

    /// Whether values have to be looked at to know what is found.
    pub(super) fn judges_values(&self) -> bool {
        !self.values.is_empty() || self.nearest.is_some()
    }

    /// What makes it the query that it is.
    pub(super) fn said(&self) -> &[u8] {
        &self.said
    }
}

fn is_number(text: &[u8]) -> bool {
    super::decimal::Decimal::parse(text).is_some()
}

fn unknown(name: &str) -> Error {
    let name: String = name.chars().take(64).collect();
    Error::invalid(format!(
        "a query has no option '{name}': it has key, prefix, glob, regex, from, to, after, before, field, value_prefix, \
         value_glob, value_regex, value_from, value_to, value_after, value_before, value_as, nearest, metric, order and \
         limit"
    ))
}

fn too_many() -> Error {
    Error::invalid(format!("a query has at most {MAX_CONDITIONS} conditions"))
}

fn parse_order(name: &[u8]) -> Result<Order> {
    match name.to_ascii_lowercase().as_slice() {
        b"asc" => Ok(Order::Ascending),
        b"desc" => Ok(Order::Descending),
        b"any" => Ok(Order::Any),
        _ => Err(Error::invalid("order is one of asc, desc and any")),
    }
}

fn parse_limit(text: &[u8]) -> Result<usize> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    let wrong = || Error::invalid(format!("limit is a number from 1 to {MAX_LIMIT}"));
    number.filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(wrong)
}
