//! The 16 databases: where the entries of each stand, how many there are, and the latest number.
//!
//! Swapping two databases swaps their places; clearing one gives it a new place, and what stood at the
//! old one is removed bit by bit by the housekeeper. One row each, all on one page of the file, so a
//! change costs one page besides its own.

use std::path::Path;

use rusqlite::{Connection, params};
use tresor::{
    Result,
    engine::{DATABASES, Sequence},
};

use crate::{failure, row::Text};

/// Where a database's entries are and how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Database {
    pub(crate) place: i64,
    pub(crate) keys: u64,
    pub(crate) expiring: u64,
}

/// All of them, as the writer knows them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Databases {
    pub(crate) rows: [Database; DATABASES as usize],
    /// The place that the next clear takes: no row stands there or beyond.
    next_place: i64,
    /// Those whose rows have to be written, one bit each.
    changed: u16,
    /// Some place has changed since the transaction began.
    pub(crate) moved: bool,
}

impl Databases {
    /// Reads them, with the latest number of the store.
    pub(crate) fn read(connection: &Connection, path: &Path) -> Result<(Self, Sequence)> {
        let failed = |error| failure::error(path, error);
        let mut databases = Self::default();
        let (mut latest, mut seen) = (0, 0);
        let mut select = connection
            .prepare("SELECT database, place, keys, expiring, latest, checksum FROM databases")
            .map_err(failed)?;
        let rows = select
            .query_map([], |row| {
                let columns: [i64; 5] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
                Ok((columns, row.get::<_, i64>(5)?))
            })
            .map_err(failed)?;
        for row in rows {
            let (columns, stored) = row.map_err(failed)?;
            let [number, place, keys, expiring, of_row] = columns;
            let known = usize::try_from(number).ok().filter(|number| *number < databases.rows.len());
            let (Some(number), true) = (known, checksum(&columns) == stored) else {
                return Err(failure::damaged(path, "the table of databases"));
            };
            databases.rows[number] = Database { place, keys: keys as u64, expiring: expiring as u64 };
            (latest, seen) = (latest.max(of_row as u64), seen + 1);
        }
        if seen != databases.rows.len() {
            return Err(failure::damaged(path, "the table of databases"));
        }
        let highest: Option<i64> =
            connection.query_row("SELECT max(place) FROM stored", [], |row| row.get(0)).map_err(failed)?;
        let mapped = databases.rows.iter().map(|row| row.place).max();
        databases.next_place = highest.max(mapped).unwrap_or_default() + 1;
        Ok((databases, latest))
    }

    /// Fills the table of a new store.
    pub(crate) fn make(connection: &Connection) -> rusqlite::Result<()> {
        let mut insert = connection.prepare("INSERT INTO databases VALUES (?1, ?2, 0, 0, 0, ?3)")?;
        (0..i64::from(DATABASES)).try_for_each(|number| {
            insert.execute([number, number, checksum(&[number, number, 0, 0, 0])]).map(drop)
        })
    }

    pub(crate) fn places(&self) -> [i64; DATABASES as usize] {
        self.rows.map(|row| row.place)
    }

    pub(crate) fn place(&self, database: u8) -> i64 {
        self.rows[usize::from(database)].place
    }

    /// The row of a database, to be changed.
    pub(crate) fn change(&mut self, database: u8) -> &mut Database {
        self.changed |= 1 << database;
        &mut self.rows[usize::from(database)]
    }

    pub(crate) fn clear(&mut self, database: u8) {
        *self.change(database) = Database { place: self.next_place, keys: 0, expiring: 0 };
        self.next_place += 1;
        self.moved = true;
    }

    pub(crate) fn swap(&mut self, first: u8, second: u8) {
        self.changed |= 1 << first | 1 << second;
        self.rows.swap(usize::from(first), usize::from(second));
        self.moved = true;
    }

    /// The number of the database whose entries stand at a place; `None` for one that was cleared.
    pub(crate) fn at(&self, place: i64) -> Option<u8> {
        self.rows.iter().position(|row| row.place == place).map(|number| number as u8)
    }

    /// Writes those that have changed, and at least one: the latest number stands in them.
    pub(crate) fn write(&mut self, connection: &Connection, latest: Sequence) -> rusqlite::Result<()> {
        if self.changed == 0 {
            self.change(0);
        }
        // Both columns of two swapped rows at once would break the uniqueness of places for a moment.
        if self.moved {
            let mut away = connection
                .prepare_cached("UPDATE databases SET place = -1 - database WHERE database = ?1")?;
            self.numbers_changed().try_for_each(|number| away.execute([number]).map(drop))?;
        }
        let mut update = connection.prepare_cached(
            "UPDATE databases SET place = ?2, keys = ?3, expiring = ?4, latest = ?5, checksum = ?6 \
             WHERE database = ?1",
        )?;
        for number in self.numbers_changed() {
            let row = self.rows[number as usize];
            let columns = [number, row.place, row.keys as i64, row.expiring as i64, latest as i64];
            let [.., checksum] = [checksum(&columns)];
            update.execute(params![columns[0], columns[1], columns[2], columns[3], columns[4], checksum])?;
        }
        self.changed = 0;
        self.moved = false;
        Ok(())
    }

    fn numbers_changed(&self) -> impl Iterator<Item = i64> + use<> {
        let changed = self.changed;
        (0..i64::from(DATABASES)).filter(move |number| changed & (1 << number) != 0)
    }
}

fn checksum(columns: &[i64; 5]) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    columns.iter().for_each(|column| hasher.update(&column.to_le_bytes()));
    i64::from(hasher.finalize())
}

/// Removes some rows of cleared databases; whether there may be more. `Text` keys of rows are never
/// looked at: whole places go.
pub(crate) fn remove_cleared(
    connection: &Connection,
    databases: &Databases,
    rows: usize,
) -> rusqlite::Result<bool> {
    let mut behind = i64::MIN;
    let mut next = connection.prepare_cached("SELECT min(place) FROM stored WHERE place > ?1")?;
    loop {
        let Some(place) = next.query_row([behind], |row| row.get::<_, Option<i64>>(0))? else {
            return Ok(false);
        };
        if databases.at(place).is_none() {
            return remove_some(connection, place, rows);
        }
        behind = place;
    }
}

fn remove_some(connection: &Connection, place: i64, rows: usize) -> rusqlite::Result<bool> {
    let mut select = connection.prepare_cached("SELECT key, member FROM stored WHERE place = ?1 LIMIT ?2")?;
    let owned = |row: &rusqlite::Row<'_>| {
        let column = |number| crate::row::bytes(row, number).map(|bytes| bytes.unwrap_or_default().to_vec());
        Ok((column(0)?, column(1)?))
    };
    let found: Vec<(Vec<u8>, Vec<u8>)> =
        select.query_map(params![place, rows as i64], owned)?.collect::<rusqlite::Result<_>>()?;
    let mut delete =
        connection.prepare_cached("DELETE FROM stored WHERE place = ?1 AND key = ?2 AND member = ?3")?;
    for (key, member) in &found {
        delete.execute(params![place, Text(key), Text(member)])?;
    }
    Ok(!found.is_empty())
}
