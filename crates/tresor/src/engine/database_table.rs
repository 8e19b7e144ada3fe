//! The table that swapping databases changes: which physical database each numbered one is.
//!
//! It holds each number once. Engines, their logs and shards keep it in four bits a database, so that it fits
//! into one atomic word.

use std::array;

use super::entry::DATABASES;

/// The physical number of each numbered database.
pub(crate) type DatabaseTable = [u8; DATABASES as usize];

/// The table of databases that were never swapped.
pub(crate) const UNSWAPPED: DatabaseTable = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// A table, four bits a database, the first one lowest.
#[inline]
pub(crate) fn pack(table: &DatabaseTable) -> u64 {
    table.iter().rev().fold(0, |packed, physical| packed << 4 | u64::from(*physical))
}

/// The table that was packed. Other words than that give tables that may hold a number twice.
#[inline]
pub(crate) fn unpack(packed: u64) -> DatabaseTable {
    array::from_fn(|database| (packed >> (database * 4)) as u8 & 15)
}

/// A table, if the bytes are one: each number once.
pub(crate) fn table_of(bytes: &[u8]) -> Option<DatabaseTable> {
    let table: DatabaseTable = bytes.try_into().ok()?;
    let mut sorted = table;
    sorted.sort_unstable();
    (sorted == UNSWAPPED).then_some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_comes_back_as_it_was_packed() {
        let mut table = UNSWAPPED;
        table.swap(0, 15);
        table.swap(3, 7);
        assert_eq!(unpack(pack(&table)), table);
    }

    #[test]
    fn bytes_with_a_number_twice_or_too_large_are_no_table() {
        let with = |at: usize, number: u8| {
            let mut table = UNSWAPPED;
            table[at] = number;
            table_of(&table)
        };
        assert_eq!(with(4, 4), Some(UNSWAPPED));
        assert_eq!((with(4, 5), with(4, 16), table_of(&UNSWAPPED[1..])), (None, None, None));
    }
}
