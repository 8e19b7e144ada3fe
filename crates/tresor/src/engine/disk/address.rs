//! Addresses as keys of a table: bytes whose order is that of keys, then members.
//!
//! Most keys stand as they are. A zero byte is escaped, so that what follows a key can be told from its
//! own bytes, and a member stands behind a mark that no key contains:
//!
//! ```text
//! 00 01        the key ends here, its member follows
//! 00 02        a zero byte, the key's last
//! 00 03        two zero bytes
//! 00 04        a zero byte with another byte behind it
//! 00           alone: the empty key, which a table does not take as it is
//! ```
//!
//! Two zeros are one token, so no key grows by more than half. Byte order of the results is the order of
//! (key, member), which the tests check against the pairs themselves.

use crate::{
    engine::KeyRef,
    error::{Error, ErrorKind, Result},
};

const MEMBER: u8 = 1;
const LAST_ZERO: u8 = 2;
const TWO_ZEROS: u8 = 3;
const ZERO: u8 = 4;

/// The longest key that a table takes, less what an index of expiries puts before it.
const MAX_BYTES: usize = u16::MAX as usize - 16;

/// The key of an entry in its table. [`TooLarge`](ErrorKind::TooLarge) where key and member together
/// are too long for one.
pub(super) fn encode(key: KeyRef<'_>) -> Result<Vec<u8>> {
    let mut encoded = Vec::with_capacity(key.key.len() + key.member.len() + 2);
    if memchr::memchr(0, key.key).is_none() {
        encoded.extend_from_slice(key.key);
    } else {
        escape(key.key, &mut encoded);
    }
    if key.key.is_empty() && key.member.is_empty() {
        encoded.push(0);
    }
    if !key.member.is_empty() {
        encoded.extend_from_slice(&[0, MEMBER]);
        encoded.extend_from_slice(key.member);
    }
    if encoded.len() > MAX_BYTES {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "key and member have {} bytes together; the disk engine takes {MAX_BYTES}",
                encoded.len()
            ),
        ));
    }
    Ok(encoded)
}

fn escape(mut key: &[u8], encoded: &mut Vec<u8>) {
    while let Some(at) = memchr::memchr(0, key) {
        encoded.extend_from_slice(&key[..at]);
        let (token, taken) = match key.get(at + 1) {
            None => (LAST_ZERO, 1),
            Some(0) => (TWO_ZEROS, 2),
            Some(_) => (ZERO, 1),
        };
        encoded.extend_from_slice(&[0, token]);
        key = &key[at + taken..];
    }
    encoded.extend_from_slice(key);
}

/// Key and member again; `None` for bytes that [`encode`] never made.
pub(super) fn decode(mut encoded: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if encoded == [0] {
        return Some((Vec::new(), Vec::new()));
    }
    let mut key = Vec::with_capacity(encoded.len());
    while let Some(at) = memchr::memchr(0, encoded) {
        key.extend_from_slice(&encoded[..at]);
        let token = *encoded.get(at + 1)?;
        encoded = &encoded[at + 2..];
        match token {
            MEMBER => return Some((key, encoded.to_vec())),
            LAST_ZERO | ZERO => key.push(0),
            TWO_ZEROS => key.extend_from_slice(&[0, 0]),
            _ => return None,
        }
    }
    key.extend_from_slice(encoded);
    Some((key, Vec::new()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(key: &[u8], member: &[u8]) -> Vec<u8> {
        encode(KeyRef { database: 0, key, member }).expect("it is short")
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        // Few different bytes, so that pairs share beginnings and zeros are common.
        proptest::collection::vec(prop_oneof![3 => Just(0_u8), 1 => 1_u8..6, 1 => Just(255)], 0..8)
    }

    proptest! {
        #[test]
        fn what_was_encoded_comes_back(key in bytes(), member in bytes()) {
            prop_assert_eq!(decode(&encoded(&key, &member)), Some((key, member)));
        }

        #[test]
        fn order_is_that_of_key_and_member(first in (bytes(), bytes()), second in (bytes(), bytes())) {
            let order = encoded(&first.0, &first.1).cmp(&encoded(&second.0, &second.1));
            prop_assert_eq!(order, first.cmp(&second));
        }
    }

    #[test]
    fn no_key_grows_by_more_than_half() {
        let worst: Vec<u8> = [0, 1].repeat(16 * 1024);
        assert_eq!(encoded(&worst, &[]).len(), 48 * 1024);
        assert_eq!(encoded(&vec![0; 32 * 1024], &[]).len(), 32 * 1024);
        assert!(encode(KeyRef { database: 0, key: &worst, member: &worst }).is_err());
    }
}
