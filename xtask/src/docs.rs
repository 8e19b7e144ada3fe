//! `cargo xtask docs`: pages that are made from the code, so that no fact stands in two places.
//!
//! `docs/commands.md` comes from the catalog. Completions and man pages are printed by the program
//! itself (`tresor completions`, `tresor man`), from its table of options.

use std::{fs, path::Path};

use crate::{Outcome, cargo};

const COMMANDS: &str = "docs/commands.md";

/// Writes the generated pages; with `--check` only compares them.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    crate::only(arguments, &["--check"])?;
    let path = cargo::root().join(COMMANDS);
    let page = tresor::command::markdown();
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

#[cfg(test)]
mod tests {
    #[test]
    fn the_generated_pages_are_up_to_date() {
        assert_eq!(super::run(&["--check".to_owned()]), Ok(()));
    }
}
