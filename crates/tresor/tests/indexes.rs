//! Indexes through a store's life: what is kept of them, what follows them, and what they refuse.

use std::{fs, thread, time::Duration};

use tresor::{
    Config, Database, ErrorKind, PutOptions, Query,
    engine::{Batch, Change},
    index::{IndexDefinition, IndexState},
};
use tresor_testkit::{
    SessionDoor, TemporaryDirectory,
    deadline::wait_until,
    random::{Random, seed},
};

fn definition(name: &str, options: &str) -> IndexDefinition {
    let words: Vec<&[u8]> = options.split_whitespace().map(str::as_bytes).collect();
    IndexDefinition::parse(name, 0, &words).expect("a good definition")
}

fn wait_until_ready(store: &Database) {
    wait_until("the indexes are built", || {
        store.indexes().iter().all(|index| index.state == IndexState::Ready && index.waiting == 0)
    });
}

/// The keys that a query finds, and the index that it used.
fn found(store: &Database, query: &Query) -> (Vec<String>, String) {
    let facts = store.explain(query).expect("a plan").facts();
    let index = facts.into_iter().find(|(name, _)| *name == "index").expect("it says which").1;
    let keys = store.find(query).map(|found| String::from_utf8(found.expect("a page").key).expect("text"));
    (keys.collect(), index)
}

fn of(keys: &[&str], index: &str) -> (Vec<String>, String) {
    (keys.iter().map(ToString::to_string).collect(), index.to_owned())
}

#[test]
fn what_an_index_takes_counts_against_the_memory_limit() {
    let store = Database::open(Config::memory()).expect("it opens");
    let buffers = || store.memory_limit().buffer_bytes();
    let empty = buffers();
    store.create_index(definition("numbers", "prefix n:")).expect("an index");
    wait_until_ready(&store);
    for number in 0..100 {
        store.put(format!("n:{number}"), number.to_string()).expect("a put");
    }
    let full = buffers();
    assert!(full >= empty + 100 * 100, "{empty} to {full}");
    for number in 0..50 {
        store.delete(format!("n:{number}")).expect("a delete");
    }
    assert!((empty + 1..full).contains(&buffers()), "{empty} to {full}: {}", buffers());
    assert!(store.drop_index("numbers").expect("it goes"));
    // The thread that builds lets go of it too.
    wait_until("the index is gone", || buffers() == empty);
    store.close().expect("it closes");
}

#[test]
fn definitions_outlive_the_process_on_every_engine_with_a_path() {
    let directory = TemporaryDirectory::new("indexes");
    let configurations = [
        Config::at(directory.path().join("memory")),
        Config::disk(directory.path().join("disk")),
        Config::json_file(directory.path().join("file.json")),
    ];
    for config in configurations {
        let store = Database::open(config.clone()).expect("it opens");
        for (key, age) in [("user:1", 30), ("user:2", 9), ("user:3", 9)] {
            store.put(key, serde_json::json!({ "age": age })).expect("a put");
        }
        store.create_index(definition("ages", "prefix user: field /age")).expect("an index");
        store.create_index(definition("dropped", "")).expect("an index");
        assert!(store.drop_index("dropped").expect("it goes"));
        store.close().expect("it closes");
        let store = Database::open(config).expect("it opens again");
        wait_until_ready(&store);
        let nines = Query::new().prefix("user:").field("/age").value_from("9").value_to("9");
        assert_eq!(found(&store, &nines), of(&["user:2", "user:3"], "ages"));
        assert_eq!(store.indexes().len(), 1);
        store.close().expect("it closes");
    }
}

#[test]
fn a_broken_file_of_definitions_is_named() {
    let directory = TemporaryDirectory::new("indexes");
    fs::create_dir_all(directory.path()).expect("a directory");
    fs::write(directory.path().join("indexes.json"), "[{\"name\": \"a\"").expect("a file");
    let error = Database::open(Config::at(directory.path())).map(|_| ()).expect_err("it is broken");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("indexes.json") && error.to_string().contains("mend"), "{error}");
}

#[test]
fn what_the_store_removes_or_empties_leaves_its_indexes() {
    let store = Database::open(Config::memory()).expect("memory opens");
    store.create_index(definition("numbers", "")).expect("an index");
    for number in 0..100 {
        let key = format!("k{number}");
        store.put_with(&key, number, PutOptions::new().expires_in(Duration::from_millis(20))).expect("a put");
    }
    store.put("stays", 7).expect("a put");
    wait_until("expired entries have left the index", || store.indexes()[0].entries == 1);
    assert_eq!(found(&store, &Query::new().value_from("0").value_to("99")), of(&["stays"], "numbers"));
    store.clear().expect("it is emptied");
    wait_until("the index is empty", || store.indexes()[0].entries == 0);
    // What another database had is here now.
    store.database(1).expect("there are 16").put("moved", 8).expect("a put");
    let swap = [Change::Swap { first: 0, second: 1 }];
    store.engine().write(Batch::of(&swap), 0).wait().expect("a swap");
    wait_until_ready(&store);
    assert_eq!(found(&store, &Query::new().value_from("0").value_to("99")), of(&["moved"], "numbers"));
}

#[test]
fn a_transaction_sees_what_it_has_written_with_an_index_too() {
    let store = Database::open(Config::memory()).expect("memory opens");
    store.create_index(definition("numbers", "")).expect("an index");
    store.put("old", 5).expect("a put");
    wait_until_ready(&store);
    let mut door = SessionDoor::new(&store);
    let mut run = |line: &str| {
        let words: Vec<_> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        door.execute(&words).to_string()
    };
    run("TRESOR.BEGIN");
    run("SET new 5");
    assert!(run("TRESOR.FIND VALUE_FROM 5 VALUE_TO 5").contains("new"));
    assert!(run("TRESOR.FIND VALUE_FROM 5 VALUE_TO 5 EXPLAIN").contains("none"));
    run("TRESOR.ABORT");
    assert!(!run("TRESOR.FIND VALUE_FROM 5 VALUE_TO 5").contains("new"));
}

#[test]
fn the_nearest_of_many_dimensions_are_nearly_always_found() {
    let mut random = Random::new(seed("vectors"));
    let store = Database::open(Config::memory()).expect("memory opens");
    let mut vector = |centre: u64| -> Vec<f64> {
        (0..16)
            .map(|axis| ((centre * 31 + axis * 7) % 10) as f64 + random.below(100) as f64 / 100.0)
            .collect()
    };
    for (name, metric) in [("l2", "l2"), ("cosine", "cosine"), ("ip", "ip")] {
        store.create_index(definition(name, &format!("dimensions 16 metric {metric}"))).expect("an index");
    }
    for number in 0..2000 {
        store.put(format!("v{number}"), serde_json::json!(vector(number % 40))).expect("a put");
    }
    // Some change, some go.
    for number in (0..2000).step_by(10) {
        store.put(format!("v{number}"), serde_json::json!(vector(number % 40))).expect("a put");
        store.delete(format!("v{}", number + 5)).expect("a delete");
    }
    wait_until_ready(&store);
    for metric in ["l2", "cosine", "ip"] {
        let (mut hits, mut wanted) = (0, 0);
        for centre in 0..40 {
            let near = serde_json::json!(vector(centre)).to_string();
            let query = Query::new().nearest(&near).metric(metric).limit(10);
            let (keys, index) = found(&store, &query);
            assert_eq!(index, metric);
            // A condition that all fulfil and no index knows of.
            let (exact, index) = found(&store, &query.clone().from("").field("/0").value_from("-1"));
            assert_eq!((index.as_str(), exact.len()), (metric, 10));
            let exact: Vec<_> =
                store.find(&exactly(&near, metric)).map(|found| found.expect("one").key).collect();
            wanted += exact.len();
            hits += exact.iter().filter(|key| keys.iter().any(|found| found.as_bytes() == **key)).count();
        }
        assert!(hits * 100 >= wanted * 95, "{metric}: {hits} of {wanted}");
    }
}

/// The same without an index: no index is of keys beyond its own.
fn exactly(near: &str, metric: &str) -> Query {
    let mut query = Query::new().nearest(near).metric(metric).limit(10);
    for number in 0..2000 {
        query = query.key(format!("v{number}"));
    }
    query
}

#[test]
fn writers_go_on_while_an_index_is_built() {
    let store = Database::open(Config::memory()).expect("memory opens");
    for number in 0..20_000 {
        store.put(format!("k{number:05}"), number % 1000).expect("a put");
    }
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..20_000 {
                store.put(format!("k{number:05}"), (number + 1) % 1000).expect("a put");
            }
        });
        for turn in 0..5 {
            store.create_index(definition("numbers", "prefix k")).expect("an index");
            wait_until_ready(&store);
            assert!(store.drop_index("numbers").expect("it goes"), "{turn}");
        }
        store.create_index(definition("numbers", "prefix k")).expect("an index");
        writer.join().expect("it writes");
    });
    wait_until_ready(&store);
    let (keys, index) = found(&store, &Query::new().prefix("k").value_from("500").value_to("500"));
    assert_eq!((keys.len(), index.as_str()), (20, "numbers"));
    assert!(keys.iter().all(|key| key.ends_with("499")), "{keys:?}");
}

#[test]
fn a_name_is_taken_once() {
    let store = Database::open(Config::memory()).expect("memory opens");
    store.create_index(definition("a", "")).expect("an index");
    let error = store.create_index(definition("a", "prefix x")).expect_err("it is taken");
    assert_eq!(error.kind(), ErrorKind::Exists);
    for number in 0..63 {
        store.create_index(definition(&format!("n{number}"), "")).expect("an index");
    }
    assert_eq!(store.create_index(definition("more", "")).expect_err("enough").kind(), ErrorKind::Invalid);
}
