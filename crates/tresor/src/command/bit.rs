//! Commands that read and write single bits and ranges of them.
//!
//! Bit 0 is the highest of the first byte. Reads look at the value where it lies and copy nothing; a bit is
//! written as a patch of one byte, so that a bit in a large value costs neither a copy nor a long record in
//! the log. Limits are those of values: a bit that no value could hold is refused.

use super::{Args, bit_range::BitRange, number};
use crate::{
    engine::{Edited, EntryRef, Kind},
    error::{Error, Result},
    publish::Wording,
    reply::ReplyWriter,
    session::Session,
};

/// Redis's error for a bit that no value can hold.
pub(super) fn bad_offset() -> Error {
    Error::invalid("bit offset is not an integer or out of range")
}

/// A place in bits; the byte that it is in has to fit into a value.
pub(super) fn offset(session: &Session, word: &[u8], unit_bits: u64) -> Result<u64> {
    let number = number::parse_integer(word).and_then(|number| u64::try_from(number).ok());
    let offset = number.and_then(|number| number.checked_mul(unit_bits)).ok_or_else(bad_offset)?;
    let byte = usize::try_from(offset / 8).map_err(|_| bad_offset())?;
    session.value_bytes(byte.saturating_add(1)).map_err(|_| bad_offset())?;
    Ok(offset)
}

/// Byte and mask of a bit.
fn place(offset: u64) -> (usize, u8) {
    ((offset / 8) as usize, 0x80 >> (offset % 8))
}

pub(super) fn bytes_of<'e>(entry: Option<&EntryRef<'e>>) -> &'e [u8] {
    entry.map_or(&[], |entry| entry.value.bytes())
}

pub(super) async fn setbit(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let key = session.key(args[1])?;
    let (at, mask) = place(offset(session, args[2], 1)?);
    let on = match args[3] {
        b"0" => false,
        b"1" => true,
        _ => return Err(Error::invalid("bit is not an integer or out of range")),
    };
    let mut old = false;
    session.told_as(Wording::SetBit);
    session
        .update(key, &mut |entry| {
            let byte = bytes_of(entry.as_ref()).get(at).copied();
            old = byte.is_some_and(|byte| byte & mask != 0);
            let same = byte.is_some() && old == on;
            if same && entry.is_some_and(|entry| entry.kind == Kind::Raw) {
                return Ok(Edited::Keep);
            }
            let byte = byte.unwrap_or(0);
            let byte = if on { byte | mask } else { byte & !mask };
            Ok(Edited::Patch { offset: at, bytes: vec![byte].into() })
        })
        .await?;
    reply.integer(i64::from(old));
    Ok(())
}

pub(super) async fn getbit(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let (at, mask) = place(offset(session, args[2], 1)?);
    let mut set = false;
    session
        .read(args[1], |entry| {
            set = bytes_of(entry.as_ref()).get(at).is_some_and(|byte| byte & mask != 0);
        })
        .await?;
    reply.integer(i64::from(set));
    Ok(())
}

/// What `count` makes of the value and the range that words mean; `absent` where there is no value, even if
/// the words are wrong, as in Redis.
async fn measure(
    session: &mut Session,
    key: &[u8],
    range: Result<BitRange>,
    absent: i64,
    mut count: impl FnMut(&[u8], BitRange) -> i64 + Send,
) -> Result<i64> {
    let (mut answer, mut found) = (absent, false);
    session
        .read(key, |entry| {
            found = entry.is_some();
            if let (Some(entry), Ok(range)) = (&entry, &range) {
                answer = count(entry.value.bytes(), *range);
            }
        })
        .await?;
    match range {
        Err(error) if found => Err(error),
        _ => Ok(answer),
    }
}

pub(super) async fn bitcount(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let range = BitRange::of_bitcount(&args[2..]);
    let count = measure(session, args[1], range, 0, |value, range| {
        if range.is_backwards() { 0 } else { range.within(value.len()).ones(value) as i64 }
    });
    let count = count.await?;
    reply.integer(count);
    Ok(())
}

pub(super) async fn bitpos(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let bit = match number::integer(args[2])? {
        0 => false,
        1 => true,
        _ => return Err(Error::invalid("The bit argument must be 1 or 0.")),
    };
    let range = BitRange::of_bitpos(&args[3..]);
    // An absent value is zeros without end.
    let absent = if bit { -1 } else { 0 };
    let position = measure(session, args[1], range, absent, |value, range| {
        let bits = range.within(value.len());
        match bits.first(value, bit) {
            Some(position) => position as i64,
            // Behind the value all is zero, unless the range says where to stop.
            None if !bit && !bits.is_empty() && range.is_open() => value.len() as i64 * 8,
            None => -1,
        }
    });
    let position = position.await?;
    reply.integer(position);
    Ok(())
}
