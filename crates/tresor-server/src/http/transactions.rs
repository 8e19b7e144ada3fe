//! `/v1/transactions`: begin, then keys and values as on `/keys` and `/kv` but in the transaction, one step
//! back, and the two ends.
//!
//! What is done to an entry is done by the handlers of `/keys` and `/kv`: here a request gets its turn with
//! the transaction's session and passes it on. What is on these paths exactly: `docs/http-transactions.md`.

use std::time::Duration;

use http::{HeaderValue, Method, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use tresor::{Error, ErrorKind, transaction::OpenTransaction};

use super::{
    body::Body,
    exchange::{Answer, Exchange},
    keys,
    kv::{self, check_type},
    problem::Problem,
    query::{Lookup, Parameters},
    route::Route,
    transaction_table::Turn,
};
use crate::listing::View;

/// The longest body that a transaction begins with.
const BODY_BYTES: usize = 4096;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    /// Seconds that it may do nothing.
    timeout: Option<f64>,
}

/// Answers `/v1/transactions`, and `path` beneath it, which begins with an id.
pub(super) async fn answer(exchange: Exchange<'_>, route: Route, path: &str) -> Answer {
    if route == Route::Transactions {
        return match exchange.parts.method {
            Method::POST => begin(exchange).await,
            _ => listed(&exchange).await,
        };
    }
    let (id, rest) = path.split_once('/').unwrap_or((path, ""));
    let patience = exchange.database.config().transactions.lock_wait;
    let turn = exchange.shared.transactions.turn(id, patience, exchange.worker).await?;
    match route {
        Route::TransactionCommit => commit(turn).await,
        Route::TransactionRollback => rollback(turn).await,
        Route::TransactionAbort | Route::Transaction => abort(turn),
        Route::TransactionKey => within(exchange, turn, Route::find_key(rest)).await,
        _ => match listed_database(&exchange, route)? {
            Some(database) => kv::list(View::Transaction(turn), database).await,
            None => within(exchange, turn, None).await,
        },
    }
}

async fn begin(mut exchange: Exchange<'_>) -> Answer {
    check_type(&exchange.parts.headers)?;
    let body = exchange.read_body(BODY_BYTES).await?;
    let limit = timeout_of(&body)?;
    let mut session = exchange.database.session(exchange.worker);
    let number = session.begin().await?;
    let limits = exchange.database.config().transactions;
    let idle = match limit {
        Some(limit) => session.limit_idle(number, limit)?,
        None => limits.idle,
    };
    let id = exchange.shared.transactions.add(session, number, limits.max_open)?;
    let location = HeaderValue::from_str(&format!("/v1/transactions/{id}"))
        .map_err(|error| Error::new(ErrorKind::Internal, "the id is no header").caused_by(error))?;
    let document = json!({ "transaction_id": id, "timeout": idle.as_secs_f64() });
    let mut response = private(&document, StatusCode::CREATED);
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// The time to live without requests that a body asks for.
fn timeout_of(body: &[u8]) -> Result<Option<Duration>, Error> {
    if body.is_empty() {
        return Ok(None);
    }
    let begin: Begin = serde_json::from_slice(body)
        .map_err(|error| Error::invalid(format!("the body is not what it should be: {error}")))?;
    let Some(seconds) = begin.timeout else { return Ok(None) };
    let timeout = Duration::try_from_secs_f64(seconds).ok().filter(|timeout| !timeout.is_zero());
    timeout.map(Some).ok_or_else(|| Error::invalid("timeout must be a number of seconds above 0"))
}

/// The open transactions of all front doors. Theirs are bound to connections, and of ours the number is not
/// what opens them, so nothing here gives anybody a hold on one.
async fn listed(exchange: &Exchange<'_>) -> Answer {
    let database = exchange.database.clone();
    // It copies what they have written.
    let open = tokio::task::spawn_blocking(move || database.open_transactions()).await;
    let open = open.map_err(|error| {
        Problem::from(Error::new(ErrorKind::Internal, "listing the transactions failed").caused_by(error))
    })?;
    let shown = |open: &OpenTransaction| json!({ "transaction_id": open.id, "writes": open.writes.len() });
    let document = json!({ "transactions": open.iter().map(shown).collect::<Vec<_>>() });
    Ok(private(&document, StatusCode::OK))
}

/// Which database all entries are asked of, if that is what the request asks.
fn listed_database(exchange: &Exchange<'_>, route: Route) -> Result<Option<u8>, Error> {
    let query = exchange.parts.uri.query();
    if route == Route::TransactionKeys {
        return Ok(Some(Parameters::parse(query)?.database));
    }
    if !matches!(exchange.parts.method, Method::GET | Method::HEAD) {
        return Ok(None);
    }
    let lookup = Lookup::parse(query)?;
    Ok(lookup.key.is_none().then_some(lookup.database))
}

/// Lets the handler of `/keys/{key}`, or of `/kv` where there is no `key`, use the transaction.
async fn within(exchange: Exchange<'_>, mut turn: Turn, key: Option<&str>) -> Answer {
    let transaction = Some(turn.number());
    let exchange = Exchange { session: turn.session(), transaction, ..exchange };
    match key {
        Some(key) => keys::answer(exchange, key).await,
        None => kv::answer(exchange).await,
    }
}

async fn commit(mut turn: Turn) -> Answer {
    turn.commit().await?;
    Ok(Response::new(Body::Empty))
}

fn abort(mut turn: Turn) -> Answer {
    turn.abort()?;
    Ok(Response::new(Body::Empty))
}

async fn rollback(mut turn: Turn) -> Answer {
    let undone = turn.undo().await?;
    // Each request writes one key, so a step has one.
    let Some(before) = undone.first() else {
        return Err(Error::new(ErrorKind::Internal, "the step that was undone had written nothing").into());
    };
    Ok(match before.value() {
        Some((value, kind)) => kv::entry(&before.key, value.to_bytes(), kind, StatusCode::OK),
        None => kv::entry(&before.key, "null".into(), tresor::Kind::Json, StatusCode::OK),
    })
}

/// A document that no cache may keep.
fn private(document: &serde_json::Value, status: StatusCode) -> Response<Body> {
    let mut response = kv::json(Body::Full(document.to_string().into()), status);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
