//! A value as DUMP says it and RESTORE takes it: the payload of Redis's snapshots (RDB) for strings.
//!
//! The format is that of <https://rdb.fnordig.de/file_format.html>: a byte for the type (0: string), the
//! string, the format's version in two bytes and a CRC-64 over all before it, both least byte first. What we
//! write says version 10, which Redis 7.0 and everything newer read; strings have not changed since 2011.
//! Nothing is believed that was not checked: a payload is read within its own bytes and the value's limit.

use crate::error::{Error, Result};

/// The version that is written.
const WRITTEN_VERSION: u16 = 10;

/// The newest version that is read: that of Redis 7.2.
const NEWEST_VERSION: u16 = 11;

/// Version and checksum at the end.
const TRAILER_BYTES: usize = 10;

const TYPE_STRING: u8 = 0;

/// The longest text that is written as a number.
const LONGEST_NUMBER_BYTES: usize = 11;

/// The polynomial that Redis calls Jones's, in reflected order.
const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;

/// What each byte does to the checksum, for each of eight bytes taken at once (Kounavis and Berry,
/// "Novel table lookup-based algorithms for high-performance CRC generation", 2008).
static TABLES: [[u64; 256]; 8] = tables();

const fn tables() -> [[u64; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ POLYNOMIAL } else { sum >> 1 };
            bit += 1;
        }
        tables[0][byte] = sum;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

fn checksum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let sum = words.iter().fold(0, |sum: u64, word| {
        let mixed = (sum ^ u64::from_le_bytes(*word)).to_le_bytes();
        (0..8).fold(0, |sum, place| sum ^ TABLES[7 - place][usize::from(mixed[place])])
    });
    rest.iter().fold(sum, |sum, byte| (sum >> 8) ^ TABLES[0][usize::from(sum as u8 ^ byte)])
}

/// The payload of a value.
pub(super) fn encode(value: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(value.len() + 16 + TRAILER_BYTES);
    payload.push(TYPE_STRING);
    match number_of(value) {
        Some(number) => encode_number(number, &mut payload),
        None => {
            encode_length(value.len(), &mut payload);
            payload.extend_from_slice(value);
        }
    }
    payload.extend_from_slice(&WRITTEN_VERSION.to_le_bytes());
    let sum = checksum(&payload);
    payload.extend_from_slice(&sum.to_le_bytes());
    payload
}

/// How many bytes a value takes in its payload, without type, version and checksum.
pub(super) fn string_bytes(value: &[u8]) -> usize {
    let mut head = Vec::new();
    let behind = match number_of(value) {
        Some(number) => {
            encode_number(number, &mut head);
            0
        }
        None => {
            encode_length(value.len(), &mut head);
            value.len()
        }
    };
    head.len() + behind
}

/// The number that a value spells in its one way, if 32 bits hold it.
fn number_of(value: &[u8]) -> Option<i32> {
    if value.len() > LONGEST_NUMBER_BYTES {
        return None;
    }
    i32::try_from(super::number::parse_integer(value)?).ok()
}

fn encode_number(number: i32, payload: &mut Vec<u8>) {
    if let Ok(number) = i8::try_from(number) {
        payload.push(0xc0);
        payload.extend_from_slice(&number.to_le_bytes());
    } else if let Ok(number) = i16::try_from(number) {
        payload.push(0xc1);
        payload.extend_from_slice(&number.to_le_bytes());
    } else {
        payload.push(0xc2);
        payload.extend_from_slice(&number.to_le_bytes());
    }
}

fn encode_length(length: usize, payload: &mut Vec<u8>) {
    match (u8::try_from(length), u16::try_from(length), u32::try_from(length)) {
        (Ok(length), ..) if length < 1 << 6 => payload.push(length),
        (_, Ok(length), _) if length < 1 << 14 => {
            payload.extend_from_slice(&(length | 0x4000).to_be_bytes());
        }
        (_, _, Ok(length)) => {
            payload.push(0x80);
            payload.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            payload.push(0x81);
            payload.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

fn bad_format() -> Error {
    Error::invalid("Bad data format")
}

/// The value of a payload. `check` is asked whether a value may be so long before it is made.
pub(super) fn decode(payload: &[u8], check: impl FnOnce(usize) -> Result<()>) -> Result<Vec<u8>> {
    let content =
        verified(payload).ok_or_else(|| Error::invalid("DUMP payload version or checksum are wrong"))?;
    let (&[TYPE_STRING], rest) = content.split_first_chunk::<1>().ok_or_else(bad_format)? else {
        return Err(bad_format());
    };
    let mut reader = Reader(rest);
    let string = reader.string().ok_or_else(bad_format)?;
    if !reader.0.is_empty() {
        return Err(bad_format());
    }
    match string {
        Encoded::Number(number) => Ok(number.to_string().into_bytes()),
        Encoded::Plain(bytes) => {
            check(bytes.len())?;
            Ok(bytes.to_vec())
        }
        Encoded::Compressed { bytes, length } => {
            check(length)?;
            decompress(bytes, length).ok_or_else(bad_format)
        }
    }
}

/// What stands before version and checksum, if these are right.
fn verified(payload: &[u8]) -> Option<&[u8]> {
    let (summed, sum) = payload.split_last_chunk::<8>()?;
    let (content, version) = summed.split_last_chunk::<2>()?;
    let right =
        u16::from_le_bytes(*version) <= NEWEST_VERSION && u64::from_le_bytes(*sum) == checksum(summed);
    right.then_some(content)
}

enum Encoded<'p> {
    Number(i32),
    Plain(&'p [u8]),
    Compressed { bytes: &'p [u8], length: usize },
}

/// What is left of a payload.
struct Reader<'p>(&'p [u8]);

impl<'p> Reader<'p> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn bytes(&mut self, length: usize) -> Option<&'p [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn string(&mut self) -> Option<Encoded<'p>> {
        Some(match self.0.first()? {
            0xc0..=0xff => match self.array::<1>()? {
                [0xc0] => Encoded::Number(i8::from_le_bytes(self.array()?).into()),
                [0xc1] => Encoded::Number(i16::from_le_bytes(self.array()?).into()),
                [0xc2] => Encoded::Number(i32::from_le_bytes(self.array()?)),
                [0xc3] => {
                    let (compressed, length) = (self.length()?, self.length()?);
                    Encoded::Compressed { bytes: self.bytes(compressed)?, length }
                }
                _ => return None,
            },
            _ => {
                let length = self.length()?;
                Encoded::Plain(self.bytes(length)?)
            }
        })
    }

    fn length(&mut self) -> Option<usize> {
        let [first] = self.array()?;
        match first {
            0..0x40 => Some(first.into()),
            0x40..0x80 => {
                let [second] = self.array()?;
                Some(usize::from(u16::from_be_bytes([first & 0x3f, second])))
            }
            0x80 => usize::try_from(u32::from_be_bytes(self.array()?)).ok(),
            0x81 => usize::try_from(u64::from_be_bytes(self.array()?)).ok(),
            _ => None,
        }
    }
}

/// Takes LZF apart (Marc Lehmann's libLZF): runs of up to 32 bytes as they are, and copies of 3 to 264
/// bytes from up to 8 KiB before. `None` unless exactly `length` bytes come of it.
fn decompress(compressed: &[u8], length: usize) -> Option<Vec<u8>> {
    let (mut reader, mut value) = (Reader(compressed), Vec::new());
    while !reader.0.is_empty() {
        let [head] = reader.array()?;
        if head < 0x20 {
            value.extend_from_slice(reader.bytes(usize::from(head) + 1)?);
        } else {
            let mut copied = usize::from(head >> 5) + 2;
            if copied == 9 {
                let [more] = reader.array()?;
                copied += usize::from(more);
            }
            let [low] = reader.array()?;
            let back = (usize::from(head & 0x1f) << 8 | usize::from(low)) + 1;
            let start = value.len().checked_sub(back)?;
            // A copy may read what it has just written.
            for place in start..start + copied {
                value.push(value[place]);
            }
        }
        if value.len() > length {
            return None;
        }
    }
    (value.len() == length).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::{checksum, decode, encode};

    fn payload(content: &[u8], version: u16) -> Vec<u8> {
        let mut payload = content.to_vec();
        payload.extend_from_slice(&version.to_le_bytes());
        let sum = checksum(&payload);
        payload.extend_from_slice(&sum.to_le_bytes());
        payload
    }

    fn decoded(payload: &[u8]) -> Result<Vec<u8>, String> {
        decode(payload, |_| Ok(())).map_err(|error| error.to_string())
    }

    #[test]
    fn the_checksum_is_that_of_redis() {
        assert_eq!(checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(checksum(b""), 0);
    }

    #[test]
    fn values_of_every_length_come_back() {
        for length in [0, 1, 11, 12, 63, 64, 16_383, 16_384, 1 << 20] {
            let value: Vec<u8> = (0..length).map(|place| (place % 251) as u8).collect();
            let payload = encode(&value);
            assert_eq!(decoded(&payload).unwrap(), value, "{length}");
        }
        for number in [0, 1, -1, 127, 128, -128, -129, 32_767, 32_768, -32_769, i64::from(i32::MAX)] {
            for value in [number, number + 1, -number - 2] {
                let value = value.to_string().into_bytes();
                assert_eq!(decoded(&encode(&value)).unwrap(), value);
            }
        }
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_an_error() {
        for value in [&b"some value that is not short"[..], b"12", b"70000", b""] {
            let payload = encode(value);
            for length in 0..payload.len() {
                decoded(&payload[..length]).unwrap_err();
            }
            for place in 0..payload.len() {
                for bit in 0..8 {
                    let mut changed = payload.clone();
                    changed[place] ^= 1 << bit;
                    decoded(&changed).unwrap_err();
                }
            }
        }
    }

    #[test]
    fn what_only_looks_right_is_bad_format() {
        for content in [
            &b""[..],
            b"\x01\x01a",        // a list
            b"\x00",             // no string
            b"\x00\x05abc",      // longer than the payload
            b"\x00\x03abcd",     // shorter
            b"\x00\x40",         // half a length
            b"\x00\x80\x00\x00", // half a length
            b"\x00\x81\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x00\x82\x00",             // no such length
            b"\x00\xc4\x00",             // no such encoding
            b"\x00\xc2\x00\x00",         // half a number
            b"\x00\xc3\x02\x05\x20\x00", // a copy from before the beginning
            b"\x00\xc3\x02\x02\x00a",    // shorter than it says
            b"\x00\xc3\x03\x01\x01ab",   // longer
            b"\x00\xc3\x01\x20\x1f",     // a run that ends too early
            b"\x00\xc3\xc0\x01\x00",     // a length that is an encoding
        ] {
            assert_eq!(decoded(&payload(content, 10)).unwrap_err(), "Bad data format", "{content:?}");
        }
    }

    #[test]
    fn versions_up_to_that_of_redis_7_2_are_read() {
        for version in [0, 6, 10, 11] {
            assert_eq!(decoded(&payload(b"\x00\x01a", version)).unwrap(), b"a");
        }
        for version in [12, 0x0a00, u16::MAX] {
            let error = decoded(&payload(b"\x00\x01a", version)).unwrap_err();
            assert_eq!(error, "DUMP payload version or checksum are wrong");
        }
    }

    #[test]
    fn compressed_values_are_read() {
        // "ab", then 9 + 4 bytes from 2 before.
        let value = decoded(&payload(b"\x00\xc3\x06\x0f\x01ab\xe0\x04\x01", 10)).unwrap();
        assert_eq!(value, b"ababababababab\x61");
    }

    #[test]
    fn a_value_over_the_limit_is_not_made() {
        let huge = payload(b"\x00\xc3\x02\x81\x00\x00\x00\xff\xff\xff\xff\xff\x00a", 10);
        let check = |bytes: usize| {
            assert_eq!(bytes, 0xff_ffff_ffff);
            Err(crate::error::Error::invalid("too long"))
        };
        assert_eq!(decode(&huge, check).unwrap_err().to_string(), "too long");
    }
}
