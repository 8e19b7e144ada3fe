//! `POST /v1/batch`: several operations as one step, all of them or none.
//!
//! This is the request and its answer; `batch_run.rs` is what happens in between. What is on this path
//! exactly: `docs/http-transactions.md`.

use http::StatusCode;
use tresor::{Error, Guard, Version, engine::Effect};

use super::{
    batch_run::{self, Refused, Results, Seen},
    body::Body,
    etag::Etag,
    exchange::{Answer, Exchange, weigh},
    kv::{self, check_type, read_document},
    operation::{Action, Operation, at},
    problem::Problem,
    query::Parameters,
};
use crate::json::{ValuePieces, key_text};

/// Answers `/v1/batch`.
pub(super) async fn answer(mut exchange: Exchange<'_>) -> Answer {
    let parameters = Parameters::parse(exchange.parts.uri.query())?;
    check_type(&exchange.parts.headers)?;
    let body = read_document(&mut exchange).await?;
    let store_id = exchange.shared.store_id(exchange.database).await?;
    let operations = weigh(body.len(), move || Operation::parse_all(&body, store_id)).await??;
    exchange.session.select(parameters.database);
    check_sizes(&exchange, &operations)?;
    match batch_run::run(exchange.session, &operations).await {
        Ok(Ok(results)) => {
            let bytes = results.bytes();
            let document = weigh(bytes, move || document(&results, store_id)).await?;
            Ok(kv::json(Body::Full(document.into()), StatusCode::OK))
        }
        Ok(Err(refused)) => Err(conflict(&operations[refused.index], &refused, store_id)),
        Err(error) => Err(locked(&exchange, &operations, error.into())),
    }
}

fn check_sizes(exchange: &Exchange<'_>, operations: &[Operation]) -> Result<(), Problem> {
    for (index, operation) in operations.iter().enumerate() {
        exchange.session.key(&operation.key).map_err(|error| at(index, &error))?;
        if let Action::Put { value, .. } = &operation.action {
            exchange.session.value_bytes(value.len()).map_err(|error| at(index, &error))?;
        }
    }
    Ok(())
}

/// Which guard has failed, and how.
fn conflict(operation: &Operation, refused: &Refused, store_id: u64) -> Problem {
    let (reason, words) = match (operation.guard, refused.version) {
        (Guard::Absent, _) => ("exists", "is there already"),
        (_, None) => ("absent", "is not there"),
        _ => ("changed", "has another version by now"),
    };
    let (index, key) = (refused.index, key_text(&operation.key));
    let shown: String = key.chars().take(64).collect();
    let detail = format!("operations[{index}]: the key {shown:?} {words}; nothing was done");
    let problem = Problem::from(Error::new(tresor::ErrorKind::Conflict, detail))
        .status(StatusCode::CONFLICT)
        .member("index", index)
        .member("key", key)
        .member("reason", reason);
    match refused.version {
        Some(version) => problem.member("version", Etag { store_id, version }.to_string()),
        None => problem,
    }
}

/// Names the first key that somebody else has locked, if that is what went wrong and it still is.
fn locked(exchange: &Exchange<'_>, operations: &[Operation], problem: Problem) -> Problem {
    if !problem.is_about_locks() {
        return problem;
    }
    let is_locked = |operation: &Operation| exchange.database.is_locked(&operation.key);
    match operations.iter().position(is_locked) {
        Some(index) => problem.member("index", index).about(&operations[index].key),
        None => problem,
    }
}

/// `{"results":[…]}`, one for each operation.
fn document(results: &Results, store_id: u64) -> Vec<u8> {
    let mut out = b"{\"results\":[".to_vec();
    for (place, seen) in results.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        match seen {
            Seen::Effect(Effect { existed, .. }, false) => write_existed(&mut out, *existed),
            Seen::Effect(Effect { existed, version }, true) => {
                write_existed(&mut out, *existed);
                write_version(&mut out, *version, store_id);
            }
            Seen::Entry(None) => write_existed(&mut out, false),
            Seen::Entry(Some(entry)) => {
                write_existed(&mut out, true);
                out.extend_from_slice(b",\"value\":");
                ValuePieces::new(entry.kind, &entry.value).write_all(&mut out);
                write_version(&mut out, entry.version, store_id);
            }
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}

fn write_existed(out: &mut Vec<u8>, existed: bool) {
    out.extend_from_slice(b"{\"existed\":");
    out.extend_from_slice(if existed { b"true" } else { b"false" });
}

fn write_version(out: &mut Vec<u8>, version: Version, store_id: u64) {
    out.extend_from_slice(format!(",\"version\":\"{}\"", Etag { store_id, version }).as_bytes());
}
