//! Ranges of bits in a value: what the words of BITCOUNT and BITPOS mean, counting and searching.
//!
//! A [`BitRange`] is what a client says, and may count from the end; [`Bits`] are places that the value
//! has. Counting goes word by word over whole bytes and corrects both ends, so that a range of bits costs
//! what one of bytes does.

use super::{is, number, syntax_error};
use crate::error::Result;

/// From a first to a last place, both included; negative ones count from the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BitRange {
    start: i64,
    /// `None` for as far as the value goes.
    end: Option<i64>,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Byte,
    Bit,
}

impl Unit {
    fn parse(word: &[u8]) -> Result<Self> {
        if is(word, "BIT") {
            Ok(Self::Bit)
        } else if is(word, "BYTE") {
            Ok(Self::Byte)
        } else {
            Err(syntax_error())
        }
    }
}

impl BitRange {
    const ALL: Self = Self { start: 0, end: None, unit: Unit::Byte };

    /// `[start end [BYTE|BIT]]`.
    pub(super) fn of_bitcount(words: &[&[u8]]) -> Result<Self> {
        let (start, end, unit) = match words {
            [] => return Ok(Self::ALL),
            [start, end] => (start, end, None),
            [start, end, unit] => (start, end, Some(unit)),
            _ => return Err(syntax_error()),
        };
        let (start, end) = (number::integer(start)?, Some(number::integer(end)?));
        let mut range = Self { start, end, unit: Unit::Byte };
        // An empty range makes Redis forget to look at the unit.
        if let Some(unit) = unit
            && !range.is_backwards()
        {
            range.unit = Unit::parse(unit)?;
        }
        Ok(range)
    }

    /// `[start [end [BYTE|BIT]]]`.
    pub(super) fn of_bitpos(words: &[&[u8]]) -> Result<Self> {
        let (start, rest) = match words {
            [] => return Ok(Self::ALL),
            [start, rest @ ..] if rest.len() <= 2 => (number::integer(start)?, rest),
            _ => return Err(syntax_error()),
        };
        // The unit is complained of before the end is, as in Redis.
        let unit = rest.get(1).map_or(Ok(Unit::Byte), |unit| Unit::parse(unit))?;
        let end = rest.first().map(|end| number::integer(end)).transpose()?;
        Ok(Self { start, end, unit })
    }

    /// Whether no end was said.
    pub(super) fn is_open(self) -> bool {
        self.end.is_none()
    }

    /// Whether both ends count from the end of the value, and in the wrong order.
    pub(super) fn is_backwards(self) -> bool {
        self.start < 0 && self.end.is_some_and(|end| end < 0 && self.start > end)
    }

    /// The places that a value of so many bytes has in the range.
    pub(super) fn within(self, bytes: usize) -> Bits {
        let unit_bits = if self.unit == Unit::Bit { 1 } else { 8 };
        let length = bytes as i64 * 8 / unit_bits;
        let place = |number: i64| if number < 0 { (number + length).max(0) } else { number };
        let last = self.end.map_or(length - 1, |end| place(end).min(length - 1));
        let start = place(self.start);
        if start > last {
            return Bits { start: 0, end: 0 };
        }
        Bits { start: (start * unit_bits) as u64, end: ((last + 1) * unit_bits) as u64 }
    }
}

/// Places in a value, from a first one up to one that no longer belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bits {
    start: u64,
    end: u64,
}

impl Bits {
    pub(super) fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// The bytes that they are in, the first one's number, and what to leave out of the first and the last.
    fn bytes(self, value: &[u8]) -> (usize, &[u8]) {
        let first = (self.start / 8) as usize;
        (first, &value[first..self.end.div_ceil(8) as usize])
    }

    /// How many of them are set.
    pub(super) fn ones(self, value: &[u8]) -> u64 {
        if self.is_empty() {
            return 0;
        }
        let (_, bytes) = self.bytes(value);
        let before = !(0xff_u8 >> (self.start % 8));
        let behind = match self.end % 8 {
            0 => 0,
            bits => 0xff_u8 >> bits,
        };
        let outside = (bytes[0] & before).count_ones() + (bytes[bytes.len() - 1] & behind).count_ones();
        ones(bytes) - u64::from(outside)
    }

    /// The first that is set, or the first that is not.
    pub(super) fn first(self, value: &[u8], bit: bool) -> Option<u64> {
        if self.is_empty() {
            return None;
        }
        let (number, bytes) = self.bytes(value);
        // What is searched for is a one in these.
        let wanted = |byte: u8| if bit { byte } else { !byte };
        let first = wanted(bytes[0]) & (0xff >> (self.start % 8));
        let (place, byte) = match first {
            0 => {
                let place = 1 + other_than(&bytes[1..], if bit { 0 } else { 0xff })?;
                (place, wanted(bytes[place]))
            }
            byte => (0, byte),
        };
        let position = (number + place) as u64 * 8 + u64::from(byte.leading_zeros());
        Some(position).filter(|position| *position < self.end)
    }
}

/// How many bits are set.
fn ones(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words: u64 = words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum();
    words + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

/// The place of the first byte that is not this one.
fn other_than(bytes: &[u8], byte: u8) -> Option<usize> {
    let (words, _) = bytes.as_chunks::<8>();
    let same = words.iter().take_while(|word| **word == [byte; 8]).count() * 8;
    bytes[same..].iter().position(|other| *other != byte).map(|place| same + place)
}
