//! `/openapi.json`: what may be asked of this server and what it may answer, as OpenAPI 3.1.
//!
//! Paths and methods are those of `route.rs`, and `openapi_routes.rs` describes each: a route without a
//! description does not compile. Tests hold every answer that they get against this document, so a status or a
//! member that is not in it fails them. What all routes have in common is added here, once.

use std::sync::OnceLock;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::{
    body::Body,
    kv,
    openapi_routes::{Content, Header, Operation, Parameter, described},
    openapi_schemas::schemas,
    route::Route,
};

/// The document as JSON text.
pub fn openapi_document() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| document().to_string())
}

/// Answers `/openapi.json`.
pub(super) fn answer() -> Response<Body> {
    kv::json(Body::Full(Bytes::from_static(openapi_document().as_bytes())), StatusCode::OK)
}

fn document() -> Value {
    let mut paths = Map::new();
    for route in Route::ALL.into_iter().filter(|route| *route != Route::Unknown) {
        paths.insert(route.name().to_owned(), path(route));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tresor",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A key-value database. Keys in paths are percent-encoded bytes; in JSON, a key \
                            that is not UTF-8 is `base64:` and base64.",
            "license": { "name": "Apache License 2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{}, { "bearer": [] }, { "basic": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "The password, where there is one." },
                "basic": { "type": "http", "scheme": "basic", "description": "The same, with any user name." },
            },
        },
    })
}

fn path(route: Route) -> Value {
    let mut item = Map::new();
    for operation in described(route) {
        let method = operation.method.to_ascii_lowercase();
        item.insert(method, self::operation(route, operation, operation.method));
        if operation.method == "GET" {
            item.insert("head".to_owned(), self::operation(route, operation, "HEAD"));
        }
    }
    let parameters: Vec<Value> = placeholders(route).map(in_path).collect();
    if !parameters.is_empty() {
        item.insert("parameters".to_owned(), parameters.into());
    }
    item.into()
}

/// The names in braces of a route's path.
fn placeholders(route: Route) -> impl Iterator<Item = &'static str> {
    route.name().split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn in_path(name: &str) -> Value {
    let description = match name {
        "key" => "The key, its bytes percent-encoded; a slash in it as %2F.",
        "file" => "The file, by the name that the page calls it by.",
        "id" => "The transaction, as its beginning has told it.",
        _ => "The shard, its name percent-encoded.",
    };
    json!({
        "name": name, "in": "path", "required": true, "description": description,
        "schema": { "type": "string", "minLength": 1 },
    })
}

fn operation(route: Route, operation: &Operation, method: &str) -> Value {
    let words = route.name().split(['/', '{', '}', '.', '-']).filter(|word| !word.is_empty());
    let id: Vec<String> =
        std::iter::once(method.to_ascii_lowercase()).chain(words.map(str::to_owned)).collect();
    let tag = route.name().trim_start_matches("/v1").split('/').nth(1).unwrap_or_default();
    let mut document = json!({
        "operationId": id.join("_"),
        "summary": operation.summary,
        "tags": [tag],
        "responses": responses(route, operation, method),
    });
    if !operation.parameters.is_empty() {
        document["parameters"] = operation.parameters.iter().map(parameter).collect();
    }
    if let Some(body) = operation.body {
        let required = !operation.body_is_optional;
        document["requestBody"] = json!({ "required": required, "content": content(body) });
    }
    if route.is_open(None) {
        document["security"] = json!([]);
    }
    document
}

fn parameter(parameter: &Parameter) -> Value {
    let (place, name, schema, description) = parameter.described();
    json!({ "name": name, "in": place, "schema": schema, "description": description })
}

fn responses(route: Route, operation: &Operation, method: &str) -> Value {
    let mut responses = Map::new();
    for answer in operation.answers {
        let mut response = json!({ "description": answer.description });
        if method != "HEAD" && answer.content != Content::Empty {
            response["content"] = content(answer.content);
        }
        if !answer.headers.is_empty() {
            response["headers"] = answer.headers.iter().map(header).collect::<Map<_, _>>().into();
        }
        responses.insert(answer.status.to_string(), response);
    }
    for status in problems(route, operation, method) {
        let response = responses.entry(status.to_string()).or_insert_with(|| problem(status));
        if method == "HEAD" {
            continue;
        }
        response["content"]["application/problem+json"] =
            json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
    }
    responses.into()
}

fn problem(status: u16) -> Value {
    let description = match status {
        400 => "The request is not what it should be; `detail` says where.",
        401 => "A password is needed, or it is a wrong one.",
        403 => "The Origin header is not the server's own.",
        404 => "There is nothing of this name.",
        408 => "The body did not arrive in time.",
        409 => "Somebody else was in the way: a lock, a guard, or a change that is still going on.",
        412 => "If-Match or If-None-Match does not hold; `version` is the one that the entry has.",
        413 => "The body, or what was asked for, is over a limit.",
        415 => "The body has a type or a coding that is not taken here.",
        429 => "The address asks more often than --http-rate-limit allows.",
        421 => "The Host header names another server.",
        501 => "The engine cannot do this.",
        503 => "The store cannot be reached, or promises nothing any more.",
        504 => "The store did not say in time whether the change was made.",
        507 => "There is no room: memory or disk is full.",
        _ => "Something went wrong that should not have.",
    };
    let mut problem = json!({ "description": description });
    let header = match status {
        401 => Some(Header { name: "WWW-Authenticate", is_certain: true }),
        409 => Some(Header { name: "Retry-After", is_certain: false }),
        429 => Some(Header { name: "Retry-After", is_certain: true }),
        _ => None,
    };
    if let Some(described) = header {
        problem["headers"] = [self::header(&described)].into_iter().collect::<Map<_, _>>().into();
    }
    problem
}

/// Every status of what may go wrong: the route's own, and those that come from what it has in common with
/// others.
fn problems(route: Route, operation: &Operation, method: &str) -> Vec<u16> {
    let mut problems = vec![400, 403, 421, 500];
    problems.extend_from_slice(operation.problems);
    if !matches!(route, Route::Livez | Route::Console | Route::ConsoleFile) {
        problems.extend([401, 429]);
    }
    if method == "POST" || operation.body.is_some() {
        problems.extend([408, 413, 415]);
    }
    if operation.asks_the_store {
        problems.extend([409, 413, 501, 503, 504, 507]);
    }
    if placeholders(route).any(|name| name == "id") {
        problems.push(404);
    }
    problems.sort_unstable();
    problems.dedup();
    problems
}

fn header(header: &Header) -> (String, Value) {
    let description = match header.name {
        "ETag" => "The version of what is answered.",
        "Expires" => "When the entry goes, where it has an expiry.",
        "Link" => "Where the next page is, if there is one.",
        "Location" => "Where the transaction is.",
        "Retry-After" => "After how many seconds it may be tried again.",
        _ => "How to show the password.",
    };
    let schema = json!({ "type": "string" });
    let described = json!({ "description": description, "required": header.is_certain, "schema": schema });
    (header.name.to_owned(), described)
}

fn content(content: Content) -> Value {
    let any = json!({});
    match content {
        Content::Empty => json!({}),
        Content::Json(schema) => {
            json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } })
        }
        Content::Changes => json!({
            "application/json": { "schema": { "$ref": "#/components/schemas/Changes" } },
            "text/event-stream": { "schema": { "type": "string" } },
        }),
        Content::Raw => json!({
            "application/json": any, "text/plain; charset=utf-8": any, "application/octet-stream": any,
        }),
        Content::Anything => json!({ "application/json": any, "*/*": any }),
        Content::Lines => json!({ "application/x-ndjson": { "schema": { "type": "string" } } }),
        Content::Text => json!({ "text/plain; charset=utf-8": { "schema": { "type": "string" } } }),
        Content::Page => json!({ "text/html; charset=utf-8": { "schema": { "type": "string" } } }),
        Content::PageFile => json!({
            "text/css; charset=utf-8": { "schema": { "type": "string" } },
            "text/javascript; charset=utf-8": { "schema": { "type": "string" } },
        }),
        Content::Metrics => {
            json!({ "text/plain; version=0.0.4; charset=utf-8": { "schema": { "type": "string" } } })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::{Route, described, openapi_document};

    #[test]
    fn every_method_of_every_route_is_described_and_nothing_else() {
        for route in Route::ALL.into_iter().filter(|route| *route != Route::Unknown) {
            let taken: BTreeSet<&str> =
                route.methods().split(", ").filter(|method| *method != "HEAD").collect();
            let told: Vec<&str> = described(route).iter().map(|operation| operation.method).collect();
            assert_eq!(told.len(), taken.len(), "{route:?}: {told:?}");
            assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), taken, "{route:?}");
            assert_eq!(route.methods().contains("HEAD"), taken.contains("GET"), "{route:?}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_schema_is_used() {
        let document: Value = serde_json::from_str(openapi_document()).unwrap();
        let mut used = BTreeSet::new();
        collect(&document, &mut used);
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let there: BTreeSet<String> =
            schemas.keys().map(|name| format!("#/components/schemas/{name}")).collect();
        assert_eq!(used, there);
    }

    fn collect(value: &Value, used: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                used.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|value| collect(value, used));
            }
            Value::Array(elements) => elements.iter().for_each(|value| collect(value, used)),
            _ => {}
        }
    }
}
