//! The table of figures, and its place in the pages that show it.
//!
//! Pages hold it between two markers; everything outside them is left as somebody wrote it.

use std::fs;

use super::{figure::Figure, options::Scale, setup::Setup};
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
    let mut text = HEAD.to_owned();
    for figure in figures {
        text.push_str(&format!("| {} |\n", figure.cells().join(" | ")));
    }
    let rounds = setup.options.rounds();
    text.push_str(&format!("\nMedians of {rounds} interleaved rounds. {}.\n", setup.machine));
    if setup.options.scale == Scale::Quick {
        text.push_str("A quick run: small stores, figures that show only that everything runs.\n");
    }
    text
}

/// Puts a table into every page that has a place for one.
pub(super) fn replace_tables(table: &str) -> Outcome {
    for page in PAGES {
        let path = root().join(page);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(_) if page != PAGES[0] => continue,
            Err(error) => return Err(format!("{page}: {error}")),
        };
        match replaced(&text, table) {
            Some(text) => fs::write(&path, text).map_err(|error| format!("{page}: {error}"))?,
            None if page == PAGES[0] => {
                return Err(format!("{page} has no line {BEGIN} with {END} after it"));
            }
            None => eprintln!("{page} has no place for the table: {BEGIN} and {END}"),
        }
    }
    Ok(())
}

fn replaced(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, replaced};

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let page = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let expected = format!("a\n{BEGIN}\nnew\n{END}\nb\n");
        assert_eq!(replaced(&page, "new\n"), Some(expected));
        assert_eq!(replaced("nothing\n", "new\n"), None);
    }
}
