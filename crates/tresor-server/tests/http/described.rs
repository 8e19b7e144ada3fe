//! Every answer that a test gets is held against `/openapi.json`: path, method, status, content type, headers
//! and body.

use std::{collections::BTreeMap, sync::LazyLock};

use jsonschema::Validator;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::client::Answer;

/// Statuses of a request that never came to a route: who sent it was judged before.
const BEFORE_ROUTES: [u16; 5] = [400, 401, 403, 421, 429];

/// Headers that an answer has only where they are described.
const TOLD: [&str; 6] = ["ETag", "Expires", "Link", "Location", "Retry-After", "WWW-Authenticate"];

pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(tresor_server::openapi_document()).expect("the document is JSON"));

/// A validator for each schema of the document.
static VALIDATORS: LazyLock<BTreeMap<&str, Validator>> = LazyLock::new(|| {
    let components = &DOCUMENT["components"];
    let names = components["schemas"].as_object().expect("there are schemas").keys();
    let validator = |name: &String| {
        let schema = json!({
            "$ref": format!("#/components/schemas/{name}"), "components": { "schemas": components["schemas"] },
        });
        jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    names.map(|name| (name.as_str(), validator(name))).collect()
});

/// What is wrong with an answer, going by the description.
pub(crate) fn check(method: &str, target: &str, answer: &Answer) -> Result<(), String> {
    let path = target.split('?').next().unwrap_or_default();
    let item = item_of(path);
    let operation = item.and_then(|item| item.get(method.to_ascii_lowercase()));
    let Some(operation) = operation else {
        let expected = if item.is_some() { 405 } else { 404 };
        return match answer.status {
            status if status == expected || BEFORE_ROUTES.contains(&status) => check_problem(method, answer),
            status => Err(format!("{status} where nothing is described")),
        };
    };
    let responses = &operation["responses"];
    let response = responses
        .get(answer.status.to_string())
        .ok_or_else(|| format!("{} is not among {:?}", answer.status, names(responses)))?;
    check_headers(response, answer)?;
    if method == "HEAD" { Ok(()) } else { check_body(response, answer) }
}

/// The path item that a path belongs to; one without placeholders comes first.
fn item_of(path: &str) -> Option<&'static Value> {
    let paths = DOCUMENT["paths"].as_object().expect("there are paths");
    let fits = |template: &str| {
        let (there, asked) = (template.split('/'), path.split('/'));
        template.split('/').count() == path.split('/').count()
            && there
                .zip(asked)
                .all(|(part, given)| part == given || part.starts_with('{') && !given.is_empty())
    };
    paths.get(path).or_else(|| paths.iter().find(|(template, _)| fits(template)).map(|(_, item)| item))
}

fn names(value: &Value) -> Vec<&String> {
    value.as_object().map(|members| members.keys().collect()).unwrap_or_default()
}

fn check_headers(response: &Value, answer: &Answer) -> Result<(), String> {
    for name in TOLD {
        let (described, is_there) =
            (response["headers"].get(name), !answer.header(&name.to_lowercase()).is_empty());
        match described {
            None if is_there => return Err(format!("the header {name} is not described")),
            Some(header) if header["required"] == true && !is_there => {
                return Err(format!("the header {name} is missing"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_body(response: &Value, answer: &Answer) -> Result<(), String> {
    let content_type = answer.header("content-type");
    let Some(content) = response.get("content") else {
        return match (content_type, answer.body.len()) {
            ("", 0) => Ok(()),
            (content_type, bytes) => {
                Err(format!("{bytes} bytes of {content_type:?} where nothing is described"))
            }
        };
    };
    let described = content
        .get(content_type)
        .ok_or_else(|| format!("{content_type:?} is not among {:?}", names(content)))?;
    match described["schema"]["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        Some(schema) => check_schema(schema, answer),
        None => Ok(()),
    }
}

fn check_problem(method: &str, answer: &Answer) -> Result<(), String> {
    if method == "HEAD" {
        return Ok(());
    }
    match answer.header("content-type") {
        "application/problem+json" => check_schema("Problem", answer),
        other => Err(format!("{other:?} instead of a problem")),
    }
}

fn check_schema(schema: &str, answer: &Answer) -> Result<(), String> {
    let document: Value = match serde_json::from_slice(&answer.body) {
        Ok(document) => document,
        // JSON may hold half a surrogate pair, and is answered as it was stored; no string here can hold it.
        Err(_) if serde_json::from_slice::<IgnoredAny>(&answer.body).is_ok() => return Ok(()),
        Err(error) => return Err(format!("the body is no JSON: {error}")),
    };
    let wrong =
        |error: jsonschema::ValidationError<'_>| format!("{schema}: {}: {error}", error.instance_path());
    let errors: Vec<String> = VALIDATORS[schema].iter_errors(&document).map(wrong).collect();
    let repeats_its_status = schema != "Problem" || document["status"] == answer.status;
    match (errors.is_empty(), repeats_its_status) {
        (true, true) => Ok(()),
        (true, false) => Err(format!("a problem of status {}", document["status"])),
        (false, _) => Err(errors.join("; ")),
    }
}
