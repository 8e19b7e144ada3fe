//! `/v1/indexes`: which indexes there are, one more, one fewer.
//!
//! An index is put under its name, with the options that a query has for what it is of. Putting the same again
//! changes nothing; another one under the name is a conflict.

use http::{Method, Response, StatusCode};
use serde_json::{Map, Value};
use tresor::{
    Error, ErrorKind, Result,
    index::{Fact, IndexDefinition, IndexStatus},
};

use super::{
    body::Body,
    document::key_of_text,
    exchange::{Answer, Exchange},
    kv::{check_type, json},
    query::{Parameters, decode_segment},
};
use crate::json::key_text;

/// The longest body that is read.
const BODY_BYTES: usize = 256 * 1024;

/// Answers a request to `/v1/indexes`, or to `/v1/indexes/{name}` with the name still encoded.
pub(super) async fn answer(mut exchange: Exchange<'_>, segment: &str) -> Answer {
    if segment.is_empty() {
        let indexes: Vec<Value> = exchange.session.indexes().iter().map(document).collect();
        return Ok(answered(StatusCode::OK, &serde_json::json!({ "indexes": indexes })));
    }
    let name = String::from_utf8_lossy(&decode_segment(segment)?).into_owned();
    match exchange.parts.method {
        Method::PUT => put(&mut exchange, &name).await,
        Method::DELETE => {
            exchange.session.drop_index(&name)?;
            Ok(Response::new(Body::Empty))
        }
        _ => Ok(answered(StatusCode::OK, &document(&named(&exchange, &name)?))),
    }
}

fn named(exchange: &Exchange<'_>, name: &str) -> Result<IndexStatus> {
    let index = exchange.session.indexes().into_iter().find(|index| index.definition.name() == name);
    index.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no index named {name}")))
}

async fn put(exchange: &mut Exchange<'_>, name: &str) -> Answer {
    check_type(&exchange.parts.headers)?;
    let database = Parameters::parse(exchange.parts.uri.query())?.database;
    let body = exchange.read_body(BODY_BYTES).await?;
    let definition = definition(name, database, &body)?;
    if named(exchange, name).is_ok_and(|index| index.definition == definition) {
        return Ok(answered(StatusCode::OK, &document(&named(exchange, name)?)));
    }
    let session = &mut *exchange.session;
    session.enter().await;
    let created = session.create_index(definition).await;
    session.leave();
    created?;
    Ok(answered(StatusCode::CREATED, &document(&named(exchange, name)?)))
}

/// Reads `{"prefix":"user:","field":"/age","value_as":"number"}`; `metric` comes behind `dimensions`, wherever it
/// stands.
fn definition(name: &str, database: u8, body: &[u8]) -> Result<IndexDefinition> {
    let members: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
        Error::invalid("the body is no JSON object of an index's options").caused_by(error)
    })?;
    let mut definition = IndexDefinition::new(name, database)?;
    let (metric, others): (Vec<_>, Vec<_>) = members.iter().partition(|(name, _)| *name == "metric");
    for (name, value) in others.into_iter().chain(metric) {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(Error::invalid(format!("{name} takes a string or a number"))),
        };
        let value = match &**name {
            "prefix" => key_of_text(text.as_bytes().into())?,
            _ => text.into_bytes(),
        };
        definition.option(name, &value)?;
    }
    Ok(definition)
}

fn document(index: &IndexStatus) -> Value {
    let member = |(name, fact): (&'static str, Fact)| {
        let value = match fact {
            Fact::Text(text) => Value::from(key_text(&text)),
            Fact::Number(number) => Value::from(number),
        };
        (name.to_owned(), value)
    };
    Value::Object(index.facts().into_iter().map(member).collect())
}

fn answered(status: StatusCode, document: &Value) -> Response<Body> {
    json(Body::Full(document.to_string().into()), status)
}
