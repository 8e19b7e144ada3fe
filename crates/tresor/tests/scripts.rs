//! The golden scripts through the library's session, over the model engine and over one that answers
//! later; those about keys and values through the library's typed methods.

use std::sync::Arc;

use serde_json::value::RawValue;
use tresor::{Config, Database, Kind, Result, Value, engine::Engine};
use tresor_testkit::{
    LaterEngine, ModelEngine, SessionDoor,
    kv_script::{self, KvAnswer, KvRequest},
    script_runner::{Door, Shape, run_folder},
};

/// What of `@requires` every engine here has.
const HAS: [&str; 3] = ["tresor", "guards", "ordered"];

fn over(name: &str, make: impl Fn() -> Arc<dyn Engine>) {
    run_folder("", |run| {
        let database = Database::over(make(), Config::memory()).expect("an open engine");
        let mut session = SessionDoor::new(&database);
        let mut execute = |words: &[Vec<u8>]| session.execute(words);
        run(Door { name, shape: Shape::Resp3, has: &HAS, execute: &mut execute, advance_ms: None });
    });
}

#[test]
fn scripts_hold_over_the_model_engine() {
    over("a session over the model engine", || Arc::new(ModelEngine::new()));
}

#[test]
fn scripts_hold_over_an_engine_that_answers_later() {
    over("a session over the later engine", || Arc::new(LaterEngine::new(Arc::new(ModelEngine::new()))));
}

#[test]
fn kv_scripts_hold_for_typed_methods() {
    kv_script::run_all("the library", |run| {
        let store = Database::over(Arc::new(ModelEngine::new()), Config::memory()).expect("an open engine");
        run(&mut |request| match answer(&store, request) {
            Ok(answer) => answer,
            Err(error) => KvAnswer::Failed(format!("{:?}", error.kind())),
        });
    });
}

fn answer(store: &Database, request: KvRequest) -> Result<KvAnswer> {
    Ok(match request {
        KvRequest::Put { key, value, kind } => {
            let value = match kind {
                Kind::Raw => Value::raw(value),
                Kind::Json => {
                    Value::json(serde_json::from_slice::<&RawValue>(&value).expect("scripts hold JSON"))?
                }
            };
            let there = store.contains(&key)?;
            store.put(&key, value)?;
            if there { KvAnswer::Replaced } else { KvAnswer::Created }
        }
        KvRequest::Get(key) => {
            store.get(&key)?.map_or(KvAnswer::Absent, |value| KvAnswer::Value(parts(&value)))
        }
        KvRequest::Delete(key) if store.delete(&key)? => KvAnswer::Deleted,
        KvRequest::Delete(_) => KvAnswer::Absent,
        KvRequest::List => {
            let entries = store.entries().map(|entry| {
                let (key, value) = entry?;
                Ok((key.as_bytes().to_vec(), parts(&value)))
            });
            KvAnswer::Entries(entries.collect::<Result<_>>()?)
        }
    })
}

fn parts(value: &Value) -> (Kind, Vec<u8>) {
    (value.kind(), value.as_bytes().to_vec())
}
