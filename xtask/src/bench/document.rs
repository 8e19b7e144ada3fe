//! The table of figures, and its place in the pages that show it.
//!
//! Pages hold it between two markers; everything outside them is left as somebody wrote it. A run of
//! some rows replaces these and leaves the others as an earlier run had them.

use std::fs;

use super::{figure::Figure, options::Scale, rows, setup::Setup};
use crate::{Outcome, cargo::root};

const BEGIN: &str = "<!-- cargo xtask bench --write: begin -->";
const END: &str = "<!-- cargo xtask bench --write: end -->";

/// The pages that may hold the table; the first has to.
const PAGES: [&str; 2] = ["docs/benchmarks.md", "README.md"];

const HEAD: &str = "\
| row | what | Tresor | peer | ratio | bar | | also |
|---|---|---|---|---|---|---|---|
";

/// All figures as a Markdown table, with the machine under it.
pub(super) fn table(setup: &Setup, figures: &[Figure]) -> String {
    let lines: Vec<String> = figures.iter().map(line).collect();
    whole(&lines, &foot(setup))
}

fn line(figure: &Figure) -> String {
    format!("| {} |", figure.cells().join(" | "))
}

fn whole(lines: &[String], foot: &str) -> String {
    format!("{HEAD}{}\n\n{foot}\n", lines.join("\n"))
}

fn foot(setup: &Setup) -> String {
    let rounds = setup.options.rounds();
    let mut text = format!("Medians of {rounds} interleaved rounds. {}.", setup.machine);
    if setup.options.profile != "release" {
        let measured: Vec<&str> =
            rows::ROWS.iter().map(|row| row.name).filter(|name| setup.options.selects(name)).collect();
        let (rows, profile) = (measured.join(", "), &setup.options.profile);
        text.push_str(&format!("\nBuilt with profile {profile} instead of release: {rows}."));
    }
    if setup.options.scale == Scale::Quick {
        text.push_str("\nA quick run: small stores, figures that show only that everything runs.");
    }
    text
}

/// The lines of an earlier table with those of the measured rows replaced, in the order of the rows.
fn merged(earlier: &str, measured: &[(String, String)]) -> Vec<String> {
    let row_of = |line: &str| line.split('|').nth(1).unwrap_or_default().trim().to_owned();
    let is_new = |row: &str| measured.iter().any(|(name, _)| name == row);
    let kept = earlier.lines().skip(HEAD.lines().count()).take_while(|line| line.starts_with('|'));
    let mut lines: Vec<(String, String)> = kept
        .map(|line| (row_of(line), line.to_owned()))
        .filter(|(row, _)| !is_new(row))
        .chain(measured.iter().cloned())
        .collect();
    let place = |row: &str| rows::ROWS.iter().position(|known| known.name == row);
    lines.sort_by_key(|(row, _)| place(row));
    lines.into_iter().map(|(_, line)| line).collect()
}

/// Puts figures into every page that has a place for a table.
pub(super) fn replace_tables(setup: &Setup, figures: &[Figure]) -> Outcome {
    let measured: Vec<(String, String)> =
        figures.iter().map(|figure| (figure.row().to_owned(), line(figure))).collect();
    for page in PAGES {
        let path = root().join(page);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(_) if page != PAGES[0] => continue,
            Err(error) => return Err(format!("{page}: {error}")),
        };
        let replaced = between(&text).and_then(|earlier| {
            replaced(&text, &whole(&merged(earlier.trim_start(), &measured), &foot(setup)))
        });
        match replaced {
            Some(text) => fs::write(&path, text).map_err(|error| format!("{page}: {error}"))?,
            None if page == PAGES[0] => {
                return Err(format!("{page} has no line {BEGIN} with {END} after it"));
            }
            None => eprintln!("{page} has no place for the table: {BEGIN} and {END}"),
        }
    }
    Ok(())
}

/// What stands between the markers.
fn between(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(BEGIN)?;
    Some(rest.split_once(END)?.0)
}

fn replaced(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, HEAD, merged, replaced};

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let page = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let expected = format!("a\n{BEGIN}\nnew\n{END}\nb\n");
        assert_eq!(replaced(&page, "new\n"), Some(expected));
        assert_eq!(replaced("nothing\n", "new\n"), None);
    }

    #[test]
    fn rows_that_were_not_measured_stay() {
        let earlier = format!("{HEAD}| cpu | old |\n| cpu | old too |\n| sqlite | kept |\n\nfoot\n");
        let measured = [("cpu", "| cpu | new |"), ("memory", "| memory | new |")];
        let measured = measured.map(|(row, line)| (row.to_owned(), line.to_owned()));
        let expected = ["| cpu | new |", "| memory | new |", "| sqlite | kept |"];
        assert_eq!(merged(&earlier, &measured), expected);
        assert_eq!(merged("\n", &measured), &expected[..2]);
    }
}
