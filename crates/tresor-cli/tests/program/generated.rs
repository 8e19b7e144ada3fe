//! Completions and man pages come from the table of options, so each option is in each of them.

use std::fs;

use tresor_testkit::TemporaryDirectory;

use crate::{refused, tresor};

#[test]
fn completions_know_every_shell_and_option() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let finished = tresor(&["completions", shell]);
        assert_eq!(finished.code, Some(0));
        assert!(finished.stdout.contains("durability-interval-ms"), "{shell}");
    }
    refused(2, &["completions", "cmd"]);
}

#[test]
fn man_pages_are_printed_and_written() {
    assert!(tresor(&["man"]).stdout.contains(".TH tresor 1"));
    let page = tresor(&["man", "serve"]).stdout;
    assert!(page.contains("tresor\\-serve") && page.contains("\\-\\-store\\-path"), "{page}");
    refused(2, &["man", "srve"]);

    let directory = TemporaryDirectory::new("man");
    let path = directory.join("man1");
    let finished = tresor(&["man", "--directory", path.to_str().expect("temporary paths are UTF-8")]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for name in ["tresor.1", "tresor-serve.1", "tresor-check.1"] {
        assert!(fs::metadata(path.join(name)).is_ok_and(|file| file.len() > 500), "{name}");
    }
}
