//! The console without a mouse.

use tresor_testkit::Page;

use crate::{complains_of_nothing, get, open, set_all, started};

/// Waits until the element with this id has the focus.
#[track_caller]
fn is_focused(page: &mut Page<'_>, id: &str) {
    page.wait(&format!("document.activeElement.id === {id:?}"));
}

#[test]
fn browsing_and_editing_need_no_mouse() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    set_all(&mut client, (0..150).map(|number| (format!("user:{number:03}"), format!("value {number}"))));
    // Something that the prefix leaves out, to tell the first list from the one that was asked for.
    client.command(&["SET", "other", "value"]).expect("it is set");
    let mut page = open(&mut browser, &server);
    page.press("/");
    is_focused(&mut page, "prefix");
    page.type_text("user:");
    page.press("Enter");
    page.wait("document.querySelector('#keys').innerText.startsWith('user:000')");
    page.says("#keys-note", "Page 1: 100 keys, in key order.");
    page.press("ArrowDown");
    is_focused(&mut page, "keys");
    page.press("PageDown");
    page.says("#keys-note", "Page 2: 50 keys");
    page.press("End");
    page.press("ArrowUp");
    page.wait("document.querySelector('#keys .active').innerText === 'user:148'");
    let announced =
        "document.getElementById(document.activeElement.getAttribute('aria-activedescendant')).innerText";
    assert_eq!(page.evaluate(announced), "user:148");
    page.press("Enter");
    page.says("#entry-key", "user:148");
    is_focused(&mut page, "value");
    page.press("Control+a");
    page.evaluate("document.activeElement.select()");
    page.type_text("typed");
    page.press("Control+Enter");
    page.says("#message", "Saved user:148.");
    assert_eq!(get(&mut client, "user:148").unwrap(), b"typed");
    page.press("Escape");
    is_focused(&mut page, "keys");
    page.wait("document.getElementById('entry').hidden");
    complains_of_nothing(page);
}

#[test]
fn tab_reaches_every_control_in_turn_and_arrows_turn_the_views() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    set_all(&mut client, [("a".to_owned(), "1".to_owned())].into_iter());
    let mut page = open(&mut browser, &server);
    page.click("#keys li");
    is_focused(&mut page, "value");
    page.evaluate("document.activeElement.blur()");
    page.evaluate("document.getElementById('database').focus()");
    let wanted = "[...document.querySelectorAll('#view-entries :is(button, input, select, textarea, ul)')].filter((each) => \
                  each.checkVisibility() && !each.disabled && (each.type !== 'radio' || each.checked)).map((each) => \
                  each.id || each.value)";
    let wanted = page.evaluate(wanted);
    page.press("Tab");
    is_focused(&mut page, "tab-entries");
    let mut reached = Vec::new();
    for _ in 0..wanted.as_array().unwrap().len() {
        page.press("Tab");
        reached.push(page.evaluate("document.activeElement.id || document.activeElement.value"));
        let ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle");
        assert_eq!(ring, "solid", "{reached:?}");
    }
    assert_eq!(serde_json::Value::from(reached), wanted);
    page.evaluate("document.getElementById('tab-entries').focus()");
    for view in ["query", "live", "server", "entries"] {
        page.press("ArrowRight");
        is_focused(&mut page, &format!("tab-{view}"));
        page.wait(&format!("document.getElementById('view-{view}').checkVisibility()"));
    }
    complains_of_nothing(page);
}
