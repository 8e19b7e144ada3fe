//! `cargo xtask docs`: pages that are made from the code, so that no fact stands in two places.
//!
//! `docs/commands.md` comes from the catalog. Completions and man pages are printed by the program
//! itself (`tresor completions`, `tresor man`), from its table of options.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use tresor::command::{CATALOG, Row};

use crate::{Outcome, cargo};

const COMMANDS: &str = "docs/commands.md";

/// Writes the generated pages; with `--check` only compares them.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    crate::only(arguments, &["--check"])?;
    let path = cargo::root().join(COMMANDS);
    let page = commands();
    if !arguments.is_empty() {
        return if fs::read_to_string(&path).is_ok_and(|current| current == page) {
            Ok(())
        } else {
            Err(format!("{COMMANDS} is not what the catalog says: run cargo xtask docs"))
        };
    }
    write(&path, &page)
}

fn write(path: &Path, text: &str) -> Outcome {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn commands() -> String {
    let mut groups: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in CATALOG {
        groups.entry(row.group).or_default().push(row);
    }
    let mut page = String::from(
        "# Commands of the Redis protocol\n\n\
         Generated from the catalog by `cargo xtask docs`; change the catalog, not this page.\n\
         Every command behaves as in Redis 7.2 unless its row says otherwise.\n\n",
    );
    page.push_str(&format!("{} commands.\n", CATALOG.len()));
    for (group, mut rows) in groups {
        rows.sort_by_key(|row| row.name);
        page.push_str(&format!("\n## {group}\n\n| command | what it does | reply |\n|---|---|---|\n"));
        for row in rows {
            let name = row.name.to_ascii_uppercase();
            // Writing to a string cannot fail.
            let _ = writeln!(page, "| `{name}` | {} | {} |", cell(row.summary), cell(row.reply));
        }
    }
    page
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
