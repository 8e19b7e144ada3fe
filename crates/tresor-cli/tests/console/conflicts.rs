//! Two people, one entry: whoever saves second is shown both versions, and nothing is overwritten before he has chosen.

use crate::{complains_of_nothing, get, open, open_entry, photograph, set, started};

/// Waits for the dialog and answers it.
macro_rules! answers {
    ($page:expr, $button:literal) => {
        $page.wait("document.getElementById('conflict').open");
        $page.click(concat!("#conflict button[value=\"", $button, "\"]"));
    };
}

#[test]
fn a_change_by_others_is_shown_and_never_overwritten() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    set(&mut client, "stock", "1");
    let mut page = open(&mut browser, &server);
    open_entry(&mut page, "stock");
    set(&mut client, "stock", "theirs");
    page.fill("#value", "mine");
    page.click("#save");
    page.says("#conflict", "The entry has changed meanwhile");
    assert_eq!((page.text("#theirs"), page.text("#mine")), ("theirs".to_owned(), "mine".to_owned()));
    photograph(&mut page, "conflict");
    assert_eq!(get(&mut client, "stock").unwrap(), b"theirs");
    answers!(page, "");
    page.says("#message", "Nothing was saved");
    assert_eq!(page.value("#value"), "mine");
    assert_eq!(get(&mut client, "stock").unwrap(), b"theirs");
    // Whoever insists replaces what he has seen, and nothing later than that.
    page.click("#save");
    page.says("#conflict", "theirs");
    set(&mut client, "stock", "theirs again");
    answers!(page, "mine");
    page.says("#theirs", "theirs again");
    assert_eq!(get(&mut client, "stock").unwrap(), b"theirs again");
    answers!(page, "mine");
    page.says("#message", "Saved stock.");
    assert_eq!(get(&mut client, "stock").unwrap(), b"mine");
    set(&mut client, "stock", "the last");
    page.fill("#value", "not mine");
    page.click("#save");
    answers!(page, "theirs");
    page.wait("document.getElementById('value').value === 'the last'");
    assert_eq!(get(&mut client, "stock").unwrap(), b"the last");
    complains_of_nothing(page);
}

#[test]
fn what_was_deleted_does_not_come_back_by_itself() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    set(&mut client, "stock", "1");
    let mut page = open(&mut browser, &server);
    open_entry(&mut page, "stock");
    client.command(&["DEL", "stock"]).unwrap();
    page.click("#save");
    page.says("#conflict-why", "deleted or has expired");
    assert_eq!(get(&mut client, "stock"), None);
    answers!(page, "mine");
    page.says("#message", "Saved stock.");
    assert_eq!(get(&mut client, "stock").unwrap(), b"1");
    complains_of_nothing(page);
}

#[test]
fn neither_deleting_nor_making_an_entry_overwrites() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    set(&mut client, "stock", "1");
    let mut page = open(&mut browser, &server);
    open_entry(&mut page, "stock");
    set(&mut client, "stock", "2");
    page.click("#delete");
    page.wait("document.getElementById('question').open");
    page.click("#question-yes");
    page.says("#mine", "(delete it)");
    assert_eq!(get(&mut client, "stock").unwrap(), b"2");
    answers!(page, "mine");
    page.says("#message", "Deleted stock.");
    assert_eq!(get(&mut client, "stock"), None);
    // What is gone already needs no decision.
    set(&mut client, "stock", "3");
    open_entry(&mut page, "stock");
    client.command(&["DEL", "stock"]).unwrap();
    page.click("#delete");
    page.wait("document.getElementById('question').open");
    page.click("#question-yes");
    page.says("#message", "Deleted stock.");
    set(&mut client, "taken", "theirs");
    page.click("#new-entry");
    page.fill("#key", "taken");
    page.fill("#value", "mine");
    page.click("#save");
    page.says("#theirs", "theirs");
    assert_eq!(get(&mut client, "taken").unwrap(), b"theirs");
    answers!(page, "theirs");
    page.says("#entry-key", "taken");
    page.wait("document.getElementById('value').value === 'theirs'");
    complains_of_nothing(page);
}
