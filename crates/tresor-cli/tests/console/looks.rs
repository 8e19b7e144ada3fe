//! What it looks like: on a phone, in the dark, and how well its text stands out.

use tresor_testkit::Page;

use crate::{complains_of_nothing, is_listed, photograph, set, set_all, started};

/// A phone, and a narrow one.
const PHONE: (u32, u32) = (360, 720);

const VIEWS: [&str; 4] = ["entries", "query", "live", "server"];

#[test]
fn a_phone_has_one_column_and_nothing_to_scroll_sideways() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    set_all(&mut client, (0..30).map(|number| (format!("user:{number:03}"), "x".repeat(100))));
    set(&mut client, format!("long:{}", "k".repeat(500)), "long".repeat(500));
    client.command(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]).unwrap();
    client.command(&["CLIENT", "SETNAME", "a-client-with-a-long-name"]).unwrap();
    let mut page = browser.page(PHONE, true);
    page.open(&server.url("/"));
    is_listed(&mut page);
    for view in VIEWS {
        page.click(&format!("#tab-{view}"));
        if view == "server" {
            page.says("#clients", "a-client-with-a-long-name");
        }
        fits(&mut page, view);
        photograph(&mut page, &format!("phone-{view}"));
    }
    page.click("#tab-entries");
    page.click("#keys li");
    page.says("#entry-key", "long:");
    page.wait("!document.getElementById('keys').checkVisibility()");
    fits(&mut page, "entry");
    photograph(&mut page, "phone-entry");
    set(&mut client, format!("long:{}", "k".repeat(500)), "other");
    page.click("#save");
    page.wait("document.getElementById('conflict').open");
    fits(&mut page, "conflict");
    photograph(&mut page, "phone-conflict");
    page.press("Escape");
    page.click("#back");
    page.wait("document.getElementById('keys').checkVisibility()");
    complains_of_nothing(page);
}

#[track_caller]
fn fits(page: &mut Page<'_>, view: &str) {
    let widths = page.evaluate(
        "[document.documentElement, document.body, ...document.querySelectorAll('main, section')]\
                                .map((each) => each.scrollWidth - Math.max(each.clientWidth, 0))",
    );
    let widest = widths.as_array().expect("a list").iter().filter_map(serde_json::Value::as_i64).max();
    assert!(widest.is_some_and(|pixels| pixels <= 0), "{view}: {widths}");
    let width = page.evaluate("document.documentElement.scrollWidth");
    assert!(width.as_u64().is_some_and(|width| width <= u64::from(PHONE.0)), "{view}: {width}");
}

/// Contrast of each shown text with what is behind it, as WCAG 2 computes it; the texts below 4.5.
const FAINT: &str = "(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = numbers(colour).map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if ((numbers(colour)[3] ?? 1) === 1) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const faint = [];
  for (const element of document.body.querySelectorAll('*')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '');
    if (!own || !element.checkVisibility() || element.disabled || element.matches('option, noscript')) continue;
    const [one, other] = [light(getComputedStyle(element).color), light(behind(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) faint.push(`${element.tagName} ${element.id} ${element.textContent.slice(0, 20)} ${contrast}`);
  }
  return faint;
})()";

#[test]
fn text_stands_out_in_light_and_in_dark() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    set_all(&mut client, (0..30).map(|number| (format!("user:{number:03}"), "{\"a\": 1}".to_owned())));
    for (is_dark, name) in [(false, "light"), (true, "dark")] {
        let mut page = browser.page(crate::DESK, is_dark);
        page.open(&server.url("/"));
        is_listed(&mut page);
        page.click("#keys li");
        page.says("#entry-key", "user:000");
        page.click("#save");
        page.says("#message", "Saved");
        for view in VIEWS {
            page.click(&format!("#tab-{view}"));
            let faint = page.evaluate(FAINT);
            assert_eq!(faint, serde_json::json!([]), "{name} {view}");
            photograph(&mut page, &format!("{name}-{view}"));
        }
        let back =
            page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]");
        assert_eq!(back.as_u64().is_some_and(|red| red < 64), is_dark, "{back}");
        complains_of_nothing(page);
    }
}
