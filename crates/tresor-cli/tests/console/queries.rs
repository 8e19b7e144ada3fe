//! Queries: conditions, regular expressions, nearest neighbours, pages, mistakes.

use crate::{complains_of_nothing, open, photograph, put_json, set, started};

#[test]
fn a_query_finds_by_regex_by_field_and_by_nearness() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    let mut page = open(&mut browser, &server);
    put_json(&mut page, "user:1", r#"{"age":17,"at":[0,0],"id":12345678901234567890}"#);
    put_json(&mut page, "user:2", r#"{"age":40,"at":[3,4]}"#);
    put_json(&mut page, "user:33", r#"{"age":65,"at":[1,0]}"#);
    set(&mut client, b"user:\xff", b"\xfe\xff");
    page.click("#tab-query");
    page.fill("#query [name=regex]", r"^user:\d$");
    page.press("Enter");
    page.says("#query-note", "2 entries found");
    page.says("#found", "user:1");
    // No digit is lost on the way.
    page.says("#found", "12345678901234567890");
    photograph(&mut page, "query-regex");
    page.fill("#query [name=regex]", "");
    page.fill(".condition [name=field]", "/age");
    page.choose(".condition select", "from");
    page.fill(".condition [name=text]", "40");
    page.click("#query .primary");
    page.says("#found", "user:33");
    assert!(!page.text("#found").contains("user:1"));
    page.fill(".condition [name=text]", "");
    page.fill("#query [name=vector]", "[1.2, 0.1]");
    page.fill("#query .fields [name=field]", "/at");
    page.fill("#query [name=limit]", "2");
    page.click("#query .primary");
    page.says("#found tbody", "0.223607");
    let keys = page
        .evaluate("[...document.querySelectorAll('#found .link')].map((link) => link.innerText).join(' ')");
    assert_eq!(keys, "user:33 user:1");
    photograph(&mut page, "query-nearest");
    page.click("#found .link");
    page.says("#entry-key", "user:33");
    assert_eq!(page.text("#kind"), "JSON");
    complains_of_nothing(page);
}

#[test]
fn a_query_goes_on_page_by_page_and_says_what_is_wrong_with_it() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    crate::set_all(&mut client, (0..25).map(|number| (format!("k{number:02}"), number.to_string())));
    let mut page = open(&mut browser, &server);
    page.click("#tab-query");
    page.fill("#query [name=prefix]", "k");
    page.fill("#query [name=limit]", "10");
    page.click("#query [name=explain]");
    page.click("#query .primary");
    page.says("#query-note", "10 entries found");
    assert!(!page.text("#query-plan").is_empty());
    page.click("#more");
    page.says("#query-note", "20 entries found");
    page.click("#more");
    page.says("#query-note", "25 entries found");
    page.wait("document.getElementById('more').hidden");
    page.fill("#query [name=regex]", "(");
    page.click("#query .primary");
    page.wait("document.getElementById('alert').innerText !== ''");
    page.says("#query-note", "the query was not run");
    photograph(&mut page, "query-wrong");
    complains_of_nothing(page);
}
