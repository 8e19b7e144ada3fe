//! One row of `stored`: its columns, and the checksum that no change of a bit gets past.
//!
//! The checksum has two halves: that of the value, and that of everything else and of the first half.
//! So a row's head can be checked, and its expiry changed, without reading its value.

use rusqlite::{
    Row, ToSql,
    types::{ToSqlOutput, ValueRef as SqlValue},
};
use tresor::{
    Error, Result,
    engine::{EntryRef, Guard, KeyRef, Kind, Sequence, ValueRef, Version},
};

/// Bytes bound as TEXT, whether or not they are UTF-8.
pub(crate) struct Text<'a>(pub(crate) &'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(SqlValue::Text(self.0)))
    }
}

/// A value bound as TEXT where a person could read it as text, else as BLOB.
pub(crate) struct Value<'a>(pub(crate) &'a [u8]);

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let readable = memchr::memchr(0, self.0).is_none() && std::str::from_utf8(self.0).is_ok();
        Ok(ToSqlOutput::Borrowed(if readable { SqlValue::Text(self.0) } else { SqlValue::Blob(self.0) }))
    }
}

/// The bytes of a TEXT or BLOB; `None` for anything else, which the engine never writes.
pub(crate) fn bytes<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<Option<&'r [u8]>> {
    Ok(match row.get_ref(column)? {
        SqlValue::Text(bytes) | SqlValue::Blob(bytes) => Some(bytes),
        SqlValue::Null | SqlValue::Integer(_) | SqlValue::Real(_) => None,
    })
}

/// Where a row stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address<'a> {
    pub(crate) place: i64,
    pub(crate) key: &'a [u8],
    pub(crate) member: &'a [u8],
}

/// A row's place, key and member, kept.
pub(crate) type OwnedAddress = (i64, Vec<u8>, Vec<u8>);

impl<'a> Address<'a> {
    pub(crate) fn of(place: i64, key: KeyRef<'a>) -> Self {
        Self { place, key: key.key, member: key.member }
    }
}

/// A row without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) version: Version,
    pub(crate) kind: Kind,
    pub(crate) expires_at_ms: Option<u64>,
    pub(crate) value_checksum: u32,
}

/// One row's head, by its address.
pub(crate) const SELECT_HEAD: &str = "SELECT version, kind, expires_at_ms, checksum FROM stored \
     WHERE place = ?1 AND key = ?2 AND member = ?3";

/// One whole row, by its address: a [`Head`], then the value.
pub(crate) const SELECT_ROW: &str = "SELECT version, kind, expires_at_ms, checksum, value FROM stored \
     WHERE place = ?1 AND key = ?2 AND member = ?3";

impl Head {
    /// The head in the columns from `first` on; `None` when its checksum does not fit.
    pub(crate) fn read(row: &Row<'_>, first: usize, address: Address<'_>) -> rusqlite::Result<Option<Self>> {
        let (version, kind): (i64, i64) = (row.get(first)?, row.get(first + 1)?);
        let (expires, checksum): (Option<i64>, i64) = (row.get(first + 2)?, row.get(first + 3)?);
        let Some(kind) = u8::try_from(kind).ok().and_then(Kind::from_byte) else { return Ok(None) };
        let head = Self {
            version: version as u64,
            kind,
            expires_at_ms: expires.map(|at_ms| at_ms as u64),
            value_checksum: checksum as u32,
        };
        Ok((head.checksum(address) == checksum).then_some(head))
    }

    /// What stands in the column `checksum`.
    pub(crate) fn checksum(&self, address: Address<'_>) -> i64 {
        let mut hasher = crc32fast::Hasher::new();
        let mut fixed = [0; 41];
        fixed[..8].copy_from_slice(&address.place.to_le_bytes());
        fixed[8..12].copy_from_slice(&(address.key.len() as u32).to_le_bytes());
        fixed[12..16].copy_from_slice(&(address.member.len() as u32).to_le_bytes());
        fixed[16..24].copy_from_slice(&self.version.to_le_bytes());
        fixed[24] = self.kind as u8;
        fixed[25..33].copy_from_slice(&self.expires_column().unwrap_or_default().to_le_bytes());
        fixed[33] = u8::from(self.expires_at_ms.is_some());
        fixed[37..].copy_from_slice(&self.value_checksum.to_le_bytes());
        hasher.update(&fixed);
        hasher.update(address.key);
        hasher.update(address.member);
        (i64::from(hasher.finalize()) << 32) | i64::from(self.value_checksum)
    }

    /// What stands in the column `expires_at_ms`. SQLite's numbers end 292 million years from now.
    pub(crate) fn expires_column(&self) -> Option<i64> {
        self.expires_at_ms.map(|at_ms| i64::try_from(at_ms).unwrap_or(i64::MAX))
    }

    /// Whether this is the value that the head was written with.
    pub(crate) fn fits(&self, value: &[u8]) -> bool {
        crc32fast::hash(value) == self.value_checksum
    }

    pub(crate) fn is_live(&self, now_ms: u64) -> bool {
        self.expires_at_ms.is_none_or(|at_ms| at_ms > now_ms)
    }

    /// The entry as readers see it.
    pub(crate) fn entry<'v>(&self, value: &'v [u8]) -> EntryRef<'v> {
        EntryRef {
            value: ValueRef::Inline(value),
            kind: self.kind,
            version: self.version,
            expires_at_ms: self.expires_at_ms,
        }
    }
}

/// Whether a guard holds for a live entry of this version, or for none.
pub(crate) fn holds(guard: Guard, version: Option<Version>) -> bool {
    match guard {
        Guard::None => true,
        Guard::Absent => version.is_none(),
        Guard::Present => version.is_some(),
        Guard::Version(wanted) => version == Some(wanted),
    }
}

/// The value that bytes written at an offset lead to.
pub(crate) fn patched(value: &[u8], offset: usize, bytes: &[u8]) -> Vec<u8> {
    let end = offset + bytes.len();
    let mut patched = Vec::with_capacity(value.len().max(end));
    patched.extend_from_slice(value);
    if patched.len() < end {
        patched.resize(end, 0);
    }
    patched[offset..end].copy_from_slice(bytes);
    patched
}

/// The largest value that the engine takes: a row has to stay well below SQLite's 10^9 bytes.
pub(crate) const MAX_VALUE_BYTES: usize = 256 * 1024 * 1024;

/// Refuses a value that is over the limit.
pub(crate) fn check_size(bytes: usize) -> Result<()> {
    if bytes > MAX_VALUE_BYTES {
        let message = format!("a value of {bytes} bytes is over the limit of {MAX_VALUE_BYTES}");
        return Err(Error::new(tresor::ErrorKind::TooLarge, message));
    }
    Ok(())
}

/// The higher of what was observed so far and a row's version, or for no row the last removal.
pub(crate) fn observed(head: Option<&Head>, removed: Sequence) -> Sequence {
    head.map_or(removed, |head| head.version)
}
