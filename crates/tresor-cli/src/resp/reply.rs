//! Replies: how long one is, and what it says.
//!
//! `length` walks without allocating, so the load generator spends its time on load. Nothing that a
//! server claims is believed before it is there: lengths only bound what is looked for in the buffer.

use bytes::Bytes;
use tresor::reply::Reply;

/// Replies of the commands used here nest twice.
const MAX_DEPTH: usize = 8;

/// The bytes are not the Redis protocol.
#[derive(Debug)]
pub(crate) struct NotResp;

/// The length of the first reply in `bytes`; `None` when it is not whole yet.
pub(crate) fn length(bytes: &[u8]) -> Result<Option<usize>, NotResp> {
    length_within(bytes, MAX_DEPTH)
}

fn length_within(bytes: &[u8], depth: usize) -> Result<Option<usize>, NotResp> {
    let Some(Line { sign, rest, length: mut at }) = first_line(bytes)? else { return Ok(None) };
    match sign {
        b'+' | b'-' | b':' => Ok(Some(at)),
        b'$' => {
            let Ok(size) = usize::try_from(number(rest)?) else { return Ok(Some(at)) };
            let end = at.checked_add(size).and_then(|end| end.checked_add(2)).ok_or(NotResp)?;
            Ok((bytes.len() >= end).then_some(end))
        }
        b'*' if depth > 0 => {
            for _ in 0..number(rest)? {
                let Some(element) = length_within(&bytes[at..], depth - 1)? else { return Ok(None) };
                at += element;
            }
            Ok(Some(at))
        }
        _ => Err(NotResp),
    }
}

/// What a whole reply says; `bytes` is as long as [`length`] told.
pub(crate) fn decode(bytes: &Bytes) -> Result<Reply, NotResp> {
    let mut at = 0;
    decode_at(bytes, &mut at)
}

fn decode_at(bytes: &Bytes, at: &mut usize) -> Result<Reply, NotResp> {
    let Line { sign, rest, length } = first_line(&bytes[*at..])?.ok_or(NotResp)?;
    *at += length;
    let text = || String::from_utf8_lossy(rest).into_owned();
    match sign {
        b'+' => Ok(Reply::Simple(text())),
        b'-' => Ok(Reply::Error(text())),
        b':' => Ok(Reply::Integer(number(rest)?)),
        b'$' => {
            let Ok(size) = usize::try_from(number(rest)?) else { return Ok(Reply::Null) };
            let start = *at;
            *at += size + 2;
            Ok(Reply::Bulk(bytes.slice(start..start + size)))
        }
        b'*' => match number(rest)? {
            count if count < 0 => Ok(Reply::Null),
            count => (0..count).map(|_| decode_at(bytes, at)).collect::<Result<_, _>>().map(Reply::Array),
        },
        _ => Err(NotResp),
    }
}

/// The first line of a reply.
struct Line<'a> {
    sign: u8,
    rest: &'a [u8],
    /// Line break included.
    length: usize,
}

/// `None` when the line is not whole yet.
fn first_line(bytes: &[u8]) -> Result<Option<Line<'_>>, NotResp> {
    let Some(&sign) = bytes.first() else { return Ok(None) };
    if !b"+-:$*".contains(&sign) {
        return Err(NotResp);
    }
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let rest = bytes.get(1..end).ok_or(NotResp)?;
    Ok(Some(Line { sign, rest: rest.strip_suffix(b"\r").unwrap_or(rest), length: end + 1 }))
}

fn number(line: &[u8]) -> Result<i64, NotResp> {
    std::str::from_utf8(line).ok().and_then(|text| text.parse().ok()).ok_or(NotResp)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tresor::reply::Reply;

    use super::{decode, length};

    const MIXED: &[u8] = b"*5\r\n:7\r\n$3\r\na\nb\r\n$-1\r\n*0\r\n+OK\r\n";

    #[test]
    fn a_reply_is_whole_only_with_its_last_byte() {
        for end in 0..MIXED.len() {
            assert_eq!(length(&MIXED[..end]).unwrap(), None, "{end}");
        }
        assert_eq!(length(&[MIXED, b"-ERR"].concat()).unwrap(), Some(MIXED.len()));
    }

    #[test]
    fn a_reply_says_what_it_says() {
        let expected = vec![
            Reply::Integer(7),
            Reply::Bulk(Bytes::from_static(b"a\nb")),
            Reply::Null,
            Reply::Array(vec![]),
            Reply::Simple("OK".into()),
        ];
        assert_eq!(decode(&Bytes::from_static(MIXED)).unwrap(), Reply::Array(expected));
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for bytes in
            [&b"HTTP/1.1 200 OK\r\n"[..], b"$x\r\n", b"$9223372036854775807\r\n\r\n", &b"*1\r\n".repeat(64)]
        {
            let whole = length(bytes);
            assert!(!matches!(whole, Ok(Some(_))), "{bytes:?}: {whole:?}");
        }
    }
}
