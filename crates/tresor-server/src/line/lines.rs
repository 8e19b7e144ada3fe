//! Lines cut out of the input, however it is cut itself.
//!
//! Invariants: a byte is looked at once for a line's end, whatever the number of pieces it comes in, and a
//! line over the limit is told of once and then passed over without being kept.

/// What the input begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut<'a> {
    /// A line without its end, and how many bytes it takes with it.
    Line(&'a [u8], usize),
    /// So many bytes of a line that is too long: the first of it that are seen.
    TooLong(usize),
    /// So many more bytes of it.
    Skipped(usize),
    /// No whole line.
    More,
}

/// How far the line at the start of the input is known.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// So many bytes hold no line end.
    scanned: usize,
    skipping: bool,
}

impl Lines {
    /// Takes the first line of `input`, which may have `limit` bytes. After [`Cut::More`] the next input must
    /// begin with the same bytes, after all others with those behind.
    #[inline]
    pub(super) fn cut<'a>(&mut self, input: &'a [u8], limit: usize) -> Cut<'a> {
        let from = self.scanned.min(input.len());
        let end = memchr::memchr(b'\n', &input[from..]).map(|at| from + at);
        self.scanned = 0;
        match end {
            Some(end) if self.skipping => {
                self.skipping = false;
                Cut::Skipped(end + 1)
            }
            Some(end) if end > limit => Cut::TooLong(end + 1),
            Some(end) => {
                let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
                Cut::Line(line, end + 1)
            }
            None if self.skipping && !input.is_empty() => Cut::Skipped(input.len()),
            None if input.len() > limit => {
                self.skipping = true;
                Cut::TooLong(input.len())
            }
            None => {
                self.scanned = input.len();
                Cut::More
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cut, Lines};

    #[test]
    fn lines_end_with_lf_or_crlf() {
        let mut lines = Lines::default();
        assert_eq!(lines.cut(b"PING\r\nx", 9), Cut::Line(b"PING", 6));
        assert_eq!(lines.cut(b"x", 9), Cut::More);
        assert_eq!(lines.cut(b"x\n", 9), Cut::Line(b"x", 2));
        assert_eq!(lines.cut(b"", 9), Cut::More);
    }

    #[test]
    fn a_long_line_is_told_of_once_and_passed_over() {
        let mut lines = Lines::default();
        assert_eq!(lines.cut(b"123456789", 9), Cut::More);
        assert_eq!(lines.cut(b"1234567890", 9), Cut::TooLong(10));
        assert_eq!(lines.cut(b"1234", 9), Cut::Skipped(4));
        assert_eq!(lines.cut(b"", 9), Cut::More);
        assert_eq!(lines.cut(b"56\nPING\n", 9), Cut::Skipped(3));
        assert_eq!(lines.cut(b"PING\n", 9), Cut::Line(b"PING", 5));
        // Long, and whole at once.
        assert_eq!(lines.cut(b"1234567890\nx", 9), Cut::TooLong(11));
        assert_eq!(lines.cut(b"x", 9), Cut::More);
    }
}
