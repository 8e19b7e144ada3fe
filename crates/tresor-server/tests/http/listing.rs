//! Listings: whole, in key order, a page at a time, and no faster than the client reads.

use std::{collections::BTreeMap, io::Read};

use tresor_testkit::random::{Random, seed};

use crate::{client::request, ordered::Members, running::server};

#[test]
fn everything_is_listed_in_key_order() {
    let number = seed("everything_is_listed_in_key_order");
    println!("seed {number}");
    let mut random = Random::new(number);
    let server = server();
    let mut client = server.client();
    let mut expected = BTreeMap::new();
    for count in 0..1_000 {
        let key = format!("key {}", random.below(100_000));
        // A few values are larger than a frame, and multi-byte so that pieces must not cut characters.
        let value = if count % 100 == 0 { "\u{20ac}\"".repeat(50_000) } else { format!("value {count}") };
        let path = key.replace(' ', "%20");
        assert!(client.request("PUT", &format!("/keys/{path}"), &[], value.as_bytes()).status < 300);
        expected.insert(key, value);
    }
    for target in ["/kv", "/keys"] {
        let answer = client.request("GET", target, &[], b"");
        assert_eq!(answer.header("transfer-encoding"), "chunked");
        let listed = Members::of(&answer.body).0.into_iter();
        let listed: Vec<(String, String)> =
            listed.map(|(key, value)| (key, serde_json::from_str(value.get()).unwrap())).collect();
        assert!(listed.iter().map(|(key, value)| (key, value)).eq(&expected), "{target}");
    }
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody() {
    let server = server();
    let mut client = server.client();
    let value = vec![b'x'; 1_000_000];
    for number in 0..40 {
        assert_eq!(client.request("PUT", &format!("/keys/{number:02}"), &[], &value).status, 201);
    }
    let mut slow = server.client();
    assert!(slow.send(&request("GET", "/keys", &[], b"")));
    let mut first = [0; 1];
    slow.stream().read_exact(&mut first).unwrap();
    // Its answer stands still; others go on, also with writes and with listings of their own.
    server.assert_serves();
    assert!(client.request("GET", "/keys", &[], b"").body.len() > 40_000_000);
    let rest = slow.until_closed_or(40_000_000);
    assert!(rest >= 40_000_000, "the slow client got {rest} bytes");
}

#[test]
fn head_of_a_listing_has_no_body() {
    let server = server();
    let mut client = server.client();
    let answer = client.request("HEAD", "/kv", &[], b"");
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    // The connection is still in step.
    assert_eq!(client.request("GET", "/kv", &[], b"").body, b"{}");
}
