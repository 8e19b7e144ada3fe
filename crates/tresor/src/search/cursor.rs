//! Cursors: where the next page of a query begins, as a text that a client sends back.
//!
//! A cursor holds its place and a fingerprint of its query, so that it is refused with any other one, and
//! nothing is remembered between two pages. In key order the place is the last key looked at, which holds
//! for as long as the store does; in any order it is the engine's, and holds for one run of the server.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::query::Query;
use crate::{
    engine::Position,
    error::{Error, Result},
};

/// The first byte of a cursor: what its place is.
const BEHIND_KEY: u8 = b'k';
const ANY_ORDER: u8 = b'a';

/// Writes the cursor of a place. `run` tells runs of the server apart.
pub(super) fn write(query: &Query, database: u8, run: &str, position: &Position) -> Option<String> {
    let (tag, place, run) = match position {
        Position::Behind { key, .. } => (BEHIND_KEY, key.clone(), ""),
        Position::Cursor(number) => (ANY_ORDER, number.to_le_bytes().to_vec(), run),
        Position::Start | Position::Anywhere(_) => return None,
    };
    let mut bytes = vec![tag];
    bytes.extend_from_slice(&fingerprint(query, database, run).to_le_bytes());
    bytes.extend_from_slice(&place);
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// Reads what [`write`] has written for this query.
pub(super) fn read(query: &Query, database: u8, run: &str, cursor: &[u8]) -> Result<Position> {
    let no_cursor =
        || Error::invalid("this is no cursor: send the one that the page before answered, or none");
    let other = || {
        Error::invalid(
            "this cursor is of another query, or of an earlier run of the server: begin anew without one",
        )
    };
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| no_cursor())?;
    let (tag, rest) = bytes.split_first().ok_or_else(no_cursor)?;
    let (seal, place) = rest.split_first_chunk::<8>().ok_or_else(no_cursor)?;
    let run = if *tag == ANY_ORDER { run } else { "" };
    if u64::from_le_bytes(*seal) != fingerprint(query, database, run) {
        return Err(other());
    }
    match *tag {
        BEHIND_KEY => Ok(Position::Behind { key: place.to_vec(), member: Vec::new() }),
        ANY_ORDER => {
            let number = place.try_into().map_err(|_| no_cursor())?;
            Ok(Position::Cursor(u64::from_le_bytes(number)))
        }
        _ => Err(no_cursor()),
    }
}

/// FNV-1a over what the query says: the same in every run and version.
fn fingerprint(query: &Query, database: u8, run: &str) -> u64 {
    let last = [database];
    let bytes = query.said().iter().chain(run.as_bytes()).chain(&last);
    bytes.fold(0xcbf2_9ce4_8422_2325, |mixed, byte| (mixed ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
