//! `/v1/entries`: a page of the entries that a query finds, and deleting all that it finds.
//!
//! The parameters are the options of a query (`search/query.rs` in the library), percent-encoded, and a few of
//! HTTP's own. The next page is in a Link header too, whole, so that nobody has to build its address.

use http::{HeaderValue, Method, StatusCode, header};
use tresor::Query;

use super::{
    body::Body,
    document::key_of_text,
    exchange::{Answer, Exchange},
    kv::json,
    query::{database_of, decode_word, pairs, truth},
};
use crate::found::FoundMembers;

/// Options whose values are keys or begin so: they may be written as keys are shown, in base64.
const KEYS: [&str; 6] = ["key", "prefix", "from", "to", "after", "before"];

/// A query with what else a request for it says.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) query: Query,
    pub(super) database: u8,
    pub(super) cursor: Option<String>,
    pub(super) explain: bool,
    pub(super) dry_run: bool,
}

impl Asked {
    /// Reads the parameters of a URL.
    fn parse(query: Option<&str>) -> tresor::Result<Self> {
        let mut asked = Self::default();
        for (name, value) in pairs(query.unwrap_or_default()) {
            let decoded = decode_word(value)?;
            match name {
                "db" => asked.database = database_of(value)?,
                "values" if truth(name, value)? => asked.query = asked.query.values(),
                "values" => {}
                "explain" => asked.explain = truth(name, value)?,
                "dry_run" => asked.dry_run = truth(name, value)?,
                "cursor" => asked.cursor = Some(String::from_utf8_lossy(&decoded).into_owned()),
                name => asked.say(name, &decoded)?,
            }
        }
        Ok(asked)
    }

    /// Says one option of the query.
    pub(super) fn say(&mut self, name: &str, value: &[u8]) -> tresor::Result<()> {
        match KEYS.contains(&name) {
            true => self.query.option(name, &key_of_text(value.into())?),
            false => self.query.option(name, value),
        }
    }
}

/// Answers a request to `/v1/entries`.
pub(super) async fn answer(exchange: Exchange<'_>) -> Answer {
    let mut asked = Asked::parse(exchange.parts.uri.query())?;
    if exchange.parts.method == Method::DELETE {
        return delete(exchange, &asked).await;
    }
    let cursor = asked.cursor.take();
    find(exchange, &asked, cursor).await
}

/// Answers with a page.
pub(super) async fn find(exchange: Exchange<'_>, asked: &Asked, cursor: Option<String>) -> Answer {
    let session = exchange.session;
    session.select(asked.database);
    let plan = asked.explain.then(|| session.plan(&asked.query)).transpose()?;
    session.enter().await;
    let page = session.find(&asked.query, cursor.as_deref().map(str::as_bytes)).await;
    session.leave();
    let page = page?;
    session.durable().await?;
    let next = page.cursor.clone();
    let members = FoundMembers::new(page, plan.as_ref());
    let mut response = json(Body::Found(Box::new(FoundDocument::new(members))), StatusCode::OK);
    if let (Some(cursor), &Method::GET) = (next, &exchange.parts.method) {
        let link = format!("<{}>; rel=\"next\"", next_address(exchange.parts.uri.query(), &cursor));
        if let Ok(link) = HeaderValue::try_from(link) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    Ok(response)
}

/// The address of the next page: the same parameters with another cursor.
fn next_address(query: Option<&str>, cursor: &str) -> String {
    let mut address = String::from("/v1/entries?");
    for (name, value) in pairs(query.unwrap_or_default()).filter(|(name, _)| *name != "cursor") {
        address.push_str(&format!("{name}={value}&"));
    }
    address.push_str(&format!("cursor={cursor}"));
    address
}

async fn delete(exchange: Exchange<'_>, asked: &Asked) -> Answer {
    let session = exchange.session;
    session.select(asked.database);
    session.enter().await;
    let removed = session.remove_found(&asked.query, asked.dry_run).await;
    session.leave();
    let durable = session.durable().await;
    let removed = removed?;
    durable?;
    let text = format!("{{\"matched\":{},\"deleted\":{}}}", removed.matched, removed.deleted);
    Ok(json(Body::Full(text.into()), StatusCode::OK))
}

/// A page being sent, a frame at a time.
pub(super) struct FoundDocument {
    members: FoundMembers,
    opening: &'static [u8],
}

/// A frame is sent once it is this long.
const FRAME_BYTES: usize = 64 * 1024;

impl FoundDocument {
    fn new(members: FoundMembers) -> Self {
        Self { members, opening: b"{" }
    }

    /// The next frame, and whether it is the last.
    pub(super) fn next_frame(&mut self) -> (Vec<u8>, bool) {
        let mut frame = std::mem::take(&mut self.opening).to_vec();
        while frame.len() < FRAME_BYTES {
            if self.members.write_next(&mut frame) {
                frame.push(b'}');
                return (frame, true);
            }
        }
        (frame, false)
    }
}
