//! Looking through the tables of a stopped store: every block is read, every entry is decoded.
//!
//! Tables have checksums of their own, so what can be read is what was written. Opening them does what
//! every start does with their journals; entries are not changed. What lies behind the last checkpoint is
//! in the log, which has its own check (`oplog::check`).

use std::path::Path;

use super::{DiskOptions, TABLES, address, tables::Tables};
use crate::{
    engine::DATABASES,
    error::{Error, ErrorKind, Result},
    files::Files,
};

/// What is in a store's tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TablesReport {
    /// Entries that can be read, those that have expired included.
    pub entries: u64,
    /// Where reading ended before its time, and why.
    pub problems: Vec<String>,
}

/// Whether a directory holds a store of this engine.
fn has_tables(files: &dyn Files, directory: &Path) -> bool {
    files.list(&directory.join(TABLES)).is_ok()
}

/// Reads everything that the tables of a stopped store hold; `None` if the directory is no store of this
/// engine. [`Unavailable`](ErrorKind::Unavailable) while a server has it open.
pub fn check(files: &dyn Files, directory: &Path) -> Result<Option<TablesReport>> {
    if !has_tables(files, directory) {
        return Ok(None);
    }
    let mut report = TablesReport::default();
    let tables = match Tables::open(&directory.join(TABLES), &DiskOptions::default()) {
        Ok(tables) => tables,
        Err(error) if error.kind() == ErrorKind::Internal => {
            report.problems.push(with_cause(&error));
            return Ok(Some(report));
        }
        Err(error) => return Err(error),
    };
    for physical in 0..DATABASES {
        if let Err((after, error)) = read_all(&tables, physical, &mut report.entries) {
            let after = String::from_utf8_lossy(&after).into_owned();
            let problem = with_cause(&error);
            report.problems.push(format!("table {physical}, behind key {after:?}: {problem}"));
        }
    }
    Ok(Some(report))
}

/// Counts the entries of a table; the address before the one that cannot be read, and why.
fn read_all(tables: &Tables, physical: u8, entries: &mut u64) -> std::result::Result<(), (Vec<u8>, Error)> {
    let mut latest = Vec::new();
    for row in tables.all_entries(physical) {
        match row {
            Ok((address, _)) if address::decode(&address).is_none() => {
                return Err((latest, Error::new(ErrorKind::Internal, "a key that is none")));
            }
            Ok((address, _)) => latest = address,
            Err(error) => return Err((latest, error)),
        }
        *entries += 1;
    }
    Ok(())
}

fn with_cause(error: &Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(" ({cause})")).unwrap_or_default();
    format!("{error}{cause}")
}
