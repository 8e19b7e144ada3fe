//! Cursors of engines that scan by key: random numbers that stand for the keys where pages ended.
//!
//! Redis clients take a cursor of 64 bits and nothing else, and a key does not fit into that. So this
//! server remembers its last cursors; one that it has forgotten, or that an earlier run gave out, is an
//! error and never another place.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

use super::{Position, random::random_word};
use crate::error::{Error, Result};

/// Cursors that are remembered.
pub const REMEMBERED: usize = 65_536;

/// The cursors given out so far, as far as they are remembered.
#[derive(Default)]
pub struct Cursors(Mutex<Table>);

#[derive(Default)]
struct Table {
    places: HashMap<u64, (Vec<u8>, Vec<u8>)>,
    oldest_first: VecDeque<u64>,
}

impl Cursors {
    /// A cursor for the place behind an entry.
    pub fn give(&self, key: &[u8], member: &[u8]) -> Result<Position> {
        let mut table = self.0.lock();
        let mut number = random_word()?;
        while number == 0 || table.places.contains_key(&number) {
            number = random_word()?;
        }
        if table.oldest_first.len() == REMEMBERED
            && let Some(oldest) = table.oldest_first.pop_front()
        {
            table.places.remove(&oldest);
        }
        table.places.insert(number, (key.to_vec(), member.to_vec()));
        table.oldest_first.push_back(number);
        Ok(Position::Cursor(number))
    }

    /// The place that a cursor stands for. [`Invalid`](crate::ErrorKind::Invalid) for one that is not known.
    pub fn place(&self, number: u64) -> Result<Position> {
        match self.0.lock().places.get(&number) {
            Some((key, member)) => Ok(Position::Behind { key: key.clone(), member: member.clone() }),
            None => Err(Error::invalid("invalid cursor")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(position: &Position) -> u64 {
        match position {
            Position::Cursor(number) => *number,
            other => panic!("{other:?} is no cursor"),
        }
    }

    #[test]
    fn a_cursor_is_its_place_until_it_is_forgotten() {
        let cursors = Cursors::default();
        let first = number(&cursors.give(b"k", b"m").expect("there are random numbers"));
        let place = Position::Behind { key: b"k".to_vec(), member: b"m".to_vec() };
        assert_eq!(cursors.place(first).expect("it is remembered"), place);
        for _ in 0..REMEMBERED {
            cursors.give(b"other", b"").expect("there are random numbers");
        }
        assert!(cursors.place(first).is_err());
        assert!(cursors.place(1).is_err());
    }
}
