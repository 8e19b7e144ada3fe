//! The schemas of bodies, for `/openapi.json`.
//!
//! As strict as the answers are: what is told says all members that there are, so that a new one does not
//! come without being described. Requests may have more members only where the handlers do not mind.

use serde_json::{Map, Value, json};

/// Every schema by its name.
pub(super) fn schemas() -> Value {
    let all = [
        entries(),
        queries(),
        changes(),
        requests(),
        commands(),
        transactions(),
        indexes(),
        shards(),
        others(),
    ];
    let mut schemas = Map::new();
    for family in all {
        if let Value::Object(family) = family {
            schemas.extend(family);
        }
    }
    schemas.into()
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn list_of(schema: &str) -> Value {
    json!({ "type": "array", "items": reference(schema) })
}

/// An object with these members and no others, all of them there but the optional ones.
fn exactly(members: &Value, optional: &Value) -> Value {
    let mut properties = members.as_object().cloned().unwrap_or_default();
    let required: Vec<String> = properties.keys().cloned().collect();
    properties.extend(optional.as_object().cloned().unwrap_or_default());
    json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    })
}

fn entries() -> Value {
    let key = json!({ "type": "string", "description": "UTF-8, or `base64:` and base64." });
    let count = json!({ "type": "integer", "minimum": 0 });
    json!({
        "KeyText": key,
        "Value": {
            "description": "JSON as it was stored, a string for text, {\"base64\":…} for other bytes, \
                            {\"json\":…} around JSON that looks like one of these two.",
        },
        "Entry": exactly(&json!({ "key": reference("KeyText"), "value": reference("Value") }), &json!({})),
        "Entries": { "type": "object", "additionalProperties": reference("Value") },
        "EntryOrEntries": { "anyOf": [reference("Entry"), reference("Entries")] },
        "Sum": exactly(&json!({ "key": reference("KeyText"), "value": { "type": "number" } }), &json!({})),
        "Imported": exactly(&json!({ "imported": count, "skipped": count, "expired": count }), &json!({})),
        "Version": { "type": "string", "pattern": "^[0-9a-f]{16}-[0-9]+$" },
        "Seconds": { "type": "number", "exclusiveMinimum": 0 },
    })
}

fn queries() -> Value {
    let (text, count) = (json!({ "type": "string" }), json!({ "type": "integer", "minimum": 0 }));
    let found = exactly(
        &json!({ "key": reference("KeyText") }),
        &json!({ "value": reference("Value"), "distance": { "type": "number" } }),
    );
    let plan = exactly(&json!({ "reads": text, "order": text, "values": text, "index": text }), &json!({}));
    let said = json!({ "type": ["string", "number", "array"] });
    let mut query = Map::new();
    for option in [
        "key",
        "prefix",
        "glob",
        "regex",
        "from",
        "to",
        "after",
        "before",
        "value_prefix",
        "value_glob",
        "value_regex",
        "value_from",
        "value_to",
        "value_after",
        "value_before",
        "value_as",
        "order",
        "limit",
    ] {
        query.insert(option.to_owned(), said.clone());
    }
    query.extend([
        ("cursor".to_owned(), text),
        ("values".to_owned(), json!({ "type": "boolean" })),
        ("explain".to_owned(), json!({ "type": "boolean" })),
        ("where".to_owned(), json!({ "type": "array", "items": { "type": "object" } })),
        ("nearest".to_owned(), json!({ "type": ["array", "number", "string", "object"] })),
    ]);
    json!({
        "Found": found,
        "Page": exactly(
            &json!({ "entries": list_of("Found") }),
            &json!({ "cursor": { "type": "string" }, "skipped": count, "plan": reference("Plan") }),
        ),
        "Plan": plan,
        "Query": exactly(&json!({}), &Value::Object(query)),
        "Removed": exactly(&json!({ "matched": count, "deleted": count }), &json!({})),
    })
}

fn changes() -> Value {
    let count = json!({ "type": "integer", "minimum": 0 });
    let kinds = json!({ "enum": ["set", "delete", "expire", "evict", "clear", "swap"] });
    let change = exactly(
        &json!({ "sequence": count, "kind": kinds }),
        &json!({
            "key": reference("KeyText"), "with": count, "value": reference("Value"),
            "version": reference("Version"),
        }),
    );
    let missed = json!({
        "description": "Changes that are gone: read the entries anew.",
        "$ref": "#/components/schemas/Gap",
    });
    json!({
        "Change": change,
        "Gap": exactly(&json!({ "from": count, "to": count }), &json!({})),
        "Changes": exactly(
            &json!({ "changes": list_of("Change"), "next": reference("Version") }),
            &json!({ "gap": missed }),
        ),
    })
}

fn requests() -> Value {
    let members = json!({ "key": reference("KeyText"), "value": reference("Value") });
    let mut put = exactly(&members, &json!({ "ttl": reference("Seconds") }));
    put["additionalProperties"] = json!(true);
    let guard = json!({ "oneOf": [
        { "enum": ["absent", "present"] },
        exactly(&json!({ "version": { "type": "string" } }), &json!({})),
    ] });
    let operation = exactly(
        &json!({ "op": { "enum": ["put", "delete", "expire", "check", "get"] }, "key": reference("KeyText") }),
        &json!({
            "value": reference("Value"), "if": guard,
            "ttl": { "type": ["number", "null"], "exclusiveMinimum": 0 },
        }),
    );
    let result = exactly(
        &json!({ "existed": { "type": "boolean" } }),
        &json!({ "value": reference("Value"), "version": reference("Version") }),
    );
    json!({
        "Put": put,
        "Key": { "type": "object", "properties": { "key": reference("KeyText") }, "required": ["key"] },
        "Increment": exactly(&json!({}), &json!({ "by": { "type": "number", "default": 1 } })),
        "Operation": operation,
        "Batch": exactly(&json!({ "operations": list_of("Operation") }), &json!({})),
        "BatchResult": result,
        "BatchResults": exactly(&json!({ "results": list_of("BatchResult") }), &json!({})),
    })
}

fn commands() -> Value {
    let bytes = exactly(&json!({ "base64": { "type": "string" } }), &json!({}));
    let error = json!({ "type": "string", "description": "Redis's words." });
    json!({
        "Word": { "anyOf": [{ "type": ["string", "number", "boolean"] }, bytes] },
        "Command": { "type": "array", "items": reference("Word"), "minItems": 1 },
        "Commands": list_of("Command"),
        "Reply": {
            "description": "As version 2 of the Redis protocol has it: text, a number, null, or a list.",
            "anyOf": [{ "type": ["string", "integer", "null"] }, bytes, list_of("Reply")],
        },
        "Result": exactly(&json!({ "result": reference("Reply") }), &json!({})),
        "Failure": exactly(&json!({ "error": error }), &json!({})),
        "Outcomes": {
            "type": "array", "items": { "oneOf": [reference("Result"), reference("Failure")] },
        },
    })
}

fn transactions() -> Value {
    let count = json!({ "type": "integer", "minimum": 0 });
    let open = exactly(&json!({ "transaction_id": count, "writes": count }), &json!({}));
    json!({
        "Begin": exactly(&json!({}), &json!({ "timeout": reference("Seconds") })),
        "Begun": exactly(
            &json!({ "transaction_id": { "type": "string" }, "timeout": { "type": "number" } }),
            &json!({}),
        ),
        "OpenTransaction": open,
        "OpenTransactions": exactly(&json!({ "transactions": list_of("OpenTransaction") }), &json!({})),
    })
}

fn indexes() -> Value {
    let (text, count) = (json!({ "type": "string" }), json!({ "type": "integer", "minimum": 0 }));
    let value_as = json!({ "enum": ["text", "bytes", "number"] });
    let (metric, dimensions) =
        (json!({ "enum": ["l2", "cosine", "ip"] }), json!({ "type": "integer", "minimum": 1 }));
    let of = json!({ "field": text, "value_as": value_as, "dimensions": dimensions, "metric": metric, "failure": text });
    let index = exactly(
        &json!({
            "name": text, "db": count, "prefix": text, "state": { "enum": ["building", "ready", "failed"] },
            "read": count, "entries": count, "unreadable": count, "waiting": count, "bytes": count,
        }),
        &of,
    );
    json!({
        "Index": index,
        "Indexes": exactly(&json!({ "indexes": list_of("Index") }), &json!({})),
        "PutIndex": exactly(
            &json!({}),
            &json!({ "prefix": text, "field": text, "value_as": value_as, "dimensions": dimensions, "metric": metric }),
        ),
    })
}

fn shards() -> Value {
    let (name, count) = (json!({ "type": "string" }), json!({ "type": "integer", "minimum": 0 }));
    let trouble = json!({ "trouble": { "type": "string" } });
    let shard = exactly(
        &json!({ "name": name, "engine": name, "weight": count, "next_weight": count, "share": { "type": "number" } }),
        &trouble,
    );
    let progress = exactly(
        &json!({
            "moving": { "type": "boolean" }, "keys": count, "expected_keys": count, "bytes": count,
            "elapsed_ms": count, "keys_per_second": count,
        }),
        &trouble,
    );
    let moved = exactly(&json!({ "from": name, "to": name, "keys": count, "bytes": count }), &json!({}));
    json!({
        "Shard": shard,
        "ShardProgress": progress,
        "Shards": exactly(
            &json!({ "shards": list_of("Shard"), "move": reference("ShardProgress") }),
            &json!({}),
        ),
        "Move": moved,
        "Moves": exactly(&json!({ "moves": list_of("Move") }), &json!({})),
        "AddShard": exactly(&json!({ "name": name }), &json!({ "engine": name, "weight": count })),
        "Rebalance": exactly(
            &json!({}),
            &json!({ "weights": { "type": "object", "additionalProperties": count } }),
        ),
    })
}

fn others() -> Value {
    let count = json!({ "type": "integer", "minimum": 0 });
    let rotation = exactly(
        &json!({ "running": { "type": "boolean" }, "entries": count, "looked_at": count, "reencrypted": count }),
        &json!({ "trouble": { "type": "string" } }),
    );
    let encryption = exactly(
        &json!({
            "cipher": { "type": "string" }, "reencryption": reference("Rotation"),
            "key_ids": { "type": "array", "items": { "type": "string" } },
        }),
        &json!({}),
    );
    let problem = exactly(
        &json!({
            "type": { "type": "string" }, "title": { "type": "string" }, "detail": { "type": "string" },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
        }),
        &json!({
            "key": reference("KeyText"), "index": count, "line": count, "imported": count, "version": reference("Version"),
            "reason": { "enum": ["exists", "absent", "changed"] },
            "error": { "type": "string", "description": "The same in Redis's words, beneath /v1/command." },
        }),
    );
    json!({
        "Rotation": rotation,
        "Encryption": encryption,
        "Problem": problem,
        "OpenApi": {
            "type": "object", "required": ["openapi", "info", "paths", "components"],
            "properties": { "openapi": { "const": "3.1.0" } },
        },
    })
}
