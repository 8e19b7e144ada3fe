//! Stores that tests make and look into through the library, while no server has them open.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

use tresor::{
    Config, Database, Kind,
    clock::{Clock, SystemClock},
    engine::{Batch, Change, Content, DATABASES, Engine, Expires, Guard, KeyRef, MAX_SEQUENCE, Order, Scan},
};
use tresor_testkit::{OwnedEntry, TemporaryDirectory, random::Random};

/// The engines that keep a store of their own.
pub(crate) const ENGINES: [&str; 4] = ["memory", "json", "disk", "sqlite"];

/// A moment that no test lives to see, in Unix milliseconds.
pub(crate) const FAR_MS: u64 = 4_102_444_800_000;

/// All entries by database, key and member.
pub(crate) type Entries = BTreeMap<(u8, Vec<u8>, Vec<u8>), OwnedEntry>;

/// Opens a store as a server would have left it.
pub(crate) fn open(engine: &str, path: &Path) -> Database {
    let opened = match engine {
        "memory" => Database::open(Config::at(path)),
        "json" => Database::open(Config::json_file(path)),
        "disk" => Database::open(Config::disk(path)),
        _ => tresor_sqlite::open(path).and_then(|engine| Database::over(engine, Config::memory())),
    };
    opened.unwrap_or_else(|error| panic!("{engine} at {}: {error}", path.display()))
}

/// What is put: database, key, value, kind, expiry.
pub(crate) type Put = (u8, Vec<u8>, Vec<u8>, Kind, Expires);

pub(crate) fn text(path: &Path) -> String {
    path.to_str().expect("temporary paths are UTF-8").to_owned()
}

/// Puts entries in batches, whatever the engine makes of each, and makes them durable.
pub(crate) fn put(engine: &dyn Engine, entries: &[Put]) {
    let changes: Vec<Change<'_>> = entries
        .iter()
        .map(|(database, key, value, kind, expires)| {
            let key = KeyRef::new(*database, key);
            Change::Put { key, guard: Guard::None, value, kind: *kind, expires: *expires }
        })
        .collect();
    for changes in changes.chunks(500) {
        engine.write(Batch::blind(changes), 1).wait().expect("the store takes them");
    }
    engine.durable(MAX_SEQUENCE).wait().expect("the disk takes them");
}

/// Some hundred entries of every sort in databases 0 and 11, one of which has expired.
pub(crate) fn fill(database: &Database, seed: u64) {
    let mut random = Random::new(seed);
    let mut entries = Vec::new();
    for number in 0..400_u64 {
        let length = random.index(12);
        let key = [&number.to_be_bytes()[6..], &random.bytes(length)].concat();
        let (value, kind) = match number % 4 {
            0 => (format!("{{\"n\": {number}.50, \"of\": [null]}}").into_bytes(), Kind::Json),
            1 => ("text again and ".repeat(random.index(200)).into_bytes(), Kind::Raw),
            2 => (format!("\"{number}\"").into_bytes(), Kind::Json),
            _ => (random.bytes(random.clone().index(3000)), Kind::Raw),
        };
        let expires = if number % 5 == 0 { Expires::At(FAR_MS + number) } else { Expires::Never };
        entries.push(((number % 2) as u8 * 11, key, value, kind, expires));
    }
    let noise = random.bytes(300_000);
    entries.extend([
        (0, Vec::new(), Vec::new(), Kind::Raw, Expires::Never),
        (11, b"\0tresor".to_vec(), noise.clone(), Kind::Raw, Expires::At(FAR_MS)),
        (0, b"large".to_vec(), noise.repeat(18), Kind::Raw, Expires::Never),
        (0, vec![0xff; 3000], b"1".to_vec(), Kind::Raw, Expires::Never),
        (11, b"gone".to_vec(), b"1".to_vec(), Kind::Raw, Expires::At(1_000_000)),
    ]);
    put(&**database.engine(), &entries);
    // Versions that are not in the order of the keys.
    put(&**database.engine(), &entries[100..110]);
}

/// Everything that is there.
pub(crate) fn entries(database: &Database) -> Entries {
    let now_ms = SystemClock::new().now_ms();
    let mut entries = Entries::new();
    for number in 0..DATABASES {
        let mut scan = Scan::all(number, Order::Any, Content::Entries, 1000);
        loop {
            let mut page = database.engine().scan(&scan, now_ms).wait().expect("the store can be read");
            for (key, entry) in page.iter() {
                let place = (key.database, key.key.to_vec(), key.member.to_vec());
                let entry = OwnedEntry {
                    value: entry.value.to_bytes(),
                    kind: entry.kind,
                    version: entry.version,
                    expires_at_ms: entry.expires_at_ms,
                };
                assert!(entries.insert(place, entry).is_none(), "{key:?} comes twice");
            }
            let Some(next) = page.next.take() else { break };
            scan.position = next;
        }
    }
    entries
}

/// The same without versions.
pub(crate) fn unnumbered(entries: &Entries) -> Entries {
    let without =
        |(place, entry): (&_, &OwnedEntry)| (Clone::clone(place), OwnedEntry { version: 0, ..entry.clone() });
    entries.iter().map(without).collect()
}

/// All that a closed store holds.
pub(crate) fn stored(engine: &str, path: &Path) -> Entries {
    let database = open(engine, path);
    let entries = entries(&database);
    database.close().expect("it closes");
    entries
}

/// A filled store that is closed; what it holds.
pub(crate) fn made(engine: &str, path: &Path, seed: u64) -> Entries {
    let database = open(engine, path);
    fill(&database, seed);
    database.close().expect("it closes");
    stored(engine, path)
}

/// A file of encryption keys, each 64 times one digit, its owner's alone; the first encrypts.
pub(crate) fn write_keys(path: &Path, digits: &[&str]) {
    let lines: Vec<String> = digits.iter().map(|digit| digit.repeat(64)).collect();
    fs::write(path, lines.join("\n")).expect("the temporary directory takes a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a file of ours");
}

/// A configuration file with these lines.
pub(crate) fn configuration(directory: &TemporaryDirectory, name: &str, lines: &[String]) -> String {
    let path = directory.join(name);
    fs::write(&path, lines.join("\n")).expect("the temporary directory takes a file");
    text(&path)
}
