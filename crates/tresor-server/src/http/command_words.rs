//! The words of commands, as `/v1/command` has them in JSON.
//!
//! A word is a string, a number or a boolean, which stand for their text, or `{"base64":…}` for bytes that
//! are no text. Everything is counted while it is read: a body of brackets must not become memory.

use bytes::Bytes;
use serde_json::value::RawValue;
use tresor::{Error, ErrorKind, Kind, Result};

use super::{capped_list::CappedList, document::read_value, problem::Problem};

/// Commands of one request.
pub(super) const MAX_COMMANDS: usize = 10_000;

/// Words of all commands of one request.
const MAX_WORDS: usize = 1024 * 1024;

/// A command's words, its name first; there is at least one.
pub(super) type Words = Vec<Bytes>;

/// Reads one command: `["SET","key","value"]`.
pub(super) fn parse_one(body: &Bytes) -> Result<Vec<Words>, Problem> {
    let text: &RawValue = serde_json::from_slice(body).map_err(wrong)?;
    let mut left = MAX_WORDS;
    Ok(vec![words(body, text, &mut left)?])
}

/// Reads several: `[["SET","key","value"],["GET","key"]]`. What is wrong with one is told with its place.
pub(super) fn parse_several(body: &Bytes) -> Result<Vec<Words>, Problem> {
    let CappedList::<'_, MAX_COMMANDS>(list) = serde_json::from_slice(body).map_err(wrong)?;
    if list.len() > MAX_COMMANDS {
        let message = format!("a request has at most {MAX_COMMANDS} commands: send several");
        return Err(Error::new(ErrorKind::TooLarge, message).into());
    }
    let mut left = MAX_WORDS;
    let one = |(index, text): (usize, &&RawValue)| {
        words(body, text, &mut left).map_err(|error| {
            let error = Error::new(error.kind(), format!("commands[{index}]: {error}"));
            Problem::from(error).member("index", index)
        })
    };
    list.iter().enumerate().map(one).collect()
}

fn wrong(error: serde_json::Error) -> Error {
    Error::invalid(format!("the body is not what it should be: {error}"))
}

/// The words of one command, of which there may be `left`.
fn words(body: &Bytes, text: &RawValue, left: &mut usize) -> Result<Words> {
    let CappedList::<'_, MAX_WORDS>(list) = serde_json::from_str(text.get()).map_err(wrong)?;
    *left = left.checked_sub(list.len()).ok_or_else(|| {
        Error::new(ErrorKind::TooLarge, format!("a request has at most {MAX_WORDS} words: send several"))
    })?;
    if list.is_empty() {
        return Err(Error::invalid("the command is empty: send its words, as in [\"GET\",\"key\"]"));
    }
    list.iter().map(|word| self::word(body, word.get())).collect()
}

fn word(body: &Bytes, text: &str) -> Result<Bytes> {
    let no_word = || {
        let message =
            "a word is a string, a number, true, false or {\"base64\":…}: write anything else as text";
        Error::invalid(message)
    };
    match text.as_bytes().first() {
        Some(b'"' | b'{') => match read_value(body, text)? {
            (bytes, Kind::Raw) => Ok(bytes),
            _ => Err(no_word()),
        },
        Some(b'-' | b'0'..=b'9' | b't' | b'f') => Ok(body.slice_ref(text.as_bytes())),
        _ => Err(no_word()),
    }
}
