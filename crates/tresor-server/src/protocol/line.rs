//! Words of a line of the line protocol.
//!
//! Blanks (spaces and tabs) separate words. A word that begins with a double quote goes on to the next one
//! and may hold anything, with four escapes: `\"`, `\\`, `\n` and `\xNN`. Everything else is an error rather
//! than a guess: other escapes, a quote inside a word, text right behind a closing quote. Invariant: every
//! sequence of bytes can be said as a quoted word, and a word without escapes is not copied.

use std::{borrow::Cow, fmt};

use smallvec::SmallVec;

use super::inline::is_http;

/// No command has so many words: what is behind them is not looked at.
const WORDS: usize = MOST_ARGUMENTS + 2;

/// The most words behind the name of a command.
pub(crate) const MOST_ARGUMENTS: usize = 1000;

/// Most commands have no more words than these.
const USUAL_WORDS: usize = 6;

/// A word and whether it was quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// What it says.
    pub bytes: Cow<'a, [u8]>,
    /// It stood in quotes, so it is nothing but text.
    pub quoted: bool,
}

/// The words of a line.
pub type LineWords<'a> = SmallVec<[Word<'a>; USUAL_WORDS]>;

/// Why a line has no words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineError {
    /// Part of an HTTP request: not answered at all.
    Http,
    /// It is not UTF-8.
    NotUtf8,
    /// A quote that is not closed.
    OpenQuote,
    /// A quote in the middle of a word.
    QuoteInside,
    /// Text right behind a closing quote.
    TextBehindQuote,
    /// A backslash before something else than it may stand before.
    Escape,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "this is not HTTP",
            Self::NotUtf8 => "the line is not UTF-8: write other bytes as \\xNN inside double quotes",
            Self::OpenQuote => "a double quote is not closed",
            Self::QuoteInside => {
                "a double quote inside a word: put the whole word in double quotes and write \\\" inside"
            }
            Self::TextBehindQuote => "a closing double quote must be followed by a blank",
            Self::Escape => {
                "inside double quotes a backslash begins \\\", \\\\, \\n or \\xNN and nothing else"
            }
        })
    }
}

/// Splits a line, without its line end, into words; none for one of blanks alone.
///
/// # Errors
/// What keeps the line from having words; `words` is then of no use.
#[inline]
pub fn split_words<'a>(line: &'a [u8], words: &mut LineWords<'a>) -> Result<(), LineError> {
    if is_http(line) {
        return Err(LineError::Http);
    }
    if std::str::from_utf8(line).is_err() {
        return Err(LineError::NotUtf8);
    }
    let mut rest = without_blanks(line);
    while !rest.is_empty() && words.len() < WORDS {
        let (word, after) = match rest.strip_prefix(b"\"") {
            Some(inside) => quoted(inside)?,
            None => plain(rest)?,
        };
        words.push(word);
        rest = without_blanks(after);
    }
    Ok(())
}

fn without_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
    &text[blanks..]
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn plain(text: &[u8]) -> Result<(Word<'_>, &[u8]), LineError> {
    let end = memchr::memchr3(b' ', b'\t', b'"', text).unwrap_or(text.len());
    if text.get(end) == Some(&b'"') {
        return Err(LineError::QuoteInside);
    }
    Ok((Word { bytes: Cow::Borrowed(&text[..end]), quoted: false }, &text[end..]))
}

/// A word from behind its opening quote on.
fn quoted(text: &[u8]) -> Result<(Word<'_>, &[u8]), LineError> {
    let mut bytes = Cow::Borrowed(&b""[..]);
    let mut rest = text;
    loop {
        let end = memchr::memchr2(b'"', b'\\', rest).ok_or(LineError::OpenQuote)?;
        let (piece, mark) = rest.split_at(end);
        match &mut bytes {
            Cow::Borrowed(b"") => bytes = Cow::Borrowed(piece),
            bytes => bytes.to_mut().extend_from_slice(piece),
        }
        let after = &mark[1..];
        if mark[0] == b'"' {
            if !after.first().is_none_or(|byte| is_blank(*byte)) {
                return Err(LineError::TextBehindQuote);
            }
            return Ok((Word { bytes, quoted: true }, after));
        }
        let (byte, behind) = escaped(after)?;
        bytes.to_mut().push(byte);
        rest = behind;
    }
}

/// What stands behind a backslash.
fn escaped(text: &[u8]) -> Result<(u8, &[u8]), LineError> {
    match text {
        [byte @ (b'"' | b'\\'), after @ ..] => Ok((*byte, after)),
        [b'n', after @ ..] => Ok((b'\n', after)),
        [b'x', high, low, after @ ..] => {
            let digit = |digit: &u8| char::from(*digit).to_digit(16).ok_or(LineError::Escape);
            Ok(((digit(high)? << 4 | digit(low)?) as u8, after))
        }
        [] => Err(LineError::OpenQuote),
        _ => Err(LineError::Escape),
    }
}

#[cfg(test)]
mod tests {
    use super::{LineError, LineWords, split_words};

    fn words(line: &[u8]) -> Result<Vec<(Vec<u8>, bool)>, LineError> {
        let mut words = LineWords::new();
        split_words(line, &mut words)?;
        Ok(words.into_iter().map(|word| (word.bytes.into_owned(), word.quoted)).collect())
    }

    fn plain(texts: &[&str]) -> Vec<(Vec<u8>, bool)> {
        texts.iter().map(|text| (text.as_bytes().to_vec(), false)).collect()
    }

    #[test]
    fn blanks_separate_words() {
        assert_eq!(words(b" PUT\tk  v ").unwrap(), plain(&["PUT", "k", "v"]));
        assert_eq!(words("ключ 🔑".as_bytes()).unwrap(), plain(&["ключ", "🔑"]));
        assert_eq!(words(b" \t").unwrap(), plain(&[]));
        assert_eq!(words(br"a\n '1'").unwrap(), plain(&[r"a\n", "'1'"]), "escapes are for quotes alone");
    }

    #[test]
    fn quotes_hold_anything() {
        let quoted = |text: &[u8]| vec![(text.to_vec(), true)];
        assert_eq!(words(br#""a b""#).unwrap(), quoted(b"a b"));
        assert_eq!(words(br#""""#).unwrap(), quoted(b""));
        assert_eq!(words(br#""\"\\\n\x00\xfF""#).unwrap(), quoted(b"\"\\\n\0\xff"));
        assert_eq!(words(br#""\x61b\x63""#).unwrap(), quoted(b"abc"));
    }

    #[test]
    fn what_is_no_line_is_told_apart() {
        for (line, error) in [
            (&br#"a "b"#[..], LineError::OpenQuote),
            (br#"""#, LineError::OpenQuote),
            (br#""b\"#, LineError::OpenQuote),
            (br#""b\""#, LineError::OpenQuote),
            (br#"a"b""#, LineError::QuoteInside),
            (br#""a"b"#, LineError::TextBehindQuote),
            (br#""\t""#, LineError::Escape),
            (br#""\x4""#, LineError::Escape),
            (br#""\xg0""#, LineError::Escape),
            (b"GET \xff", LineError::NotUtf8),
            (b"POST / HTTP/1.1", LineError::Http),
            (b"PUT /kv HTTP/1.0", LineError::Http),
            (b"Host: localhost", LineError::Http),
        ] {
            assert_eq!(words(line), Err(error), "{}", String::from_utf8_lossy(line));
        }
    }
}
