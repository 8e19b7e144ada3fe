//! Queries find the same with indexes as without: while these are built, beside changes of every kind, and afterwards.

use std::{sync::Arc, thread};

use tresor::{
    Config, Database, Query,
    clock::Clock,
    engine::{Batch, Change, Edited, EntryRef, Expires, Guard, KeyRef, Kind},
    index::{IndexDefinition, IndexState},
};

use super::{
    Make,
    searches::{self, Model},
};
use crate::{
    ManualClock,
    deadline::wait_until,
    random::{Random, seed},
};

const DEFINITIONS: [(&str, &str); 6] = [
    ("numbers", "value_as number"),
    ("ages", "prefix a field /age value_as number"),
    ("texts", "value_as text"),
    ("bytes", "prefix b: field /name value_as bytes"),
    ("points", "dimensions 2"),
    ("places", "field /at/p dimensions 2 metric l2"),
];

fn define(database: &Database, (name, options): (&str, &str)) {
    let words: Vec<&[u8]> = options.split(' ').map(str::as_bytes).collect();
    let definition = IndexDefinition::parse(name, 0, &words).expect("a good definition");
    database.create_index(definition).expect("an index");
}

fn wait_until_ready(database: &Database) {
    let is_ready = || database.indexes().iter().all(|index| index.state == IndexState::Ready);
    wait_until("the indexes are built", is_ready);
}

/// The engine's database, unless indexes are not for it.
fn open(make: &Make<'_>) -> Option<(Database, Arc<ManualClock>)> {
    let clock = ManualClock::new();
    let engine = make(&clock);
    let capabilities = engine.capabilities();
    let database = Database::with_clock(engine, Config::memory(), clock.clone()).expect("an open engine");
    if capabilities.shared || !capabilities.guards {
        let definition = IndexDefinition::new("a", 0).expect("a good name");
        assert!(database.create_index(definition).is_err(), "other programs change the entries");
        return None;
    }
    Some((database, clock))
}

/// Whatever queries ask for, an index changes how it is found and not what.
pub fn indexes_change_no_answer(make: &Make<'_>) {
    let mut random = Random::new(seed("indexes"));
    let Some((database, clock)) = open(make) else { return };
    if !database.engine().capabilities().ordered {
        return;
    }
    let mut model = searches::fill(&database, &mut random);
    DEFINITIONS.iter().for_each(|definition| define(&database, *definition));
    let (mut used, mut session) = (0, database.session(0));
    for round in 0..8 {
        for _ in 0..60 {
            change(&database, clock.now_ms(), &mut model, &mut random);
        }
        // Some are gone by themselves.
        clock.advance(std::time::Duration::from_secs(1));
        if round % 2 == 1 {
            wait_until_ready(&database);
        }
        for _ in 0..40 {
            used += usize::from(ask(&database, &model, &mut random));
        }
        for _ in 0..10 {
            searches::nearest(&mut session, &model, &mut random);
        }
    }
    assert!(used > 10, "indexes were used by {used} of the queries alone");
    assert!(database.drop_index("numbers").expect("it goes"));
    assert!(!database.drop_index("numbers").expect("it has gone"));
    database.close().expect("it closes");
}

/// Asks the same of the store and of a filter; whether an index was used.
fn ask(database: &Database, model: &Model, random: &mut Random) -> bool {
    let mut said = searches::query(random, model);
    // Narrow ranges are what indexes are for.
    if random.one_in(2) {
        let field = *random.choice(&["", "/age", "/name"]);
        let from = random.below(40);
        said.push(("field", field.into()));
        let (from, to) = match field {
            "/name" => (format!("x{from}"), format!("x{}", from + 1)),
            _ => (from.to_string(), (from + 1).to_string()),
        };
        said.extend([("value_from", from.into_bytes()), ("value_to", to.into_bytes())]);
        if field == "/name" {
            said.push(("value_as", b"bytes".to_vec()));
        }
    }
    let mut query = Query::new();
    for (name, value) in &said {
        query.option(name, value).expect("a good option");
    }
    let facts = database.explain(&query).expect("a plan").facts();
    let is_used = !facts.contains(&("index", "none".to_owned()));
    let (expected, skipped) = searches::filtered(model, &said);
    let (found, left_out) = searches::found(&mut database.session(0), &said, expected.len());
    assert_eq!(found, expected, "{} {facts:?}", searches::shown(&said));
    // What an index leaves out it does not count.
    assert!(left_out <= skipped, "{}", searches::shown(&said));
    is_used
}

/// A change of a random kind, in the store and in the model.
fn change(database: &Database, now_ms: u64, model: &mut Model, random: &mut Random) {
    let key = model.keys().nth(random.index(model.len().max(1))).cloned().unwrap_or_default();
    let address = KeyRef::new(0, &key);
    let value = searches::value(random);
    match random.below(9) {
        0 | 1 => {
            let key = format!("{}{}", random.choice(&["a", "b:", "c"]), random.below(300)).into_bytes();
            database.put(&key, value.clone()).expect("a put");
            model.insert(key, value);
        }
        2 => {
            database.delete(&key).expect("a delete");
            model.remove(&key);
        }
        3 => {
            let mut edit = |_: Option<EntryRef<'_>>| {
                Ok(Edited::Put { value: (&value).into(), kind: Kind::Raw, expires: Expires::Keep })
            };
            database.engine().update(address, now_ms, &mut edit).wait().expect("an update");
            model.insert(key, value);
        }
        4 if model.contains_key(&key) => {
            let mut patched = model[&key].clone();
            patched[..1].copy_from_slice(b"7");
            let change = Change::Patch { key: address, guard: Guard::None, offset: 0, bytes: b"7" };
            let batch = [change];
            database.engine().write(Batch::blind(&batch), now_ms).wait().expect("a patch");
            model.insert(key, patched);
        }
        5 => {
            let put = |value| Change::Put {
                key: address,
                guard: Guard::None,
                value,
                kind: Kind::Raw,
                expires: Expires::Never,
            };
            let changes = [put(b"5"), Change::Delete { key: address, guard: Guard::None }, put(&value)];
            let each = database.engine().write_each(&changes, now_ms).wait().expect("changes");
            assert!(each.failures.is_empty());
            model.insert(key, value);
        }
        6 => {
            let expires = Expires::At(now_ms + 1);
            let change =
                Change::Put { key: address, guard: Guard::None, value: b"1", kind: Kind::Raw, expires };
            let batch = [change];
            database.engine().write(Batch::of(&batch), now_ms).wait().expect("a put");
            model.remove(&key);
        }
        7 => {
            let changes = [Change::Put {
                key: address,
                guard: Guard::Absent,
                value: b"refused",
                kind: Kind::Raw,
                expires: Expires::Never,
            }];
            database.engine().write(Batch::of(&changes), now_ms).wait().expect("an answer");
            model.entry(key).or_insert(b"refused".to_vec());
        }
        _ if random.one_in(40) => {
            database.clear().expect("it is emptied");
            *model = searches::fill(database, random);
        }
        _ => {
            database.put(&key, value.clone()).expect("a put");
            model.insert(key, value);
        }
    }
}

/// What is there throughout is found whatever others do to it, and nothing but what is there.
pub fn an_index_follows_concurrent_writers(make: &Make<'_>) {
    let Some((database, _)) = open(make) else { return };
    if !database.engine().capabilities().ordered {
        return;
    }
    for number in 0..300 {
        database.put(format!("k{number:03}"), number.to_string()).expect("a put");
    }
    define(&database, ("numbers", "prefix k"));
    thread::scope(|scope| {
        for writer in 0..3 {
            let database = &database;
            scope.spawn(move || {
                for turn in 0..200_u64 {
                    let key = format!("k{:03}", (turn * 7 + writer) % 100);
                    match turn % 3 {
                        0 => drop(database.delete(&key).expect("a delete")),
                        1 => drop(database.put(&key, "1").expect("a put")),
                        // Between 1000 and 2000, whoever comes last.
                        _ => drop(database.put(&key, (1000 + turn).to_string()).expect("a put")),
                    }
                }
            });
        }
        for _ in 0..60 {
            let query = Query::new().value_from("250").value_to("299");
            let found =
                database.find(&query).filter(|found| found.as_ref().expect("a page").key >= b"k100".to_vec());
            assert_eq!(found.count(), 50);
        }
    });
    wait_until_ready(&database);
    for (from, to) in [("1", "1"), ("1000", "2000"), ("100", "140")] {
        let query = Query::new().value_from(from).value_to(to);
        let found: Vec<_> = database.find(&query).map(|found| found.expect("a page").key).collect();
        let all = database.entries().map(|entry| entry.expect("an entry"));
        let inside = all.filter(|(_, value)| {
            let number: u64 = value.to_string().parse().expect("a number");
            (from.parse().expect("a number")..=to.parse().expect("a number")).contains(&number)
        });
        let expected: Vec<Vec<u8>> = inside.map(|(key, _)| key.as_bytes().to_vec()).collect();
        assert_eq!(found, expected, "{from} {to}");
        let facts = database.explain(&query).expect("a plan").facts();
        if expected.len() < 30 {
            assert!(facts.contains(&("index", "numbers".to_owned())), "{facts:?}");
        }
    }
    database.close().expect("it closes");
}
