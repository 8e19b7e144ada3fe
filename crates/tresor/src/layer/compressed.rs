//! Compression: values that shrink are kept smaller, all others as they are.
//!
//! A compressed value says by which method, so the method of a store can change at any time, and a
//! store that was begun without compression can be opened with it. Its checksum covers all of it: a
//! damaged value is an error, never other bytes. The format is in `docs/formats.md`.

use std::sync::Arc;

use super::{
    codec::{COMPRESSED, Codec, Coding, ENCRYPTED, value_error},
    coded::Coded,
    methods::{Method, compress, decompress, room_bytes},
};
use crate::{
    engine::{Engine, KeyRef, Kind},
    error::{Error, ErrorKind, Result},
};

/// The largest value that compression takes, and decompresses to, in bytes.
pub const MAX_DECODED_BYTES: usize = 1 << 30;

/// Tag, kind, length, checksum.
const HEADER_BYTES: usize = 10;

/// How values are compressed. The default is not at all.
#[derive(Clone, Copy, Debug)]
pub struct CompressionOptions {
    /// By which method.
    pub method: Method,
    /// How much effort that makes of it; `None` for the method's own choice.
    pub level: Option<i32>,
    /// Values of fewer bytes are left alone.
    pub threshold_bytes: usize,
    /// No value may have more bytes than this, compressed or not; at most [`MAX_DECODED_BYTES`].
    pub max_value_bytes: usize,
}

impl Default for CompressionOptions {
    fn default() -> Self {
        Self { method: Method::None, level: None, threshold_bytes: 256, max_value_bytes: MAX_DECODED_BYTES }
    }
}

impl CompressionOptions {
    /// A method at its own level, from the default size on.
    pub fn with(method: Method) -> Self {
        Self { method, ..Self::default() }
    }

    /// The level that is meant. [`Invalid`](ErrorKind::Invalid) for one that the method does not have, and
    /// [`Unsupported`](ErrorKind::Unsupported) for a method that this build does not have.
    fn checked(&self) -> Result<i32> {
        let method = self.method;
        if method != Method::None && !Method::ALL.contains(&method) {
            let message = format!("this build has no {method}: build it with the feature {method}");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        if self.max_value_bytes > MAX_DECODED_BYTES {
            let message = format!("compressed values can have at most {MAX_DECODED_BYTES} bytes");
            return Err(Error::invalid(message));
        }
        match (method.levels(), self.level) {
            (Some((levels, _)), Some(level)) if !levels.contains(&level) => Err(Error::invalid(format!(
                "{method} has the levels {} to {}, not {level}",
                levels.start(),
                levels.end()
            ))),
            (Some((_, own)), level) => Ok(level.unwrap_or(own)),
            (None, Some(_)) => Err(Error::invalid(format!("{method} has no levels: leave the level out"))),
            (None, None) => Ok(0),
        }
    }
}

/// The codec that compresses.
pub struct Compression {
    options: CompressionOptions,
    level: i32,
}

impl Compression {
    /// [`Invalid`](ErrorKind::Invalid) or [`Unsupported`](ErrorKind::Unsupported) options are refused.
    pub fn new(options: CompressionOptions) -> Result<Self> {
        let level = options.checked()?;
        Ok(Self { options, level })
    }

    /// Appends the packed form if it is smaller.
    fn pack(&self, value: &[u8], kind: Kind, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        out.extend_from_slice(&[self.options.method.tag(), kind as u8]);
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        let data = out.len();
        out.resize(data + room_bytes(self.options.method, value.len()), 0);
        let filled = compress(self.options.method, self.level, value, &mut out[data..]);
        match filled.filter(|filled| filled + HEADER_BYTES < value.len()) {
            Some(filled) => {
                out.truncate(data + filled);
                let checksum = checksum(&out[start..]).to_le_bytes();
                out[data - 4..data].copy_from_slice(&checksum);
                true
            }
            None => {
                out.truncate(start);
                false
            }
        }
    }

    fn unpack(&self, stored: &[u8], out: &mut Vec<u8>) -> Result<Kind, String> {
        let damaged = || "is damaged: restore it from a backup or a replica, or delete it".to_owned();
        let method = method_of(stored)?;
        let (header, data) = stored.split_first_chunk::<HEADER_BYTES>().ok_or_else(damaged)?;
        if header[6..] != checksum(stored).to_le_bytes() {
            return Err(damaged());
        }
        let kind = Kind::from_byte(header[1]).filter(|kind| *kind != Kind::Packed).ok_or_else(damaged)?;
        let length = u32::from_le_bytes([header[2], header[3], header[4], header[5]]) as usize;
        if length > data.len().saturating_mul(method.greatest_ratio()) {
            return Err(damaged());
        }
        if length > self.options.max_value_bytes {
            let limit = self.options.max_value_bytes;
            return Err(format!("has {length} bytes, over the limit of {limit}: raise the limit to read it"));
        }
        let start = out.len();
        out.resize(start + length, 0);
        if decompress(method, data, &mut out[start..]) { Ok(kind) } else { Err(damaged()) }
    }
}

/// Of everything but itself.
fn checksum(packed: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&packed[..HEADER_BYTES - 4]);
    hasher.update(&packed[HEADER_BYTES..]);
    hasher.finalize()
}

fn method_of(stored: &[u8]) -> Result<Method, String> {
    let tag = stored.first().copied().unwrap_or(0);
    match Method::of_tag(tag) {
        Some(method) if Method::ALL.contains(&method) => Ok(method),
        Some(method) => Err(format!("is compressed with {method}, which this build does not have")),
        None if ENCRYPTED.contains(&tag) => {
            Err("is encrypted: open the store with its encryption keys".to_owned())
        }
        None if COMPRESSED.contains(&tag) => {
            Err(format!("is compressed in a way that this version does not know ({tag}): use a later one"))
        }
        None => Err("is damaged: restore it from a backup or a replica, or delete it".to_owned()),
    }
}

impl Codec for Compression {
    fn encode(&self, key: KeyRef<'_>, (value, kind): (&[u8], Kind), out: &mut Vec<u8>) -> Result<Coding> {
        if kind == Kind::Packed {
            let what = "is packed already: compression stands above encryption, and once";
            return Err(value_error(ErrorKind::Invalid, key, what));
        }
        if value.len() > self.options.max_value_bytes {
            let (bytes, limit) = (value.len(), self.options.max_value_bytes);
            let what = format!("has {bytes} bytes, over the limit of {limit}");
            return Err(value_error(ErrorKind::TooLarge, key, what));
        }
        let is_tried = self.options.method != Method::None && value.len() >= self.options.threshold_bytes;
        if is_tried && self.pack(value, kind, out) {
            Ok(Coding::Into(Kind::Packed))
        } else {
            Ok(Coding::AsItIs)
        }
    }

    fn decode(&self, key: KeyRef<'_>, (stored, kind): (&[u8], Kind), out: &mut Vec<u8>) -> Result<Coding> {
        if self.leaves(kind) {
            return Ok(Coding::AsItIs);
        }
        let unpacked = self.unpack(stored, out);
        unpacked.map(Coding::Into).map_err(|what| value_error(ErrorKind::Invalid, key, what))
    }

    fn leaves(&self, kind: Kind) -> bool {
        kind != Kind::Packed
    }

    fn decoded_bytes(&self, (stored, kind): (&[u8], Kind)) -> usize {
        match stored {
            [_, _, a, b, c, d, ..] if !self.leaves(kind) => u32::from_le_bytes([*a, *b, *c, *d]) as usize,
            _ => stored.len(),
        }
    }

    fn max_value_bytes(&self, inner: usize) -> usize {
        // A value that does not shrink is kept as it is.
        inner.min(self.options.max_value_bytes)
    }
}

/// An engine with compression above it.
pub type Compressed = Coded<Compression>;

impl Compressed {
    /// Compresses what is written to an engine from now on, and decompresses what is read. The engine may
    /// have values from before; one of encrypted values has to stand under
    /// [`Encrypted`](super::Encrypted) itself. [`Invalid`](ErrorKind::Invalid) or
    /// [`Unsupported`](ErrorKind::Unsupported) options are refused.
    pub fn new(inner: Arc<dyn Engine>, options: CompressionOptions) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { inner, codec: Compression::new(options)? }))
    }
}
