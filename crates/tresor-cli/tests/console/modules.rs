//! Parts of the console by themselves: what they compute, in the browser that they are for.

use serde_json::json;

use crate::{complains_of_nothing, open, started};

#[test]
fn bytes_figures_and_words_are_right() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut page = open(&mut browser, &server);
    for (expression, expected) in [
        ("metrics.percentile([[1, 0], [2, 50], [4, 100], [Infinity, 100]], 0.5)", json!(2)),
        ("metrics.percentile([[1, 0], [2, 50], [4, 100], [Infinity, 100]], 0.75)", json!(3)),
        ("metrics.percentile([[1, 90], [Infinity, 100]], 0.99)", json!(1)),
        ("metrics.percentile([[1, 0], [Infinity, 0]], 0.99)", json!(null)),
        (
            r#"format.indent('[1.0,{"a":[]},"x\\"]"]')"#,
            json!("[\n  1.0,\n  {\n    \"a\": []\n  },\n  \"x\\\"]\"\n]"),
        ),
        ("format.indent('7')", json!("7")),
        ("bytes.Key.named('base64:/w==').path", json!("%FF")),
        ("bytes.Key.named('a/b \u{fc}').path", json!("a%2Fb%20%C3%BC")),
        ("bytes.Key.named('base64:YmFzZTY0Ong=').name", json!("base64:YmFzZTY0Ong=")),
        ("bytes.Key.named('base64:YmFzZTY0Ong=').label", json!("base64:x")),
        (r"bytes.toLabel(bytes.encode('\u202eevil'))", json!(r"\xe2\x80\xaeevil")),
        ("Array.from(bytes.fromHex(bytes.toHex(Uint8Array.of(0, 15, 255))))", json!([0, 15, 255])),
        ("units.span(3_700_000)", json!("1 h 1 min")),
        ("units.bytes(1536)", json!("1.50 KiB")),
        ("units.seconds(0.0000035)", json!("3.50 \u{b5}s")),
        (
            "new api.Failure(429, {}, 7).message.includes('--http-rate-limit allows. Try again in 7 s')",
            json!(true),
        ),
        ("new api.Failure(403, { detail: 'no' }).message", json!("The server refuses this page. No.")),
    ] {
        let names = ["api", "bytes", "format", "metrics", "units"];
        let imports = names.map(|name| format!("import('/console/{name}.js')")).join(", ");
        let given = page.evaluate(&format!(
            "(async () => {{ const [{}] = await Promise.all([{imports}]); return {expression}; }})()",
            names.join(", ")
        ));
        assert_eq!(given, expected, "{expression}");
    }
    complains_of_nothing(page);
}

#[test]
fn a_hidden_page_asks_nothing() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut page = open(&mut browser, &server);
    let asked = page.evaluate(
        "(async () => {
          const { Poll } = await import('/console/poll.js');
          let [isHidden, asked] = [true, 0];
          Object.defineProperty(document, 'hidden', { configurable: true, get: () => isHidden });
          const poll = new Poll(60_000, async () => { asked += 1; }, () => {});
          poll.start();
          const counts = [asked];
          isHidden = false;
          document.dispatchEvent(new Event('visibilitychange'));
          counts.push(asked);
          poll.stop();
          document.dispatchEvent(new Event('visibilitychange'));
          counts.push(asked);
          return counts;
        })()",
    );
    assert_eq!(asked, json!([0, 1, 1]));
    complains_of_nothing(page);
}
