//! A random place among the keys of a database, at the price of a few look-ups.
//!
//! SQLite cannot be asked for the n-th row without counting up to it. So this goes down the tree that
//! the keys' bytes make: among the keys that share a beginning it picks a next byte by chance, then
//! goes on among those that have it. Keys that few others resemble come up more often than others.

use rusqlite::{Connection, OptionalExtension, params};

use crate::row::{Text, bytes};

/// Levels that are gone down at most: long beginnings that all keys share cost none.
const LEVELS: usize = 16;

/// A key of the database at this place, chosen by `number`; `None` if there is none.
pub(crate) fn pick(connection: &Connection, place: i64, number: u64) -> rusqlite::Result<Option<Vec<u8>>> {
    let first = "SELECT key FROM stored WHERE place = ?1 AND key >= ?2 ORDER BY key LIMIT 1";
    let last = "SELECT key FROM stored WHERE place = ?1 ORDER BY key DESC LIMIT 1";
    let last_below = "SELECT key FROM stored WHERE place = ?1 AND key < ?2 ORDER BY key DESC LIMIT 1";
    let Some(mut low) = key(connection, first, place, Some(b""))? else { return Ok(None) };
    let Some(mut high) = key(connection, last, place, None)? else { return Ok(None) };
    let mut choices = Choices(number);
    for _ in 0..LEVELS {
        if low == high {
            break;
        }
        let shared = low.iter().zip(&high).take_while(|(low, high)| low == high).count();
        // A key that ends here stands before all that go on.
        let from = low.get(shared).map_or(-1, |byte| i32::from(*byte));
        let to = i32::from(high[shared]);
        let chosen = from + choices.below((to - from + 1) as u64) as i32;
        let Ok(byte) = u8::try_from(chosen) else { break };
        let wanted = [&low[..shared], &[byte]].concat();
        let Some(found) = key(connection, first, place, Some(&wanted))? else { break };
        let next = found[shared];
        low = found;
        if next < high[shared] {
            let end = [&low[..shared], &[next + 1]].concat();
            let Some(found) = key(connection, last_below, place, Some(&end))? else { break };
            high = found;
        }
    }
    Ok(Some(low))
}

fn key(
    connection: &Connection,
    sql: &str,
    place: i64,
    bound: Option<&[u8]>,
) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut select = connection.prepare_cached(sql)?;
    let read = |row: &rusqlite::Row<'_>| bytes(row, 0).map(|bytes| bytes.unwrap_or_default().to_vec());
    match bound {
        Some(bound) => select.query_row(params![place, Text(bound)], read).optional(),
        None => select.query_row(params![place], read).optional(),
    }
}

/// Several choices out of one number: SplitMix64 (Steele, Lea, Flood 2014).
struct Choices(u64);

impl Choices {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
