//! The golden scripts of keys and values, through the library's typed calls.

use std::sync::Arc;

use tresor::{Config, Database, Error, ErrorKind, Kind, Value};
use tresor_testkit::{
    LaterEngine, ModelEngine,
    kv_script::{KvAnswer, KvRequest, run_all},
};

fn execute(store: &Database, request: KvRequest) -> Result<KvAnswer, Error> {
    Ok(match request {
        KvRequest::Put { key, value, kind } => put(store, &key, value, kind)?,
        KvRequest::Get(key) => match store.get(&key)? {
            Some(value) => KvAnswer::Value((value.kind(), value.as_bytes().to_vec())),
            None => KvAnswer::Absent,
        },
        KvRequest::Delete(key) if store.delete(&key)? => KvAnswer::Deleted,
        KvRequest::Delete(_) => KvAnswer::Absent,
        KvRequest::List => {
            let entries = store.entries().map(|entry| {
                let (key, value) = entry?;
                Ok((key.as_bytes().to_vec(), (value.kind(), value.as_bytes().to_vec())))
            });
            KvAnswer::Entries(entries.collect::<Result<_, Error>>()?)
        }
    })
}

fn put(store: &Database, key: &[u8], value: Vec<u8>, kind: Kind) -> Result<KvAnswer, Error> {
    let value = match kind {
        Kind::Json => Value::from_json_text(value)?,
        _ => Value::raw(value),
    };
    match store.create(key, &value) {
        Ok(_) => Ok(KvAnswer::Created),
        Err(error) if error.kind() == ErrorKind::Exists => {
            store.update(key, value)?;
            Ok(KvAnswer::Replaced)
        }
        Err(error) => Err(error),
    }
}

fn through(name: &str, open: impl Fn() -> Result<Database, Error>) {
    run_all(name, |run| {
        let store = open().expect("a store that opens");
        run(&mut |request| {
            execute(&store, request).unwrap_or_else(|error| KvAnswer::Failed(format!("{:?}", error.kind())))
        });
    });
}

#[test]
fn the_library_answers_as_the_scripts_say() {
    through("the library", || Database::open(Config::memory()));
}

#[test]
fn the_library_answers_as_the_scripts_say_over_an_engine_that_answers_later() {
    let later = || Arc::new(LaterEngine::new(Arc::new(ModelEngine::new())));
    through("the library over a later engine", || Database::over(later(), Config::memory()));
}
