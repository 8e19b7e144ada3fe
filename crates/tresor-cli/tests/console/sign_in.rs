//! A server with a password.

use crate::{DESK, complains_of_nothing, is_listed, photograph, set, started};

#[test]
fn the_password_is_asked_for_and_kept_nowhere() {
    let password = "p\u{e4}ss: wort";
    let Some((server, mut browser)) = started(&["--password", password]) else { return };
    let mut client = server.resp();
    client.command(&["AUTH", password]).unwrap();
    set(&mut client, "secret", "1");
    let mut page = browser.page(DESK, false);
    page.open(&server.url("/"));
    page.wait("document.getElementById('sign-in-dialog').open");
    page.says("#sign-in-why", "started with a password");
    photograph(&mut page, "sign-in");
    assert_eq!(page.evaluate("document.querySelectorAll('#keys li').length"), 0);
    page.type_text("wrong");
    page.press("Enter");
    page.says("#sign-in-why", "That password is wrong.");
    page.type_text(password);
    page.press("Enter");
    is_listed(&mut page);
    assert_eq!(page.text("#keys li"), "secret");
    let kept = page.evaluate(
        "[localStorage.length, sessionStorage.length, document.cookie.length, \
                              document.getElementById('password').value.length]",
    );
    assert_eq!(kept, serde_json::json!([0, 0, 0, 0]));
    // Whoever does not tell it sees nothing, and is asked again when he wants to.
    page.open("about:blank");
    page.open(&server.url("/"));
    page.wait("document.getElementById('sign-in-dialog').open");
    page.press("Escape");
    page.says("#state", "signed out");
    page.click("#sign-in");
    page.wait("document.getElementById('sign-in-dialog').open");
    page.type_text(password);
    page.press("Enter");
    is_listed(&mut page);
    page.wait("document.getElementById('sign-in').hidden");
    complains_of_nothing(page);
}
