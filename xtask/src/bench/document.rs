//! The table of figures, and its place in the pages that show it.
//!
//! Pages hold it between two markers; everything outside them is left as somebody wrote it. A run of
//! some rows replaces these and leaves the others as an earlier run had them: under the table stands of each
//! row how it was measured, in one note for all that were measured alike.

use std::fs;

use super::{
    figure::Figure,
    options::{Options, Scale},
    rows,
    setup::Setup,
};
use crate::{Outcome, cargo::root};

const BEGIN: &str = "<!-- cargo xtask bench --write: begin -->";
const END: &str = "<!-- cargo xtask bench --write: end -->";

/// The pages that may hold the table; the first has to.
const PAGES: [&str; 2] = ["docs/benchmarks.md", "README.md"];

const HEAD: &str = "\
| row | what | Tresor | peer | ratio | bar | | also |
|---|---|---|---|---|---|---|---|
";

/// All figures as a Markdown table, with how they were measured under it.
pub(super) fn table(setup: &Setup, figures: &[Figure]) -> String {
    merged("", &rows_of(figures), &how(setup))
}

/// Each figure's row and its line of the table.
fn rows_of(figures: &[Figure]) -> Vec<(String, String)> {
    let line = |figure: &Figure| format!("| {} |", figure.cells().join(" | "));
    figures.iter().map(|figure| (figure.row().to_owned(), line(figure))).collect()
}

/// How the rows of this run are measured.
fn how(setup: &Setup) -> String {
    let Options { profile, scale, .. } = &setup.options;
    let quick =
        if *scale == Scale::Quick { ", small stores that show only that everything runs" } else { "" };
    let rounds = setup.options.rounds();
    format!("medians of {rounds} interleaved rounds, profile {profile}{quick}; {}", setup.machine)
}

/// An earlier table and its notes with what was measured now in its place.
fn merged(earlier: &str, measured: &[(String, String)], how: &str) -> String {
    let lines = merged_lines(earlier, measured);
    let notes = merged_notes(earlier, measured, how);
    format!("{HEAD}{}\n\n{}\n", lines.join("\n"), notes.join("\n"))
}

/// The lines of an earlier table with those of the measured rows replaced, in the order of the rows.
fn merged_lines(earlier: &str, measured: &[(String, String)]) -> Vec<String> {
    let row_of = |line: &str| line.split('|').nth(1).unwrap_or_default().trim().to_owned();
    let is_new = |row: &str| measured.iter().any(|(name, _)| name == row);
    let kept = earlier.lines().skip(HEAD.lines().count()).take_while(|line| line.starts_with('|'));
    let mut lines: Vec<(String, String)> = kept
        .map(|line| (row_of(line), line.to_owned()))
        .filter(|(row, _)| !is_new(row))
        .chain(measured.iter().cloned())
        .collect();
    lines.sort_by_key(|(row, _)| place(row));
    lines.into_iter().map(|(_, line)| line).collect()
}

/// The earlier notes without the measured rows, and the note on these, which may be a known one.
fn merged_notes(earlier: &str, measured: &[(String, String)], how: &str) -> Vec<String> {
    let is_new = |row: &&str| measured.iter().any(|(name, _)| name == row);
    let mut rows_by_how: Vec<(&str, Vec<&str>)> = Vec::new();
    for note in earlier.lines().filter_map(|line| line.strip_prefix("- ")) {
        let Some((rows, how)) = note.split_once(": ") else { continue };
        rows_by_how.push((how, rows.split(", ").filter(|row| !is_new(row)).collect()));
    }
    if !rows_by_how.iter().any(|(known, _)| *known == how) {
        rows_by_how.push((how, Vec::new()));
    }
    for (_, rows) in rows_by_how.iter_mut().filter(|(known, _)| *known == how) {
        rows.extend(measured.iter().map(|(row, _)| row.as_str()));
        rows.sort_by_key(|row| place(row));
        rows.dedup();
    }
    rows_by_how.retain(|(_, rows)| !rows.is_empty());
    rows_by_how.iter().map(|(how, rows)| format!("- {}: {how}", rows.join(", "))).collect()
}

/// Where a row stands among the rows.
fn place(row: &str) -> Option<usize> {
    rows::ROWS.iter().position(|known| known.name == row)
}

/// Puts figures into every page that has a place for a table.
pub(super) fn replace_tables(setup: &Setup, figures: &[Figure]) -> Outcome {
    let (measured, how) = (rows_of(figures), how(setup));
    for page in PAGES {
        let path = root().join(page);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(_) if page != PAGES[0] => continue,
            Err(error) => return Err(format!("{page}: {error}")),
        };
        let replaced = between(&text)
            .and_then(|earlier| replaced(&text, &merged(earlier.trim_start(), &measured, &how)));
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
        let earlier = format!(
            "{HEAD}| cpu | old |\n| cpu | old too |\n| sqlite | kept |\n\n- cpu: once\n- sqlite: in 3 rounds: so\n"
        );
        let measured = [("cpu", "| cpu | new |"), ("memory", "| memory | new |")];
        let measured = measured.map(|(row, line)| (row.to_owned(), line.to_owned()));
        let rows = "| cpu | new |\n| memory | new |\n";
        let notes = "- sqlite: in 3 rounds: so\n- cpu, memory: in 5\n";
        assert_eq!(merged(&earlier, &measured, "in 5"), format!("{HEAD}{rows}| sqlite | kept |\n\n{notes}"));
        let alike = "- cpu, memory, sqlite: in 3 rounds: so\n";
        assert_eq!(
            merged(&earlier, &measured, "in 3 rounds: so"),
            format!("{HEAD}{rows}| sqlite | kept |\n\n{alike}")
        );
        assert_eq!(merged("\n", &measured, "once"), format!("{HEAD}{rows}\n- cpu, memory: once\n"));
    }
}
