//! What a client may ask of the server before it is refused: every bound of a connection in one place.
//!
//! A client that has not authenticated gets a much smaller share, so that strangers cannot fill the
//! memory. Invariant: a connection never holds more input or output than stands here, whatever it sends.

use tresor::engine::MAX_KEY_BYTES;

/// Bytes of a buffer that connections of one worker take turns with. A request that fits costs a
/// connection no memory while it waits.
pub(crate) const POOLED_BUFFER_BYTES: usize = 64 * 1024;

/// Commands after which a connection sends what it has and lets others run.
pub(crate) const BATCH_COMMANDS: usize = 1024;

/// Output after which a connection sends what it has and lets others run, in bytes.
pub(crate) const BATCH_OUTPUT_BYTES: usize = 64 * 1024;

/// The longest inline command, in bytes; Redis's own limit.
pub(crate) const INLINE_BYTES: usize = 64 * 1024;

/// Bytes that a byte takes in a line at most: `\xNN`.
const ESCAPED_BYTES: usize = 4;

/// Bytes of a line beside key and value: the command, a transaction's id, quotes and blanks.
const LINE_FRAME_BYTES: usize = 1024;

/// The bounds of one client.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Words of one request, the command's name included.
    pub request_words: usize,
    /// Bytes of one word. Above the largest value, so that a slightly longer one gets a clear answer.
    pub word_bytes: usize,
    /// Bytes of input that a client may have waiting: one request has to fit.
    pub input_bytes: usize,
    /// Bytes of one line of the line protocol: the largest value with every byte of it and of the longest
    /// key written as `\xNN`, and the words around them.
    pub line_bytes: usize,
    /// Bytes of replies that a client may have waiting before it is disconnected.
    pub output_bytes: usize,
}

impl Limits {
    /// The limits that go with a largest value of `max_value_bytes`.
    pub fn for_values(max_value_bytes: usize) -> Self {
        const MIB: usize = 1024 * 1024;
        let longest_word = max_value_bytes.saturating_add(MAX_KEY_BYTES);
        let word_bytes = max_value_bytes.saturating_mul(2).clamp(MIB, 1024 * MIB);
        Self {
            request_words: 1024 * 1024,
            word_bytes,
            input_bytes: (word_bytes * 2).max(256 * MIB).min(u32::MAX as usize),
            line_bytes: longest_word.saturating_mul(ESCAPED_BYTES).saturating_add(LINE_FRAME_BYTES),
            output_bytes: (word_bytes * 2).max(256 * MIB),
        }
    }

    /// What is left of them for a client that has not authenticated.
    pub(crate) fn before_authentication(&self) -> Self {
        Self {
            request_words: self.request_words.min(10),
            word_bytes: self.word_bytes.min(16 * 1024),
            input_bytes: self.input_bytes.min(1024 * 1024),
            line_bytes: self.line_bytes.min(16 * 1024),
            ..self.clone()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::for_values(64 * 1024 * 1024)
    }
}
