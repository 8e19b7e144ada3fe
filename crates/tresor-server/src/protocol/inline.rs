//! Inline commands: a line of words, for people with telnet and for health checks.
//!
//! Words are split and unquoted by Redis's rules: blanks separate, double quotes know `\n \r \t \b \a`,
//! `\xNN` and `\` before anything else, single quotes know `\'` only, and a closing quote must be
//! followed by a blank. A line that a web browser or an HTTP client would send is recognized before
//! its words are looked at: a page must never get a command through by way of a request body.

/// What a line turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Its words; none for an empty line.
    Words(Vec<Vec<u8>>),
    /// A quote that is not closed, or closed in the middle of a word.
    UnbalancedQuotes,
    /// Part of an HTTP request.
    Http,
}

const METHODS: [&[u8]; 9] =
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"];

/// Splits a line, without its line end, into words.
pub fn split_line(line: &[u8]) -> Line {
    if is_http(line) {
        return Line::Http;
    }
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Line::Words(words);
        }
        let mut word = Vec::new();
        match take_word(rest, &mut word) {
            Some(after) => rest = after,
            None => return Line::UnbalancedQuotes,
        }
        words.push(word);
    }
}

/// Whether the line begins an HTTP request or is its Host header.
pub(super) fn is_http(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let starts_with = |word: &[u8]| line.len() >= word.len() && line[..word.len()].eq_ignore_ascii_case(word);
    if starts_with(b"host:") || (starts_with(b"post") && line.get(4).is_none_or(u8::is_ascii_whitespace)) {
        return true;
    }
    let Some(blank) = line.iter().position(|byte| *byte == b' ') else { return false };
    let version = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    METHODS.iter().any(|method| line[..blank].eq_ignore_ascii_case(method))
        && version.len() == 8
        && version[..7].eq_ignore_ascii_case(b"http/1.")
}

/// Takes one word off the front; `None` when its quotes do not balance.
fn take_word<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    while let [byte, after @ ..] = rest {
        match byte {
            b'"' => return take_quoted(after, b'"', word),
            b'\'' => return take_quoted(after, b'\'', word),
            byte if byte.is_ascii_whitespace() => return Some(after),
            byte => word.push(*byte),
        }
        rest = after;
    }
    Some(rest)
}

/// Takes up to the closing quote, which must end the word.
fn take_quoted<'a>(mut rest: &'a [u8], quote: u8, word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [] => return None,
            [b'\\', b'x', high, low, after @ ..]
                if quote == b'"' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(digit(*high) << 4 | digit(*low));
                after
            }
            [b'\\', escaped, after @ ..] if quote == b'"' => {
                word.push(unescape(*escaped));
                after
            }
            [b'\\', b'\'', after @ ..] if quote == b'\'' => {
                word.push(b'\'');
                after
            }
            [byte, after @ ..] if *byte == quote => {
                let ends = after.first().is_none_or(u8::is_ascii_whitespace);
                return ends.then_some(after);
            }
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
        };
    }
}

fn digit(hexadecimal: u8) -> u8 {
    (hexadecimal as char).to_digit(16).unwrap_or_default() as u8
}

fn unescape(escaped: u8) -> u8 {
    match escaped {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, split_line};

    fn words(line: &[u8]) -> Vec<Vec<u8>> {
        match split_line(line) {
            Line::Words(words) => words,
            other => panic!("{other:?} from {:?}", String::from_utf8_lossy(line)),
        }
    }

    #[test]
    fn words_are_split_and_unquoted() {
        assert_eq!(words(b"  SET  k\tv "), [b"SET".to_vec(), b"k".to_vec(), b"v".to_vec()]);
        assert_eq!(words(br#""a\x41\n\"\q" ''"#), [b"aA\n\"q".to_vec(), b"".to_vec()]);
        assert_eq!(words(br#"'a\'b\n' pre"fix""#), [b"a'b\\n".to_vec(), b"prefix".to_vec()]);
        assert_eq!(words(b""), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn quotes_must_balance() {
        for line in [&br#"set "a"#[..], br#"set "a"b"#, b"set 'a", br#"set "a\"#] {
            assert_eq!(split_line(line), Line::UnbalancedQuotes, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn requests_of_browsers_are_recognized() {
        for line in [
            &b"GET / HTTP/1.1"[..],
            b"get /x?y z HTTP/1.0",
            b"POST",
            b"POST / HTTP/1.1",
            b"Host: localhost:6379",
            b"HOST:x",
            b"PUT /kv HTTP/1.1 ",
        ] {
            assert_eq!(split_line(line), Line::Http, "{}", String::from_utf8_lossy(line));
        }
        for line in [&b"GET HTTP/1.1x"[..], b"GET k", b"SET Host: v", b"DELETE HTTP/2.0", b"POSTS"] {
            assert_ne!(split_line(line), Line::Http, "{}", String::from_utf8_lossy(line));
        }
    }
}
