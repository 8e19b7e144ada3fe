//! `POST /v1/entries/{key}/increment`: adds to a number as one step.
//!
//! What INCRBY and INCRBYFLOAT do, done by what they are made of, because their replies tell no version. A
//! number without a fraction is added as an integer, any other as a decimal; kinds follow.

use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use tresor::{
    Error, Version,
    command::{add_decimal, add_integer},
    session::Session,
};

use super::{
    conditions::Conditions,
    entry::insert_tag,
    etag::Etag,
    exchange::{Answer, Exchange, enter, leave},
    kv::{check_type, entry},
    operation::as_it_is,
    problem::Problem,
    query::{Parameters, decode_segment},
};

/// The longest body: a number has a few digits.
const BODY_BYTES: usize = 4096;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    /// How much; 1 unless given.
    #[serde(borrow, default, deserialize_with = "as_it_is")]
    by: Option<&'a RawValue>,
}

/// Answers a request to increment, of the entry whose encoded key is `segment`.
pub(super) async fn answer(mut exchange: Exchange<'_>, segment: &str) -> Answer {
    let parameters = Parameters::parse(exchange.parts.uri.query())?;
    let key = decode_segment(segment)?;
    let headers = &exchange.parts.headers;
    check_type(headers)?;
    if Conditions::are_given(headers) {
        let message =
            "an increment takes no If-Match and no If-None-Match: put the sum on a condition instead";
        return Err(Error::invalid(message).into());
    }
    if parameters.ttl.is_some() {
        return Err(Error::invalid("an increment keeps the expiry: it takes no ttl").into());
    }
    let body = exchange.read_body(BODY_BYTES).await?;
    let amount = amount_of(&body)?;
    exchange.session.select(parameters.database);
    exchange.session.may_grow()?;
    enter(exchange.session, None).await?;
    let added = add(exchange.session, &key, &amount).await;
    leave(exchange.session, None);
    let (sum, version) = added.map_err(|error| Problem::from(error).about(&key))?;
    exchange.session.durable().await?;
    let store_id = exchange.shared.store_id(exchange.database).await?;
    let mut response = entry(&key, sum.into(), tresor::Kind::Json, StatusCode::OK);
    insert_tag(response.headers_mut(), Etag { store_id, version })?;
    Ok(response)
}

/// How much is to be added.
enum Amount {
    Integer(i64),
    /// Digits, as JSON has them.
    Decimal(String),
}

fn amount_of(body: &[u8]) -> Result<Amount, Error> {
    let wrong = |error| Error::invalid(format!("the body is not what it should be: {error}"));
    let document = match body {
        [] => Document::default(),
        body => serde_json::from_slice(body).map_err(wrong)?,
    };
    let Some(text) = document.by.map(RawValue::get) else { return Ok(Amount::Integer(1)) };
    if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Err(Error::invalid("\"by\" must be a number"));
    }
    if text.contains(['.', 'e', 'E']) {
        return Ok(Amount::Decimal(text.to_owned()));
    }
    let integer = text.parse().map_err(|_| Error::invalid("value is not an integer or out of range"))?;
    Ok(Amount::Integer(integer))
}

/// Adds inside the gate; the sum's digits and the entry's version.
async fn add(session: &mut Session, key: &[u8], amount: &Amount) -> tresor::Result<(String, Version)> {
    match amount {
        Amount::Integer(amount) => {
            let (sum, version) = add_integer(session, key, *amount).await?;
            Ok((sum.to_string(), version))
        }
        Amount::Decimal(amount) => add_decimal(session, key, amount.as_bytes()).await,
    }
}
