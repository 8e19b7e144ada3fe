//! A page of what a query found, as JSON, written a piece at a time.
//!
//! HTTP and the line protocol answer with the same members: `entries`, and where there is something to say,
//! `cursor`, `skipped` and `plan`. Large values are written in pieces, so that nothing holds a second copy.

use std::vec;

use bytes::Bytes;
use tresor::search::{Found, FoundPage, Plan};

use crate::json::{ValuePieces, write_key, write_string};

/// What stands before the first entry.
const OPENING: &[u8] = b"\"entries\":[";

/// Members of an object, without its brackets.
pub(crate) struct FoundMembers {
    entries: vec::IntoIter<Found>,
    /// A value begun but not finished.
    value: Option<ValuePieces<Bytes>>,
    /// What comes before the next entry.
    separator: &'static [u8],
    /// What comes behind the entries.
    tail: Vec<u8>,
}

impl FoundMembers {
    pub(crate) fn new(page: FoundPage, plan: Option<&Plan<'_>>) -> Self {
        let mut tail = b"]".to_vec();
        if let Some(cursor) = &page.cursor {
            tail.extend_from_slice(b",\"cursor\":");
            write_string(&mut tail, cursor);
        }
        if page.skipped > 0 {
            tail.extend_from_slice(format!(",\"skipped\":{}", page.skipped).as_bytes());
        }
        if let Some(plan) = plan {
            tail.extend_from_slice(b",\"plan\":{");
            for (place, (name, fact)) in plan.facts().into_iter().enumerate() {
                let separator = if place == 0 { "" } else { "," };
                tail.extend_from_slice(format!("{separator}\"{name}\":").as_bytes());
                write_string(&mut tail, &fact);
            }
            tail.push(b'}');
        }
        Self { entries: page.entries.into_iter(), value: None, separator: OPENING, tail }
    }

    /// Appends the next piece: an entry, or a part of a large one; true when it was the last.
    pub(crate) fn write_next(&mut self, out: &mut Vec<u8>) -> bool {
        if let Some(value) = &mut self.value {
            if value.write_next(out) {
                out.push(b'}');
                self.value = None;
            }
            return false;
        }
        let found = self.entries.next();
        if found.is_some() || self.separator == OPENING {
            out.extend_from_slice(std::mem::replace(&mut self.separator, b","));
        }
        let Some(found) = found else {
            out.extend_from_slice(&self.tail);
            return true;
        };
        out.extend_from_slice(b"{\"key\":");
        write_key(out, &found.key);
        if let Some(distance) = found.distance {
            out.extend_from_slice(format!(",\"distance\":{distance}").as_bytes());
        }
        match found.value {
            Some((bytes, kind)) => {
                out.extend_from_slice(b",\"value\":");
                self.value = Some(ValuePieces::new(kind, bytes));
            }
            None => out.push(b'}'),
        }
        false
    }
}
