//! `/v1/encryption`: which keys encrypt, and how far a rotation of keys has come.
//!
//! Nothing here tells of a key more than its name, which is derived from it and stands in every
//! encrypted value.

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use tresor::{Error, ErrorKind};

use super::{
    body::Body,
    exchange::{Answer, Exchange},
    problem::Problem,
};
use crate::key_rotation::Refused;

/// Answers `/v1/encryption`: cipher, keys, and the latest rotation.
pub(super) fn show(exchange: &Exchange<'_>) -> Answer {
    document(exchange, StatusCode::OK)
}

/// Answers `/v1/encryption/rotate`: reads the keys again, and goes on in the background.
pub(super) async fn rotate(exchange: Exchange<'_>) -> Answer {
    let (rotation, database) = (exchange.shared.rotation.clone(), exchange.database.clone());
    // It reads a file, and may have to wait for a lock.
    let started = tokio::task::spawn_blocking(move || rotation.start(&database)).await;
    let started = started.map_err(|error| {
        Problem::from(Error::new(ErrorKind::Internal, "rotating the keys failed").caused_by(error))
    })?;
    match started {
        Ok(()) => document(&exchange, StatusCode::ACCEPTED),
        Err(Refused::Conflict(detail)) => Err(Problem::new(StatusCode::CONFLICT, detail)),
        Err(Refused::Failed(error)) => Err(error.into()),
    }
}

fn document(exchange: &Exchange<'_>, status: StatusCode) -> Answer {
    let Some(encrypted) = exchange.database.encrypted() else {
        let message = "the store is not encrypted: start the server with --encryption-key-file";
        return Err(Error::new(ErrorKind::Unsupported, message).into());
    };
    let rotation = exchange.shared.rotation.status();
    let mut reencryption = Map::from_iter([
        ("running".to_owned(), json!(rotation.running)),
        ("entries".to_owned(), json!(rotation.entries)),
        ("looked_at".to_owned(), json!(rotation.looked_at)),
        ("reencrypted".to_owned(), json!(rotation.reencrypted)),
    ]);
    if let Some(trouble) = rotation.trouble {
        reencryption.insert("trouble".to_owned(), Value::String(trouble));
    }
    let ids: Vec<String> = encrypted.key_ids().iter().map(ToString::to_string).collect();
    let document = json!({
        "cipher": encrypted.cipher().name(), "key_ids": ids, "reencryption": reencryption,
    });
    let mut response = Response::new(Body::Full(document.to_string().into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
