//! BITFIELD: integers of any width at any bit of a value.
//!
//! All operations of a command become one patch over the bytes from the first to the last that is written:
//! two fields side by side cost a few bytes, two at both ends of a value cost what lies between. Sums are
//! taken in 128 bits, so that overflow is a comparison and never a case of its own.

use std::ops::Range;

use smallvec::SmallVec;

use super::{
    Args,
    bit::{bytes_of, offset},
    is, number, syntax_error,
};
use crate::{
    engine::{Edited, Kind},
    error::{Error, Result},
    publish::Wording,
    reply::ReplyWriter,
    session::Session,
};

/// The bytes that a field may touch: 64 bits that begin anywhere in the first.
const WINDOW_BYTES: usize = 9;

/// An integer at a place: its width, and whether it has a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    signed: bool,
    bits: u32,
    offset: u64,
}

/// What becomes of a number that its field cannot hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Overflow {
    /// The bits that fit stay.
    #[default]
    Wrap,
    /// The nearest that fits.
    Saturate,
    /// Nothing is written.
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Get,
    Set(i64, Overflow),
    Add(i64, Overflow),
}

type Operations = SmallVec<[(Field, Action); 4]>;

/// One answer an operation; `None` where it would have overflown.
type Answers = SmallVec<[Option<i64>; 4]>;

impl Field {
    fn parse(session: &Session, kind: &[u8], place: &[u8]) -> Result<Self> {
        let (signed, bits) = width(kind).ok_or_else(|| {
            Error::invalid(
                "Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
            )
        })?;
        let (place, unit_bits) = match place {
            [b'#', place @ ..] => (place, u64::from(bits)),
            place => (place, 1),
        };
        Ok(Self { signed, bits, offset: offset(session, place, unit_bits)? })
    }

    /// The bytes that it is in.
    fn bytes(self) -> Range<usize> {
        (self.offset / 8) as usize..(self.offset + u64::from(self.bits)).div_ceil(8) as usize
    }

    fn shift(self) -> u32 {
        WINDOW_BYTES as u32 * 8 - (self.offset % 8) as u32 - self.bits
    }

    fn mask(self) -> u128 {
        (1 << self.bits) - 1
    }

    /// The number in a window of bytes that begins with its first.
    fn number(self, window: u128) -> i64 {
        let bits = (window >> self.shift() & self.mask()) as u64;
        if self.signed {
            let unused = 64 - self.bits;
            (bits << unused) as i64 >> unused
        } else {
            bits as i64
        }
    }

    /// The window with another number in it.
    fn with(self, window: u128, number: i64) -> u128 {
        let shift = self.shift();
        (window & !(self.mask() << shift)) | ((u128::from(number as u64) & self.mask()) << shift)
    }

    /// A number as the field can hold it; `None` where it may not be bent.
    fn fit(self, number: i128, overflow: Overflow) -> Option<i64> {
        let (low, high) = if self.signed {
            (-(1_i128 << (self.bits - 1)), (1_i128 << (self.bits - 1)) - 1)
        } else {
            (0, (1_i128 << self.bits) - 1)
        };
        if (low..=high).contains(&number) {
            return Some(number as i64);
        }
        match overflow {
            Overflow::Fail => None,
            Overflow::Saturate => Some(number.clamp(low, high) as i64),
            // Written and read again, it is what the bits that fit say.
            Overflow::Wrap => Some(self.number(self.with(0, number as i64))),
        }
    }
}

fn width(kind: &[u8]) -> Option<(bool, u32)> {
    let (signed, bits) = match kind {
        [b'i', bits @ ..] => (true, bits),
        [b'u', bits @ ..] => (false, bits),
        _ => return None,
    };
    let bits = u32::try_from(number::parse_integer(bits)?).ok()?;
    (1..=if signed { 64 } else { 63 }).contains(&bits).then_some((signed, bits))
}

fn overflow(word: &[u8]) -> Result<Overflow> {
    match word.to_ascii_uppercase().as_slice() {
        b"WRAP" => Ok(Overflow::Wrap),
        b"SAT" => Ok(Overflow::Saturate),
        b"FAIL" => Ok(Overflow::Fail),
        _ => Err(Error::invalid("Invalid OVERFLOW type specified")),
    }
}

fn parse(session: &Session, words: &[&[u8]]) -> Result<Operations> {
    let (mut operations, mut how) = (Operations::new(), Overflow::default());
    let mut rest = words;
    while !rest.is_empty() {
        rest = match rest {
            [word, kind, place, rest @ ..] if is(word, "GET") => {
                operations.push((Field::parse(session, kind, place)?, Action::Get));
                rest
            }
            [word, kind, place, number, rest @ ..] if is(word, "SET") || is(word, "INCRBY") => {
                let field = Field::parse(session, kind, place)?;
                let number = number::integer(number)?;
                let action =
                    if is(word, "SET") { Action::Set(number, how) } else { Action::Add(number, how) };
                operations.push((field, action));
                rest
            }
            [word, kind, rest @ ..] if is(word, "OVERFLOW") => {
                how = overflow(kind)?;
                rest
            }
            _ => return Err(syntax_error()),
        };
    }
    Ok(operations)
}

/// The bytes from the first to the last that is written.
fn written(operations: &Operations) -> Option<Range<usize>> {
    let written = operations.iter().filter(|(_, action)| *action != Action::Get);
    written
        .map(|(field, _)| field.bytes())
        .reduce(|one, other| one.start.min(other.start)..one.end.max(other.end))
}

/// A value, and over it the bytes that are being written.
struct Draft<'v> {
    value: &'v [u8],
    at: usize,
    bytes: Vec<u8>,
}

impl<'v> Draft<'v> {
    fn new(value: &'v [u8], written: Range<usize>) -> Self {
        let stored = value.get(written.start..written.end.min(value.len())).unwrap_or(&[]);
        let mut bytes = Vec::with_capacity(written.len());
        bytes.extend_from_slice(stored);
        bytes.resize(written.len(), 0);
        Self { value, at: written.start, bytes }
    }

    fn byte(&self, place: usize) -> u8 {
        let drafted = place.checked_sub(self.at).and_then(|place| self.bytes.get(place));
        drafted.or_else(|| self.value.get(place)).copied().unwrap_or(0)
    }

    fn window(&self, field: Field) -> u128 {
        let start = field.bytes().start;
        (start..start + WINDOW_BYTES).fold(0, |window, place| window << 8 | u128::from(self.byte(place)))
    }

    fn run(&mut self, (field, action): (Field, Action)) -> Option<i64> {
        let window = self.window(field);
        let old = field.number(window);
        let (new, answers_old) = match action {
            Action::Get => return Some(old),
            // A field without sign takes a negative number for what its 64 bits say.
            Action::Set(number, how) if field.signed => (field.fit(i128::from(number), how)?, true),
            Action::Set(number, how) => (field.fit(i128::from(number as u64), how)?, true),
            Action::Add(number, how) => (field.fit(i128::from(old) + i128::from(number), how)?, false),
        };
        let window = field.with(window, new);
        let places = field.bytes();
        let new_bytes = &window.to_be_bytes()[16 - WINDOW_BYTES..][..places.len()];
        self.bytes[places.start - self.at..places.end - self.at].copy_from_slice(new_bytes);
        Some(if answers_old { old } else { new })
    }
}

fn answer(reply: &mut ReplyWriter, answers: &Answers) {
    reply.array(answers.len());
    for answer in answers {
        match answer {
            Some(number) => reply.integer(*number),
            None => reply.null(),
        }
    }
}

async fn read(
    session: &mut Session,
    key: &[u8],
    operations: &Operations,
    reply: &mut ReplyWriter,
) -> Result<()> {
    let mut answers = Answers::new();
    session
        .read(key, |entry| {
            let mut draft = Draft::new(bytes_of(entry.as_ref()), 0..0);
            answers = operations.iter().map(|operation| draft.run(*operation)).collect();
        })
        .await?;
    answer(reply, &answers);
    Ok(())
}

pub(super) async fn bitfield(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let operations = parse(session, &args[2..])?;
    let Some(written) = written(&operations) else { return read(session, args[1], &operations, reply).await };
    session.value_bytes(written.end)?;
    let key = session.key(args[1])?;
    let mut answers = Answers::new();
    session.told_as(Wording::SetBit);
    session
        .update(key, &mut |entry| {
            let value = bytes_of(entry.as_ref());
            let mut draft = Draft::new(value, written.clone());
            answers = operations.iter().map(|operation| draft.run(*operation)).collect();
            let same = value.get(written.clone()) == Some(&draft.bytes);
            if same && entry.is_some_and(|entry| entry.kind == Kind::Raw) {
                return Ok(Edited::Keep);
            }
            // The value grows even if nothing is written, as in Redis.
            Ok(Edited::Patch { offset: written.start, bytes: draft.bytes.into() })
        })
        .await?;
    answer(reply, &answers);
    Ok(())
}

pub(super) async fn bitfield_ro(
    session: &mut Session,
    args: Args<'_>,
    reply: &mut ReplyWriter,
) -> Result<()> {
    let operations = parse(session, &args[2..])?;
    if operations.iter().any(|(_, action)| *action != Action::Get) {
        return Err(Error::invalid("BITFIELD_RO only supports the GET subcommand"));
    }
    read(session, args[1], &operations, reply).await
}
