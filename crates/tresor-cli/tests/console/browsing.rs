//! The list of keys: prefixes, pages, keys that are no text, stores that are not sorted unasked.

use crate::{complains_of_nothing, is_listed, list, open, open_entry, photograph, set, set_all, started};

#[test]
fn a_prefix_is_browsed_page_by_page() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    set_all(&mut client, (0..250).map(|number| (format!("user:{number:03}"), number.to_string())));
    set(&mut client, "apple", "1");
    let mut page = open(&mut browser, &server);
    page.says("#about", "251 keys");
    page.says("#state", "live");
    assert_eq!(page.text("#keys li"), "apple");
    photograph(&mut page, "entries");
    list(&mut page, "user:");
    let shown = |page: &mut tresor_testkit::Page<'_>, first: &str, note: &str| {
        page.says("#keys-note", note);
        assert_eq!(page.text("#keys li"), first);
    };
    shown(&mut page, "user:000", "Page 1: 100 keys, in key order.");
    page.click("#next-page");
    shown(&mut page, "user:100", "Page 2: 100 keys");
    page.click("#next-page");
    shown(&mut page, "user:200", "Page 3: 50 keys");
    page.wait("document.getElementById('next-page').disabled");
    photograph(&mut page, "third-page");
    page.click("#previous-page");
    shown(&mut page, "user:100", "Page 2: 100 keys");
    list(&mut page, "nobody");
    page.says("#keys-note", "No keys with this prefix.");
    // Another database is another store.
    page.choose("#database", "3");
    page.fill("#prefix", "");
    page.press("Enter");
    page.says("#keys-note", "No keys in database 3.");
    complains_of_nothing(page);
}

#[test]
fn keys_that_are_no_text_or_look_like_markup_are_shown_and_opened() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    let keys: [(&[u8], &str); 6] = [
        (b"", "(the empty key)"),
        (b"..", ".."),
        (b"<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
        (b"a\xff\x00/?#%", r"a\xff\x00/?#%"),
        (b"base64:abc", "base64:abc"),
        ("gr\u{fc}n\n\\".as_bytes(), "grün\\x0a\\\\"),
    ];
    for (key, label) in keys {
        set(&mut client, key, format!("the value of {label}"));
    }
    let mut page = open(&mut browser, &server);
    assert_eq!(page.evaluate("document.querySelectorAll('img').length"), 0);
    for (place, (_, label)) in keys.iter().enumerate() {
        page.click(&format!("#key-{place}"));
        page.says("#entry-key", label);
        page.wait(&format!(
            "document.getElementById('value').value === {:?}",
            format!("the value of {label}")
        ));
        // Browsers have no address for the first two.
        assert_eq!(page.evaluate("document.getElementById('save').disabled"), place < 2, "{label}");
    }
    complains_of_nothing(page);
}

#[test]
fn a_large_store_is_sorted_when_it_is_asked_for() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    for thousands in 0..101 {
        let numbers = thousands * 1000..(thousands + 1) * 1000;
        set_all(&mut client, numbers.map(|number| (format!("key:{number:06}"), String::new())));
    }
    let mut page = open(&mut browser, &server);
    page.says("#keys-note", "in no order");
    page.click("#next-page");
    page.says("#keys-note", "Page 2");
    page.click("#sorted");
    page.says("#keys-note", "Page 1: 100 keys, in key order.");
    is_listed(&mut page);
    assert_eq!(page.text("#keys li"), "key:000000");
    open_entry(&mut page, "key:077777");
    complains_of_nothing(page);
}
