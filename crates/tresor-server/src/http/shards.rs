//! `/v1/shards`: which shards there are, one more, one fewer, other weights, and what that would move.
//!
//! All of it may wait for disks, so it is done on threads that may, and a trial over a large store ends
//! when its client goes. What is on these paths exactly: `docs/shards.md`.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tresor::{
    Error, ErrorKind,
    layer::sharded::{Listed, Move, Progress},
};

use super::{
    access::media_type,
    body::Body,
    exchange::{Answer, Exchange},
    problem::Problem,
    query::{decode_segment, flag},
    route::Route,
};
use crate::{
    assemble::EngineChoice,
    sharding::{Refusal, ShardChange, ShardControl},
};

/// The longest body that is read: more than all names of all shards take.
const BODY_BYTES: usize = 64 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    name: String,
    engine: Option<EngineChoice>,
    weight: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rebalance {
    #[serde(default)]
    weights: BTreeMap<String, u32>,
}

#[derive(Serialize)]
struct ShardsDocument {
    shards: Vec<ShardDocument>,
    r#move: MoveDocument,
}

#[derive(Serialize)]
struct ShardDocument {
    name: String,
    engine: &'static str,
    weight: u32,
    next_weight: u32,
    share: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

#[derive(Serialize)]
struct MoveDocument {
    moving: bool,
    keys: u64,
    expected_keys: u64,
    bytes: u64,
    elapsed_ms: u64,
    keys_per_second: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

#[derive(Serialize)]
struct MovesDocument {
    moves: Vec<TriedDocument>,
}

#[derive(Serialize)]
struct TriedDocument {
    from: String,
    to: String,
    keys: u64,
    bytes: u64,
}

/// Answers a request to one of these paths.
pub(super) async fn answer(mut exchange: Exchange<'_>, route: Route, name: &str) -> Answer {
    let control = control(&exchange)?;
    let change = match (route, &exchange.parts.method) {
        (Route::Shards, &Method::GET | &Method::HEAD) => return listed(control, StatusCode::OK).await,
        (_, &Method::DELETE) => ShardChange::Remove { name: shard_name(name)? },
        (Route::Shards, _) => {
            let Add { name, engine, weight } = read(&mut exchange).await?;
            ShardChange::Add { name, engine, weight }
        }
        _ => ShardChange::Rebalance { weights: read::<Rebalance>(&mut exchange).await?.weights },
    };
    if flag(exchange.parts.uri.query(), "dry_run")? {
        return tried(control, change).await;
    }
    let beginning = control.clone();
    waiting(move || beginning.begin(&change)).await?.map_err(refused)?;
    listed(control, StatusCode::ACCEPTED).await
}

fn control(exchange: &Exchange<'_>) -> Result<Arc<ShardControl>, Problem> {
    exchange.shared.shards.clone().ok_or_else(|| {
        let message = "this store is not spread over shards: name some as [[shard]] tables of the \
                       configuration file";
        Error::new(ErrorKind::Unsupported, message).into()
    })
}

fn shard_name(segment: &str) -> Result<String, Problem> {
    let bytes = decode_segment(segment)?.into_owned();
    String::from_utf8(bytes).map_err(|error| {
        let message = format!("there is no shard {}", String::from_utf8_lossy(error.as_bytes()));
        Error::new(ErrorKind::NotFound, message).into()
    })
}

async fn read<T: DeserializeOwned>(exchange: &mut Exchange<'_>) -> Result<T, Problem> {
    let is_json = media_type(&exchange.parts.headers).is_none_or(|name| name == "application/json");
    if !is_json {
        let detail = "the body must be JSON: send Content-Type: application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let body = exchange.read_body(BODY_BYTES).await?;
    let wrong = |error| Error::invalid(format!("the body is not what it should be: {error}"));
    Ok(serde_json::from_slice(&body).map_err(wrong)?)
}

/// Does what may take its time where that holds nobody up.
async fn waiting<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Error::new(ErrorKind::Internal, "looking after the shards failed").caused_by(error).into()
    })
}

/// Shards and progress as they are.
pub(super) async fn figures(control: Arc<ShardControl>) -> Result<(Vec<Listed>, Progress), Problem> {
    waiting(move || (control.sharded().list(), control.sharded().progress())).await
}

async fn listed(control: Arc<ShardControl>, status: StatusCode) -> Answer {
    let (shards, progress) = figures(control).await?;
    let shard = |shard: Listed| ShardDocument {
        name: shard.name,
        engine: shard.engine,
        weight: shard.weight,
        next_weight: shard.next_weight,
        share: shard.share,
        trouble: shard.trouble,
    };
    let document = ShardsDocument {
        shards: shards.into_iter().map(shard).collect(),
        r#move: MoveDocument {
            moving: progress.moving,
            keys: progress.keys,
            expected_keys: progress.expected_keys,
            bytes: progress.bytes,
            elapsed_ms: progress.elapsed_ms,
            keys_per_second: progress.keys_per_second,
            trouble: progress.trouble,
        },
    };
    json(&document, status)
}

/// Ends a trial when nobody waits for it any more.
struct GoesOn(Arc<AtomicBool>);

impl Drop for GoesOn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

async fn tried(control: Arc<ShardControl>, change: ShardChange) -> Answer {
    let goes_on = GoesOn(Arc::new(AtomicBool::new(true)));
    let flag = goes_on.0.clone();
    let trial = waiting(move || control.try_out(&change, &|| flag.load(Ordering::Relaxed)));
    let moves = trial.await?.map_err(refused)?;
    let tried = |Move { from, to, keys, bytes }: Move| TriedDocument { from, to, keys, bytes };
    json(&MovesDocument { moves: moves.into_iter().map(tried).collect() }, StatusCode::OK)
}

fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Busy(detail) => Problem::new(StatusCode::CONFLICT, detail),
        Refusal::Failed(error) => error.into(),
    }
}

fn json(document: &impl Serialize, status: StatusCode) -> Answer {
    let text = serde_json::to_vec(document)
        .map_err(|error| Error::new(ErrorKind::Internal, "the answer cannot be written").caused_by(error))?;
    let mut response = Response::new(Body::Full(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
