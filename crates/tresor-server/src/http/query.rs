//! Percent-encoding: keys in paths, and the parameters of a query.
//!
//! Keys are bytes: whatever the encoding says is taken, UTF-8 or not. In a query, as in every form, a
//! plus is a blank; in a path it is a plus.

use std::borrow::Cow;

use tresor::{Error, Result};

use super::{document::key_of_text, ttl::Ttl};

/// The bytes that a path segment stands for.
pub(super) fn decode_segment(segment: &str) -> Result<Cow<'_, [u8]>> {
    if memchr::memchr(b'%', segment.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(segment.as_bytes()));
    }
    decode(segment.as_bytes()).map(Cow::Owned)
}

pub(super) fn decode_word(word: &str) -> Result<Cow<'_, [u8]>> {
    if !word.contains(['%', '+']) {
        return Ok(Cow::Borrowed(word.as_bytes()));
    }
    // A plus that is meant arrives as %2B, so blanks can be put in before decoding.
    let blanks: Vec<u8> = word.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
    decode(&blanks).map(Cow::Owned)
}

fn decode(encoded: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [first, after @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let (Some(high), Some(low)) = (after.first().and_then(hex), after.get(1).and_then(hex)) else {
            return Err(Error::invalid("bad percent-encoding: % must be followed by two hex digits"));
        };
        bytes.push(high << 4 | low);
        rest = &after[2..];
    }
    Ok(bytes)
}

fn hex(digit: &u8) -> Option<u8> {
    char::from(*digit).to_digit(16).map(|value| value as u8)
}

/// The parameters that store requests take.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    /// `db`: which numbered database; 0 unless given.
    pub(super) database: u8,
    /// `ttl`: how long what is put stays.
    pub(super) ttl: Option<Ttl>,
}

impl Parameters {
    /// Reads `db` and `ttl`; other parameters are not looked at.
    pub(super) fn parse(query: Option<&str>) -> Result<Self> {
        let mut parameters = Self::default();
        for (name, value) in pairs(query.unwrap_or_default()) {
            match name {
                "db" => parameters.database = database_of(value)?,
                "ttl" => parameters.ttl = Some(Ttl::parse(value)?),
                _ => {}
            }
        }
        Ok(parameters)
    }
}

/// What `GET /kv?…` asks for: a database, and a key unless everything is wanted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lookup {
    pub(super) database: u8,
    pub(super) key: Option<Vec<u8>>,
}

impl Lookup {
    /// Reads `key=k`, or one parameter whose name is the key.
    pub(super) fn parse(query: Option<&str>) -> Result<Self> {
        let mut lookup = Self::default();
        for (name, value) in pairs(query.unwrap_or_default()) {
            let word = match name {
                "db" => {
                    lookup.database = database_of(value)?;
                    continue;
                }
                "key" => value,
                _ => name,
            };
            if lookup.key.replace(key_of_text(decode_word(word)?)?).is_some() {
                return Err(Error::invalid("the query names two keys: ask for one, as in ?key=name"));
            }
        }
        Ok(lookup)
    }
}

/// Whether a parameter that is `true` or `false` is there and `true`.
pub(super) fn flag(query: Option<&str>, flag: &str) -> Result<bool> {
    let mut is_set = false;
    for (name, value) in pairs(query.unwrap_or_default()).filter(|(name, _)| *name == flag) {
        is_set = parse_flag(name, value)?;
    }
    Ok(is_set)
}

fn parse_flag(name: &str, value: &str) -> Result<bool> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Error::invalid(format!("{name} must be true or false"))),
    }
}

/// What a parameter says that is `true` or `false`, or there without a value, which is `true`.
pub(super) fn truth(name: &str, value: &str) -> Result<bool> {
    if value.is_empty() { Ok(true) } else { parse_flag(name, value) }
}

/// Names and values, still encoded.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

pub(super) fn database_of(value: &str) -> Result<u8> {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse::<u8>() {
        Ok(number) if is_number && number < tresor::engine::DATABASES => Ok(number),
        _ => Err(Error::invalid("db must be a number from 0 to 15")),
    }
}
