//! Encryption: the store below sees keys and lengths, and no value.
//!
//! Each value is sealed under a random nonce together with its key and member, so whoever can write to
//! the store below can lose values or bring back old ones, but not read, change or swap them. What is
//! not encrypted is refused: otherwise a plain value could be slipped in. The format, and what it does
//! not hide, is in `docs/formats.md`.

use std::sync::Arc;

use parking_lot::RwLock;

use super::{
    ciphers::{Cipher, KeyId, NONCE_BYTES, ReadyKey, TAG_BYTES},
    codec::{COMPRESSED, Codec, Coding, ENCRYPTED, value_error},
    coded::Coded,
    encryption_keys::EncryptionKeys,
};
use crate::{
    engine::{Content, DATABASES, Engine, KeyRef, Kind, Order, Scan},
    error::{Error, ErrorKind, Result},
};

/// Tag, kind, key id.
const NAMED_BYTES: usize = 10;

/// What stands in front of the encrypted bytes.
const HEADER_BYTES: usize = NAMED_BYTES + NONCE_BYTES;

/// How much longer a value becomes.
const OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES;

/// Entries of each database that are looked at when a store is opened.
const LOOKED_AT: usize = 64;

/// The codec that encrypts.
pub struct Encryption {
    cipher: Cipher,
    /// The first encrypts.
    keys: RwLock<Vec<ReadyKey>>,
}

impl Encryption {
    /// Encrypts with the first key and decrypts with all.
    pub fn new(keys: &EncryptionKeys, cipher: Cipher) -> Self {
        Self { cipher, keys: RwLock::new(keys.ready()) }
    }

    /// Whether a value is as this codec would write it now: under the current key, by its cipher.
    pub(super) fn is_current(&self, stored: &[u8], kind: Kind) -> bool {
        let current = self.current();
        kind == Kind::Packed
            && stored.first() == Some(&self.cipher.tag())
            && stored.get(2..NAMED_BYTES) == Some(&current.0[..])
    }

    fn current(&self) -> KeyId {
        self.keys.read().first().expect("there is a key").id
    }

    fn open(&self, key: KeyRef<'_>, stored: &[u8], out: &mut Vec<u8>) -> Result<Kind, String> {
        const FORGED: &str = "was changed, or moved from another key, since it was encrypted: restore it from \
                              a backup or a replica, or delete it";
        let tag = stored.first().copied().unwrap_or(0);
        let cipher = Cipher::of_tag(tag).ok_or_else(|| foreign(tag))?;
        let (header, rest) = stored.split_first_chunk::<HEADER_BYTES>().ok_or(FORGED)?;
        let (sealed, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(FORGED)?;
        let (named, nonce) = header.split_last_chunk::<NONCE_BYTES>().ok_or(FORGED)?;
        let id = named.last_chunk().copied().map(KeyId).ok_or(FORGED)?;
        let kind = Kind::from_byte(header[1]).ok_or(FORGED)?;
        let keys = self.keys.read();
        let Some(with) = keys.iter().find(|key| key.id == id) else {
            return Err(format!(
                "is encrypted under the key {id}, which is not among the encryption keys: add it as a further line"
            ));
        };
        let start = out.len();
        out.extend_from_slice(sealed);
        let opened = with.open(cipher, nonce, &associated(named, key), (&mut out[start..], tag));
        if opened.is_err() {
            out.truncate(start);
            return Err(FORGED.to_owned());
        }
        Ok(kind)
    }
}

/// What is authenticated beside the value: header, key and member. Not the database, because to swap two
/// databases moves no value.
fn associated(named: &[u8], key: KeyRef<'_>) -> Vec<u8> {
    let mut data = Vec::with_capacity(named.len() + 4 + key.key.len() + key.member.len());
    data.extend_from_slice(named);
    data.extend_from_slice(&(key.key.len() as u32).to_le_bytes());
    data.extend_from_slice(key.key);
    data.extend_from_slice(key.member);
    data
}

const NOT_ENCRYPTED: &str = "is not encrypted: open the store without keys and copy it into an encrypted one \
                             with tresor copy";

fn foreign(tag: u8) -> String {
    if COMPRESSED.contains(&tag) {
        return NOT_ENCRYPTED.to_owned();
    }
    if ENCRYPTED.contains(&tag) {
        return format!("is encrypted in a way that this version does not know ({tag}): use a later one");
    }
    "is damaged: restore it from a backup or a replica, or delete it".to_owned()
}

impl Codec for Encryption {
    fn encode(&self, key: KeyRef<'_>, (value, kind): (&[u8], Kind), out: &mut Vec<u8>) -> Result<Coding> {
        let keys = self.keys.read();
        let with = keys.first().expect("there is a key");
        let mut header = [0; HEADER_BYTES];
        header[0] = self.cipher.tag();
        header[1] = kind as u8;
        header[2..NAMED_BYTES].copy_from_slice(&with.id.0);
        getrandom::fill(&mut header[NAMED_BYTES..]).map_err(|error| {
            Error::new(ErrorKind::Internal, "the system gives no random numbers").caused_by(error)
        })?;
        let (named, nonce) = header.split_last_chunk().expect("the nonce is the end of the header");
        out.reserve(value.len() + OVERHEAD_BYTES);
        out.extend_from_slice(&header);
        let start = out.len();
        out.extend_from_slice(value);
        let sealed = with.seal(self.cipher, nonce, &associated(named, key), &mut out[start..]);
        let tag = sealed.map_err(|()| {
            // The plain value must not stay in a buffer that somebody might write out.
            out[start..].fill(0);
            value_error(ErrorKind::TooLarge, key, "is too large to be encrypted")
        })?;
        out.extend_from_slice(&tag);
        Ok(Coding::Into(Kind::Packed))
    }

    fn decode(&self, key: KeyRef<'_>, (stored, kind): (&[u8], Kind), out: &mut Vec<u8>) -> Result<Coding> {
        let opened = match kind {
            Kind::Packed => self.open(key, stored, out),
            _ => Err(NOT_ENCRYPTED.to_owned()),
        };
        opened.map(Coding::Into).map_err(|what| value_error(ErrorKind::Invalid, key, what))
    }

    fn leaves(&self, _: Kind) -> bool {
        false
    }

    fn decoded_bytes(&self, (stored, _): (&[u8], Kind)) -> usize {
        stored.len().saturating_sub(OVERHEAD_BYTES)
    }

    fn max_value_bytes(&self, inner: usize) -> usize {
        inner.saturating_sub(OVERHEAD_BYTES)
    }
}

/// An engine with encryption above it.
pub type Encrypted = Coded<Encryption>;

impl Encrypted {
    /// Encrypts what is written to an engine, and decrypts what is read. Looks at some entries of each
    /// database first, and blocks until it has.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when one of these is not encrypted, is under a key that is not among
    /// these, or was tampered with; and whatever the engine fails with.
    pub fn new(inner: Arc<dyn Engine>, keys: &EncryptionKeys, cipher: Cipher) -> Result<Arc<Self>> {
        let encrypted = Self { inner, codec: Encryption::new(keys, cipher) };
        for database in 0..DATABASES {
            encrypted.look_at(database)?;
        }
        Ok(Arc::new(encrypted))
    }

    fn look_at(&self, database: u8) -> Result<()> {
        // At the beginning of time nothing has expired: what has since is encrypted too.
        let now_ms = 0;
        let scan = Scan::all(database, Order::Any, Content::Entries, LOOKED_AT);
        let page = self.inner.scan(&scan, now_ms).wait()?;
        let mut value = Vec::new();
        for (key, entry) in page.iter() {
            value.clear();
            self.codec.decode(key, (entry.value.bytes(), entry.kind), &mut value)?;
        }
        Ok(())
    }

    /// What the keys are called; values are encrypted under the first.
    pub fn key_ids(&self) -> Vec<KeyId> {
        self.codec.keys.read().iter().map(|key| key.id).collect()
    }

    /// The cipher for what is written from now on.
    pub fn cipher(&self) -> Cipher {
        self.codec.cipher
    }

    /// Replaces the keys while the store serves. Values are encrypted under the first of them from now on;
    /// [`reencrypt`](Self::reencrypt) takes those along that are there.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid), and nothing is changed, when the key in use up to now is not among
    /// these: values are under it.
    pub fn rotate(&self, keys: &EncryptionKeys) -> Result<()> {
        self.replace(keys, false)
    }

    /// The same, but every key that there is stays to read with, until [`rotate`](Self::rotate) says that
    /// it may go: values can still be under those that are not among the new ones.
    pub fn begin_rotation(&self, keys: &EncryptionKeys) -> Result<()> {
        self.replace(keys, true)
    }

    fn replace(&self, keys: &EncryptionKeys, keeping: bool) -> Result<()> {
        let mut ready = keys.ready();
        let mut current = self.codec.keys.write();
        let in_use = current.first().expect("there is a key").id;
        if !ready.iter().any(|key| key.id == in_use) {
            return Err(Error::invalid(format!(
                "values are encrypted under the key {in_use}, which is not among the new encryption keys: keep it as a further line until all are re-encrypted"
            )));
        }
        if keeping {
            let ids = keys.ids();
            ready.extend(std::mem::take(&mut *current).into_iter().filter(|key| !ids.contains(&key.id)));
        }
        *current = ready;
        Ok(())
    }
}
