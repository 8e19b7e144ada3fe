//! The keys of an encrypted store, as an operator hands them over.
//!
//! One key a line: 32 bytes in hexadecimal or base64. The first encrypts, all of them decrypt, so a
//! new key goes on top and an old one away once nothing is under it. Key material is wiped from memory
//! when it is dropped, and no message, log or `Debug` output has any of it.

use std::{env, ffi::OsStr, fmt, io, path::Path};

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::{Zeroize, Zeroizing};

use super::ciphers::{KeyId, ReadyKey};
use crate::{
    error::{Error, ErrorKind, Result},
    files,
};

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;

/// Keys that a store may have at a time.
const MAX_KEYS: usize = 64;

/// The longest text of keys that is read, in bytes.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// One key; on the heap, so that moving it leaves no copy behind.
pub(super) type KeyBytes = Box<Zeroizing<[u8; KEY_BYTES]>>;

/// The keys of a store: the first encrypts, all of them decrypt.
pub struct EncryptionKeys {
    keys: Vec<KeyBytes>,
}

impl EncryptionKeys {
    /// The keys in a text: one a line, 64 hexadecimal digits or 43 characters of base64 (and its padding).
    /// Empty lines and what follows a `#` at the start of a line are passed over.
    /// [`Invalid`](ErrorKind::Invalid) for any other line, which is named by its number alone; for a key that
    /// is there twice; and for none.
    pub fn parse(text: &str) -> Result<Self> {
        let mut keys: Vec<KeyBytes> = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some(key) = key_of(line) else {
                return Err(Error::invalid(format!(
                    "line {number} of the encryption keys is no key: a key is 32 bytes, as 64 hexadecimal digits or in base64"
                )));
            };
            if keys.contains(&key) {
                return Err(Error::invalid(format!("line {number} of the encryption keys repeats a key")));
            }
            if keys.len() == MAX_KEYS {
                return Err(Error::invalid(format!("there are more than {MAX_KEYS} encryption keys")));
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(Error::invalid(
                "there is no encryption key: write 32 random bytes as 64 hexadecimal digits on the first line",
            ));
        }
        Ok(Self { keys })
    }

    /// The keys in a file, as [`parse`](Self::parse) reads them. [`Invalid`](ErrorKind::Invalid) for a file
    /// that others than its owner may read or write.
    pub fn from_file(path: &Path) -> Result<Self> {
        let name = path.display();
        let read = files::read_owner_only(path, MAX_TEXT_BYTES).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => Error::invalid(format!(
                "the encryption keys in {name} are not their owner's alone, or not this user's: chmod 600 {name}"
            )),
            io::ErrorKind::NotFound => {
                Error::new(ErrorKind::NotFound, format!("there is no {name} with encryption keys"))
            }
            _ => Error::new(ErrorKind::Unavailable, format!("cannot read the encryption keys in {name}")),
        }
        .caused_by(error));
        let bytes = Zeroizing::new(read?);
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Error::invalid(format!("the encryption keys in {name} are not text")))?;
        Self::parse(text).map_err(|error| Error::invalid(format!("{name}: {error}")))
    }

    /// The keys in an environment variable, as [`parse`](Self::parse) reads them.
    /// [`NotFound`](ErrorKind::NotFound) when it is not set.
    pub fn from_variable(name: impl AsRef<OsStr>) -> Result<Self> {
        let shown = name.as_ref().to_string_lossy().into_owned();
        match env::var(name) {
            Ok(mut text) => {
                let keys = Self::parse(&text).map_err(|error| Error::invalid(format!("{shown}: {error}")));
                text.zeroize();
                keys
            }
            Err(env::VarError::NotPresent) => {
                Err(Error::new(ErrorKind::NotFound, format!("the variable {shown} is not set")))
            }
            Err(env::VarError::NotUnicode(_)) => Err(Error::invalid(format!("{shown} is not text"))),
        }
    }

    /// What each key is called in encrypted values and in messages; the current one first.
    pub fn ids(&self) -> Vec<KeyId> {
        self.ready().iter().map(|key| key.id).collect()
    }

    /// The keys, prepared for use.
    pub(super) fn ready(&self) -> Vec<ReadyKey> {
        self.keys.iter().map(|key| ReadyKey::new(key)).collect()
    }
}

impl fmt::Debug for EncryptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionKeys({} keys)", self.keys.len())
    }
}

fn key_of(text: &str) -> Option<KeyBytes> {
    let mut key: KeyBytes = Box::new(Zeroizing::new([0; KEY_BYTES]));
    if text.len() == KEY_BYTES * 2 {
        let (pairs, _) = text.as_bytes().as_chunks::<2>();
        for (byte, [high, low]) in key.iter_mut().zip(pairs) {
            *byte = hexadecimal(*high)? << 4 | hexadecimal(*low)?;
        }
        return Some(key);
    }
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    // The decoder may want a little more room than it fills.
    let mut room = Zeroizing::new([0; KEY_BYTES + 4]);
    let decoded = GeneralPurpose::new(&STANDARD, lenient).decode_slice(text, &mut *room).ok()?;
    key.copy_from_slice(room.get(..decoded).filter(|bytes| bytes.len() == KEY_BYTES)?);
    Some(key)
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}
