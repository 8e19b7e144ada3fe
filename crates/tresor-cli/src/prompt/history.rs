//! What was typed before: a file of the user's own, in the state directory.
//!
//! `$XDG_STATE_HOME/tresor/history`, or `~/.local/state` in place of the former, after the XDG Base
//! Directory Specification. Only the user may read it, and a password never gets there.

use std::{env, fs, io, os::unix::fs::DirBuilderExt, path::PathBuf};

use rustyline::{Editor, Helper, history::FileHistory};

use super::command_word;

/// Lines kept at most.
pub(super) const LINES: usize = 1000;

/// Where the history is kept, if anywhere.
#[derive(Debug)]
pub(super) struct History(Option<PathBuf>);

impl History {
    /// Reads the file into the editor. A history that cannot be read is none: the prompt works without.
    pub(super) fn open<H: Helper>(editor: &mut Editor<H, FileHistory>) -> Self {
        let path = directory().and_then(|directory| {
            private(&directory).ok()?;
            Some(directory.join("history"))
        });
        if let Some(path) = &path {
            let _ = editor.load_history(path);
        }
        Self(path)
    }

    /// Adds a line, to the file at once, so that a prompt that is killed loses nothing.
    pub(super) fn add<H: Helper>(&self, editor: &mut Editor<H, FileHistory>, line: &str) {
        if command_word(line) == "AUTH" {
            return;
        }
        // As above: without a history the prompt still works.
        if let (Ok(true), Some(path)) = (editor.add_history_entry(line), &self.0) {
            let _ = editor.append_history(path);
        }
    }
}

fn directory() -> Option<PathBuf> {
    let state = match env::var_os("XDG_STATE_HOME").map(PathBuf::from) {
        Some(path) if path.is_absolute() => path,
        _ => PathBuf::from(env::var_os("HOME").filter(|home| !home.is_empty())?).join(".local/state"),
    };
    Some(state.join("tresor"))
}

fn private(directory: &PathBuf) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}
