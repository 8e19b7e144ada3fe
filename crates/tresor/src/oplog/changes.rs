//! The log as readers of changes see it: pages of records read back from the segments.
//!
//! A page begins where the reader's cursor stands, goes no further than what the durability level promises, and
//! opens its segments anew: between two pages nothing is held for a reader, so that one who reads slowly costs
//! nothing, and what it wants next may have been removed meanwhile. It is told so. Segments and the records in
//! them follow one another by number, and each segment says which physical databases the logical ones were
//! when it began; so every change is told of the database that it happened to, whatever was swapped since.

use std::{io, path::PathBuf, sync::Arc, sync::atomic::Ordering};

use super::{
    layout::{self, damaged, failed},
    record::{Logged, Record, Replayed, Seal},
    segment::{HEADER_BYTES, Header},
    shared::Shared,
};
use crate::{
    engine::{
        ChangeCursor, ChangeKind, ChangePage, ChangeRef, ChangesWanted, DATABASES, DatabaseTable, EntryRef,
        KeyRef, Place, Removal, Sequence, ValueRef,
    },
    error::{Error, ErrorKind, Result},
    files::{File, Open},
};

/// Bytes of the log that are looked at for one page: whoever waits behind this reader gets its turn then.
const LOOKED_AT_BYTES: u64 = 1024 * 1024;

/// Bytes of a segment that are read at a time.
const READ_BYTES: usize = 64 * 1024;

/// The next page from where the cursor stands, of what there is already.
pub(super) fn page(
    shared: &Shared,
    cursor: &mut ChangeCursor,
    wanted: &ChangesWanted<'_>,
) -> Result<ChangePage> {
    let (latest, table) = {
        let state = shared.state.lock();
        if let Some(stopped) = state.stopped() {
            return Err(stopped);
        }
        (state.next - 1, state.table)
    };
    let readable = shared.readable.load(Ordering::Acquire).min(latest);
    let mut page = cursor.begin_page(shared.identity.store_id, latest);
    page.idle = page.gap.is_none() && cursor.next > readable;
    let asked = Asked { wanted, table };
    let mut look = Look { shared, asked, readable, bytes: 0, chunk: Vec::new() };
    while cursor.next <= readable && page.has_room(wanted) && look.bytes < LOOKED_AT_BYTES {
        if !look.segment(cursor, &mut page)? {
            break;
        }
    }
    page.more = cursor.next <= readable;
    page.through = cursor.through();
    Ok(page)
}

/// What a reader asks for, and which physical database each logical one is now.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) wanted: &'a ChangesWanted<'a>,
    pub(super) table: DatabaseTable,
}

/// One look through the log.
struct Look<'a> {
    shared: &'a Shared,
    asked: Asked<'a>,
    readable: Sequence,
    bytes: u64,
    chunk: Vec<u8>,
}

/// A segment being read.
struct Opened {
    file: Arc<dyn File>,
    path: PathBuf,
    seal: Seal,
}

impl Look<'_> {
    /// Goes through the segment that the cursor stands in; false when the page ends here.
    fn segment(&mut self, cursor: &mut ChangeCursor, page: &mut ChangePage) -> Result<bool> {
        let segments = self.shared.state.lock().segments.clone();
        let known = cursor.place.filter(|place| segments.contains(&place.segment));
        let wanted = known.map_or(cursor.next, |place| place.next);
        let Some(at) = segments.partition_point(|&first| first <= wanted).checked_sub(1) else {
            let oldest = segments.first().copied().unwrap_or(self.readable + 1);
            return Ok(tell_gap(cursor, page, oldest));
        };
        // A place at the end of a segment is the beginning of the next.
        let known = known.filter(|place| place.segment == segments[at]);
        let following = segments.get(at + 1).copied();
        let opened = match self.open(segments[at])? {
            Some((opened, Some(table))) => {
                let begin =
                    Place { segment: segments[at], offset: HEADER_BYTES as u64, next: segments[at], table };
                cursor.place = Some(known.unwrap_or(begin));
                opened
            }
            // It was removed just now, or is of a version that did not say what this one needs.
            _ => return Ok(tell_gap(cursor, page, following.unwrap_or(self.readable + 1))),
        };
        self.records(&opened, following, cursor, page)
    }

    /// A segment with its table of databases; `None` if it is gone.
    fn open(&self, first: Sequence) -> Result<Option<(Opened, Option<DatabaseTable>)>> {
        let path = self.shared.directory.join(layout::segment_name(first));
        let file = match self.shared.files.open(&path, Open::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", &path, error)),
        };
        let mut bytes = [0; HEADER_BYTES];
        let read = file.read_at(&mut bytes, 0).map_err(|error| failed("read", &path, error))?;
        let header = Header::parse(&bytes[..read], &path)?;
        Ok(Some((Opened { file, path, seal: header.seal }, header.table)))
    }

    /// Goes through records until the page is full, the segment ends, or nothing more may be told.
    fn records(
        &mut self,
        opened: &Opened,
        following: Option<Sequence>,
        cursor: &mut ChangeCursor,
        page: &mut ChangePage,
    ) -> Result<bool> {
        let Some(mut place) = cursor.place else { return Ok(false) };
        let mut wanted_bytes = READ_BYTES;
        while place.next <= self.readable && self.bytes < LOOKED_AT_BYTES {
            let read = self.read(opened, place.offset, wanted_bytes)?;
            let mut at = 0;
            while place.next <= self.readable {
                let Some(record) = next_record(&self.chunk[at..read], opened.seal, place.next) else { break };
                if !take(&record, &mut place.table, cursor, (&self.asked, page))? {
                    cursor.place = Some(place);
                    return Ok(false);
                }
                at += record.framed_bytes();
                place.offset += record.framed_bytes() as u64;
                place.next = record.next();
                cursor.next = cursor.next.max(place.next);
            }
            cursor.place = Some(place);
            self.bytes += at as u64;
            if at == 0 {
                match longer_record(&self.chunk[..read], opened, &place)? {
                    Some(bytes) if bytes > read => wanted_bytes = bytes,
                    _ => return self.end(opened, following, cursor, page),
                }
            } else {
                wanted_bytes = READ_BYTES;
            }
        }
        Ok(true)
    }

    fn read(&mut self, opened: &Opened, offset: u64, bytes: usize) -> Result<usize> {
        self.chunk.resize(bytes, 0);
        opened.file.read_at(&mut self.chunk, offset).map_err(|error| failed("read", &opened.path, error))
    }

    /// No record is where one should be: the segment has ended, or is damaged.
    fn end(
        &self,
        opened: &Opened,
        following: Option<Sequence>,
        cursor: &mut ChangeCursor,
        page: &mut ChangePage,
    ) -> Result<bool> {
        let Some(place) = cursor.place else { return Ok(false) };
        match following {
            Some(following) if following <= place.next => {
                cursor.place = None;
                Ok(true)
            }
            Some(following) => {
                tracing::warn!(
                    path = %opened.path.display(), offset = place.offset,
                    "a change cannot be read back; readers of changes are told of the gap"
                );
                Ok(tell_gap(cursor, page, following))
            }
            None => {
                let what = format!("change {} cannot be read back", place.next);
                Err(damaged(&opened.path, place.offset, &what))
            }
        }
    }
}

/// Tells that everything before `next` is gone; false when that has to wait for the next page.
pub(super) fn tell_gap(cursor: &mut ChangeCursor, page: &mut ChangePage, next: Sequence) -> bool {
    if next <= cursor.next {
        cursor.place = None;
        return false;
    }
    if !page.is_empty() || page.gap.is_some() {
        return false;
    }
    cursor.skip_to(next, page);
    true
}

/// The record with this number at the front of `bytes`, if a whole one with changes is there.
fn next_record(bytes: &[u8], seal: Seal, number: Sequence) -> Option<Record<'_>> {
    Record::parse(bytes, seal).filter(|record| record.first == number && record.count > 0)
}

/// How long the record is that begins where a whole one could not be read; `None` if none does.
fn longer_record(bytes: &[u8], opened: &Opened, place: &Place) -> Result<Option<usize>> {
    let Some(announced) = Record::announced_bytes(bytes, opened.seal, place.next) else { return Ok(None) };
    let size = opened.file.size().map_err(|error| failed("measure", &opened.path, error))?;
    Ok((place.offset + announced as u64 <= size).then_some(announced))
}

/// Tells what a record holds from the cursor on; false when the page was full before its end. The table is then
/// as it was before the record.
pub(super) fn take(
    record: &Record<'_>,
    table: &mut DatabaseTable,
    cursor: &mut ChangeCursor,
    (asked, page): (&Asked<'_>, &mut ChangePage),
) -> Result<bool> {
    let mut now = *table;
    let mut is_whole = true;
    let is_known = record.changes(|replayed| {
        let Replayed::Change { version, change, .. } = replayed else { return Ok(()) };
        is_whole &= version < cursor.next || page.has_room(asked.wanted);
        if !is_whole {
            return Ok(());
        }
        if version >= cursor.next {
            if let Some(told) = told(version, &change, &now, asked) {
                page.push(&told);
            }
            cursor.next = version + 1;
        }
        if let Logged::Mapping(after) = change {
            now = after;
        }
        Ok(())
    })?;
    if !is_known {
        let message = "the log holds a change that this version cannot read; use a newer Tresor";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    if is_whole {
        *table = now;
    }
    Ok(is_whole)
}

/// What a reader hears of a change, if it concerns him.
fn told<'a>(
    version: Sequence,
    change: &Logged<'a>,
    table: &DatabaseTable,
    Asked { wanted, table: table_now }: &Asked<'_>,
) -> Option<ChangeRef<'a>> {
    let physical = table[usize::from(wanted.database)];
    let now = table_now.iter().position(|number| *number == physical).unwrap_or_default() as u8;
    let of_key = |key: KeyRef<'a>, kind, entry: Option<EntryRef<'a>>| {
        let concerns =
            key.database == physical && key.member.is_empty() && key.key.starts_with(wanted.prefix);
        concerns.then_some(ChangeRef {
            sequence: version,
            kind,
            key: key.key,
            with: None,
            database: now,
            entry: entry.filter(|_| wanted.values),
        })
    };
    let of_all =
        |kind, with| Some(ChangeRef { sequence: version, kind, key: &[], with, database: now, entry: None });
    match *change {
        Logged::Put { key, kind, expires_at_ms, value } => {
            let value = ValueRef::Inline(value);
            of_key(key, ChangeKind::Set, Some(EntryRef { value, kind, version, expires_at_ms }))
        }
        Logged::Adopt { key, version, kind, expires_at_ms, value } => {
            let value = ValueRef::Inline(value);
            of_key(key, ChangeKind::Set, Some(EntryRef { value, kind, version, expires_at_ms }))
        }
        Logged::Patch { key, .. } | Logged::Expire { key, .. } => of_key(key, ChangeKind::Set, None),
        Logged::Delete { key, removal } => {
            let kind = match removal {
                None => ChangeKind::Delete,
                Some(Removal::Expired) => ChangeKind::Expire,
                Some(Removal::Evicted) => ChangeKind::Evict,
            };
            of_key(key, kind, None)
        }
        Logged::Clear { database } if database == physical => of_all(ChangeKind::Clear, None),
        Logged::Mapping(after) if after[usize::from(wanted.database)] != physical => {
            let with = (0..DATABASES)
                .find(|other| table[usize::from(*other)] == after[usize::from(wanted.database)]);
            of_all(ChangeKind::Swap, with)
        }
        Logged::Clear { .. } | Logged::Mapping(_) | Logged::Lift { .. } => None,
    }
}
