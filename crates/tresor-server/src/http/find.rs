//! `POST /v1/query`: a query as a JSON document, for what a URL says badly: several fields, vectors, many keys.
//!
//! The members are the parameters of `GET /v1/entries`; a list says an option several times. `where` holds
//! conditions on fields, `nearest` a vector with its field and metric. Members that there are not are errors.

use std::fmt;

use http::Method;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use tresor::{Error, Result};

use super::{
    entries_page::{Asked, find},
    exchange::{Answer, Exchange},
    kv::check_type,
    query::Parameters,
};

/// The longest document, in bytes.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// Answers a request to `/v1/query`.
pub(super) async fn answer(mut exchange: Exchange<'_>) -> Answer {
    debug_assert_eq!(exchange.parts.method, Method::POST);
    check_type(&exchange.parts.headers)?;
    let database = Parameters::parse(exchange.parts.uri.query())?.database;
    let body = exchange.read_body(MAX_BYTES).await?;
    let mut asked = parse(&body)?;
    asked.database = database;
    let cursor = asked.cursor.take();
    find(exchange, &asked, cursor).await
}

/// Members in the order in which they are written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor).map(Self)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

fn members<'a>(text: &'a [u8], what: &str) -> Result<Vec<(String, &'a RawValue)>> {
    let wrong = |error| Error::invalid(format!("{what} is not what it should be: {error}"));
    serde_json::from_slice::<Members<'_>>(text).map(|members| members.0).map_err(wrong)
}

fn parse(body: &[u8]) -> Result<Asked> {
    let mut asked = Asked::default();
    for (name, value) in members(body, "the body")? {
        match &*name {
            "where" => conditions(&mut asked, value)?,
            "nearest" => nearest(&mut asked, value)?,
            "values" => {
                if truth(&name, value)? {
                    asked.query = asked.query.values();
                }
            }
            "explain" => asked.explain = truth(&name, value)?,
            "cursor" => asked.cursor = Some(text(&name, value)?),
            "field" | "metric" => {
                return Err(Error::invalid(format!(
                    "{name} belongs into an object of \"where\" or \"nearest\""
                )));
            }
            _ => each(&name, value, |text| asked.say(&name, text.as_bytes()))?,
        }
    }
    Ok(asked)
}

/// A list says an option once for each of its elements.
fn each(name: &str, value: &RawValue, mut say: impl FnMut(&str) -> Result<()>) -> Result<()> {
    if !value.get().starts_with('[') {
        return say(&text(name, value)?);
    }
    let wrong = |error| Error::invalid(format!("{name} is not what it should be: {error}"));
    let values: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(wrong)?;
    values.into_iter().try_for_each(|value| say(&text(name, value)?))
}

/// What an option is given: a string's text, or a number as it is written.
fn text(name: &str, value: &RawValue) -> Result<String> {
    let wrong = || Error::invalid(format!("{name} takes a string or a number"));
    match value.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str(value.get()).map_err(|_| wrong()),
        Some(b'-' | b'0'..=b'9') => Ok(value.get().to_owned()),
        _ => Err(wrong()),
    }
}

fn truth(name: &str, value: &RawValue) -> Result<bool> {
    serde_json::from_str(value.get()).map_err(|_| Error::invalid(format!("{name} is true or false")))
}

/// `[{"field":"/age","from":18,"to":30,"as":"number"}, …]`: each about one field, or the whole value without one.
fn conditions(asked: &mut Asked, value: &RawValue) -> Result<()> {
    let wrong = |error| Error::invalid(format!("where is a list of objects: {error}"));
    let list: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(wrong)?;
    for condition in list {
        let members = members(condition.get().as_bytes(), "an object of where")?;
        let field = members.iter().find(|(name, _)| name == "field");
        let field = field.map_or(Ok(String::new()), |(name, value)| text(name, value))?;
        asked.say("field", field.as_bytes())?;
        for (name, value) in members.iter().filter(|(name, _)| name != "field") {
            let option = format!("value_{name}");
            each(name, value, |text| asked.say(&option, text.as_bytes()))?;
        }
    }
    Ok(())
}

/// `[0.1, 0.2]`, or `{"vector":[0.1, 0.2],"field":"/at","metric":"cosine"}`.
fn nearest(asked: &mut Asked, value: &RawValue) -> Result<()> {
    let (mut vector, mut field, mut metric) = (None, String::new(), None);
    match value.get().starts_with('{') {
        false => vector = Some(value),
        true => {
            for (name, value) in members(value.get().as_bytes(), "nearest")? {
                match &*name {
                    "vector" => vector = Some(value),
                    "field" => field = text(&name, value)?,
                    "metric" => metric = Some(text(&name, value)?),
                    _ => {
                        return Err(Error::invalid(format!(
                            "nearest has vector, field and metric, no {name}"
                        )));
                    }
                }
            }
        }
    }
    let vector = vector.ok_or_else(|| Error::invalid("nearest needs a vector: a list of numbers"))?;
    asked.say("field", field.as_bytes())?;
    asked.say("nearest", vector.get().as_bytes())?;
    metric.map_or(Ok(()), |metric| asked.say("metric", metric.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn documents_are_queries() {
        for body in [
            r#"{}"#,
            r#"{"key":["a","b"],"limit":5,"values":true,"explain":false}"#,
            r#"{"prefix":"user:","where":[{"field":"/age","from":18,"before":65.5,"as":"number"},{"glob":"*x*"}]}"#,
            r#"{"nearest":[0.5,1]}"#,
            r#"{"nearest":{"vector":[1],"field":"/at","metric":"ip"},"limit":3}"#,
        ] {
            parse(body.as_bytes())
                .and_then(|asked| asked.query.check())
                .unwrap_or_else(|error| panic!("{body}: {error}"));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, what) in [
            ("[]", "the body"),
            (r#"{"colour":"red"}"#, "colour"),
            (r#"{"limit":true}"#, "limit"),
            (r#"{"limit":-1}"#, "limit"),
            (r#"{"values":"yes"}"#, "values"),
            (r#"{"where":{}}"#, "where"),
            (r#"{"where":[{"colour":1}]}"#, "colour"),
            (r#"{"nearest":{"metric":"l2"}}"#, "vector"),
            (r#"{"nearest":{"vector":[1],"k":3}}"#, "nearest"),
            (r#"{"nearest":"abc"}"#, "vector"),
            (r#"{"field":"/a"}"#, "field"),
        ] {
            let error = parse(body.as_bytes()).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(what), "{body}: {error}");
        }
    }
}
