//! Commands on bits against a plain model, and what they cost on large values.

#![allow(clippy::unwrap_used)] // In the tests' own functions too: a panic is how a test fails.

mod commands_client;

use std::{sync::Arc, thread};

use bytes::Bytes;
use commands_client::{TestClient, database};
use tresor::{
    Config, Database,
    engine::{Engine, EntryRef, Isolation, KeyRef},
    oplog::Durability,
    reply::Reply,
};
use tresor_testkit::{
    HeldEngine, ModelEngine, Moment, Reply as Answer, SessionDoor, TemporaryDirectory,
    deadline::wait_until,
    random::{self, Random},
};

/// Random cases of each property.
const CASES: usize = 2_000;

const LARGE_BYTES: usize = 64 << 20;

fn run(door: &mut SessionDoor, line: &str) -> Answer {
    let words: Vec<_> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
    door.execute(&words)
}

fn integer(door: &mut SessionDoor, line: &str) -> i64 {
    let reply = run(door, line);
    reply.integer().unwrap_or_else(|| panic!("{line}: {reply}"))
}

fn put(door: &mut SessionDoor, key: &str, value: &[u8]) {
    door.execute(&[b"SET".to_vec(), key.into(), value.to_vec()]);
}

fn get(door: &mut SessionDoor, key: &str) -> Vec<u8> {
    run(door, &format!("GET {key}")).bytes().map_or_else(Vec::new, <[u8]>::to_vec)
}

/// Long runs of the same bit as well as noise, so that whole words are skipped and found.
fn value(random: &mut Random) -> Vec<u8> {
    let length = random.index(70);
    let mut value = match random.below(3) {
        0 => random.bytes(length),
        1 => vec![0; length],
        _ => vec![0xff; length],
    };
    if !value.is_empty() && random.one_in(2) {
        let place = random.index(length);
        value[place] ^= 1 << random.below(8);
    }
    value
}

fn bits(value: &[u8]) -> Vec<bool> {
    value.iter().flat_map(|byte| (0..8).map(move |bit| byte >> (7 - bit) & 1 == 1)).collect()
}

/// A place inside, at the ends, or far outside of so many.
fn place(random: &mut Random, length: usize) -> i64 {
    let place = random.index(length + 3) as i64;
    match random.below(10) {
        0 => i64::MAX - place,
        1 => i64::MIN + place,
        2..6 => -place,
        _ => place,
    }
}

/// The places between two ends as BITCOUNT and BITPOS take them, counted one by one.
fn between(start: i64, end: i64, length: usize) -> Vec<usize> {
    let length = i128::try_from(length).unwrap();
    let from_front = |place: i64| {
        let place = i128::from(place);
        if place < 0 { (place + length).max(0) } else { place }
    };
    let (start, end) = (from_front(start), from_front(end));
    (0..length).filter(|place| (start..=end).contains(place)).map(|place| place as usize).collect()
}

#[test]
fn counts_and_positions_are_those_of_a_plain_model() {
    let mut random = Random::new(random::seed("counts_and_positions"));
    let database = Database::open(Config::memory()).unwrap();
    let mut door = SessionDoor::new(&database);
    for _ in 0..CASES {
        let value = value(&mut random);
        put(&mut door, "key", &value);
        let bits = bits(&value);
        let all = bits.iter().filter(|bit| **bit).count() as i64;
        assert_eq!(integer(&mut door, "BITCOUNT key"), all, "{value:x?}");
        let (unit, size) = *random.choice(&[("BYTE", 8), ("BIT", 1)]);
        let length = value.len() * 8 / size;
        let (start, end) = (place(&mut random, length), place(&mut random, length));
        let within: Vec<usize> = between(start, end, length)
            .into_iter()
            .flat_map(|place| place * size..(place + 1) * size)
            .collect();
        let backwards = start < 0 && end < 0 && start > end;
        let ones = within.iter().filter(|place| bits[**place] && !backwards).count() as i64;
        let line = format!("BITCOUNT key {start} {end} {unit}");
        assert_eq!(integer(&mut door, &line), ones, "{line}: {value:x?}");
        for wanted in [false, true] {
            let line = format!("BITPOS key {} {start} {end} {unit}", u8::from(wanted));
            let first = within.iter().find(|place| bits[**place] == wanted);
            let first = first.map_or(-1, |place| *place as i64);
            assert_eq!(integer(&mut door, &line), first, "{line}: {value:x?}");
        }
        open_positions(&mut door, &mut random, &bits);
    }
}

/// Without an end, zeros follow the value.
fn open_positions(door: &mut SessionDoor, random: &mut Random, bits: &[bool]) {
    let start = place(random, bits.len() / 8);
    let within = between(start, i64::MAX, bits.len() / 8);
    let find = |wanted| {
        let mut places = within.iter().flat_map(|place| place * 8..(place + 1) * 8);
        places.find(|place| bits[*place] == wanted).map(|place| place as i64)
    };
    let behind = if within.is_empty() { -1 } else { bits.len() as i64 };
    assert_eq!(integer(door, &format!("BITPOS key 1 {start}")), find(true).unwrap_or(-1), "{start} {bits:?}");
    assert_eq!(
        integer(door, &format!("BITPOS key 0 {start}")),
        find(false).unwrap_or(behind),
        "{start} {bits:?}"
    );
}

#[test]
fn single_bits_are_those_of_a_plain_model() {
    let mut random = Random::new(random::seed("single_bits"));
    let database = Database::open(Config::memory()).unwrap();
    let mut door = SessionDoor::new(&database);
    let mut model: Vec<bool> = Vec::new();
    for _ in 0..CASES {
        let (place, on) = (random.index(3_000), random.one_in(2));
        if random.one_in(3) {
            let bit = model.get(place).copied().unwrap_or(false);
            assert_eq!(integer(&mut door, &format!("GETBIT key {place}")), i64::from(bit), "{place}");
            continue;
        }
        if model.len() <= place {
            model.resize((place / 8 + 1) * 8, false);
        }
        let old = std::mem::replace(&mut model[place], on);
        let line = format!("SETBIT key {place} {}", u8::from(on));
        assert_eq!(integer(&mut door, &line), i64::from(old), "{line}");
        assert_eq!(bits(&get(&mut door, "key")), model, "{line}");
    }
}

/// A field's number bit by bit.
fn read_field(bits: &[bool], signed: bool, width: usize, offset: usize) -> i128 {
    let number = (offset..offset + width)
        .fold(0_i128, |number, place| number * 2 + i128::from(bits.get(place).copied().unwrap_or(false)));
    if signed && number >= 1 << (width - 1) { number - (1 << width) } else { number }
}

/// What a field holds after it was to hold a number; `None` for an overflow that fails.
fn fitted(number: i128, signed: bool, width: usize, overflow: &str) -> Option<i128> {
    let (low, high) =
        if signed { (-(1 << (width - 1)), (1 << (width - 1)) - 1) } else { (0, (1 << width) - 1) };
    match overflow {
        _ if low <= number && number <= high => Some(number),
        "FAIL" => None,
        "SAT" => Some(if number < low { low } else { high }),
        _ => {
            let turned = number.rem_euclid(1 << width);
            Some(if turned > high { turned - (1 << width) } else { turned })
        }
    }
}

#[test]
fn fields_are_those_of_a_plain_model() {
    let mut random = Random::new(random::seed("fields"));
    let database = Database::open(Config::memory()).unwrap();
    let mut door = SessionDoor::new(&database);
    for _ in 0..CASES {
        let start = value(&mut random);
        put(&mut door, "key", &start);
        let mut model = bits(&start);
        let (mut line, mut expected) = (String::from("BITFIELD key"), Vec::new());
        let mut overflow = "WRAP";
        for _ in 0..=random.index(5) {
            if random.one_in(2) {
                overflow = random.choice::<&str>(&["WRAP", "SAT", "FAIL"]);
                line += &format!(" OVERFLOW {overflow}");
            }
            let signed = random.one_in(2);
            let width = 1 + random.index(if signed { 64 } else { 63 });
            let sign = if signed { 'i' } else { 'u' };
            let (shown, offset) = match random.index(600) {
                offset if random.one_in(2) => (offset.to_string(), offset),
                number => (format!("#{}", number % 9), number % 9 * width),
            };
            let old = read_field(&model, signed, width, offset);
            let number = match random.below(4) {
                0 => random.number() as i64,
                1 => random.below(3) as i64 - 1,
                2 => *random.choice(&[i64::MAX, i64::MIN]),
                _ => 1 << random.below(63),
            };
            let (wanted, answers_old) = match random.below(3) {
                0 => {
                    line += &format!(" GET {sign}{width} {shown}");
                    expected.push(Answer::Integer(old as i64));
                    continue;
                }
                1 => {
                    line += &format!(" SET {sign}{width} {shown} {number}");
                    // A field without sign takes the number's 64 bits.
                    (if signed { i128::from(number) } else { i128::from(number as u64) }, true)
                }
                _ => {
                    line += &format!(" INCRBY {sign}{width} {shown} {number}");
                    (old + i128::from(number), false)
                }
            };
            let new = fitted(wanted, signed, width, overflow);
            expected.push(match new {
                None => Answer::Null,
                Some(new) => Answer::Integer(if answers_old { old } else { new } as i64),
            });
            if model.len() < offset + width {
                model.resize((offset + width).div_ceil(8) * 8, false);
            }
            if let Some(new) = new {
                (0..width).for_each(|bit| model[offset + bit] = new >> (width - 1 - bit) & 1 == 1);
            }
        }
        assert_eq!(run(&mut door, &line), Answer::Array(expected), "{line}: {start:x?}");
        assert_eq!(bits(&get(&mut door, "key")), model, "{line}: {start:x?}");
    }
}

#[test]
fn operations_are_those_of_a_plain_model() {
    let mut random = Random::new(random::seed("operations"));
    let database = Database::open(Config::memory()).unwrap();
    let mut door = SessionDoor::new(&database);
    for _ in 0..CASES {
        let values: Vec<_> = (0..=random.index(4)).map(|_| value(&mut random)).collect();
        let mut line = String::new();
        for (number, value) in values.iter().enumerate() {
            put(&mut door, &format!("key:{number}"), value);
            line += &format!(" key:{number}");
        }
        let name =
            *random.choice(if values.len() == 1 { &["AND", "NOT"][..] } else { &["AND", "OR", "XOR"] });
        let target = if random.one_in(2) { "key:0" } else { "target" };
        let longest = values.iter().map(Vec::len).max().unwrap();
        let byte = |value: &Vec<u8>, place: usize| value.get(place).copied().unwrap_or(0);
        let expected: Vec<u8> = (0..longest)
            .map(|place| {
                let mut bytes = values.iter().map(|value| byte(value, place));
                match name {
                    "AND" => bytes.reduce(|one, other| one & other),
                    "OR" => bytes.reduce(|one, other| one | other),
                    "XOR" => bytes.reduce(|one, other| one ^ other),
                    _ => bytes.next().map(|byte| !byte),
                }
                .unwrap()
            })
            .collect();
        let line = format!("BITOP {name} {target}{line}");
        assert_eq!(integer(&mut door, &line), longest as i64, "{line}");
        assert_eq!(get(&mut door, target), expected, "{line}: {values:x?}");
        assert_eq!(integer(&mut door, &format!("EXISTS {target}")), i64::from(longest > 0), "{line}");
    }
}

/// The value as the engine holds it.
fn held(database: &Database) -> Bytes {
    let mut held = Bytes::new();
    let mut visit = |_: usize, entry: Option<EntryRef<'_>>| held = entry.unwrap().value.to_bytes();
    let engine: &dyn Engine = &**database.engine();
    engine.read(&[KeyRef::new(0, b"key")], Isolation::Each, 0, &mut visit).wait().unwrap();
    held
}

/// Where it lies in memory.
fn address(database: &Database) -> usize {
    held(database).as_ptr() as usize
}

fn logged_bytes(database: &Database) -> u64 {
    let log = database.status().unwrap().log.expect("a log");
    log.written_bytes + log.buffered_bytes as u64
}

/// What a bit or a range of a large value costs is what it touches: a record of under 100 bytes in the
/// log, and no copy of the value in memory.
#[test]
fn a_bit_of_a_large_value_costs_what_it_touches() {
    const CALLS: u64 = 200;
    let mut random = Random::new(random::seed("large_value"));
    let directory = TemporaryDirectory::new("commands_bits");
    let config = Config { durability: Durability::None, ..Config::at(directory.join("store")) };
    let database = Database::open(config).unwrap();
    let mut door = SessionDoor::new(&database);
    assert_eq!(integer(&mut door, &format!("SETRANGE key {} x", LARGE_BYTES - 1)), LARGE_BYTES as i64);
    let before = address(&database);
    for command in ["SETBIT key {} 1", "SETRANGE key {} ab", "BITFIELD key SET u16 {} 4711 INCRBY i8 {} 1"] {
        let logged = logged_bytes(&database);
        for _ in 0..CALLS {
            let reply = run(&mut door, &command.replace("{}", &random.index(LARGE_BYTES - 10).to_string()));
            assert_eq!(reply.error(), None, "{command}");
        }
        let each = (logged_bytes(&database) - logged) / CALLS;
        println!("{command}: {each} bytes in the log");
        assert!((1..100).contains(&each), "{command}: {each} bytes in the log");
        assert_eq!(address(&database), before, "{command} copied the value");
    }
    // What is so already is neither logged nor a change.
    run(&mut door, "SETBIT key 77 1");
    let logged = logged_bytes(&database);
    for command in ["SETBIT key 77 1", "BITFIELD key SET u1 77 1", "GETBIT key 77", "BITCOUNT key 0 100"] {
        run(&mut door, command);
    }
    assert_eq!(logged_bytes(&database), logged);
    // Whoever still reads the value goes on seeing it as it was.
    let reader = held(&database);
    assert_eq!(reader[9] & 4, 4);
    assert_eq!(integer(&mut door, "SETBIT key 77 0"), 1);
    assert_eq!((reader[9] & 4, held(&database)[9] & 4), (4, 0));
}

#[test]
fn a_bit_turns_json_into_raw_and_keeps_the_expiry() {
    let database = database();
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    for command in
        ["SETBIT key 7 1", "SETBIT key 2 1", "BITFIELD key SET u8 0 49", "BITFIELD key SET u8 0 50"]
    {
        client.reply("TRESOR.PUT key 1 JSON PXAT 33177117420123");
        client.reply(command);
        let Reply::Array(page) = client.reply("TRESOR.SCAN 0") else { panic!("no page") };
        let Reply::Array(entries) = &page[1] else { panic!("no entries") };
        let Reply::Array(entry) = &entries[0] else { panic!("no entry") };
        assert_eq!(entry[2], Reply::Bulk("raw".into()), "{command}");
        assert_eq!(entry[3], Reply::Integer(33_177_117_420_123), "{command}");
    }
}

#[test]
fn bits_beyond_the_longest_value_are_refused() {
    let database = database();
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    let beyond = LARGE_BYTES * 8;
    for line in [
        format!("SETBIT key {beyond} 1"),
        format!("GETBIT key {beyond}"),
        format!("BITFIELD key SET u8 {beyond} 1"),
        format!("BITFIELD key GET u8 #{}", LARGE_BYTES),
        "BITFIELD key GET i64 #9223372036854775807".to_owned(),
    ] {
        assert_eq!(client.text(&line), "ERR bit offset is not an integer or out of range", "{line}");
    }
    let line = format!("BITFIELD key SET u8 {} 1", beyond - 1);
    assert!(client.text(&line).starts_with("ERR string exceeds maximum allowed size"), "{line}");
    assert_eq!(client.reply(&format!("SETBIT key {} 1", beyond - 1)), Reply::Integer(0));
    assert_eq!(client.reply("BITCOUNT key"), Reply::Integer(1));
    assert_eq!(client.reply("BITPOS key 1"), Reply::Integer(beyond as i64 - 1));
}

/// COPY, MOVE and BITOP read and write in two steps: what is written in between must be in what they write.
#[test]
fn a_write_during_a_copy_is_not_overtaken() {
    for (command, result) in [
        ("COPY source target REPLACE", "GET target"),
        ("BITOP OR target source nobody", "GET target"),
        ("MOVE source 1", "GET source"),
    ] {
        let engine = HeldEngine::new(Arc::new(ModelEngine::new()));
        let database = Database::over(engine.clone(), Config::memory()).unwrap();
        let mut writer = SessionDoor::new(&database);
        run(&mut writer, "SET source old");
        let held = engine.hold_next(Moment::After);
        thread::scope(|scope| {
            let copier = scope.spawn(|| run(&mut SessionDoor::new(&database), command));
            wait_until("the source to be read", || engine.is_holding());
            run(&mut writer, "SET source new");
            held.let_go();
            assert!(copier.join().unwrap().integer() > Some(0), "{command}");
        });
        if command.starts_with("MOVE") {
            assert_eq!(integer(&mut writer, "EXISTS source"), 0);
            run(&mut writer, "SELECT 1");
        }
        assert_eq!(run(&mut writer, result).bytes(), Some(&b"new"[..]), "{command}");
    }
}
