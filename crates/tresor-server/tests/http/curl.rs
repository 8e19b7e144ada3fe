//! What people type: curl against the server, as it comes.

use std::process::Command;

use tresor_testkit::programs;

use crate::running::{Running, server};

/// Runs curl; status and body. `None` where there is no curl.
fn curl(server: &Running, arguments: &[&str], target: &str) -> Option<(u16, String)> {
    let output = Command::new(programs::require("curl")?)
        .args(["--silent", "--show-error", "--max-time", "20", "--write-out", "\n%{http_code}"])
        .args(arguments)
        .arg(format!("http://{}{target}", server.address))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    Some((status.parse().unwrap(), body.to_owned()))
}

#[test]
fn curl_puts_gets_lists_and_deletes() {
    let server = server();
    let put = ["-X", "PUT", "-d", r#"{"key":"feature_toggle","value":true}"#];
    let Some(answer) = curl(&server, &put, "/kv") else { return };
    assert_eq!(answer, (201, r#"{"key":"feature_toggle","value":true}"#.to_owned()));
    let steps: [(&[&str], &str, u16, &str); 7] = [
        (&[], "/kv?feature_toggle=true", 200, r#"{"key":"feature_toggle","value":true}"#),
        (&["-X", "PUT", "--data-binary", "Alice"], "/keys/name", 201, ""),
        (&[], "/keys/name", 200, "Alice"),
        (&["-G", "--data-urlencode", "key=name"], "/kv", 200, r#"{"key":"name","value":"Alice"}"#),
        (&[], "/kv", 200, r#"{"feature_toggle":true,"name":"Alice"}"#),
        (&["-X", "DELETE", "-d", r#"{"key":"feature_toggle"}"#], "/kv", 200, ""),
        (&["-X", "DELETE"], "/keys/name", 200, ""),
    ];
    for (arguments, target, status, body) in steps {
        assert_eq!(curl(&server, arguments, target), Some((status, body.to_owned())), "{target}");
    }
}

#[test]
fn curl_uploads_with_and_without_a_length() {
    let server = server();
    let directory = tresor_testkit::TemporaryDirectory::new("curl-uploads");
    let file = directory.join("value");
    std::fs::write(&file, vec![b'x'; 2_000_000]).unwrap();
    let path = file.to_str().unwrap();
    let Some((status, _)) = curl(&server, &["-T", path], "/keys/file") else { return };
    assert_eq!(status, 201);
    let chunked = ["-H", "Transfer-Encoding: chunked", "-T", path];
    assert_eq!(curl(&server, &chunked, "/keys/file").unwrap().0, 200);
    assert_eq!(curl(&server, &[], "/keys/file").unwrap().1.len(), 2_000_000);
    // Over the limit: refused before it is sent, and curl gets to see why.
    std::fs::write(&file, vec![b'x'; 64 * 1024 * 1024 + 1]).unwrap();
    let (status, problem) = curl(&server, &["-T", path], "/keys/file").unwrap();
    assert_eq!(status, 413, "{problem}");
}

/// The examples of `docs/http-transactions.md`.
#[test]
fn curl_sends_batches_and_transactions() {
    let server = server();
    let json = ["-X", "POST", "-H", "Content-Type: application/json", "-d"];
    let batch = r#"{"operations":[
      {"op":"put","key":"stock","value":9,"if":"absent"},
      {"op":"put","key":"order","value":{"pieces":1},"ttl":3600},
      {"op":"delete","key":"cart"}]}"#;
    let Some((status, results)) = curl(&server, &[&json[..], &[batch]].concat(), "/v1/batch") else { return };
    assert_eq!(status, 200, "{results}");
    assert!(results.starts_with(r#"{"results":[{"existed":false,"version":"#), "{results}");
    assert!(results.ends_with(r#",{"existed":false}]}"#), "{results}");
    assert_eq!(curl(&server, &[&json[..], &[batch]].concat(), "/v1/batch").unwrap().0, 409);
    let post = ["-X", "POST", "-H", "X-Requested-With: curl"];
    let (status, begun) = curl(&server, &post, "/v1/transactions").unwrap();
    assert_eq!(status, 201);
    let begun: serde_json::Value = serde_json::from_str(&begun).unwrap();
    let path = format!("/v1/transactions/{}", begun["transaction_id"].as_str().unwrap());
    let steps: [(&[&str], &str, u16, &str); 6] = [
        (&["-X", "PUT", "-d", "90"], "/keys/account-1", 201, ""),
        (
            &["-X", "PUT", "-d", r#"{"key":"account-2","value":110}"#],
            "/kv",
            201,
            r#"{"key":"account-2","value":110}"#,
        ),
        (&[], "/keys/account-1", 200, "90"),
        (&post, "/rollback", 200, r#"{"key":"account-2","value":null}"#),
        (&["-X", "PUT", "-d", "110"], "/keys/account-2", 201, ""),
        (&post, "/commit", 200, ""),
    ];
    for (arguments, rest, status, body) in steps {
        let answer = curl(&server, arguments, &format!("{path}{rest}"));
        assert_eq!(answer, Some((status, body.to_owned())), "{rest}");
    }
    assert_eq!(curl(&server, &[], "/keys/account-2").unwrap().1, "110");
}
