//! Redis's glob patterns: `*`, `?`, `[a-c]`, `[^a]`, and `\` for taking the next byte as it is.
//!
//! A pattern is cut at its stars once. The first and last piece are anchored, those between are
//! searched leftmost, which is enough because a star takes anything. Plain pieces are searched with
//! a linear substring search, others with Shift-And (Baeza-Yates and Gonnet 1992), so that no
//! pattern costs more than the key's length times a sixty-fourth of its own.

use memchr::memmem::Finder;

use crate::engine::MAX_KEY_BYTES;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Glob {
    plan: Plan,
    fold_case: bool,
}

#[derive(Clone, Debug)]
enum Plan {
    /// Matches nothing that can be a key.
    Nothing,
    /// No star: the text from end to end.
    Whole(Piece),
    /// At least one star: a start, pieces in order, an end.
    Starred { first: Piece, between: Vec<Piece>, last: Piece, shortest: usize },
}

/// What one byte of the text must be.
#[derive(Clone, Copy, Debug)]
struct Class([u64; 4]);

#[derive(Clone, Debug)]
enum Piece {
    Plain(Box<Finder<'static>>),
    Classes(ShiftAnd),
}

/// Bit i of a mask: byte i of the piece may be this byte.
#[derive(Clone, Debug)]
struct ShiftAnd {
    length: usize,
    words: usize,
    /// For each of the 256 bytes, `words` words.
    masks: Vec<u64>,
}

impl Glob {
    /// Compiles a pattern. Every sequence of bytes is one.
    pub fn new(pattern: &[u8]) -> Self {
        Self::compile(pattern, false)
    }

    /// The same, with ASCII letters matching in either case.
    pub fn ignoring_case(pattern: &[u8]) -> Self {
        Self::compile(&pattern.to_ascii_lowercase(), true)
    }

    fn compile(pattern: &[u8], fold_case: bool) -> Self {
        let mut pieces = vec![Vec::new()];
        let (mut at, mut shortest) = (0, 0);
        while at < pattern.len() && shortest <= MAX_KEY_BYTES {
            if pattern[at] == b'*' {
                // Neighbouring stars are one.
                if pieces.len() == 1 || pieces.last().is_some_and(|piece| !piece.is_empty()) {
                    pieces.push(Vec::new());
                }
                at += 1;
                continue;
            }
            let (class, next) = class_at(pattern, at);
            pieces.last_mut().expect("never empty").push(class);
            (at, shortest) = (next, shortest + 1);
        }
        let plan = if shortest > MAX_KEY_BYTES { Plan::Nothing } else { plan(&pieces, shortest) };
        Self { plan, fold_case }
    }

    /// Whether the text matches. Takes time linear in the text.
    pub fn matches(&self, text: &[u8]) -> bool {
        if self.fold_case { self.plan.matches(&text.to_ascii_lowercase()) } else { self.plan.matches(text) }
    }

    /// Whether every text matches, so that nobody needs to ask.
    pub fn matches_everything(&self) -> bool {
        matches!(self.plan, Plan::Starred { shortest: 0, .. })
    }
}

fn plan(pieces: &[Vec<Class>], shortest: usize) -> Plan {
    match pieces {
        [whole] => Plan::Whole(Piece::new(whole)),
        [first, between @ .., last] => Plan::Starred {
            first: Piece::new(first),
            between: between.iter().map(|piece| Piece::new(piece)).collect(),
            last: Piece::new(last),
            shortest,
        },
        [] => Plan::Nothing,
    }
}

impl Plan {
    fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Nothing => false,
            Self::Whole(piece) => text.len() == piece.len() && piece.is_at_start(text),
            Self::Starred { first, between, last, shortest } => {
                if text.len() < *shortest || !first.is_at_start(text) {
                    return false;
                }
                let (mut middle, end) = text[first.len()..].split_at(text.len() - first.len() - last.len());
                last.is_at_start(end)
                    && between.iter().all(|piece| match piece.find(middle) {
                        Some(at) => {
                            middle = &middle[at + piece.len()..];
                            true
                        }
                        None => false,
                    })
            }
        }
    }
}

impl Piece {
    fn new(classes: &[Class]) -> Self {
        let plain: Option<Vec<u8>> = classes.iter().map(Class::only_byte).collect();
        match plain {
            Some(bytes) => Self::Plain(Box::new(Finder::new(&bytes).into_owned())),
            None => Self::Classes(ShiftAnd::new(classes)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Plain(finder) => finder.needle().len(),
            Self::Classes(search) => search.length,
        }
    }

    fn is_at_start(&self, text: &[u8]) -> bool {
        match self {
            Self::Plain(finder) => text.starts_with(finder.needle()),
            Self::Classes(search) => search.is_at_start(text),
        }
    }

    fn find(&self, text: &[u8]) -> Option<usize> {
        match self {
            Self::Plain(finder) => finder.find(text),
            Self::Classes(search) => search.find(text),
        }
    }
}

impl ShiftAnd {
    fn new(classes: &[Class]) -> Self {
        let words = classes.len().div_ceil(64);
        let mut masks = vec![0; 256 * words];
        for (at, class) in classes.iter().enumerate() {
            for byte in 0..=255 {
                if class.contains(byte) {
                    masks[usize::from(byte) * words + at / 64] |= 1 << (at % 64);
                }
            }
        }
        Self { length: classes.len(), words, masks }
    }

    fn is_at_start(&self, text: &[u8]) -> bool {
        text.len() >= self.length
            && (0..self.length)
                .all(|at| self.masks[usize::from(text[at]) * self.words + at / 64] & (1 << (at % 64)) != 0)
    }

    fn find(&self, text: &[u8]) -> Option<usize> {
        let last = (self.words - 1, 1 << ((self.length - 1) % 64));
        let mut state = vec![0_u64; self.words];
        for (at, byte) in text.iter().enumerate() {
            let masks = &self.masks[usize::from(*byte) * self.words..][..self.words];
            // A new attempt begins at every byte: the bit that is shifted in.
            let mut carry = 1;
            for (word, mask) in state.iter_mut().zip(masks) {
                let out = *word >> 63;
                *word = (*word << 1 | carry) & mask;
                carry = out;
            }
            if state[last.0] & last.1 != 0 {
                return Some(at + 1 - self.length);
            }
        }
        None
    }
}

impl Class {
    const NONE: Self = Self([0; 4]);
    const ANY: Self = Self([u64::MAX; 4]);

    fn of(byte: u8) -> Self {
        let mut class = Self::NONE;
        class.add(byte);
        class
    }

    fn add(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0
    }

    fn only_byte(&self) -> Option<u8> {
        let ones: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        (ones == 1).then(|| (0..=255).find(|byte| self.contains(*byte)).unwrap_or(0))
    }
}

/// The class that begins at `at`, and where it ends.
fn class_at(pattern: &[u8], at: usize) -> (Class, usize) {
    match pattern[at..] {
        [b'?', ..] => (Class::ANY, at + 1),
        [b'[', ..] => set_at(pattern, at + 1),
        [b'\\', escaped, ..] => (Class::of(escaped), at + 2),
        _ => (Class::of(pattern[at]), at + 1),
    }
}

/// The set whose `[` stands before `at`. Redis takes one that is never closed as closed at the end.
fn set_at(pattern: &[u8], mut at: usize) -> (Class, usize) {
    let mut class = Class::NONE;
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    loop {
        match pattern[at..] {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', escaped, ..] => {
                class.add(escaped);
                at += 2;
            }
            [from, b'-', to, ..] => {
                (from.min(to)..=from.max(to)).for_each(|byte| class.add(byte));
                at += 3;
            }
            [byte, ..] => {
                class.add(byte);
                at += 1;
            }
        }
    }
    if negated {
        class.0.iter_mut().for_each(|word| *word = !*word);
    }
    (class, at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Glob, class_at};

    /// The meaning, by trying everything.
    fn slow(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', rest @ ..] => (0..=text.len()).any(|skip| slow(rest, &text[skip..])),
            _ => {
                let (class, next) = class_at(pattern, 0);
                text.first().is_some_and(|byte| class.contains(*byte)) && slow(&pattern[next..], &text[1..])
            }
        }
    }

    #[test]
    fn patterns_mean_what_redis_says() {
        for (pattern, matching, other) in [
            ("", "", "a"),
            ("*", "", "-"),
            ("h?llo", "hello", "hllo"),
            ("h*llo", "heeeello", "hell"),
            ("h[ae]llo", "hallo", "hillo"),
            ("h[^e]llo", "hallo", "hello"),
            ("h[a-b]llo", "hbllo", "hcllo"),
            ("h[b-a]llo", "hallo", "hcllo"),
            ("a\\*b", "a*b", "aab"),
            ("a\\", "a\\", "a"),
            ("[abc", "b", "d"),
            ("[\\]]", "]", "\\"),
            ("[^]", "x", ""),
            ("*a*b*", "xxaxxb", "bxa"),
            ("a*a", "aa", "a"),
            ("user:*:name", "user:1:name", "user:1:names"),
        ] {
            assert!(Glob::new(pattern.as_bytes()).matches(matching.as_bytes()), "{pattern} {matching}");
            assert!(
                !Glob::new(pattern.as_bytes()).matches(other.as_bytes()) || other == "-",
                "{pattern} {other}"
            );
        }
        assert!(!Glob::new(b"[]").matches(b"]"));
        assert!(Glob::ignoring_case(b"MAX*").matches(b"maxMemory"));
        assert!(Glob::new(b"**").matches_everything());
        assert!(!Glob::new(b"*a*").matches_everything());
    }

    #[test]
    fn hostile_patterns_take_linear_time() {
        // Backtracking would take longer than the age of the universe for the first, and hours for
        // the others.
        let text = vec![b'a'; 32 * 1024];
        for piece in [&b"*a"[..], b"*a?", b"*[ab]", b"?"] {
            let mut pattern = piece.repeat(8 * 1024);
            pattern.extend_from_slice(b"*b");
            assert!(!Glob::new(&pattern).matches(&text));
        }
        let mut long_piece = b"*".to_vec();
        long_piece.extend_from_slice(&b"?a".repeat(8 * 1024));
        long_piece.extend_from_slice(b"b*");
        assert!(!Glob::new(&long_piece).matches(&text));
        assert!(!Glob::new(&b"?".repeat(1 << 20)).matches(&text));
    }

    proptest! {
        #[test]
        fn fast_and_slow_agree(
            pattern in proptest::collection::vec(proptest::sample::select(&b"ab*?[]^-\\"[..]), 0..12),
            text in proptest::collection::vec(proptest::sample::select(&b"ab]-\\"[..]), 0..10),
        ) {
            prop_assert_eq!(Glob::new(&pattern).matches(&text), slow(&pattern, &text));
        }

        #[test]
        fn pieces_longer_than_a_word_are_found(
            before in 0..200_usize, after in 0..200_usize, length in 60..140_usize,
        ) {
            let mut text = vec![b'x'; before];
            text.extend(std::iter::repeat_n(b'a', length));
            text.extend(std::iter::repeat_n(b'x', after));
            let mut pattern = b"*".to_vec();
            pattern.extend(b"[ab]".repeat(length));
            pattern.push(b'*');
            prop_assert!(Glob::new(&pattern).matches(&text));
            text[before + length / 2] = b'c';
            prop_assert!(!Glob::new(&pattern).matches(&text));
        }
    }
}
