//! The style rules that no compiler checks: sizes, names, and a few words at the top of each file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Outcome, cargo};

/// The most lines that a file of code may have.
const MOST_LINES: usize = 600;

/// The fewest and most lines of documentation that a file opens with; a crate's first page is long.
const OPENING_LINES: std::ops::RangeInclusive<usize> = 1..=60;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "helpers", "misc", "manager", "base"];

/// Folders with code of ours.
const FOLDERS: [&str; 3] = ["crates", "xtask", "examples"];

/// Checks every file of code.
pub(crate) fn run() -> Outcome {
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect(&cargo::root().join(folder), &mut files)?;
    }
    let complaints: Vec<String> = files.iter().flat_map(|file| complaints(file)).collect();
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n")) }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Outcome {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

fn complaints(path: &Path) -> Vec<String> {
    let shown = path.strip_prefix(cargo::root()).unwrap_or(path).display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => {
            of_text(path, &text).into_iter().map(|complaint| format!("{shown}: {complaint}")).collect()
        }
        Err(error) => vec![format!("{shown}: {error}")],
    }
}

fn of_text(path: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > MOST_LINES {
        found.push(format!("{lines} lines: split it, the most is {MOST_LINES}"));
    }
    let opening = text.lines().take_while(|line| line.starts_with("//!")).count();
    if !OPENING_LINES.contains(&opening) {
        found.push(format!(
            "opens with {opening} lines of //!: say in 3 to 10 what it owns, keeps true, and why"
        ));
    }
    let names: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let folder = names.iter().rev().nth(1).copied().unwrap_or_default();
    if let Some(empty) = EMPTY_NAMES.iter().find(|name| stem == **name || folder == **name) {
        found.push(format!("`{empty}` says nothing about what is inside: name the thing it is"));
    }
    if stem == folder {
        found.push(format!("the name stutters: {folder}/{stem}.rs"));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{of_text, run};

    #[test]
    fn each_rule_finds_what_breaks_it() {
        assert!(
            of_text(Path::new("a/good.rs"), "//! Owns this.\n//! Keeps that.\n//! Because.\n").is_empty()
        );
        for (path, text) in [
            ("a/b.rs", "fn undocumented() {}\n".to_owned()),
            ("a/b.rs", "//! Long.\n".to_owned() + &"\n".repeat(600)),
            ("a/utils.rs", "//! Everything.\n".to_owned()),
            ("common/b.rs", "//! Everything.\n".to_owned()),
            ("a/a.rs", "//! Twice.\n".to_owned()),
        ] {
            assert_eq!(of_text(Path::new(path), &text).len(), 1, "{path}");
        }
    }

    #[test]
    fn the_repository_is_tidy() {
        assert_eq!(run(), Ok(()));
    }
}
