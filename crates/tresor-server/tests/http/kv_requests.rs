//! What the scripts of keys and values ask for, as requests to `/kv` and to `/keys`, and the answers
//! in the scripts' words.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tresor::engine::Kind;
use tresor_testkit::kv_script::{KvAnswer, KvRequest, KvValue};

use crate::{
    client::{Answer, Client},
    ordered::Members,
};

pub(crate) fn kv(client: &mut Client, request: KvRequest) -> KvAnswer {
    match request {
        KvRequest::Put { key, value, kind } => {
            let value = document_value(&value, kind);
            let body = format!("{{\"key\":{},\"value\":{value}}}", json!(key_text(&key)));
            put(&client.request("PUT", "/kv", &["Content-Type: application/json"], body.as_bytes()))
        }
        KvRequest::Get(key) => {
            let key = key_text(&key).bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
            let answer = client.request("GET", &format!("/kv?key={key}"), &[], b"");
            if let Some(other) = other(&answer) {
                return other;
            }
            let Members(members) = Members::of(&answer.body);
            KvAnswer::Value(value_of(members[1].1.get()))
        }
        KvRequest::Delete(key) => {
            let body = json!({ "key": key_text(&key) }).to_string();
            let answer = client.request("DELETE", "/kv", &[], body.as_bytes());
            other(&answer).unwrap_or(KvAnswer::Deleted)
        }
        KvRequest::List => list(client, "/kv"),
    }
}

pub(crate) fn keys(client: &mut Client, request: KvRequest) -> KvAnswer {
    let target = |key: &[u8]| {
        let encoded = key.iter().map(|byte| format!("%{byte:02x}")).collect::<String>();
        format!("/keys/{encoded}")
    };
    match request {
        KvRequest::Put { key, value, kind } => {
            let headers: &[&str] = match kind {
                Kind::Raw | Kind::Packed => &[],
                Kind::Json => &["Content-Type: application/json"],
            };
            put(&client.request("PUT", &target(&key), headers, &value))
        }
        KvRequest::Get(key) => {
            let answer = client.request("GET", &target(&key), &[], b"");
            if let Some(other) = other(&answer) {
                return other;
            }
            let kind =
                if answer.header("content-type") == "application/json" { Kind::Json } else { Kind::Raw };
            KvAnswer::Value((kind, answer.body))
        }
        KvRequest::Delete(key) => {
            let answer = client.request("DELETE", &target(&key), &[], b"");
            other(&answer).unwrap_or(KvAnswer::Deleted)
        }
        KvRequest::List => list(client, "/keys"),
    }
}

fn list(client: &mut Client, target: &str) -> KvAnswer {
    let answer = client.request("GET", target, &[], b"");
    if let Some(other) = other(&answer) {
        return other;
    }
    let Members(members) = Members::of(&answer.body);
    KvAnswer::Entries(members.into_iter().map(|(key, value)| (key_of(&key), value_of(value.get()))).collect())
}

fn put(answer: &Answer) -> KvAnswer {
    match answer.status {
        201 => KvAnswer::Created,
        200 => KvAnswer::Replaced,
        _ => other(answer).expect("an error"),
    }
}

/// Absent, or the kind of error; `None` when it went well.
fn other(answer: &Answer) -> Option<KvAnswer> {
    if answer.status < 300 {
        return None;
    }
    let problem: Value = serde_json::from_slice(&answer.body).expect("a problem document");
    let kind = problem["type"].as_str().and_then(|kind| kind.strip_prefix("urn:tresor:error:"));
    Some(match kind {
        Some("NotFound") => KvAnswer::Absent,
        kind => KvAnswer::Failed(kind.unwrap_or("none").to_owned()),
    })
}

fn key_text(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if !text.starts_with("base64:") => text.to_owned(),
        _ => format!("base64:{}", STANDARD.encode(key)),
    }
}

fn key_of(text: &str) -> Vec<u8> {
    match text.strip_prefix("base64:") {
        Some(encoded) => STANDARD.decode(encoded).expect("base64"),
        None => text.as_bytes().to_vec(),
    }
}

fn document_value(value: &[u8], kind: Kind) -> String {
    match (kind, std::str::from_utf8(value)) {
        (Kind::Json, Ok(text)) => format!("{{\"json\":{text}}}"),
        (Kind::Raw | Kind::Packed, Ok(text)) => json!(text).to_string(),
        (_, Err(_)) => json!({ "base64": STANDARD.encode(value) }).to_string(),
    }
}

fn value_of(text: &str) -> KvValue {
    if let Ok(text) = serde_json::from_str::<String>(text) {
        return (Kind::Raw, text.into_bytes());
    }
    if text.starts_with('{') {
        let Members(members) = Members::of(text.as_bytes());
        match &members[..] {
            [(name, inner)] if name == "json" => return (Kind::Json, inner.get().as_bytes().to_vec()),
            [(name, inner)] if name == "base64" => {
                let encoded: String = serde_json::from_str(inner.get()).expect("a string");
                return (Kind::Raw, STANDARD.decode(encoded).expect("base64"));
            }
            _ => {}
        }
    }
    (Kind::Json, text.as_bytes().to_vec())
}
