//! Looks at a whole store: SQLite's own check of its pages, then every row's checksum and every count.
//!
//! A row can be damaged so that SQLite is content with it, and pages so that every row that is left is
//! whole; together the two find any change of a bit. What a person has edited on purpose is found in
//! the same way, and gets the checksums that fit when that is asked for.

use std::{path::Path, sync::Arc};

use rusqlite::{Connection, config::DbConfig, params};
use tresor::{
    Error, ErrorKind, Result,
    engine::{DATABASES, Kind, Sequence},
    files::Files,
};

use crate::{
    databases::{Database, Databases},
    failure,
    identity::Identity,
    location::{Location, Role},
    readers::whole_row,
    row::{Address, Head, OwnedAddress, Text, Value, bytes},
};

/// What is wrong, told up to this many times.
const MOST_PROBLEMS: usize = 100;

/// What a store was found to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries, expired ones that are not removed yet included.
    pub entries: u64,
    /// What is damaged or was edited, up to a hundred times.
    pub problems: Vec<String>,
}

/// Looks at a store that no server has open. With `accept`, entries that were edited get the checksums
/// that fit, and new versions; damage of SQLite's own pages is then an error.
///
/// # Errors
/// As [`SqliteEngine::open`](crate::SqliteEngine::open), but damage is in the report.
pub fn check(files: Arc<dyn Files>, path: &Path, accept: bool) -> Result<Report> {
    let location = Location::take(files, path, false)?;
    let path = &location.path;
    let failed = |error| failure::error(path, error);
    let connection = location.connect(Role::Synced)?;
    // The log stays a log: looking changes nothing.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !accept).map_err(failed)?;
    let pages = pages(&connection).map_err(failed)?;
    if !accept {
        let mut report = rows(&connection, path)?;
        report.problems.splice(0..0, pages);
        return Ok(report);
    }
    if let Some(problem) = pages.first() {
        let message = format!("{} is damaged, not edited ({problem}); it was not touched", path.display());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    accept_rows(&connection, path)?;
    rows(&connection, path)
}

/// Fails if anything is wrong.
pub(crate) fn refuse_damage(connection: &Connection, path: &Path) -> Result<()> {
    let problems = pages(connection).map_err(|error| failure::error(path, error))?;
    let problems = if problems.is_empty() { rows(connection, path)?.problems } else { problems };
    match problems.first() {
        None => Ok(()),
        Some(problem) => Err(failure::damaged(path, problem)),
    }
}

/// What SQLite says of its pages and indexes.
fn pages(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut check = connection.prepare("PRAGMA integrity_check(100)")?;
    let told = check.query_map([], |row| row.get::<_, String>(0));
    let told: rusqlite::Result<Vec<String>> = told.and_then(Iterator::collect);
    match told {
        Ok(told) => Ok(told.into_iter().filter(|line| line != "ok").collect()),
        // So damaged that the check cannot be made.
        Err(error) if damage(&error) => Ok(vec![error.to_string()]),
        Err(error) => Err(error),
    }
}

fn damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, Unknown};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase | Unknown))
}

/// Every row against its checksum, and their numbers against the counts.
fn rows(connection: &Connection, path: &Path) -> Result<Report> {
    let mut report = Report::default();
    let mut found = |problem: String| {
        if report.problems.len() < MOST_PROBLEMS {
            report.problems.push(problem);
        }
    };
    let failed = |error| failure::error(path, error);
    if let Err(error) = Identity::read(connection, path) {
        found(error.message().to_owned());
    }
    let (databases, latest) = match Databases::read(connection, path) {
        Ok(read) => read,
        Err(error) => {
            found(error.message().to_owned());
            return Ok(report);
        }
    };
    let mut counted = [Database::default(); DATABASES as usize];
    let mut select = connection.prepare(SELECT_ALL).map_err(failed)?;
    let mut all = select.query([]).map_err(failed)?;
    while let Some(row) = all.next().map_err(failed)? {
        let place: i64 = row.get(0).map_err(failed)?;
        let (key, member) = (bytes(row, 1).map_err(failed)?, bytes(row, 2).map_err(failed)?);
        let address = Address { place, key: key.unwrap_or_default(), member: member.unwrap_or_default() };
        let Some((head, _)) = whole_row(row, 3, address).map_err(failed)? else {
            found(format!("the entry {} does not have the checksum that fits", shown(address.key)));
            continue;
        };
        if head.version > latest {
            found(format!("the entry {} has a version that was never given", shown(address.key)));
        }
        // Rows of a database that was cleared wait for their removal.
        let Some(number) = databases.at(place) else { continue };
        let count = &mut counted[usize::from(number)];
        count.keys += 1;
        count.expiring += u64::from(head.expires_at_ms.is_some());
    }
    for (number, (row, counted)) in databases.rows.iter().zip(&counted).enumerate() {
        if (row.keys, row.expiring) != (counted.keys, counted.expiring) {
            let (there, told) = (counted.keys, row.keys);
            found(format!("database {number} has {there} whole entries, and {told} were written"));
        }
    }
    drop(all);
    drop(select);
    report.entries = counted.iter().map(|count| count.keys).sum();
    Ok(report)
}

const SELECT_ALL: &str =
    "SELECT place, key, member, version, kind, expires_at_ms, checksum, value FROM stored";

fn shown(key: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(&key[..key.len().min(100)]))
}

/// An entry that was edited: where it stands, and what it shall be.
struct Edited {
    place: i64,
    key: Vec<u8>,
    member: Vec<u8>,
    value: Vec<u8>,
    kind: Kind,
    expires_at_ms: Option<u64>,
}

fn accept_rows(connection: &Connection, path: &Path) -> Result<()> {
    let failed = |error| failure::error(path, error);
    let identity = Identity::read(connection, path)?;
    let (mut databases, mut latest) = Databases::read(connection, path)?;
    connection.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
    // Numbers are made valid for text, and text for numbers, before bytes are looked at.
    let texts = "UPDATE stored SET value = CAST(value AS TEXT) WHERE typeof(value) IN ('integer', 'real')";
    connection.execute(texts, []).map_err(failed)?;
    let mut behind = (i64::MIN, Vec::new(), Vec::new());
    while let Some(edited) = next_edited(connection, &behind).map_err(failed)? {
        latest += 1;
        accept_one(connection, &edited, latest).map_err(failed)?;
        behind = (edited.place, edited.key, edited.member);
    }
    for number in 0..DATABASES {
        let place = databases.place(number);
        let count = "SELECT count(*), count(expires_at_ms) FROM stored WHERE place = ?1";
        let (keys, expiring): (i64, i64) =
            connection.query_row(count, [place], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?;
        let row = databases.change(number);
        (row.keys, row.expiring) = (keys.unsigned_abs(), expiring.unsigned_abs());
    }
    databases.write(connection, latest).map_err(failed)?;
    identity.write(connection).map_err(failed)?;
    connection.execute_batch("COMMIT").map_err(failed)
}

/// The next entry behind an address whose checksum does not fit.
fn next_edited(
    connection: &Connection,
    (place, key, member): &OwnedAddress,
) -> rusqlite::Result<Option<Edited>> {
    let behind =
        format!("{SELECT_ALL} WHERE (place, key, member) > (?1, ?2, ?3) ORDER BY place, key, member");
    let mut select = connection.prepare_cached(&behind)?;
    let mut all = select.query(params![place, Text(key), Text(member)])?;
    while let Some(row) = all.next()? {
        let (key, member) = (bytes(row, 1)?.unwrap_or_default(), bytes(row, 2)?.unwrap_or_default());
        let address = Address { place: row.get(0)?, key, member };
        if whole_row(row, 3, address)?.is_some() {
            continue;
        }
        let kind: i64 = row.get(4)?;
        return Ok(Some(Edited {
            place: address.place,
            key: key.to_vec(),
            member: member.to_vec(),
            value: bytes(row, 7)?.unwrap_or_default().to_vec(),
            kind: u8::try_from(kind).ok().and_then(Kind::from_byte).unwrap_or_default(),
            expires_at_ms: row.get::<_, Option<i64>>(5)?.map(|at_ms| at_ms.max(0) as u64),
        }));
    }
    Ok(None)
}

fn accept_one(connection: &Connection, edited: &Edited, version: Sequence) -> rusqlite::Result<()> {
    let address = Address { place: edited.place, key: &edited.key, member: &edited.member };
    let head = Head {
        version,
        kind: edited.kind,
        expires_at_ms: edited.expires_at_ms,
        value_checksum: crc32fast::hash(&edited.value),
    };
    let mut update = connection.prepare_cached(
        "UPDATE stored SET version = ?4, kind = ?5, expires_at_ms = ?6, checksum = ?7, value = ?8 \
         WHERE place = ?1 AND key = ?2 AND member = ?3",
    )?;
    let (key, member) = (Text(&edited.key), Text(&edited.member));
    let (version, kind) = (version as i64, edited.kind as i64);
    let (at_ms, checksum) = (head.expires_column(), head.checksum(address));
    update.execute(params![
        edited.place,
        key,
        member,
        version,
        kind,
        at_ms,
        checksum,
        Value(&edited.value)
    ])?;
    Ok(())
}
