//! The console in a real browser, against `tresor serve`: what people see, type and press.
//!
//! Each test has a server and a browser of its own. What a test did to the store is looked at over the Redis protocol,
//! never by the page alone. Pictures of each view go to `console` in cargo's directory for what tests write. At the end
//! a page must have complained of nothing, neither a script of an error nor the browser of a breach of its policy.
//! Without Chromium these tests say that they are left out.

mod browsing;
mod conflicts;
mod editing;
mod keyboard;
mod looks;
mod modules;
mod queries;
mod shards;
mod sign_in;
mod watching;

use std::{fs, path::Path};

use tresor_testkit::{Chromium, Page, Reply, RespClient, Server};

/// The size of a page on a desk.
const DESK: (u32, u32) = (1200, 760);

/// A server with such arguments, and a browser.
fn started(arguments: &[&str]) -> Option<(Server, Chromium)> {
    let browser = Chromium::wish_for()?;
    Some((Server::start(arguments), browser))
}

/// The console, with its first keys listed.
#[track_caller]
fn open<'b>(browser: &'b mut Chromium, server: &Server) -> Page<'b> {
    let mut page = browser.page(DESK, false);
    page.open(&server.url("/"));
    is_listed(&mut page);
    page
}

/// Waits until keys are listed, or it is said that there are none.
#[track_caller]
fn is_listed(page: &mut Page<'_>) {
    page.wait(
        "document.getElementById('keys-note').innerText !== '' && !document.querySelector('[aria-busy]')",
    );
}

/// Lists the keys with a prefix.
#[track_caller]
fn list(page: &mut Page<'_>, prefix: &str) {
    page.fill("#prefix", prefix);
    // The list says when it is new.
    page.evaluate("document.getElementById('keys-note').textContent = ''");
    page.press("Enter");
    is_listed(page);
}

/// Opens the entry of the only key that begins so.
#[track_caller]
fn open_entry(page: &mut Page<'_>, key: &str) {
    list(page, key);
    page.click("#keys li");
    page.wait(&format!(
        "document.querySelector('#keys [aria-selected=true]')?.innerText === document.getElementById('entry-key').innerText \
         && document.getElementById('entry-key').innerText.startsWith({key:?})"
    ));
}

/// Keeps a picture of what is seen.
#[track_caller]
fn photograph(page: &mut Page<'_>, name: &str) {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("console");
    fs::create_dir_all(&directory).expect("cargo's directory takes another");
    page.photograph(&directory.join(format!("{name}.png")));
}

/// The end of a page's use.
#[track_caller]
fn complains_of_nothing(mut page: Page<'_>) {
    assert_eq!(page.complaints(), Vec::<String>::new());
}

#[track_caller]
fn set(client: &mut RespClient, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
    let reply = client.command(&[b"SET".as_slice(), key.as_ref(), value.as_ref()]);
    assert_eq!(reply.expect("the server answers"), Reply::Simple("OK".into()));
}

/// The value of a key; `None` if it is not there.
#[track_caller]
fn get(client: &mut RespClient, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    match client.command(&[b"GET".as_slice(), key.as_ref()]).expect("the server answers") {
        Reply::Bulk(value) => Some(value),
        Reply::Null => None,
        other => panic!("{other:?}"),
    }
}

/// Sets many keys at once.
#[track_caller]
fn set_all(client: &mut RespClient, entries: impl Iterator<Item = (String, String)>) {
    let commands: Vec<Vec<Vec<u8>>> =
        entries.map(|(key, value)| vec![b"SET".to_vec(), key.into_bytes(), value.into_bytes()]).collect();
    client.pipeline(&commands).expect("the server answers");
}

/// Puts JSON, which the Redis protocol does not know.
#[track_caller]
fn put_json(page: &mut Page<'_>, key: &str, json: &str) {
    let status = page.evaluate(&format!(
        "fetch('/v1/entries/{key}', {{ method: 'PUT', headers: {{ 'Content-Type': 'application/json' }}, \
         body: {json:?} }}).then((response) => response.status)"
    ));
    assert!(status == 200 || status == 201, "{status}");
}
