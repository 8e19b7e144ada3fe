//! CONFIG REWRITE: puts what was changed while the server ran into the file that `--config` names.
//!
//! What has an option of its own goes under that option's name, everything else into the table `[redis]`,
//! from which the server sets it again when it starts. Comments and order stay. The file is whole at any
//! time: a new one, read back before it counts, takes the place of the old one, with its permissions.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    sync::{Mutex, PoisonError},
};

use toml_edit::{DocumentMut, Item, Table, Value};
use tresor::{Error, ErrorKind, Result};

use super::{logging, options::Options};

/// Redis's names of what options decide, with the options.
const OPTIONS: [(&str, &str); 6] = [
    ("loglevel", "log-level"),
    ("maxclients", "max-clients"),
    ("maxmemory", "max-memory"),
    ("maxmemory-policy", "max-memory-policy"),
    ("notify-keyspace-events", "notify-keyspace-events"),
    ("requirepass", "password"),
];

/// The option that decides what Redis knows by this name.
pub(crate) fn option_of(name: &str) -> Option<&'static str> {
    let option = OPTIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    option.map(|(_, option)| *option)
}

/// Held while a file is rewritten: two clients may ask at one time, and both would write the same new file.
static TURN: Mutex<()> = Mutex::new(());

/// Rewrites the file.
pub(crate) fn rewrite(path: &Path, settings: &[(&'static str, String)]) -> Result<()> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let failed = |error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Unavailable, format!("Rewriting config file {}: {error}", path.display()))
    };
    // A link stays one: what it leads to is replaced.
    let file = fs::canonicalize(path).map_err(|error| failed(&error))?;
    let text = fs::read_to_string(&file).map_err(|error| failed(&error))?;
    // Only the message: the line itself may hold the password.
    let mut document: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| failed(&error.message()))?;
    for (name, value) in settings {
        put(&mut document, name, value);
    }
    let text = document.to_string();
    toml::from_str::<Options>(&text).map_err(|error| failed(&error.message()))?;
    replace(&file, &text).map_err(|error| failed(&error))
}

fn put(document: &mut DocumentMut, name: &str, setting: &str) {
    let Some(option) = option_of(name) else {
        let table = document.entry("redis").or_insert(Item::Table(Table::new()));
        set(&mut table[name], setting.into());
        return;
    };
    match (name, setting) {
        ("requirepass", "") => {
            document.remove("password");
            document.remove("password-file");
        }
        ("requirepass", password) => {
            document.remove("password-file");
            set(&mut document[option], password.into());
        }
        ("maxmemory", "0") => set(&mut document[option], "off".into()),
        ("loglevel", level) => set(&mut document[option], logging::option_of(level).into()),
        // Numbers look like numbers.
        (_, text) => {
            set(&mut document[option], text.parse::<i64>().map_or_else(|_| text.into(), Value::from));
        }
    }
}

/// Replaces a value and leaves the comment behind it.
fn set(item: &mut Item, mut value: Value) {
    if let Some(before) = item.as_value() {
        *value.decor_mut() = before.decor().clone();
    }
    *item = Item::Value(value);
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".rewrite");
    let beside = Path::new(&beside);
    let permissions = fs::metadata(path)?.permissions();
    let written = || {
        let mut file = File::create(beside)?;
        file.set_permissions(permissions)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(beside, path)?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    };
    written().inspect_err(|_| {
        // What is left of it is of no use; that it cannot be removed adds nothing to the error.
        let _ = fs::remove_file(beside);
    })
}
