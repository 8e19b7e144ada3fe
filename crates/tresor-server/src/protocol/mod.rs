//! Protocols: bytes to words. No I/O and no storage here; replies are written by `tresor::reply`.

mod inline;
mod line;
mod resp;

pub use inline::{Line, split_line};
pub(crate) use line::MOST_ARGUMENTS;
pub use line::{LineError, LineWords, Word, split_words};
pub use resp::{Decoded, Decoder, ProtocolError, RequestBounds, Words};
