//! An intent as bytes: what the shards are to hold once a batch is done. Byte by byte: `docs/formats.md`.

use bytes::Bytes;

use super::wanted::{Address, Content, Wanted};
use crate::engine::{
    DATABASES, Kind,
    database_table::{DatabaseTable, table_of},
};

const INTENT: u8 = 1;
const GONE: u8 = 2;
const MAPPING: u8 = 3;

const ABSENT: u8 = 255;

/// What stands in the file of intents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// This is to be; in place of an earlier intent of the number.
    Intent { number: u64, mapping: Option<DatabaseTable>, parts: Vec<Wanted> },
    /// That intent is done.
    Gone { number: u64 },
    /// The shards' numbers of the databases.
    Mapping(DatabaseTable),
}

impl Record {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Intent { number, mapping, parts } => {
                bytes.push(INTENT);
                bytes.extend(number.to_le_bytes());
                bytes.push(u8::from(mapping.is_some()));
                bytes.extend(mapping.iter().flatten());
                bytes.extend((parts.len() as u32).to_le_bytes());
                parts.iter().for_each(|part| encode_part(part, &mut bytes));
            }
            Self::Gone { number } => {
                bytes.push(GONE);
                bytes.extend(number.to_le_bytes());
            }
            Self::Mapping(mapping) => {
                bytes.push(MAPPING);
                bytes.extend(mapping);
            }
        }
        bytes
    }

    /// Takes one record off the front; `None` if there is none that can be read.
    pub(super) fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(match take_byte(bytes)? {
            INTENT => {
                let number = u64::from_le_bytes(*take(bytes)?);
                let mapping = match take_byte(bytes)? {
                    0 => None,
                    1 => Some(table_of(take::<{ DATABASES as usize }>(bytes)?)?),
                    _ => return None,
                };
                let count = u32::from_le_bytes(*take(bytes)?);
                let parts = (0..count).map(|_| decode_part(bytes)).collect::<Option<_>>()?;
                Self::Intent { number, mapping, parts }
            }
            GONE => Self::Gone { number: u64::from_le_bytes(*take(bytes)?) },
            MAPPING => Self::Mapping(table_of(take::<{ DATABASES as usize }>(bytes)?)?),
            _ => return None,
        })
    }
}

fn encode_part(part: &Wanted, bytes: &mut Vec<u8>) {
    bytes.push(part.shard.len() as u8);
    bytes.extend(part.shard.as_bytes());
    bytes.push(part.cleared.len() as u8);
    bytes.extend(&part.cleared);
    bytes.extend((part.entries.len() as u32).to_le_bytes());
    for (address, content) in &part.entries {
        let (kind, expires_at_ms, value) = match content {
            Some(content) => (content.kind as u8, content.expires_at_ms, &content.value[..]),
            None => (ABSENT, None, &[][..]),
        };
        bytes.extend([address.database, kind, u8::from(expires_at_ms.is_some())]);
        bytes.extend((address.key.len() as u16).to_le_bytes());
        bytes.extend((address.member.len() as u16).to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
        bytes.extend(expires_at_ms.iter().flat_map(|at_ms| at_ms.to_le_bytes()));
        bytes.extend(&address.key);
        bytes.extend(&address.member);
        bytes.extend(value);
    }
}

fn decode_part(bytes: &mut &[u8]) -> Option<Wanted> {
    let length = usize::from(take_byte(bytes)?);
    let shard = String::from_utf8(take_slice(bytes, length)?.to_vec()).ok()?;
    let length = usize::from(take_byte(bytes)?);
    let cleared = take_slice(bytes, length)?.to_vec();
    let count = u32::from_le_bytes(*take(bytes)?);
    let entries = (0..count).map(|_| decode_entry(bytes)).collect::<Option<_>>()?;
    Some(Wanted { shard, cleared, entries })
}

fn decode_entry(bytes: &mut &[u8]) -> Option<(Address, Option<Content>)> {
    let [database, kind, expires] = *take(bytes)?;
    let key = usize::from(u16::from_le_bytes(*take(bytes)?));
    let member = usize::from(u16::from_le_bytes(*take(bytes)?));
    let value = u32::from_le_bytes(*take(bytes)?) as usize;
    let expires_at_ms = match expires {
        0 => None,
        1 => Some(u64::from_le_bytes(*take(bytes)?)),
        _ => return None,
    };
    let key = take_slice(bytes, key)?.to_vec();
    let member = take_slice(bytes, member)?.to_vec();
    let value = Bytes::copy_from_slice(take_slice(bytes, value)?);
    if database >= DATABASES {
        return None;
    }
    let content = match kind {
        ABSENT => None,
        kind => Some(Content { value, kind: Kind::from_byte(kind)?, expires_at_ms }),
    };
    Some((Address { database, key, member }, content))
}

pub(super) fn take_slice<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

pub(super) fn take<'a, const COUNT: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; COUNT]> {
    take_slice(bytes, COUNT)?.try_into().ok()
}

pub(super) fn take_byte(bytes: &mut &[u8]) -> Option<u8> {
    take(bytes).map(|[byte]: &[u8; 1]| *byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let address = |key: &[u8]| Address { database: 3, key: key.to_vec(), member: b"m".to_vec() };
        let content = Content { value: "value".into(), kind: Kind::Json, expires_at_ms: Some(7) };
        let part = Wanted {
            shard: "north".to_owned(),
            cleared: vec![1, 2],
            entries: vec![(address(b"a"), None), (address(b""), Some(content))],
        };
        let mut mapping = crate::engine::database_table::UNSWAPPED;
        mapping.swap(0, 5);
        let records = [
            Record::Intent { number: 9, mapping: None, parts: vec![part.clone(), Wanted::default()] },
            Record::Intent { number: 10, mapping: Some(mapping), parts: vec![part] },
            Record::Gone { number: 9 },
            Record::Mapping(mapping),
        ];
        let bytes: Vec<u8> = records.iter().flat_map(Record::encode).collect();
        let mut rest = &bytes[..];
        for record in &records {
            assert_eq!(Record::decode(&mut rest).as_ref(), Some(record));
        }
        assert!(rest.is_empty());
        for end in 0..records[0].encode().len() {
            assert_eq!(Record::decode(&mut &bytes[..end]), None, "cut at {end}");
        }
        assert_eq!(Record::decode(&mut &[4_u8, 0][..]), None);
        assert_eq!(Record::decode(&mut &[MAPPING; 17][..]), None, "no table");
    }
}
