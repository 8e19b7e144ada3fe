//! The catalog as a page for people: `docs/commands.md`, which `cargo xtask docs` writes.

use std::fmt::Write;

use super::{CATALOG, Flag, Row};

/// The families in the order of the page, with their headings.
const GROUPS: [(&str, &str); 9] = [
    ("connection", "Connection"),
    ("generic", "Keys"),
    ("string", "Strings"),
    ("bitmap", "Bits"),
    ("pubsub", "Publish and subscribe"),
    ("transactions", "Transactions"),
    ("server", "Server"),
    ("cluster", "Cluster"),
    ("tresor", "Tresor's own"),
];

/// The page.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Commands\n\n\
         Written by `cargo xtask docs` from the catalog (`crates/tresor/src/command/rows.rs`).\n\
         Names, arguments, answers and errors are Redis 7.2's unless a line says otherwise.\n",
    );
    for (group, heading) in GROUPS {
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## {heading}\n\n| command | what it does | answer |\n|---|---|---|\n");
        for row in CATALOG.iter().filter(|row| row.group == group && !row.has(Flag::Container)) {
            let _ = writeln!(page, "| `{}` | {}{} | {} |", call(row), row.summary, remarks(row), row.reply);
        }
    }
    page
}

fn call(row: &Row) -> String {
    let name = row.name.replace('|', " ").to_ascii_uppercase();
    // A bar would end the table's cell, in code too.
    format!("{name} {}", row.syntax).trim_end().replace('|', "\\|")
}

fn remarks(row: &Row) -> &'static str {
    if row.has(Flag::NoAuth) { " Allowed before authentication." } else { "" }
}

#[cfg(test)]
mod tests {
    use super::{CATALOG, GROUPS};

    #[test]
    fn every_command_is_on_the_page() {
        assert!(CATALOG.iter().all(|row| GROUPS.iter().any(|(group, _)| *group == row.group)));
    }
}
