//! What a store holds, seen by reference: keys, values, entries.
//!
//! An engine's address is database, key and member. Engines order by key, then member, and place
//! (table shard, partition, lock) by database and key alone. References live as long as the engine
//! holds its lock; a value over [`SHARED_VALUE_BYTES`] can be kept beyond that without copying.

use bytes::Bytes;

/// A store-wide position: the number of a change. 48 bits; 0 is before every change.
pub type Sequence = u64;

/// The number of an entry's last change. No version comes twice in a store.
pub type Version = u64;

/// The highest sequence number and version.
pub const MAX_SEQUENCE: Sequence = (1 << 48) - 1;

/// How many numbered databases a store has.
pub const DATABASES: u8 = 16;

/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 32 * 1024;

/// Values above this many bytes are reference-counted, so that readers copy them outside locks.
pub const SHARED_VALUE_BYTES: usize = 16 * 1024;

/// The address of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyRef<'a> {
    /// The numbered database, below [`DATABASES`].
    pub database: u8,
    /// The key, up to [`MAX_KEY_BYTES`].
    pub key: &'a [u8],
    /// Empty for plain entries; the place inside a collection otherwise.
    pub member: &'a [u8],
}

impl<'a> KeyRef<'a> {
    /// The address of a plain entry.
    pub fn new(database: u8, key: &'a [u8]) -> Self {
        Self { database, key, member: &[] }
    }
}

/// How a value is to be read. Further kinds are reserved for collections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Bytes.
    #[default]
    Raw = 0,
    /// JSON text, kept as it was written.
    Json = 1,
    /// Compressed or encrypted by a layer, which keeps the kind inside; seen above that layer only in
    /// pages of keys without values.
    Packed = 2,
}

impl Kind {
    /// The kind of a byte in a file, if there is one.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Raw),
            1 => Some(Self::Json),
            2 => Some(Self::Packed),
            _ => None,
        }
    }
}

/// A value as the engine holds it.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    /// Bytes inside the entry.
    Inline(&'a [u8]),
    /// Reference-counted bytes: clone them to keep them.
    Shared(&'a Bytes),
}

impl<'a> ValueRef<'a> {
    /// The bytes, wherever they are.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Inline(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }

    /// The bytes to keep: shared ones are not copied.
    pub fn to_bytes(self) -> Bytes {
        match self {
            Self::Inline(bytes) => Bytes::copy_from_slice(bytes),
            Self::Shared(bytes) => bytes.clone(),
        }
    }
}

/// An entry as a reader sees it: present and not expired.
#[derive(Clone, Copy, Debug)]
pub struct EntryRef<'a> {
    /// The value.
    pub value: ValueRef<'a>,
    /// How to read it.
    pub kind: Kind,
    /// The number of its last change.
    pub version: Version,
    /// When it expires, in Unix milliseconds; `None` for never.
    pub expires_at_ms: Option<u64>,
}
