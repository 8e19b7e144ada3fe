//! Row `console`: how long somebody waits for the console's first view of a large store.
//!
//! From the navigation to the frame that shows the first keys, as the page's own clock has it, in a browser that was
//! just started and has none of the page's files. Without Chromium the row says so and has no figure.

use tresor_testkit::{Chromium, programs};

use super::super::{
    figure::{Bar, Figure},
    fill::{Expiry, fill},
    launch::{Server, free_port},
    setup::Setup,
};
use crate::Outcome;

/// Notes the time when a frame with the first key has been painted.
const WATCH: &str = "new MutationObserver((_, observer) => {
  if (document.querySelector('#keys li') !== null) {
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => { window.shownAfter = performance.now(); }));
  }
}).observe(document, { childList: true, subtree: true })";

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let Some(chromium) = programs::find("chromium") else {
        eprintln!("  left out: chromium is not installed (apt-get install chromium)");
        return Ok(Vec::new());
    };
    let resp = free_port()?;
    let server = Server::start_http(setup, &["--resp-port", &resp.to_string()])?;
    fill(resp, 0..setup.size(1_000_000, 10_000), Expiry::Never)?;
    let mut shown_after = Vec::new();
    for _ in 0..setup.options.rounds() {
        let mut browser = Chromium::start(&chromium);
        let mut page = browser.page((1200, 760), false);
        page.at_each_beginning(WATCH);
        page.open(&format!("http://127.0.0.1:{}/", server.port));
        page.wait("window.shownAfter !== undefined");
        shown_after.push(page.evaluate("window.shownAfter").as_f64().ok_or("the page has no clock")?);
    }
    Ok(vec![
        Figure::new(
            "console in Chromium, 1 M keys: from the navigation to the first keys painted",
            "ms",
            shown_after,
        )
        .bar(Bar::AtMost(1_000.0)),
    ])
}
