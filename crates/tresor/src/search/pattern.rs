//! Regular expressions that clients send.
//!
//! They run in time linear in the text (the `regex` crate: finite automata, no backtracking); what is limited
//! is the pattern, so that none takes long to compile or much memory. What every match must begin with is
//! read from the pattern, so that a search goes over those keys alone.

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind, Look};

use crate::error::{Error, Result};

/// The longest pattern, in bytes.
pub const MAX_PATTERN_BYTES: usize = 4096;

/// What a compiled pattern may take, in bytes: repetitions count as often as they are written out.
const MAX_PROGRAM_BYTES: usize = 1024 * 1024;

/// How deep groups may nest.
const MAX_NESTING: u32 = 64;

/// A compiled regular expression; it matches anywhere in a text unless it is anchored.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    prefix: Vec<u8>,
}

impl Pattern {
    /// Compiles a pattern in the syntax of the `regex` crate, Unicode by default (`(?-u)` for bytes).
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a pattern that is wrong, too long or too large.
    pub fn new(pattern: &[u8]) -> Result<Self> {
        if pattern.len() > MAX_PATTERN_BYTES {
            let message = format!("the regex is too long: it may have {MAX_PATTERN_BYTES} bytes");
            return Err(Error::invalid(message));
        }
        let pattern = std::str::from_utf8(pattern)
            .map_err(|_| Error::invalid("the regex is not UTF-8: write other bytes as (?-u:\\xFF)"))?;
        let regex = RegexBuilder::new(pattern)
            .size_limit(MAX_PROGRAM_BYTES)
            .dfa_size_limit(MAX_PROGRAM_BYTES)
            .nest_limit(MAX_NESTING)
            .build()
            .map_err(|error| wrong(&error))?;
        Ok(Self { prefix: literal_prefix(pattern), regex })
    }

    /// Whether it matches somewhere in a text.
    pub fn matches(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// What every text that matches begins with; mostly nothing.
    pub(crate) fn prefix(&self) -> &[u8] {
        &self.prefix
    }
}

fn wrong(error: &regex::Error) -> Error {
    let message = match error {
        regex::Error::CompiledTooBig(_) => {
            "the regex is too large once its repetitions are written out: use smaller ones".to_owned()
        }
        // It draws the pattern over several lines; the last says what is wrong.
        error => {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default();
            format!("the regex is wrong: {}", reason.trim_start_matches("error: "))
        }
    };
    Error::invalid(message)
}

/// The bytes behind a `^` at the beginning, as far as they are literal.
fn literal_prefix(pattern: &str) -> Vec<u8> {
    let parsed =
        regex_syntax::ParserBuilder::new().utf8(false).nest_limit(MAX_NESTING).build().parse(pattern);
    let Ok(parsed) = parsed else { return Vec::new() };
    let HirKind::Concat(parts) = parsed.kind() else { return Vec::new() };
    let [first, rest @ ..] = &parts[..] else { return Vec::new() };
    if !matches!(first.kind(), HirKind::Look(Look::Start)) {
        return Vec::new();
    }
    match rest.first().map(Hir::kind) {
        Some(HirKind::Literal(literal)) => literal.0.to_vec(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_PATTERN_BYTES, Pattern};

    #[test]
    fn patterns_match_bytes() {
        let pattern = Pattern::new(br"^user:\d+$").unwrap();
        assert!(
            pattern.matches(b"user:42") && !pattern.matches(b"a user:42") && !pattern.matches(b"user:\xff")
        );
        assert!(Pattern::new(br"(?-u)\xff").unwrap().matches(b"a\xffb"));
    }

    #[test]
    fn what_matches_must_begin_with_is_known() {
        for (pattern, prefix) in [
            ("^user:.*", "user:"),
            (r"^a\.b[0-9]", "a.b"),
            ("^abc$", "abc"),
            ("user", ""),
            ("^(a|b)c", ""),
            ("^a|b", ""),
            ("(?i)^ab", ""),
            ("(?m)^ab", ""),
            ("", ""),
        ] {
            assert_eq!(Pattern::new(pattern.as_bytes()).unwrap().prefix(), prefix.as_bytes(), "{pattern}");
        }
    }

    #[test]
    fn patterns_that_cost_too_much_are_refused() {
        let long = vec![b'a'; MAX_PATTERN_BYTES + 1];
        let nested = [vec![b'('; 1000], vec![b')'; 1000]].concat();
        for pattern in
            [&b"(unclosed"[..], b"a{1000}{1000}{1000}", br"\w{5000}", b"\xff", &long, &nested, br"(?<n"]
        {
            let error = Pattern::new(pattern).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Invalid, "{error}");
            assert!(error.to_string().starts_with("the regex is"), "{error}");
        }
    }
}
