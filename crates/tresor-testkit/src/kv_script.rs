//! Golden scripts for the doors that know keys and values only: HTTP and the library's typed methods.
//!
//! The same paragraphs as other scripts with four verbs: `put KEY VALUE`, `put-json KEY VALUE`,
//! `get KEY`, `delete KEY`, `list`. Answers: `created`, `replaced`, `deleted`, `absent`, a value
//! (`"text"`, or `(json) "…"` with the JSON as it was written), a map of them, or `(error) Kind`.

use tresor::{Database, Error, ErrorKind, Value, engine::Kind};

use crate::{
    Reply,
    script_runner::{Door, Shape, run_folder},
};

/// What a script asks a door to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KvRequest {
    /// Create or replace.
    Put {
        /// The key.
        key: Vec<u8>,
        /// The value.
        value: Vec<u8>,
        /// How to read it.
        kind: Kind,
    },
    /// Read.
    Get(Vec<u8>),
    /// Remove.
    Delete(Vec<u8>),
    /// Everything, in key order.
    List,
}

/// A value with its kind.
pub type KvValue = (Kind, Vec<u8>);

/// What a door answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KvAnswer {
    /// The put created the key.
    Created,
    /// The put replaced a value.
    Replaced,
    /// The key was there and is removed.
    Deleted,
    /// There is no such key.
    Absent,
    /// The value.
    Value(KvValue),
    /// All entries, in the order in which they came.
    Entries(Vec<(Vec<u8>, KvValue)>),
    /// It failed: the error's kind.
    Failed(String),
}

/// Runs the scripts of `testscripts/kv`. `open` is called once a script, with what to call with a
/// closure over an empty store.
pub fn run_all(name: &str, mut open: impl FnMut(&mut dyn FnMut(&mut dyn FnMut(KvRequest) -> KvAnswer))) {
    run_folder("kv", |run| {
        open(&mut |execute| {
            let mut execute = |words: &[Vec<u8>]| reply(execute(request(words)));
            run(Door { name, shape: Shape::Resp2, has: &[], execute: &mut execute, advance_ms: None });
        });
    });
}

/// A request through the library's typed calls.
pub fn through_library(store: &Database, request: KvRequest) -> KvAnswer {
    execute(store, request).unwrap_or_else(|error| KvAnswer::Failed(format!("{:?}", error.kind())))
}

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

fn request(words: &[Vec<u8>]) -> KvRequest {
    let verb = words.first().map(Vec::as_slice);
    match (verb, words.get(1..).unwrap_or_default()) {
        (Some(b"put"), [key, value]) => {
            KvRequest::Put { key: key.clone(), value: value.clone(), kind: Kind::Raw }
        }
        (Some(b"put-json"), [key, value]) => {
            KvRequest::Put { key: key.clone(), value: value.clone(), kind: Kind::Json }
        }
        (Some(b"get"), [key]) => KvRequest::Get(key.clone()),
        (Some(b"delete"), [key]) => KvRequest::Delete(key.clone()),
        (Some(b"list"), []) => KvRequest::List,
        _ => panic!("no such request in a kv script: {words:?}"),
    }
}

fn reply(answer: KvAnswer) -> Reply {
    match answer {
        KvAnswer::Created => Reply::Simple("created".into()),
        KvAnswer::Replaced => Reply::Simple("replaced".into()),
        KvAnswer::Deleted => Reply::Simple("deleted".into()),
        KvAnswer::Absent => Reply::Simple("absent".into()),
        KvAnswer::Value(found) => value(found),
        KvAnswer::Entries(entries) => {
            Reply::Map(entries.into_iter().map(|(key, found)| (Reply::Bulk(key), value(found))).collect())
        }
        KvAnswer::Failed(kind) => Reply::Error(kind),
    }
}

fn value((kind, bytes): KvValue) -> Reply {
    match kind {
        Kind::Raw | Kind::Packed => Reply::Bulk(bytes),
        Kind::Json => Reply::Verbatim("json".into(), bytes),
    }
}
