//! `docs/commands.md` is what the catalog says.

use std::{env, fs};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/commands.md");

#[test]
fn the_page_of_commands_is_up_to_date() {
    let page = tresor::command::markdown();
    if env::var_os("UPDATE_SCRIPTS").is_some() {
        fs::write(PAGE, &page).expect("the page can be written");
    }
    let written = fs::read_to_string(PAGE).expect("the page is there");
    assert!(written == page, "docs/commands.md is not what the catalog says: run `cargo xtask docs`");
}
