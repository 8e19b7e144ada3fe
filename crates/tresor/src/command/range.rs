//! Commands that read and write parts of a value.
//!
//! Writes are patches (an offset and bytes), so that adding ten bytes to a large value costs the log
//! ten bytes. A patched value is raw.

use std::borrow::Cow;

use super::{Args, number};
use crate::{
    engine::Edited,
    error::{Error, Result},
    publish::Wording,
    reply::ReplyWriter,
    session::Session,
};

pub(super) async fn append(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let (key, bytes) = (session.key(args[1])?, args[2]);
    let limit = session.value_limit();
    let mut length = 0;
    session.told_as(Wording::Append);
    session
        .update(key, &mut |entry| {
            let offset = entry.map_or(0, |entry| entry.value.bytes().len());
            length = offset + bytes.len();
            limit.check(length)?;
            Ok(match entry {
                // Nothing to add changes nothing, but an absent key comes into being.
                Some(_) if bytes.is_empty() => Edited::Keep,
                _ => Edited::Patch { offset, bytes: Cow::Borrowed(bytes) },
            })
        })
        .await?;
    reply.integer(length as i64);
    Ok(())
}

pub(super) async fn setrange(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let (key, bytes) = (session.key(args[1])?, args[3]);
    let offset =
        usize::try_from(number::integer(args[2])?).map_err(|_| Error::invalid("offset is out of range"))?;
    if !bytes.is_empty() {
        session.value_bytes(offset.saturating_add(bytes.len()))?;
    }
    let mut length = 0;
    session
        .update(key, &mut |entry| {
            length = entry.map_or(0, |entry| entry.value.bytes().len());
            if bytes.is_empty() {
                return Ok(Edited::Keep);
            }
            length = length.max(offset + bytes.len());
            Ok(Edited::Patch { offset, bytes: Cow::Borrowed(bytes) })
        })
        .await?;
    reply.integer(length as i64);
    Ok(())
}

pub(super) async fn strlen(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let mut length = 0;
    session.read(args[1], |entry| length = entry.map_or(0, |entry| entry.value.bytes().len())).await?;
    reply.integer(length as i64);
    Ok(())
}

pub(super) async fn getrange(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let (start, end) = (number::integer(args[2])?, number::integer(args[3])?);
    session
        .read(args[1], |entry| {
            let bytes = entry.as_ref().map_or(&[][..], |entry| entry.value.bytes());
            reply.bulk(part(bytes, start, end));
        })
        .await
}

/// The bytes from `start` to `end`, both included; negative places count from the end.
fn part(bytes: &[u8], start: i64, end: i64) -> &[u8] {
    let length = bytes.len() as i64;
    let place = |number: i64| if number < 0 { number.saturating_add(length).max(0) } else { number };
    if start < 0 && end < 0 && start > end {
        return &[];
    }
    let (start, end) = (place(start), place(end).min(length - 1));
    if start > end || length == 0 { &[] } else { &bytes[start as usize..=end as usize] }
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn parts_are_those_of_redis() {
        for (start, end, expected) in [
            (0, 3, "This"),
            (-3, -1, "ing"),
            (0, -1, "This is a string"),
            (10, 100, "string"),
            (5, 3, ""),
            (-1, -5, ""),
            (-100, 2, "Thi"),
            (-100, -50, "T"),
            (100, 200, ""),
            (i64::MIN, i64::MAX, "This is a string"),
        ] {
            assert_eq!(part(b"This is a string", start, end), expected.as_bytes(), "{start} {end}");
        }
        assert_eq!(part(b"", 0, -1), b"");
    }
}
