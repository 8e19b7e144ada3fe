//! Layers: engines that hold an engine, and change how it does its work but not what it promises.
//!
//! A layer needs no trait of its own: whoever holds an engine cannot tell whether it is one. So layers
//! are put on one another in any number, and each passes the engines' conformance suite. Compression and
//! encryption are one engine over another, [`Coded`], with a [`Codec`] that says what becomes of a value
//! on its way in and out; keys, versions, expiries and numbers pass through. Their formats are in
//! `docs/formats.md`, the figures behind them in `docs/decisions/0008-coded-values.md`.

pub mod cached;
mod ciphers;
mod codec;
mod coded;
mod compressed;
mod encoding;
mod encrypted;
mod encryption_keys;
mod estimate;
mod gathered;
pub(crate) mod indexed;
mod methods;
mod pages;
mod patches;
mod reencryption;
mod settled;
pub mod sharded;
pub(crate) mod stack;

pub use ciphers::{Cipher, KeyId};
pub use codec::{Codec, Coding};
pub use coded::Coded;
pub use compressed::{Compressed, Compression, CompressionOptions, MAX_DECODED_BYTES};
pub use encrypted::{Encrypted, Encryption};
pub use encryption_keys::EncryptionKeys;
pub use estimate::{Estimate, MethodEstimate, estimate};
pub use methods::Method;
pub use reencryption::{Reencrypted, ReencryptionProgress};
pub use stack::describe;
