//! Records: how changes become bytes and how bytes become changes again.
//!
//! A record holds the changes of one batch, so that it is there whole or not at all. Change i of it
//! has the number `first + i`, which is the version it left behind. The checksum starts from the
//! segment's own, and a marker made of the segment's random salt opens each record: neither an old
//! block nor bytes that a client stored can pass for a record. A record also says how many numbers
//! before it were not yet known to be on disk when it was written; that tells a tail that was never
//! promised from damage to what was.

use crate::{
    engine::{
        DATABASES, DatabaseTable, EntryRef, KeyRef, Kind, MAX_KEY_BYTES, Removal, Sequence, ValueRef,
        Version, database_table::table_of,
    },
    error::{Error, ErrorKind, Result},
};

/// The largest record, in bytes.
pub const MAX_RECORD_BYTES: usize = 1 << 30;

/// The bytes before a record's changes.
pub(super) const HEADER_BYTES: usize = 40;

/// The bytes before a change's expiry or offset, key, member and value.
const CHANGE_BYTES: usize = 12;

const HAS_NUMBER: u8 = 1;
const HAS_VERSION: u8 = 2;

/// The tag of [`Logged::Lift`].
const LIFT: u8 = 8;

/// One change as the log keeps it: physical, so that doing it again leads to the same entry. Its
/// version is its place in the log. Databases are physical numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logged<'a> {
    /// The entry is now this.
    Put {
        /// Which entry.
        key: KeyRef<'a>,
        /// How to read the value.
        kind: Kind,
        /// When it expires, in Unix milliseconds.
        expires_at_ms: Option<u64>,
        /// The whole value.
        value: &'a [u8],
    },
    /// These bytes were written into an entry that was there; zeros fill a gap, the kind became raw
    /// and the expiry stayed. A patch that creates an entry is logged as a Put.
    Patch {
        /// Which entry.
        key: KeyRef<'a>,
        /// Where the bytes went.
        offset: usize,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The expiry of an entry that was there changed.
    Expire {
        /// Which entry.
        key: KeyRef<'a>,
        /// The new expiry, in Unix milliseconds; `None` for never.
        expires_at_ms: Option<u64>,
    },
    /// The entry is gone.
    Delete {
        /// Which entry.
        key: KeyRef<'a>,
        /// Why the engine removed it by itself; `None` when somebody deleted it.
        removal: Option<Removal>,
    },
    /// A whole physical database is empty.
    Clear {
        /// Which.
        database: u8,
    },
    /// The physical number of each logical database, after a swap.
    Mapping(DatabaseTable),
    /// The entry is now this, under a version that it had elsewhere.
    Adopt {
        /// Which entry.
        key: KeyRef<'a>,
        /// Its version, below the change's own number.
        version: Version,
        /// How to read the value.
        kind: Kind,
        /// When it expires, in Unix milliseconds.
        expires_at_ms: Option<u64>,
        /// The whole value.
        value: &'a [u8],
    },
    /// The next change has the number behind this one. The only change of its record.
    Lift {
        /// The last number that is not given.
        upto: Sequence,
    },
}

/// What [`Log::open`](super::Log::open) hands to the engine, in this order: at most one mapping,
/// entries in any order, changes in theirs.
#[derive(Clone, Copy, Debug)]
pub enum Replayed<'a> {
    /// The beginning of a snapshot.
    Snapshot {
        /// Its table from logical to physical database.
        mapping: DatabaseTable,
        /// How many entries it holds, all databases together; 0 if that is not known.
        entries: u64,
    },
    /// Some entries of the snapshot, under their physical databases; few enough to be looked up together.
    Entries(&'a [(KeyRef<'a>, EntryRef<'a>)]),
    /// A change after the snapshot's start.
    Change {
        /// Its number: the version that it leaves behind.
        version: Version,
        /// The store time at which it happened.
        time_ms: u64,
        /// What happened.
        change: Logged<'a>,
    },
}

/// A change taken apart in the one layout that all changes share.
#[derive(Clone, Copy)]
struct Parts<'a> {
    tag: u8,
    kind: u8,
    number: Option<u64>,
    version: Option<Version>,
    key: KeyRef<'a>,
    value: &'a [u8],
}

impl<'a> Parts<'a> {
    #[inline]
    fn of(change: &'a Logged<'_>) -> Self {
        let none = KeyRef { database: 0, key: &[], member: &[] };
        let rest = Self { tag: 0, kind: 0, number: None, version: None, key: none, value: &[] };
        match *change {
            Logged::Put { key, kind, expires_at_ms, value } => {
                Self { tag: 1, kind: kind as u8, number: expires_at_ms, key, value, ..rest }
            }
            Logged::Patch { key, offset, bytes } => {
                Self { tag: 2, number: Some(offset as u64), key, value: bytes, ..rest }
            }
            Logged::Expire { key, expires_at_ms } => Self { tag: 3, number: expires_at_ms, key, ..rest },
            Logged::Delete { key, removal } => Self { tag: 4, kind: removal_byte(removal), key, ..rest },
            Logged::Clear { database } => Self { tag: 5, key: KeyRef { database, ..none }, ..rest },
            Logged::Mapping(ref table) => Self { tag: 6, value: table, ..rest },
            Logged::Adopt { key, version, kind, expires_at_ms, value } => {
                let version = Some(version);
                Self { tag: 7, kind: kind as u8, number: expires_at_ms, version, key, value }
            }
            Logged::Lift { upto } => Self { tag: LIFT, number: Some(upto), ..rest },
        }
    }

    #[inline]
    fn bytes(&self) -> usize {
        let number = if self.number.is_some() { 8 } else { 0 };
        let version = if self.version.is_some() { 8 } else { 0 };
        CHANGE_BYTES + number + version + self.key.key.len() + self.key.member.len() + self.value.len()
    }

    #[inline]
    fn encode(&self, into: &mut Vec<u8>) {
        let mut head = [0; CHANGE_BYTES];
        head[0] = self.tag;
        head[1] = self.key.database;
        head[2] = self.kind;
        head[4..6].copy_from_slice(&(self.key.key.len() as u16).to_le_bytes());
        head[6..8].copy_from_slice(&(self.key.member.len() as u16).to_le_bytes());
        head[8..12].copy_from_slice(&(self.value.len() as u32).to_le_bytes());
        if let Some(number) = self.number {
            head[3] = HAS_NUMBER;
            into.extend_from_slice(&head);
            into.extend_from_slice(&number.to_le_bytes());
        } else {
            into.extend_from_slice(&head);
        }
        if let Some(version) = self.version {
            let flags = into.len() - CHANGE_BYTES - if self.number.is_some() { 8 } else { 0 } + 3;
            into[flags] |= HAS_VERSION;
            into.extend_from_slice(&version.to_le_bytes());
        }
        into.extend_from_slice(self.key.key);
        into.extend_from_slice(self.key.member);
        into.extend_from_slice(self.value);
    }

    /// Takes one change off the front of `bytes`; `None` if what is there is none.
    #[inline]
    fn decode(bytes: &mut &'a [u8]) -> Option<Self> {
        let head = take(bytes, CHANGE_BYTES)?;
        if head[3] & !(HAS_NUMBER | HAS_VERSION) != 0 {
            return None;
        }
        let mut word = |flag: u8| match head[3] & flag {
            0 => Some(None),
            _ => take(bytes, 8).map(|word| Some(u64_at(word, 0))),
        };
        let (number, version) = (word(HAS_NUMBER)?, word(HAS_VERSION)?);
        let key = take(bytes, usize::from(u16::from_le_bytes([head[4], head[5]])))?;
        let member = take(bytes, usize::from(u16::from_le_bytes([head[6], head[7]])))?;
        let value = take(bytes, u32_at(head, 8) as usize)?;
        let database = head[1];
        if database >= DATABASES {
            return None;
        }
        let key = KeyRef { database, key, member };
        Some(Self { tag: head[0], kind: head[2], number, version, key, value })
    }

    #[inline]
    fn change(self) -> Option<Logged<'a>> {
        let Self { key, number, value, .. } = self;
        if self.version.is_some() != (self.tag == 7) {
            return None;
        }
        Some(match self.tag {
            1 => Logged::Put { key, kind: Kind::from_byte(self.kind)?, expires_at_ms: number, value },
            2 => Logged::Patch { key, offset: usize::try_from(number?).ok()?, bytes: value },
            3 => Logged::Expire { key, expires_at_ms: number },
            4 => Logged::Delete { key, removal: removal_of(self.kind) },
            5 => Logged::Clear { database: key.database },
            6 => Logged::Mapping(table_of(value)?),
            7 => {
                let (kind, version) = (Kind::from_byte(self.kind)?, self.version?);
                Logged::Adopt { key, version, kind, expires_at_ms: number, value }
            }
            LIFT => Logged::Lift { upto: number? },
            _ => return None,
        })
    }
}

/// Why an entry was removed, in the byte that is the kind of a Put.
fn removal_byte(removal: Option<Removal>) -> u8 {
    match removal {
        None => 0,
        Some(Removal::Expired) => 1,
        Some(Removal::Evicted) => 2,
    }
}

/// Other bytes are of a later version: then it is gone for whatever reason.
fn removal_of(byte: u8) -> Option<Removal> {
    match byte {
        1 => Some(Removal::Expired),
        2 => Some(Removal::Evicted),
        _ => None,
    }
}

/// Notes in the table what changes do to the databases' numbers.
#[inline]
pub(super) fn note_tables(table: &mut DatabaseTable, changes: &[Logged<'_>]) {
    for change in changes {
        if let Logged::Mapping(changed) = change {
            *table = *changed;
        }
    }
}

/// The bytes that a record of these changes takes in a segment, or why it cannot be one.
#[inline]
pub(super) fn framed_bytes(changes: &[Logged<'_>]) -> Result<usize> {
    let mut total = HEADER_BYTES;
    for change in changes {
        let parts = Parts::of(change);
        if parts.key.key.len() > MAX_KEY_BYTES || parts.key.member.len() > MAX_KEY_BYTES {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("a key or member is over the limit of {MAX_KEY_BYTES} bytes"),
            ));
        }
        total += parts.bytes();
    }
    if total > MAX_RECORD_BYTES {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("one batch of {total} bytes is over the log's limit of {MAX_RECORD_BYTES}; split it"),
        ));
    }
    Ok(total.next_multiple_of(8))
}

/// Adds a record to a buffer of records that [`seal`] will finish.
#[inline]
pub(super) fn encode(into: &mut Vec<u8>, first: Sequence, time_ms: u64, changes: &[Logged<'_>]) {
    let start = into.len();
    let mut header = [0; HEADER_BYTES];
    header[16..24].copy_from_slice(&first.to_le_bytes());
    header[24..32].copy_from_slice(&time_ms.to_le_bytes());
    header[32..36].copy_from_slice(&(changes.len() as u32).to_le_bytes());
    into.extend_from_slice(&header);
    for change in changes {
        Parts::of(change).encode(into);
    }
    let length = into.len() - start - HEADER_BYTES;
    into[start + 4..start + 8].copy_from_slice(&(length as u32).to_le_bytes());
    into.resize(start + padded(length), 0);
}

/// The first number of the record at the front of `records`.
pub(super) fn first_number(records: &[u8]) -> Sequence {
    u64_at(records, 16)
}

/// What makes a segment's records its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seal {
    /// Where the checksum of each record starts: the checksum of the segment's header.
    pub(super) seed: u32,
    /// The segment's random number, which opens each record.
    pub(super) salt: u32,
}

/// Finishes a buffer of encoded records for the segment that they go to. Done by the log thread, so
/// that nobody computes a checksum under an engine's lock. `synced` is the last number on disk.
pub(super) fn seal(records: &mut [u8], seal: Seal, synced: Sequence) {
    let mut rest = records;
    while rest.len() >= HEADER_BYTES {
        let length = u32_at(rest, 4) as usize;
        let first = first_number(rest);
        let unsynced = u32::try_from(first.saturating_sub(1).saturating_sub(synced)).unwrap_or(u32::MAX);
        rest[8..12].copy_from_slice(&(seal.salt ^ first as u32).to_le_bytes());
        rest[36..40].copy_from_slice(&unsynced.to_le_bytes());
        let (record, after) = rest.split_at_mut(padded(length));
        let crc = checksum(seal.seed, &record[4..]);
        record[..4].copy_from_slice(&crc.to_le_bytes());
        rest = after;
    }
}

/// A whole record in a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) first: Sequence,
    /// How many changes; 0 for the record that closes a segment.
    pub(super) count: u32,
    pub(super) time_ms: u64,
    unsynced: u32,
    payload: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record at the front of `bytes`, if a whole one of this segment is there.
    pub(super) fn parse(bytes: &'a [u8], seal: Seal) -> Option<Self> {
        let header = bytes.get(..HEADER_BYTES)?;
        let length = u32_at(header, 4) as usize;
        if u32_at(header, 8) != seal.salt ^ first_number(header) as u32 || length > MAX_RECORD_BYTES {
            return None;
        }
        let covered = bytes.get(4..padded(length))?;
        if checksum(seal.seed, covered) != u32_at(header, 0) {
            return None;
        }
        Self::of_memory(bytes)
    }

    /// The record at the front of bytes that never left memory: it has no seal.
    pub(super) fn of_memory(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.get(..HEADER_BYTES)?;
        let length = u32_at(header, 4) as usize;
        Some(Self {
            first: first_number(header),
            count: u32_at(header, 32),
            time_ms: u64_at(header, 24),
            unsynced: u32_at(header, 36),
            payload: bytes.get(HEADER_BYTES..HEADER_BYTES + length)?,
        })
    }

    /// How many bytes the record `first` at the front of `bytes` says that it takes, padding included; `None`
    /// where no header of it is.
    pub(super) fn announced_bytes(bytes: &[u8], seal: Seal, first: Sequence) -> Option<usize> {
        let header = bytes.get(..HEADER_BYTES)?;
        let length = u32_at(header, 4) as usize;
        let is_it = first_number(header) == first && u32_at(header, 8) == seal.salt ^ first as u32;
        (is_it && length <= MAX_RECORD_BYTES).then(|| padded(length))
    }

    /// The bytes that it takes in the segment, padding included.
    pub(super) fn framed_bytes(&self) -> usize {
        padded(self.payload.len())
    }

    /// The number after its last change, or the one that it says comes next.
    pub(super) fn next(&self) -> Sequence {
        let next = self.first.saturating_add(u64::from(self.count));
        if self.count == 1
            && self.payload.first() == Some(&LIFT)
            && let Some(Logged::Lift { upto }) = Parts::decode(&mut &*self.payload).and_then(Parts::change)
        {
            return next.max(upto.saturating_add(1));
        }
        next
    }

    /// The last number that was on disk for sure when this record was written.
    pub(super) fn attests(&self) -> Sequence {
        match self.unsynced {
            u32::MAX => 0,
            unsynced => self.first.saturating_sub(1).saturating_sub(u64::from(unsynced)),
        }
    }

    /// Its changes, in order; false when they cannot be read although the checksum is right.
    pub(super) fn changes(&self, mut each: impl FnMut(Replayed<'a>) -> Result<()>) -> Result<bool> {
        let mut rest = self.payload;
        for index in 0..u64::from(self.count) {
            let Some(change) = Parts::decode(&mut rest).and_then(Parts::change) else { return Ok(false) };
            each(Replayed::Change { version: self.first + index, time_ms: self.time_ms, change })?;
        }
        Ok(rest.is_empty())
    }
}

/// Adds an entry to a snapshot's block: its version, then the layout of a Put.
pub(super) fn encode_entry(into: &mut Vec<u8>, key: KeyRef<'_>, entry: &EntryRef<'_>) {
    into.extend_from_slice(&entry.version.to_le_bytes());
    let value = entry.value.bytes();
    Parts::of(&Logged::Put { key, kind: entry.kind, expires_at_ms: entry.expires_at_ms, value }).encode(into);
}

/// Takes an entry off the front of a snapshot's block.
pub(super) fn decode_entry<'a>(bytes: &mut &'a [u8]) -> Option<(KeyRef<'a>, EntryRef<'a>)> {
    let version = u64_at(take(bytes, 8)?, 0);
    match Parts::decode(bytes)?.change()? {
        Logged::Put { key, kind, expires_at_ms, value } => {
            Some((key, EntryRef { value: ValueRef::Inline(value), kind, version, expires_at_ms }))
        }
        _ => None,
    }
}

/// CRC-32 (IEEE) of `bytes`, going on from `seed`.
pub(super) fn checksum(seed: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(bytes);
    hasher.finalize()
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

fn padded(length: usize) -> usize {
    (HEADER_BYTES + length).next_multiple_of(8)
}

#[inline]
fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}
