//! A typed map inside a database: a `HashMap` that outlives the process and is shared by threads.
//!
//! An entry's key is the map's name, a colon, and the key as text; its value is JSON. Both are what a
//! person would have chosen by hand, so every front door can read and write a map's entries too. Names
//! have no colon, so no two maps of a database can meet.

use std::{
    borrow::Borrow,
    fmt::{self, Display, Write},
    marker::PhantomData,
    str::FromStr,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    database::Database,
    engine::{Content, Order, Position, Scan, behind_prefix},
    entries::Entries,
    error::{Error, Result},
    value::Value,
};

/// Keys a page when a map's entries are counted.
const COUNTED_PAGE: usize = 4096;

/// A named map from `K` to `V`. Errors are those of [`Database`]'s calls, and
/// [`Invalid`](crate::ErrorKind::Invalid) where a key or a value cannot be read as its type.
pub struct Map<K, V> {
    database: Database,
    /// The name and the colon.
    prefix: String,
    types: PhantomData<fn() -> (K, V)>,
}

impl Database {
    /// The map of that name in this numbered database; it need not be there. [`Invalid`](crate::ErrorKind::Invalid)
    /// for a name that is empty or has a colon.
    pub fn map<K, V>(&self, name: &str) -> Result<Map<K, V>> {
        if name.is_empty() || name.contains(':') {
            return Err(Error::invalid(format!("{name:?} cannot name a map: use some text without a colon")));
        }
        Ok(Map { database: self.clone(), prefix: format!("{name}:"), types: PhantomData })
    }
}

impl<K, V> Map<K, V> {
    /// How many entries the map has; they are counted one by one.
    pub fn len(&self) -> Result<u64> {
        let upper = behind_prefix(self.prefix.as_bytes());
        self.database.count(Scan {
            database: self.database.number,
            order: Order::Ascending,
            position: Position::Start,
            lower: std::ops::Bound::Included(self.prefix.as_bytes()),
            upper: upper.as_ref().map(Vec::as_slice),
            content: Content::Keys,
            limit: COUNTED_PAGE,
        })
    }

    /// Whether the map has no entry.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.database.with_prefix(&self.prefix).next().transpose()?.is_none())
    }

    fn key<Q: Display + ?Sized>(&self, key: &Q) -> String {
        let mut text = self.prefix.clone();
        write!(text, "{key}").expect("writing into a string cannot fail");
        text
    }
}

impl<K: Display, V: Serialize + DeserializeOwned> Map<K, V> {
    /// The value of a key, if it is there.
    pub fn get<Q>(&self, key: &Q) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: Display + ?Sized,
    {
        self.database.get(self.key(key))?.map(|value| value.decode()).transpose()
    }

    /// Puts a value under a key, whether or not it is there.
    pub fn insert<Q>(&self, key: &Q, value: &V) -> Result<()>
    where
        K: Borrow<Q>,
        Q: Display + ?Sized,
    {
        self.database.put(self.key(key), Value::json(value)?)?;
        Ok(())
    }

    /// Removes a key and answers whether it was there.
    pub fn remove<Q>(&self, key: &Q) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: Display + ?Sized,
    {
        self.database.delete(self.key(key))
    }

    /// Whether a key is there.
    pub fn contains<Q>(&self, key: &Q) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: Display + ?Sized,
    {
        self.database.contains(self.key(key))
    }

    /// Makes a new value out of the present one, `None` standing for absence on both sides, and answers
    /// it. `make` runs again when another thread has changed the entry meanwhile.
    pub fn update<Q>(&self, key: &Q, mut make: impl FnMut(Option<V>) -> Option<V>) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: Display + ?Sized,
    {
        let mut made = None;
        self.database.try_modify(self.key(key).as_bytes(), |value| {
            made = make(value.map(|value| value.decode()).transpose()?);
            made.as_ref().map(Value::json).transpose()
        })?;
        Ok(made)
    }

    /// The entries, in the order of the keys' text; not built whole in memory.
    pub fn iter(&self) -> Iter<K, V> {
        let entries = self.database.with_prefix(&self.prefix);
        Iter { entries, prefix_bytes: self.prefix.len(), types: PhantomData }
    }
}

impl<K, V> Clone for Map<K, V> {
    fn clone(&self) -> Self {
        Self { database: self.database.clone(), prefix: self.prefix.clone(), types: PhantomData }
    }
}

impl<K, V> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Map({:?})", self.prefix)
    }
}

/// The entries of a [`Map`].
pub struct Iter<K, V> {
    entries: Entries,
    prefix_bytes: usize,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: FromStr, V: DeserializeOwned> Iterator for Iter<K, V> {
    type Item = Result<(K, V)>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = |(key, value): (crate::Key, Value)| {
            let text = std::str::from_utf8(&key.as_bytes()[self.prefix_bytes..]).ok();
            let typed = text.and_then(|text| text.parse().ok()).ok_or_else(|| {
                Error::invalid(format!("{key:?} does not end in a {}", std::any::type_name::<K>()))
            })?;
            Ok((typed, value.decode()?))
        };
        Some(self.entries.next()?.and_then(read))
    }
}
