//! `/v1/export`: entries as lines of JSON, of any number, read no faster than the client takes them.

use http::{HeaderValue, header};
use tresor::{Result, engine::DATABASES};

use super::{
    document::key_of_text,
    exchange::{Answer, Exchange},
    kv,
    query::{database_of, decode_word, pairs},
};
use crate::listing::{Listing, View};

/// The type of lines of JSON.
pub(super) const MEDIA_TYPE: &str = "application/x-ndjson";

/// What is to be exported.
#[derive(Default)]
struct Asked {
    /// This database alone.
    database: Option<u8>,
    prefix: Vec<u8>,
}

impl Asked {
    fn parse(query: Option<&str>) -> Result<Self> {
        let mut asked = Self::default();
        for (name, value) in pairs(query.unwrap_or_default()) {
            match name {
                "db" => asked.database = Some(database_of(value)?),
                "prefix" => asked.prefix = key_of_text(decode_word(value)?)?,
                _ => {}
            }
        }
        Ok(asked)
    }
}

/// Answers a request to `/v1/export`.
pub(super) async fn answer(exchange: Exchange<'_>) -> Answer {
    let asked = Asked::parse(exchange.parts.uri.query())?;
    let databases = asked.database.map_or(0..=DATABASES - 1, |number| number..=number);
    let view = View::Committed(exchange.database.session(exchange.worker));
    let lines = Listing::lines(view, databases, &asked.prefix).await?;
    let mut response = kv::listing(lines);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    Ok(response)
}
