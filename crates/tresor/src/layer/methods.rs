//! The three ways to compress, with what each thread keeps to do it again.
//!
//! A context of zlib or zstd is dear to make and cheap to use again, so each thread keeps its own.
//! Nothing here trusts its input: output goes into room of a known size, and what does not fill it
//! exactly is an error.

use std::{cell::RefCell, fmt, str::FromStr};

use crate::error::{Error, Result};

/// How values are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// Not at all; values that were compressed before can be read.
    #[default]
    None,
    /// DEFLATE in zlib's format (RFC 1950), everywhere known.
    Zlib,
    /// LZ4's block format: fast, and saves least.
    Lz4,
    /// Zstandard (RFC 8878): saves as much as zlib in a third of the time. Needs the feature `zstd`.
    Zstd,
}

impl Method {
    /// All that compress and that this build has.
    pub const ALL: &[Self] =
        if cfg!(feature = "zstd") { &[Self::Zlib, Self::Lz4, Self::Zstd] } else { &[Self::Zlib, Self::Lz4] };

    /// The name, as options have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Zlib => "zlib",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The levels that it has and the one that it takes by itself; `None` for one without levels.
    pub fn levels(self) -> Option<(std::ops::RangeInclusive<i32>, i32)> {
        match self {
            Self::None | Self::Lz4 => None,
            Self::Zlib => Some((1..=9, 6)),
            Self::Zstd => Some((1..=22, 3)),
        }
    }

    pub(super) fn of_tag(tag: u8) -> Option<Self> {
        match tag {
            1 => Some(Self::Zlib),
            2 => Some(Self::Lz4),
            3 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The first byte of what it makes; 0 for none, which makes nothing.
    pub(super) fn tag(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Zlib => 1,
            Self::Lz4 => 2,
            Self::Zstd => 3,
        }
    }

    /// How many bytes one byte of its output can stand for at most: a length above that lies. A zlib match
    /// of 258 bytes takes 2 bits, a byte of LZ4 lengthens a match by 255, and a block of zstd, of up to
    /// 128 KiB, takes 4 bytes.
    pub(super) fn greatest_ratio(self) -> usize {
        match self {
            Self::None => 1,
            Self::Zlib => 1032,
            Self::Lz4 => 255,
            Self::Zstd => 32 * 1024,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::None, Self::Zlib, Self::Lz4, Self::Zstd];
        let known = all.into_iter().find(|method| method.name() == text);
        known
            .ok_or_else(|| Error::invalid(format!("{text:?} is no compression: say none, zlib, lz4 or zstd")))
    }
}

/// Compresses into the room given and answers how much of it was filled; `None` if it does not fit, which
/// is how a value that does not shrink looks.
pub(super) fn compress(method: Method, level: i32, value: &[u8], room: &mut [u8]) -> Option<usize> {
    match method {
        Method::None => None,
        Method::Zlib => zlib::compress(level, value, room),
        Method::Lz4 => lz4_flex::block::compress_into(value, room).ok(),
        Method::Zstd => zstd::compress(level, value, room),
    }
}

/// Room that `compress` asks for even if less is filled in the end.
pub(super) fn room_bytes(method: Method, value_bytes: usize) -> usize {
    match method {
        Method::Lz4 => lz4_flex::block::get_maximum_output_size(value_bytes),
        _ => value_bytes,
    }
}

/// Fills `out` with what `data` decompresses to; false unless that is exactly as long.
pub(super) fn decompress(method: Method, data: &[u8], out: &mut [u8]) -> bool {
    match method {
        Method::None => false,
        Method::Zlib => zlib::decompress(data, out),
        Method::Lz4 => lz4_flex::block::decompress_into(data, out).is_ok_and(|filled| filled == out.len()),
        Method::Zstd => zstd::decompress(data, out),
    }
}

mod zlib {
    use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

    use super::RefCell;

    thread_local! {
        static COMPRESS: RefCell<Option<(i32, Compress)>> = const { RefCell::new(None) };
        static DECOMPRESS: RefCell<Decompress> = RefCell::new(Decompress::new(true));
    }

    pub(super) fn compress(level: i32, value: &[u8], room: &mut [u8]) -> Option<usize> {
        COMPRESS.with_borrow_mut(|kept| {
            let (_, context) = match kept {
                Some(kept) if kept.0 == level => kept,
                _ => kept.insert((level, Compress::new(Compression::new(level.unsigned_abs()), true))),
            };
            context.reset();
            let status = context.compress(value, room, FlushCompress::Finish).ok()?;
            (status == Status::StreamEnd).then(|| context.total_out() as usize)
        })
    }

    pub(super) fn decompress(data: &[u8], out: &mut [u8]) -> bool {
        DECOMPRESS.with_borrow_mut(|context| {
            context.reset(true);
            let status = context.decompress(data, out, FlushDecompress::Finish);
            matches!(status, Ok(Status::StreamEnd))
                && context.total_out() == out.len() as u64
                && context.total_in() == data.len() as u64
        })
    }
}

#[cfg(feature = "zstd")]
mod zstd {
    use zstd::bulk::{Compressor, Decompressor};

    use super::RefCell;

    thread_local! {
        static COMPRESS: RefCell<Option<(i32, Compressor<'static>)>> = const { RefCell::new(None) };
        static DECOMPRESS: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }

    pub(super) fn compress(level: i32, value: &[u8], room: &mut [u8]) -> Option<usize> {
        COMPRESS.with_borrow_mut(|kept| {
            let (_, context) = match kept {
                Some(kept) if kept.0 == level => kept,
                _ => {
                    let mut context = Compressor::new(level).ok()?;
                    // The length stands before the frame.
                    context.include_contentsize(false).ok()?;
                    kept.insert((level, context))
                }
            };
            context.compress_to_buffer(value, room).ok()
        })
    }

    pub(super) fn decompress(data: &[u8], out: &mut [u8]) -> bool {
        DECOMPRESS.with_borrow_mut(|kept| {
            let context = match kept {
                Some(context) => context,
                None => match Decompressor::new() {
                    Ok(context) => kept.insert(context),
                    Err(_) => return false,
                },
            };
            context.decompress_to_buffer(data, out).is_ok_and(|filled| filled == out.len())
        })
    }
}

#[cfg(not(feature = "zstd"))]
mod zstd {
    pub(super) fn compress(_: i32, _: &[u8], _: &mut [u8]) -> Option<usize> {
        None
    }

    pub(super) fn decompress(_: &[u8], _: &mut [u8]) -> bool {
        false
    }
}
