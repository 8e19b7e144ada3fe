//! The two ciphers, and what is derived from a key to use them.
//!
//! From an operator's key HKDF-SHA-256 (RFC 5869) makes a name, a key for XChaCha20-Poly1305, and a
//! key from which a further one is made for each value under AES-256-GCM; so no key serves two ends, and
//! 192 random bits of nonce are enough for any number of values under both. The ciphers themselves are
//! those of RustCrypto.

use std::{fmt, str::FromStr};

use aes_gcm::{Aes256Gcm, KeyInit, aead::AeadInOut};
use chacha20poly1305::XChaCha20Poly1305;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::encryption_keys::KEY_BYTES;
use crate::error::{Error, Result};

/// Random bytes in front of each encrypted value.
pub(super) const NONCE_BYTES: usize = 24;

/// Bytes behind it that say whether it is as it was written.
pub(super) const TAG_BYTES: usize = 16;

/// Bytes of the nonce of AES-256-GCM: the last of all.
const GCM_NONCE_BYTES: usize = 12;

/// By which cipher values are encrypted. Each reads what the other wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cipher {
    /// XChaCha20-Poly1305: needs nothing of the processor.
    #[default]
    XChaCha20Poly1305,
    /// AES-256-GCM under a key of its own for each value: quicker where the processor has instructions for it.
    Aes256Gcm,
}

impl Cipher {
    /// Both.
    pub const ALL: [Self; 2] = [Self::XChaCha20Poly1305, Self::Aes256Gcm];

    /// The name, as options have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::XChaCha20Poly1305 => "xchacha20-poly1305",
            Self::Aes256Gcm => "aes-256-gcm",
        }
    }

    /// The first byte of what it makes.
    pub(super) fn tag(self) -> u8 {
        match self {
            Self::XChaCha20Poly1305 => 16,
            Self::Aes256Gcm => 17,
        }
    }

    pub(super) fn of_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|cipher| cipher.tag() == tag)
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Cipher {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|cipher| cipher.name() == text);
        known.ok_or_else(|| {
            Error::invalid(format!("{text:?} is no cipher: say xchacha20-poly1305 or aes-256-gcm"))
        })
    }
}

/// What a key is called: 8 bytes that are derived from it and tell nothing about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(super) [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A key, prepared for use. Its parts wipe themselves when dropped.
pub(super) struct ReadyKey {
    pub(super) id: KeyId,
    xchacha: Box<XChaCha20Poly1305>,
    gcm: Box<Hkdf<Sha256>>,
}

impl ReadyKey {
    pub(super) fn new(key: &[u8; KEY_BYTES]) -> Self {
        let root = Hkdf::<Sha256>::new(Some(b"tresor encryption 1"), key);
        let mut id = [0; 8];
        expand(&root, b"key id", &mut id);
        let mut derived = Zeroizing::new([0; KEY_BYTES]);
        expand(&root, b"xchacha20-poly1305", &mut *derived);
        let xchacha = Box::new(XChaCha20Poly1305::new((&*derived).into()));
        expand(&root, b"aes-256-gcm", &mut *derived);
        let gcm = Hkdf::from_prk(&*derived).expect("32 bytes are what SHA-256 makes");
        Self { id: KeyId(id), xchacha, gcm: Box::new(gcm) }
    }

    /// Encrypts in place; the tag to keep.
    pub(super) fn seal(
        &self,
        cipher: Cipher,
        nonce: &[u8; NONCE_BYTES],
        associated: &[u8],
        value: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], ()> {
        let sealed = match cipher {
            Cipher::XChaCha20Poly1305 => {
                self.xchacha.encrypt_inout_detached(nonce.into(), associated, value.into())
            }
            Cipher::Aes256Gcm => {
                self.gcm_of(nonce).encrypt_inout_detached(gcm_nonce(nonce).into(), associated, value.into())
            }
        };
        sealed.map(Into::into).map_err(|_| ())
    }

    /// Decrypts in place; fails before that if anything is not as it was sealed.
    pub(super) fn open(
        &self,
        cipher: Cipher,
        nonce: &[u8; NONCE_BYTES],
        associated: &[u8],
        (value, tag): (&mut [u8], &[u8; TAG_BYTES]),
    ) -> Result<(), ()> {
        let opened = match cipher {
            Cipher::XChaCha20Poly1305 => {
                self.xchacha.decrypt_inout_detached(nonce.into(), associated, value.into(), tag.into())
            }
            Cipher::Aes256Gcm => self.gcm_of(nonce).decrypt_inout_detached(
                gcm_nonce(nonce).into(),
                associated,
                value.into(),
                tag.into(),
            ),
        };
        opened.map_err(|_| ())
    }

    /// AES-256-GCM with the key of one value.
    fn gcm_of(&self, nonce: &[u8; NONCE_BYTES]) -> Aes256Gcm {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        expand(&self.gcm, nonce, &mut *key);
        Aes256Gcm::new((&*key).into())
    }
}

fn gcm_nonce(nonce: &[u8; NONCE_BYTES]) -> &[u8; GCM_NONCE_BYTES] {
    nonce.last_chunk().expect("the nonce is longer")
}

fn expand(from: &Hkdf<Sha256>, what_for: &[u8], to: &mut [u8]) {
    from.expand(what_for, to).expect("HKDF gives up to 255 times 32 bytes");
}
