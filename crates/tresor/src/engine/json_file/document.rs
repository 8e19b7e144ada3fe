//! The text of a JSON file: entries to JSON, a member a line, and back.
//!
//! Database 0 is the object itself, in key order. What plain members cannot say (expiries, values that
//! are not text, other databases, the checksum) stands in one last member, which a hand-written file
//! does not have. JSON values are kept as they were written, so numbers of any size survive. Byte by
//! byte: `docs/formats.md`.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    engine::{DATABASES, Kind},
    error::{Error, ErrorKind, Result},
};

/// The key of the last member.
const EXTRA: &str = "\0tresor";

/// The format that is written, and the only one that is read.
const FORMAT: u32 = 1;

/// How the last member begins in a file of ours; the checksum's digits follow.
const PREFIX: &str = "\"\\u0000tresor\":{\"format\":1,\"checksum\":\"";

/// Digits of the checksum: CRC-32 (ISO 3309) of the file with zeros in their place.
const DIGITS: usize = 8;

/// An entry as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub(super) database: u8,
    pub(super) key: Cow<'a, [u8]>,
    pub(super) member: Cow<'a, [u8]>,
    pub(super) value: Cow<'a, [u8]>,
    pub(super) kind: Kind,
    pub(super) expires_at_ms: Option<u64>,
}

impl Row<'_> {
    /// Where it stands in the order of a store.
    pub(super) fn address(&self) -> (u8, &[u8], &[u8]) {
        (self.database, &self.key, &self.member)
    }
}

/// What the last member says, for one database; for database 0 beside the format.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Extra {
    format: Option<u32>,
    checksum: Option<String>,
    expires: BTreeMap<String, u64>,
    json: Vec<String>,
    binary: Vec<Binary>,
    databases: BTreeMap<u8, OtherDatabase>,
}

/// A database other than 0.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OtherDatabase {
    entries: Members,
    expires: BTreeMap<String, u64>,
    json: Vec<String>,
    binary: Vec<Binary>,
}

/// Key, value, kind, expiry; and the member where there is one.
struct Binary {
    key: Vec<u8>,
    value: Vec<u8>,
    kind: Kind,
    expires_at_ms: Option<u64>,
    member: Vec<u8>,
}

/// The members of an object with their values as they were written, the last of equal keys.
#[derive(Default)]
struct Members(BTreeMap<String, Box<RawValue>>);

/// The whole file.
struct Document {
    members: Members,
    extra: Option<Extra>,
}

/// Reads a file's text. `accept` takes it even if its checksum says that somebody has edited it.
/// [`Invalid`](ErrorKind::Invalid) with line and column for what is not such JSON.
pub(super) fn read(text: &[u8], accept: bool) -> Result<Vec<Row<'static>>> {
    let document: Document = serde_json::from_slice(text).map_err(|error| {
        Error::new(ErrorKind::Invalid, format!("this is no JSON object of entries: {error}"))
    })?;
    let mut rows = Vec::new();
    let Some(extra) = document.extra else {
        refuse_renamed(&document.members)?;
        add(&mut rows, 0, document.members, &OtherDatabase::default())?;
        return Ok(rows);
    };
    if extra.format != Some(FORMAT) {
        let found = extra.format.map_or("none".to_owned(), |format| format.to_string());
        let message = format!("its format is {found}; this version of Tresor reads {FORMAT}");
        return Err(Error::invalid(message));
    }
    if !accept && extra.checksum.as_deref() != checksum_of(text).as_deref() {
        return Err(Error::new(ErrorKind::Invalid, "its checksum does not fit"));
    }
    let first = OtherDatabase {
        entries: Members::default(),
        expires: extra.expires,
        json: extra.json,
        binary: extra.binary,
    };
    add(&mut rows, 0, document.members, &first)?;
    for (number, mut database) in extra.databases {
        if !(1..DATABASES).contains(&number) {
            return Err(Error::invalid(format!("there is no database {number}")));
        }
        let entries = std::mem::take(&mut database.entries);
        add(&mut rows, number, entries, &database)?;
    }
    Ok(rows)
}

/// Refuses a file of ours whose last member has lost its name: it would be taken for one without a checksum.
fn refuse_renamed(members: &Members) -> Result<()> {
    let is_extra = |value: &RawValue| {
        let text = value.get();
        text.starts_with("{\"format\":")
            && text.contains("\"databases\":")
            && serde_json::from_str::<Extra>(text).is_ok_and(|extra| extra.checksum.is_some())
    };
    match members.0.iter().find(|(_, value)| is_extra(value)) {
        Some((key, _)) => Err(Error::invalid(format!(
            "its member {key:?} is what a saved file has last, under the name {EXTRA:?}: give it that name again"
        ))),
        None => Ok(()),
    }
}

/// Adds a database's rows.
fn add(rows: &mut Vec<Row<'static>>, database: u8, entries: Members, extra: &OtherDatabase) -> Result<()> {
    let json: BTreeSet<&str> = extra.json.iter().map(String::as_str).collect();
    for (key, value) in entries.0 {
        let text = value.get();
        let (value, kind) = match text.starts_with('"') && !json.contains(key.as_str()) {
            true => (string(text, &key)?.into_bytes(), Kind::Raw),
            false => (text.as_bytes().to_vec(), Kind::Json),
        };
        let expires_at_ms = extra.expires.get(&key).copied();
        let (key, member) = (key.into_bytes().into(), Cow::Borrowed(&[][..]));
        rows.push(Row { database, key, member, value: value.into(), kind, expires_at_ms });
    }
    rows.extend(extra.binary.iter().map(|binary| Row {
        database,
        key: binary.key.clone().into(),
        member: binary.member.clone().into(),
        value: binary.value.clone().into(),
        kind: binary.kind,
        expires_at_ms: binary.expires_at_ms,
    }));
    Ok(())
}

fn string(text: &str, key: &str) -> Result<String> {
    serde_json::from_str(text)
        .map_err(|error| Error::invalid(format!("the value of {key:?} is no text: {error}")))
}

/// The checksum of a file of ours; `None` for a file whose last member is not as we write it.
fn checksum_of(text: &[u8]) -> Option<String> {
    let prefix = memchr::memmem::rfind(text, PREFIX.as_bytes())?;
    let (before, rest) = text.split_at(prefix + PREFIX.len());
    let after = rest.get(DIGITS..)?;
    Some(checksum(before, after))
}

fn checksum(before: &[u8], after: &[u8]) -> String {
    let mut hasher = crc32fast::Hasher::new();
    for part in [before, &[b'0'; DIGITS], after] {
        hasher.update(part);
    }
    format!("{:08x}", hasher.finalize())
}

/// The text of a file with these rows, which come database by database and in key order.
pub(super) fn write<'a>(rows: impl Iterator<Item = Row<'a>>) -> Vec<u8> {
    let mut databases: BTreeMap<u8, Text> = BTreeMap::new();
    for row in rows {
        databases.entry(row.database).or_default().push(&row);
    }
    let first = databases.remove(&0).unwrap_or_default();
    let mut text = b"{\n".to_vec();
    text.extend(&first.members);
    if !first.members.is_empty() {
        text.extend(b",\n");
    }
    text.extend(PREFIX.as_bytes());
    let digits = text.len();
    text.extend([b'0'; DIGITS]);
    text.push(b'"');
    first.extra(&mut text);
    text.extend(b",\"databases\":{");
    for (index, (number, database)) in databases.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        text.extend(format!("\"{number}\":{{\"entries\":{{\n").as_bytes());
        text.extend(&database.members);
        text.extend(b"\n}");
        database.extra(&mut text);
        text.push(b'}');
    }
    text.extend(b"}}\n}\n");
    let sum = checksum(&text[..digits], &text[digits + DIGITS..]);
    text[digits..digits + DIGITS].copy_from_slice(sum.as_bytes());
    text
}

/// A database's parts while they are put together, each the inside of its object or list.
#[derive(Default)]
struct Text {
    members: Vec<u8>,
    expires: Vec<u8>,
    json: Vec<u8>,
    binary: Vec<u8>,
}

impl Text {
    fn push(&mut self, row: &Row<'_>) {
        let Some((key, value)) = plain(row) else {
            let kind = word(row.kind);
            let expiry = row.expires_at_ms.map_or("null".to_owned(), |at_ms| at_ms.to_string());
            let (key, value) = (STANDARD.encode(&row.key), STANDARD.encode(&row.value));
            let member = match row.member.is_empty() {
                true => String::new(),
                false => format!(",\"{}\"", STANDARD.encode(&row.member)),
            };
            let binary = format!("[\"{key}\",\"{value}\",\"{kind}\",{expiry}{member}]");
            return next(&mut self.binary, ",\n", binary.as_bytes());
        };
        next(&mut self.members, ",\n", &key);
        self.members.extend(b": ");
        self.members.extend(&*value);
        if let Some(at_ms) = row.expires_at_ms {
            next(&mut self.expires, ",\n", &key);
            self.expires.extend(format!(":{at_ms}").as_bytes());
        }
        if row.kind == Kind::Json && value.starts_with(b"\"") {
            next(&mut self.json, ",\n", &key);
        }
    }

    /// Everything but the members.
    fn extra(&self, text: &mut Vec<u8>) {
        for (name, parts, ends) in
            [("expires", &self.expires, "{}"), ("json", &self.json, "[]"), ("binary", &self.binary, "[]")]
        {
            let (open, close) = ends.split_at(1);
            text.extend(format!(",\"{name}\":{open}").as_bytes());
            text.extend(parts);
            text.extend(close.as_bytes());
        }
    }
}

/// Adds a part to a list of them.
fn next(list: &mut Vec<u8>, separator: &str, part: &[u8]) {
    if !list.is_empty() {
        list.extend(separator.as_bytes());
    }
    list.extend(part);
}

/// Key and value as JSON, where a plain member can say them.
fn plain<'r>(row: &'r Row<'_>) -> Option<(Vec<u8>, Cow<'r, [u8]>)> {
    let key = std::str::from_utf8(&row.key).ok().filter(|key| row.member.is_empty() && *key != EXTRA)?;
    let key = serde_json::to_vec(key).ok()?;
    let text = std::str::from_utf8(&row.value).ok()?;
    let value = match row.kind {
        Kind::Packed => return None,
        Kind::Raw => serde_json::to_vec(text).ok()?.into(),
        // An engine takes whatever it is told is JSON. Blanks around a value would not come back.
        Kind::Json => {
            let value: &RawValue =
                serde_json::from_str(text).ok().filter(|value: &&RawValue| value.get() == text)?;
            Cow::Borrowed(value.get().as_bytes())
        }
    };
    Some((key, value))
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Raw => "raw",
        Kind::Json => "json",
        Kind::Packed => "packed",
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Document;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut document = Document { members: Members::default(), extra: None };
                while let Some(key) = map.next_key::<String>()? {
                    if key == EXTRA {
                        document.extra = Some(map.next_value()?);
                    } else {
                        document.members.0.insert(key, map.next_value()?);
                    }
                }
                Ok(document)
            }
        }
        deserializer.deserialize_map(Seen)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Binary;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("[key, value, kind, expiry] with key and value in base64")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Binary, A::Error> {
                let short = |index| de::Error::invalid_length(index, &self);
                let bytes = |text: String| STANDARD.decode(text).map_err(de::Error::custom);
                let key = bytes(list.next_element()?.ok_or_else(|| short(0))?)?;
                let value = bytes(list.next_element()?.ok_or_else(|| short(1))?)?;
                let kind = match list.next_element::<String>()?.ok_or_else(|| short(2))?.as_str() {
                    "raw" => Kind::Raw,
                    "json" => Kind::Json,
                    "packed" => Kind::Packed,
                    other => return Err(de::Error::unknown_variant(other, &["raw", "json", "packed"])),
                };
                let expires_at_ms = list.next_element()?.ok_or_else(|| short(3))?;
                let member = bytes(list.next_element()?.unwrap_or_default())?;
                Ok(Binary { key, value, kind, expires_at_ms, member })
            }
        }
        deserializer.deserialize_seq(Seen)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row<'a>(database: u8, key: &'a [u8], value: &'a [u8], kind: Kind) -> Row<'a> {
        let (key, member, value) = (key.into(), Cow::Borrowed(&[][..]), value.into());
        Row { database, key, member, value, kind, expires_at_ms: None }
    }

    #[test]
    fn a_file_written_by_hand_is_taken_as_it_is() {
        let rows = read(br#"{"b": 1e400, "a": "text \u00e4", "c": {"x": [1, 2]}}"#, false).expect("JSON");
        let expected = [
            row(0, b"a", "text ä".as_bytes(), Kind::Raw),
            row(0, b"b", b"1e400", Kind::Json),
            row(0, b"c", br#"{"x": [1, 2]}"#, Kind::Json),
        ];
        assert_eq!(rows, expected);
        assert!(read(b"{}", false).expect("JSON").is_empty());
    }

    #[test]
    fn what_is_no_object_of_entries_is_refused_with_its_place() {
        let refused = |text: &[u8]| read(text, false).expect_err("no such file").to_string();
        assert!(refused(b"{\"a\": 1,\n \"b\": }").contains("line 2 column 7"));
        assert!(refused(b"[1]").contains("an object"));
        assert!(refused(b"").contains("line 1 column 0"));
        assert!(refused(br#"{"\u0000tresor":{"format":2}}"#).contains("its format is 2"));
    }

    #[test]
    fn a_file_that_was_edited_is_refused_unless_accepted() {
        let text = write([row(0, b"a", b"1", Kind::Json)].into_iter());
        assert_eq!(
            String::from_utf8_lossy(&text),
            "{\n\"a\": 1,\n\"\\u0000tresor\":{\"format\":1,\"checksum\":\"95885493\",\"expires\":{},\"json\":[],\
             \"binary\":[],\"databases\":{}}\n}\n"
        );
        let edited = String::from_utf8(text).expect("text").replace("\"a\": 1", "\"a\": 2");
        assert!(read(edited.as_bytes(), false).expect_err("edited").to_string().contains("checksum"));
        assert_eq!(read(edited.as_bytes(), true).expect("accepted")[0].value.as_ref(), b"2");
    }

    fn any_row() -> impl Strategy<Value = Row<'static>> {
        let bytes = || {
            prop_oneof![
                "[a-c\0\"\\\\ä]{0,3}".prop_map(String::into_bytes),
                Just(EXTRA.as_bytes().to_vec()),
                prop::collection::vec(any::<u8>(), 0..6),
            ]
        };
        let value = prop_oneof![
            bytes(),
            Just(b"12345678901234567890.10".to_vec()),
            Just(b"\"text\"".to_vec()),
            Just(b" {\"a\":1} ".to_vec()),
            Just(b"null".to_vec()),
        ];
        let kind = prop_oneof![Just(Kind::Raw), Just(Kind::Json)];
        let member = prop_oneof![4 => Just(Vec::new()), 1 => bytes()];
        (0..DATABASES, bytes(), member, value, kind, any::<Option<u64>>()).prop_map(
            |(database, key, member, value, kind, expires_at_ms)| Row {
                database,
                key: key.into(),
                member: member.into(),
                value: value.into(),
                kind,
                expires_at_ms,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(rows in prop::collection::vec(any_row(), 0..20)) {
            let mut kept = BTreeMap::new();
            for row in rows {
                kept.insert((row.database, row.key.clone(), row.member.clone()), row);
            }
            let text = write(kept.values().cloned());
            let mut read = read(&text, false).expect("what was written");
            read.sort_by(|first, second| first.address().cmp(&second.address()));
            prop_assert!(read.iter().eq(kept.values()), "{}", String::from_utf8_lossy(&text));
        }
    }
}
