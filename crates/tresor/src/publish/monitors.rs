//! The clients that hear of every command: MONITOR.
//!
//! A command is made into one line, whose bytes all of them share. Like subscribers they are waited for by
//! nobody, and dropped by the same limit.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{RwLock, RwLockReadGuard};

use super::Outbox;

/// Bytes of a command's words that a line shows. A line is as long as a command otherwise, and who stores large
/// values would drive every monitor over its limit.
const SHOWN_BYTES: usize = 1 << 20;

/// Who hears of every command.
#[derive(Default)]
pub(crate) struct Monitors(RwLock<Vec<Arc<Outbox>>>);

impl Monitors {
    /// One more hears from now on.
    pub(crate) fn add(&self, outbox: &Arc<Outbox>) {
        self.0.write().push(outbox.clone());
    }

    /// One hears no more: nothing comes once this has returned.
    pub(crate) fn remove(&self, outbox: &Arc<Outbox>) {
        self.0.write().retain(|other| !Arc::ptr_eq(other, outbox));
    }

    pub(super) fn all(&self) -> RwLockReadGuard<'_, Vec<Arc<Outbox>>> {
        self.0.read()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.read().is_empty()
    }
}

/// A command that ended at `at_ns` (Unix nanoseconds), with the client's database and address, as Redis writes
/// it: the reply that it is in both versions of the protocol.
pub(crate) fn line<'a>(
    at_ns: u64,
    (database, peer): (u8, &str),
    words: impl ExactSizeIterator<Item = &'a [u8]>,
) -> Bytes {
    let (seconds, microseconds) = (at_ns / 1_000_000_000, at_ns / 1000 % 1_000_000);
    let mut line = format!("+{seconds}.{microseconds:06} [{database} {peer}]").into_bytes();
    let (mut room, mut left) = (SHOWN_BYTES, words.len());
    for word in words {
        if room == 0 {
            line.extend_from_slice(format!(" \"... ({left} more arguments)\"").as_bytes());
            break;
        }
        let shown = word.len().min(room);
        line.extend_from_slice(b" \"");
        quote(&word[..shown], &mut line);
        if shown < word.len() {
            line.extend_from_slice(format!("... ({} more bytes)", word.len() - shown).as_bytes());
        }
        line.push(b'"');
        // The quotes count, so that a million empty words have an end too.
        (room, left) = (room.saturating_sub(shown + 2), left - 1);
    }
    line.extend_from_slice(b"\r\n");
    line.into()
}

/// Writes bytes so that a line stays one: what is not printable ASCII is escaped, as Redis does it.
fn quote(bytes: &[u8], line: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        match byte {
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', *byte]),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            0x07 => line.extend_from_slice(b"\\a"),
            0x08 => line.extend_from_slice(b"\\b"),
            b' '..=b'~' => line.push(*byte),
            _ => {
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
                line.extend_from_slice(&[b'\\', b'x', DIGITS[high], DIGITS[low]]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SHOWN_BYTES, line};

    fn text(words: &[&[u8]]) -> String {
        let line = line(1_339_518_083_107_412_999, (0, "127.0.0.1:60866"), words.iter().copied());
        String::from_utf8(line.to_vec()).expect("a line is ASCII")
    }

    #[test]
    fn a_line_is_as_redis_writes_it() {
        assert_eq!(text(&[b"keys", b"*"]), "+1339518083.107412 [0 127.0.0.1:60866] \"keys\" \"*\"\r\n");
        let escaped = text(&[b"SET", b"", b"v\x00\"\\\n\r\t\x07\x08\x7f\xe9 ~"]);
        assert!(
            escaped.ends_with("\"SET\" \"\" \"v\\x00\\\"\\\\\\n\\r\\t\\a\\b\\x7f\\xe9 ~\"\r\n"),
            "{escaped}"
        );
    }

    #[test]
    fn a_line_has_an_end_whatever_is_sent() {
        let large = vec![b'x'; SHOWN_BYTES];
        let cut = text(&[b"SET", b"k", &large, b"EX", b"5"]);
        let end = "xx... (8 more bytes)\" \"... (2 more arguments)\"\r\n";
        assert!(cut.ends_with(end), "{}", &cut[cut.len() - 100..]);
        let many = text(&vec![&b""[..]; 1 << 20]);
        assert!(many.len() < 4 * SHOWN_BYTES && many.ends_with("more arguments)\"\r\n"));
    }
}
