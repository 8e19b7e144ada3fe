//! The store as a Rust program uses it: typed calls that block until their answer is durable.
//!
//! Each call is one engine call between gate and durability (`call.rs`), so what the commands promise
//! holds here too: an expired key is absent, a failed guard changes nothing, and an answer never tells
//! of something that a crash could take back. There is no second, asynchronous API.

use std::{borrow::Cow, time::Duration};

use crate::{
    call::{not_found, shown},
    database::Database,
    engine::{
        Applied, Change, Content, DATABASES, Edited, Expires, Guard, KeyRef, Kind, Order, Scan, Version,
    },
    error::{Error, Result},
    put_options::{PutOptions, moment_after},
    value::{Value, integer_of},
};

/// Keys a page when entries are counted one by one.
const COUNTED_PAGE: usize = 4096;

/// A value with what the store knows about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Value,
    /// The number of its last change, for [`Guard::Version`].
    pub version: Version,
    /// When it expires, in Unix milliseconds; `None` for never.
    pub expires_at_ms: Option<u64>,
}

/// Reading and writing entries. Every call may be made from many threads at once, blocks until what
/// it tells of survives what [`Config`](crate::Config)'s durability promises, and is
/// [`Unavailable`](crate::ErrorKind::Unavailable) once the database is closed. Keys are up to
/// [`Config::max_key_bytes`](crate::Config::max_key_bytes) long, values up to `max_value_bytes`: beyond
/// that every call answers [`TooLarge`](crate::ErrorKind::TooLarge).
impl Database {
    /// A handle on another of the 16 numbered databases, 0 to 15, of the same store.
    pub fn database(&self, number: u8) -> Result<Self> {
        if number >= DATABASES {
            return Err(Error::invalid(format!(
                "there is no database {number}: they go from 0 to {}",
                DATABASES - 1
            )));
        }
        Ok(Self { core: self.core.clone(), number })
    }

    /// Puts a value under a key that is not there, or else answers [`Exists`](crate::ErrorKind::Exists).
    /// Like every put it answers the entry's new version.
    pub fn create(&self, key: impl AsRef<[u8]>, value: impl Into<Value>) -> Result<Version> {
        self.put_value(key.as_ref(), &value.into(), PutOptions::new().guard(Guard::Absent))
    }

    /// The value of a key, or else [`NotFound`](crate::ErrorKind::NotFound).
    pub fn read(&self, key: impl AsRef<[u8]>) -> Result<Value> {
        let key = key.as_ref();
        self.get(key)?.ok_or_else(|| self.absent(key))
    }

    /// Replaces the value of a key that is there, or else answers [`NotFound`](crate::ErrorKind::NotFound).
    /// As with every put the expiry goes, unless [`PutOptions::keep_expiry`] says otherwise.
    pub fn update(&self, key: impl AsRef<[u8]>, value: impl Into<Value>) -> Result<Version> {
        self.put_value(key.as_ref(), &value.into(), PutOptions::new().guard(Guard::Present))
    }

    /// Puts a value under a key, whether or not it is there.
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl Into<Value>) -> Result<Version> {
        self.put_value(key.as_ref(), &value.into(), PutOptions::new())
    }

    /// Puts a value if a guard holds: else [`Exists`](crate::ErrorKind::Exists) for [`Guard::Absent`],
    /// [`NotFound`](crate::ErrorKind::NotFound) for [`Guard::Present`], [`Conflict`](crate::ErrorKind::Conflict) for
    /// [`Guard::Version`].
    pub fn put_if(&self, key: impl AsRef<[u8]>, value: impl Into<Value>, guard: Guard) -> Result<Version> {
        self.put_value(key.as_ref(), &value.into(), PutOptions::new().guard(guard))
    }

    /// Puts a value with an expiry, a guard, or both. Errors as [`put_if`](Self::put_if), and
    /// [`Invalid`](crate::ErrorKind::Invalid) for a time to live of zero.
    pub fn put_with(
        &self,
        key: impl AsRef<[u8]>,
        value: impl Into<Value>,
        options: PutOptions,
    ) -> Result<Version> {
        self.put_value(key.as_ref(), &value.into(), options)
    }

    fn put_value(&self, key: &[u8], value: &Value, options: PutOptions) -> Result<Version> {
        let key = self.address(key)?;
        self.check_size(key, value)?;
        let change = Change::Put {
            key,
            guard: options.condition(),
            value: value.as_bytes(),
            kind: value.kind(),
            expires: options.expires(self.now_ms())?,
        };
        Ok(self.change(change)?.version)
    }

    /// The value of a key, if it is there.
    #[inline]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        let mut value = None;
        let sequence = self
            .look(self.address(key.as_ref())?, |entry| value = Some(Value::kept(entry.value, entry.kind)))?;
        self.durable(sequence)?;
        Ok(value)
    }

    /// The entry of a key, if it is there: the value with its version and expiry.
    pub fn entry(&self, key: impl AsRef<[u8]>) -> Result<Option<Entry>> {
        let (entry, sequence) = self.entry_now(key.as_ref())?;
        self.durable(sequence)?;
        Ok(entry)
    }

    fn entry_now(&self, key: &[u8]) -> Result<(Option<Entry>, u64)> {
        let mut found = None;
        let sequence = self.look(self.address(key)?, |entry| {
            found = Some(Entry {
                value: Value::kept(entry.value, entry.kind),
                version: entry.version,
                expires_at_ms: entry.expires_at_ms,
            });
        })?;
        Ok((found, sequence))
    }

    /// Whether a key is there.
    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let mut there = false;
        let sequence = self.look(self.address(key.as_ref())?, |_| there = true)?;
        self.durable(sequence)?;
        Ok(there)
    }

    /// Removes a key and answers whether it was there.
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.delete_if(key, Guard::None)
    }

    /// Removes a key if a guard holds, and answers whether it was there. Errors as [`put_if`](Self::put_if).
    pub fn delete_if(&self, key: impl AsRef<[u8]>, guard: Guard) -> Result<bool> {
        let key = self.address(key.as_ref())?;
        Ok(self.change(Change::Delete { key, guard })?.existed)
    }

    /// Adds to the integer that a key holds, 0 if it is absent, and answers the sum. Kind and expiry
    /// stay; a new entry is json. [`Invalid`](crate::ErrorKind::Invalid) if the value is no 64-bit integer or
    /// the sum would be none.
    pub fn add(&self, key: impl AsRef<[u8]>, amount: i64) -> Result<i64> {
        let key = self.address(key.as_ref())?;
        let mut sum = 0;
        self.edit_entry(key, &mut |entry| {
            let (before, kind) = match entry {
                Some(entry) => (integer_of(entry.value.bytes()).ok_or_else(|| no_integer(key))?, entry.kind),
                None => (0, Kind::Json),
            };
            sum = before.checked_add(amount).ok_or_else(|| no_integer(key))?;
            let value = Cow::Owned(sum.to_string().into_bytes());
            Ok(Edited::Put { value, kind, expires: Expires::Keep })
        })?;
        Ok(sum)
    }

    /// Makes a new value out of the present one, `None` standing for absence on both sides, and answers
    /// it. No lock is held while `make` runs: if the entry has changed meanwhile, `make` runs again on
    /// what it is then. The expiry stays.
    pub fn modify(
        &self,
        key: impl AsRef<[u8]>,
        mut make: impl FnMut(Option<Value>) -> Option<Value>,
    ) -> Result<Option<Value>> {
        self.try_modify(key.as_ref(), |value| Ok(make(value)))
    }

    pub(crate) fn try_modify(
        &self,
        key: &[u8],
        mut make: impl FnMut(Option<Value>) -> Result<Option<Value>>,
    ) -> Result<Option<Value>> {
        let address = self.address(key)?;
        loop {
            let (entry, seen) = self.entry_now(key)?;
            let guard = entry.as_ref().map_or(Guard::Absent, |entry| Guard::Version(entry.version));
            let made = match make(entry.map(|entry| entry.value)) {
                Ok(made) => made,
                // The error may tell of what was read.
                Err(error) => return self.durable(seen).and(Err(error)),
            };
            let change = match &made {
                Some(value) => {
                    self.check_size(address, value)?;
                    let (value, kind) = (value.as_bytes(), value.kind());
                    Change::Put { key: address, guard, value, kind, expires: Expires::Keep }
                }
                None => Change::Delete { key: address, guard },
            };
            let outcome = self.attempt(&[change])?;
            if let Applied::Whole(_) = outcome.applied {
                self.durable(outcome.sequence)?;
                return Ok(made);
            }
        }
    }

    /// Lets a key expire after a time, counted in milliseconds and rounded up, and answers whether it
    /// was there. [`Invalid`](crate::ErrorKind::Invalid) for a time of zero.
    pub fn expire(&self, key: impl AsRef<[u8]>, time: Duration) -> Result<bool> {
        let key = self.address(key.as_ref())?;
        let expires_at_ms = Some(moment_after(self.now_ms(), time)?);
        Ok(self.change(Change::Expire { key, guard: Guard::None, expires_at_ms })?.existed)
    }

    /// How long a key has left, `None` if it stays; [`NotFound`](crate::ErrorKind::NotFound) if it is not there.
    pub fn ttl(&self, key: impl AsRef<[u8]>) -> Result<Option<Duration>> {
        let key = key.as_ref();
        let mut found = None;
        let sequence = self.look(self.address(key)?, |entry| found = Some(entry.expires_at_ms))?;
        self.durable(sequence)?;
        let expires_at_ms = found.ok_or_else(|| self.absent(key))?;
        let now_ms = self.now_ms();
        // It was there a moment ago, so it had at least a millisecond left.
        Ok(expires_at_ms.map(|moment_ms| Duration::from_millis(moment_ms.saturating_sub(now_ms).max(1))))
    }

    /// Removes a key's expiry and answers whether it had one.
    pub fn persist(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let mut expiring = false;
        self.edit_entry(self.address(key.as_ref())?, &mut |entry| {
            expiring = entry.is_some_and(|entry| entry.expires_at_ms.is_some());
            Ok(if expiring { Edited::Expire(None) } else { Edited::Keep })
        })?;
        Ok(expiring)
    }

    /// How many keys there are. Taken from the engine's count where no key has an expiry; where some
    /// have, keys are counted one by one, because an expired one may not be removed yet.
    pub fn len(&self) -> Result<u64> {
        let count = self.core.engine.count(self.number).wait()?;
        if count.unsure > 0 {
            return self.count(Scan::all(self.number, Order::Any, Content::Keys, COUNTED_PAGE));
        }
        self.durable(count.sequence)?;
        Ok(count.keys)
    }

    pub(crate) fn count(&self, mut scan: Scan<'_>) -> Result<u64> {
        let mut counted = 0;
        loop {
            let page = self.page(&scan)?;
            counted += page.len() as u64;
            match page.next {
                Some(next) => scan.position = next,
                None => return Ok(counted),
            }
        }
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Removes every key of this numbered database.
    pub fn clear(&self) -> Result<()> {
        let outcome = self.alone(&[Change::Clear { database: self.number }])?;
        self.durable(outcome.sequence)
    }

    /// Makes a point to start from quickly (a snapshot, a saved file) and returns when it is on disk.
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a store without a path.
    pub fn save(&self) -> Result<()> {
        self.core.engine.save().wait()
    }

    #[cold]
    fn absent(&self, key: &[u8]) -> Error {
        self.address(key).map_or_else(|error| error, |key| not_found(&shown(key)))
    }
}

#[cold]
fn no_integer(key: KeyRef<'_>) -> Error {
    Error::invalid(format!("{} does not hold an integer, or the sum is out of range", shown(key)))
}
