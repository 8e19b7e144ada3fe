//! An entry: its value as text, JSON and hex, its expiry and version; new ones, deleted ones, large ones.

use tresor_testkit::{Page, Reply, RespClient};

use crate::{complains_of_nothing, get, list, open, open_entry, photograph, put_json, set, started};

/// Waits until it is said that a key was saved.
#[track_caller]
fn is_saved(page: &mut Page<'_>, key: &str) {
    page.says("#message", &format!("Saved {key}."));
    page.click("#dismiss");
}

/// Milliseconds until a key expires.
#[track_caller]
fn lives_ms(client: &mut RespClient, key: &str) -> i64 {
    match client.command(&["PTTL", key]).expect("the server answers") {
        Reply::Integer(left) => left,
        other => panic!("{other:?}"),
    }
}

#[test]
fn text_is_edited() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    set(&mut client, "greeting", "hello");
    let mut page = open(&mut browser, &server);
    open_entry(&mut page, "greeting");
    assert_eq!(page.value("#value"), "hello");
    let version = page.text("#version");
    page.fill("#value", "gr\u{fc}\u{df} dich\n");
    page.click("#save");
    is_saved(&mut page, "greeting");
    assert_eq!(get(&mut client, "greeting").unwrap(), "gr\u{fc}\u{df} dich\n".as_bytes());
    assert_ne!(page.text("#version"), version);
    assert_eq!(page.text("#kind"), "bytes");
    // It can be saved again at once: the page knows the new version.
    page.fill("#value", "again");
    page.click("#save");
    is_saved(&mut page, "greeting");
    assert_eq!(get(&mut client, "greeting").unwrap(), b"again");
    complains_of_nothing(page);
}

#[test]
fn json_is_edited_and_stays_what_it_was_to_the_digit() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    let mut page = open(&mut browser, &server);
    put_json(&mut page, "document", r#"{"n":12345678901234567890,"f":1.50,"e":{},"t":"a,{b"}"#);
    open_entry(&mut page, "document");
    assert_eq!((page.text("#kind"), page.text("#version").is_empty()), ("JSON".to_owned(), false));
    page.click("#indent");
    let indented = "{\n  \"n\": 12345678901234567890,\n  \"f\": 1.50,\n  \"e\": {},\n  \"t\": \"a,{b\"\n}";
    assert_eq!(page.value("#value"), indented);
    photograph(&mut page, "json");
    page.click("#save");
    is_saved(&mut page, "document");
    assert_eq!(get(&mut client, "document").unwrap(), indented.as_bytes());
    assert_eq!(page.text("#kind"), "JSON");
    page.fill("#value", "{\"n\": }");
    page.click("#save");
    page.says("#alert", "This is no JSON");
    assert_eq!(get(&mut client, "document").unwrap(), indented.as_bytes());
    complains_of_nothing(page);
}

#[test]
fn bytes_are_edited_as_hex_and_only_so() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    let key: &[u8] = b"binary\xff/";
    set(&mut client, key, b"\x00\xff\x80 abcdefghijklmnop");
    let mut page = open(&mut browser, &server);
    open_entry(&mut page, "binary");
    assert_eq!(page.value("#value"), "00 ff 80 20 61 62 63 64 65 66 67 68 69 6a 6b 6c\n6d 6e 6f 70");
    photograph(&mut page, "hex");
    page.click("[name=format][value=text]");
    page.says("#value-note", "It is no text");
    assert_eq!(page.evaluate("document.getElementById('value').readOnly"), true);
    page.click("[name=format][value=hex]");
    for (wrong, words) in [("0", "one is missing"), ("0x00", "not \"x\"")] {
        page.fill("#value", wrong);
        page.click("#save");
        page.says("#alert", words);
    }
    page.fill("#value", "fe ff00\n0d 0A");
    page.press("Control+Enter");
    is_saved(&mut page, r"binary\xff/");
    assert_eq!(get(&mut client, key).unwrap(), b"\xfe\xff\x00\r\n");
    // A field for text would make one line end of these two bytes.
    set(&mut client, "lines", "one\r\ntwo");
    open_entry(&mut page, "lines");
    assert_eq!(page.value("#value"), "6f 6e 65 0d 0a 74 77 6f");
    page.click("[name=format][value=text]");
    page.says("#value-note", "line ends");
    page.click("#save");
    is_saved(&mut page, "lines");
    assert_eq!(get(&mut client, "lines").unwrap(), b"one\r\ntwo");
    complains_of_nothing(page);
}

#[test]
fn an_expiry_is_set_kept_and_taken_away() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    set(&mut client, "session", "1");
    let mut page = open(&mut browser, &server);
    open_entry(&mut page, "session");
    assert_eq!(page.text("#expires"), "never");
    page.choose("#expiry", "seconds");
    page.click("#save");
    page.says("#alert", "a number above 0");
    page.fill("#seconds", "1000");
    page.click("#save");
    is_saved(&mut page, "session");
    assert!((900_000..=1_000_000).contains(&lives_ms(&mut client, "session")));
    page.says("#expires", "in 16 min");
    photograph(&mut page, "expiry");
    page.fill("#value", "2");
    page.click("#save");
    is_saved(&mut page, "session");
    assert_eq!(get(&mut client, "session").unwrap(), b"2");
    assert!((900_000..=1_000_000).contains(&lives_ms(&mut client, "session")));
    page.choose("#expiry", "never");
    page.click("#save");
    is_saved(&mut page, "session");
    assert_eq!(lives_ms(&mut client, "session"), -1);
    complains_of_nothing(page);
}

#[test]
fn entries_are_made_and_deleted() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    let mut page = open(&mut browser, &server);
    page.says("#keys-note", "No keys in database 0.");
    page.click("#new-entry");
    page.fill("#key", "new:1");
    page.fill("#value", "first");
    photograph(&mut page, "new-entry");
    page.click("#save");
    is_saved(&mut page, "new:1");
    page.says("#keys", "new:1");
    assert_eq!(get(&mut client, "new:1").unwrap(), b"first");
    // What is typed is not lost by a slip.
    page.fill("#value", "changed");
    page.press("Escape");
    page.says("#question", "not saved");
    page.press("Escape");
    page.wait("!document.getElementById('question').open");
    assert_eq!(page.value("#value"), "changed");
    page.click("#delete");
    page.says("#question", "Delete new:1?");
    page.click("#question-yes");
    page.says("#message", "Deleted new:1.");
    page.says("#keys-note", "No keys");
    assert_eq!(get(&mut client, "new:1"), None);
    complains_of_nothing(page);
}

#[test]
fn a_value_that_comes_compressed_is_saved_like_any_other() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    set(&mut client, "medium", "0123456789abcdef".repeat(256));
    let mut page = open(&mut browser, &server);
    open_entry(&mut page, "medium");
    let version = page.text("#version");
    assert!(version.parse::<u64>().is_ok(), "{version}");
    assert_eq!(page.value("#value").len(), 4096);
    page.fill("#value", &"x".repeat(4096));
    page.click("#save");
    is_saved(&mut page, "medium");
    assert_eq!(get(&mut client, "medium").unwrap(), "x".repeat(4096).into_bytes());
    // It can be saved again at once: the page knows the new version.
    page.fill("#value", "short");
    page.click("#save");
    is_saved(&mut page, "medium");
    assert_eq!(get(&mut client, "medium").unwrap(), b"short");
    complains_of_nothing(page);
}

#[test]
fn of_a_large_value_the_beginning_is_shown_and_nothing_edited() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    set(&mut client, "large", "0123456789abcdef".repeat(128 * 1024));
    let mut page = open(&mut browser, &server);
    open_entry(&mut page, "large");
    assert_eq!(page.text("#size"), "2 MiB");
    assert!(page.text("#version").parse::<u64>().is_ok());
    page.says("#value-note", "The first 16 KiB of 2 MiB.");
    assert_eq!(page.value("#value").len(), 16 * 1024);
    assert_eq!(page.evaluate("document.getElementById('value').readOnly"), true);
    assert_eq!(page.evaluate("document.getElementById('save').disabled"), true);
    page.press("Control+Enter");
    list(&mut page, "large");
    assert_eq!(get(&mut client, "large").unwrap().len(), 2 * 1024 * 1024);
    complains_of_nothing(page);
}
