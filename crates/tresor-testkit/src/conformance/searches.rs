//! Queries find what a plain filter over a `BTreeMap` finds: random ones, on random entries, page by page.
//!
//! The filter knows nothing of ranges of keys, plans and cursors, reads numbers as integers of a fixed scale and
//! fields with `serde_json`, so that it shares no way with what it judges.

use std::{cmp::Ordering, collections::BTreeMap};

use serde_json::Value as Json;
use tresor::{
    Config, Database,
    engine::block_on,
    search::{FoundPage, Query},
    session::Session,
};

use super::Make;
use crate::{
    ManualClock,
    random::{Random, seed},
};

/// Queries of one run.
const QUERIES: usize = 150;

/// Keys and values, by key.
pub(super) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// An option as it is sent: its name and its value.
pub(super) type Said = (&'static str, Vec<u8>);

const KEYS: [&str; 6] = ["a", "a:", "ab:", "b:", "b:\u{e9}", ""];
const NAMES: [&str; 3] = ["x", "y", "z"];

/// Random queries find, in the order that they ask for and a page at a time, what a plain filter finds.
pub fn random_queries_agree_with_a_filter(make: &Make<'_>) {
    let mut random = Random::new(seed("random queries"));
    let clock = ManualClock::new();
    let engine = make(&clock);
    if !engine.capabilities().ordered {
        println!("not for this engine: it has no key order");
        return;
    }
    let database = Database::with_clock(engine, Config::memory(), clock).expect("an open engine");
    let model = fill(&database, &mut random);
    let mut session = database.session(0);
    for _ in 0..QUERIES {
        let said = query(&mut random, &model);
        let (expected, skipped) = filtered(&model, &said);
        let (found, left_out) = found(&mut session, &said, expected.len());
        assert_eq!((found, left_out), (expected, skipped), "{}", shown(&said));
    }
    for _ in 0..QUERIES / 5 {
        nearest(&mut session, &model, &mut random);
    }
    database.close().expect("it closes");
}

pub(super) fn fill(database: &Database, random: &mut Random) -> Model {
    let mut model = Model::new();
    for _ in 0..200 {
        let mut key = random.choice(&KEYS).as_bytes().to_vec();
        key.extend_from_slice(random.below(120).to_string().as_bytes());
        let value = value(random);
        database.put(&key, value.clone()).expect("a put");
        model.insert(key, value);
    }
    model
}

fn number(random: &mut Random) -> String {
    let spell = *random.choice(&["{}", "{}.0", "{}.5", "-{}", "{}e1", "0{}", "{}.25"]);
    spell.replace("{}", &random.below(40).to_string())
}

pub(super) fn value(random: &mut Random) -> Vec<u8> {
    match random.below(6) {
        0 => number(random).into_bytes(),
        1 => format!("text {}", random.below(50)).into_bytes(),
        2 => random.bytes(3),
        3 => format!("[{},{}]", random.below(9), random.below(9)).into_bytes(),
        _ => {
            let name = random.choice(&NAMES);
            let point = format!("[{},{}]", random.below(9), random.below(9));
            let age = random.below(60);
            format!(r#"{{"age": {age}.50, "name": "{name}{age}", "at": {{"p": {point}}}}}"#).into_bytes()
        }
    }
}

pub(super) fn query(random: &mut Random, model: &Model) -> Vec<Said> {
    let mut said: Vec<Said> = Vec::new();
    for _ in 0..random.below(4) {
        let key = model.keys().nth(random.index(model.len())).cloned().unwrap_or_default();
        said.push(match random.below(7) {
            0 => ("prefix", random.choice(&KEYS).as_bytes().to_vec()),
            1 => (
                "glob",
                random.choice(&["*", "a*", "*1", "[ab]:?", "b:\u{e9}*", "ab:1*"]).as_bytes().to_vec(),
            ),
            2 => (
                "regex",
                random.choice(&["^a", "1$", "^b:.*[0-4]$", "^ab:", "[13]", "x"]).as_bytes().to_vec(),
            ),
            3 => ("from", key),
            4 => ("to", key),
            5 => ("after", key),
            _ => ("before", key),
        });
    }
    if random.one_in(5) {
        for _ in 0..=random.below(9) {
            let key = model.keys().nth(random.index(model.len())).cloned().unwrap_or_default();
            said.push(("key", if random.one_in(4) { b"absent".to_vec() } else { key }));
        }
    }
    for _ in 0..random.below(3) {
        let field = *random.choice(&["", "/age", "/name", "/at/p/0", "/none"]);
        said.push(("field", field.into()));
        said.push(match random.below(6) {
            0 => ("value_prefix", random.choice(&["t", "x", "1", "[", "{\""]).as_bytes().to_vec()),
            1 => ("value_glob", random.choice(&["*1*", "x*", "text ?", "*"]).as_bytes().to_vec()),
            2 => ("value_regex", random.choice(&["[2-4]", "^y", r"\d\.5"]).as_bytes().to_vec()),
            3 => ("value_from", number(random).into_bytes()),
            4 => ("value_before", number(random).into_bytes()),
            _ => ("value_to", number(random).into_bytes()),
        });
        if random.one_in(3) {
            said.push(("value_as", random.choice(&["text", "bytes", "number"]).as_bytes().to_vec()));
        }
    }
    said.push(("order", random.choice(&["asc", "desc", "any"]).as_bytes().to_vec()));
    said
}

/// All pages of a query: keys (sorted where the order is any) and how many were left out.
pub(super) fn found(session: &mut Session, said: &[Said], expected: usize) -> (Vec<Vec<u8>>, u64) {
    let mut random = Random::new(expected as u64);
    let (mut keys, mut skipped, mut cursor) = (Vec::new(), 0, None::<String>);
    let limit = 1 + random.index(expected + 2);
    let mut query = Query::new().limit(limit).values();
    for (name, value) in said {
        query.option(name, value).unwrap_or_else(|error| panic!("{}: {error}", shown(said)));
    }
    loop {
        let page = page(session, &query, cursor.as_deref());
        // Entries may share their position in an order of the engine's own.
        let most = if said.contains(&("order", b"any".to_vec())) { limit + 16 } else { limit };
        assert!(page.entries.len() <= most, "{}", shown(said));
        skipped += page.skipped;
        keys.extend(page.entries.into_iter().map(|found| found.key));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    if said.contains(&("order", b"any".to_vec())) {
        keys.sort();
    }
    (keys, skipped)
}

fn page(session: &mut Session, query: &Query, cursor: Option<&str>) -> FoundPage {
    block_on(async {
        session.enter().await;
        let page = session.find(query, cursor.map(str::as_bytes)).await;
        session.leave();
        page
    })
    .expect("the query is run")
}

pub(super) fn filtered(model: &Model, said: &[Said]) -> (Vec<Vec<u8>>, u64) {
    let named: Vec<&Vec<u8>> = said.iter().filter(|(name, _)| *name == "key").map(|(_, key)| key).collect();
    let (mut keys, mut skipped) = (Vec::new(), 0);
    for (key, value) in model {
        let is_named = named.is_empty() || named.contains(&key);
        if !is_named || !said.iter().all(|(name, wanted)| key_matches(name, wanted, key)) {
            continue;
        }
        match value_matches(said, value) {
            Some(true) => keys.push(key.clone()),
            Some(false) => {}
            None => skipped += 1,
        }
    }
    if said.contains(&("order", b"desc".to_vec())) {
        keys.reverse();
    }
    (keys, skipped)
}

fn key_matches(name: &str, wanted: &[u8], key: &[u8]) -> bool {
    match name {
        "prefix" => key.starts_with(wanted),
        "glob" => glob(wanted, key),
        "regex" => regex(wanted, key),
        "from" => key >= wanted,
        "to" => key <= wanted,
        "after" => key > wanted,
        "before" => key < wanted,
        _ => true,
    }
}

/// Whether a value matches; `None` if it cannot be read as a range wants it and nothing else is against it.
fn value_matches(said: &[Said], value: &[u8]) -> Option<bool> {
    let mut verdict = Some(true);
    for field in fields(said) {
        let about = conditions(said, field);
        if about.is_empty() {
            continue;
        }
        let Some(text) = part(field, value) else { return Some(false) };
        let bounds: Vec<&Said> = about
            .iter()
            .copied()
            .filter(|(name, _)| matches!(*name, "value_from" | "value_before" | "value_to"))
            .collect();
        // The last of two upper bounds is the one that counts.
        let upper = bounds.iter().rfind(|(name, _)| *name != "value_from");
        let lower = bounds.iter().rfind(|(name, _)| *name == "value_from");
        let reading =
            about.iter().rfind(|(name, _)| *name == "value_as").map_or(&b"number"[..], |(_, how)| how);
        for (name, wanted) in about.iter().copied() {
            let matches = match *name {
                "value_prefix" => text.starts_with(wanted),
                "value_glob" => glob(wanted, &text),
                "value_regex" => regex(wanted, &text),
                _ => true,
            };
            if !matches {
                return Some(false);
            }
        }
        for (name, wanted) in lower.into_iter().chain(upper) {
            let order = match reading {
                b"number" => scaled(&text).zip(scaled(wanted)).map(|(one, other)| one.cmp(&other)),
                b"text" => std::str::from_utf8(&text).ok().map(|_| text.as_slice().cmp(wanted)),
                _ => Some(text.as_slice().cmp(wanted)),
            };
            match order {
                None => verdict = None,
                Some(order) => {
                    let holds = match *name {
                        "value_from" => order != Ordering::Less,
                        "value_to" => order != Ordering::Greater,
                        _ => order == Ordering::Less,
                    };
                    if !holds {
                        return Some(false);
                    }
                }
            }
        }
    }
    verdict
}

/// The fields that conditions are about, each once; the whole value is none.
fn fields(said: &[Said]) -> Vec<Option<&[u8]>> {
    let mut fields = vec![None];
    for (name, field) in said {
        let field = Some(field.as_slice()).filter(|field| !field.is_empty());
        if *name == "field" && !fields.contains(&field) {
            fields.push(field);
        }
    }
    fields
}

fn conditions<'s>(said: &'s [Said], field: Option<&[u8]>) -> Vec<&'s Said> {
    let (mut current, mut about) = (None, Vec::new());
    for one in said {
        match one.0 {
            "field" => current = Some(one.1.as_slice()).filter(|field| !field.is_empty()),
            name if name.starts_with("value_") && current == field => about.push(one),
            _ => {}
        }
    }
    about
}

pub(super) fn part(field: Option<&[u8]>, value: &[u8]) -> Option<Vec<u8>> {
    let Some(field) = field else { return Some(value.to_vec()) };
    let pointer = std::str::from_utf8(field).expect("fields here are text");
    let document: Json = serde_json::from_slice(value).ok()?;
    match document.pointer(pointer)? {
        Json::String(text) => Some(text.clone().into_bytes()),
        // All decimals here have two digits behind the point.
        Json::Number(number) if number.is_i64() => Some(number.to_string().into_bytes()),
        Json::Number(number) => number.as_f64().map(|number| format!("{number:.2}").into_bytes()),
        other => Some(other.to_string().into_bytes()),
    }
}

/// A number of the few spellings that are used here, in hundredths.
fn scaled(text: &[u8]) -> Option<i64> {
    // Random bytes are a number now and then, with a sign or blanks too.
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let number: f64 = is_number.then(|| text.parse().ok()).flatten()?;
    Some((number * 100.0).round() as i64)
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|at| glob(rest, &text[at..])),
        [b'?', rest @ ..] => text.split_first().is_some_and(|(_, text)| glob(rest, text)),
        [b'[', a, b, b']', rest @ ..] => {
            text.split_first().is_some_and(|(byte, text)| (byte == a || byte == b) && glob(rest, text))
        }
        [byte, rest @ ..] => {
            text.split_first().is_some_and(|(first, text)| first == byte && glob(rest, text))
        }
    }
}

/// The few regular expressions that are used here, spelled out.
fn regex(pattern: &[u8], text: &[u8]) -> bool {
    let any = |bytes: &[u8]| text.iter().any(|byte| bytes.contains(byte));
    match pattern {
        b"^a" => text.starts_with(b"a"),
        b"1$" => text.ends_with(b"1"),
        // A dot takes a character, which invalid UTF-8 is not; keys here are UTF-8.
        b"^b:.*[0-4]$" => {
            text.starts_with(b"b:")
                && text.len() > 2
                && text.last().is_some_and(|last| b"01234".contains(last))
        }
        b"^ab:" => text.starts_with(b"ab:"),
        b"[13]" => any(b"13"),
        b"x" => any(b"x"),
        b"[2-4]" => any(b"234"),
        b"^y" => text.starts_with(b"y"),
        br"\d\.5" => text.windows(3).any(|three| three[0].is_ascii_digit() && &three[1..] == b".5"),
        other => panic!("no filter for {}", String::from_utf8_lossy(other)),
    }
}

/// The nearest of a query are the first of all entries sorted by distance. An index does not count what it leaves
/// out.
pub(super) fn nearest(session: &mut Session, model: &Model, random: &mut Random) {
    let wanted = [random.below(9) as f64, random.below(9) as f64];
    let limit = 1 + random.index(12);
    let field = *random.choice(&["", "/at/p"]);
    let query = Query::new().field(field).nearest(format!("[{},{}]", wanted[0], wanted[1])).limit(limit);
    let page = page(session, &query, None);
    let distance = |value: &[u8]| {
        let part = part(Some(field.as_bytes()).filter(|field| !field.is_empty()), value)?;
        let point: [f64; 2] = serde_json::from_slice(&part).ok()?;
        Some((point[0] - wanted[0]).hypot(point[1] - wanted[1]))
    };
    let mut all: Vec<(f64, &Vec<u8>)> =
        model.iter().filter_map(|(key, value)| distance(value).map(|distance| (distance, key))).collect();
    all.sort_by(|one, other| one.0.total_cmp(&other.0).then_with(|| one.1.cmp(other.1)));
    let is_read_whole = session.plan(&query).expect("a plan").facts().contains(&("index", "none".to_owned()));
    if is_read_whole {
        assert_eq!(page.skipped, (model.len() - all.len()) as u64);
    }
    all.truncate(limit);
    let found: Vec<_> =
        page.entries.iter().map(|found| (found.distance.unwrap_or(f64::NAN), &found.key)).collect();
    assert_eq!(found.len(), all.len());
    for (one, other) in found.iter().zip(&all) {
        assert!((one.0 - other.0).abs() < 1e-9 && one.1 == other.1, "{one:?} {other:?} near {wanted:?}");
    }
}

pub(super) fn shown(said: &[Said]) -> String {
    let one = |(name, value): &Said| format!("{name}={}", String::from_utf8_lossy(value));
    said.iter().map(one).collect::<Vec<_>>().join(" ")
}
