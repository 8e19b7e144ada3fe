//! The conformance suite on the deepest stack: cache, compression, encryption, shards of two engines; and on
//! such a stack as a configuration describes it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tresor::{
    clock::Clock,
    engine::{
        Engine,
        json_file::{JsonFileEngine, JsonFileOptions},
        memory::{MemoryEngine, MemoryOptions},
    },
    files::{Files, SystemFiles},
    layer::{
        Cipher, Compressed, CompressionOptions, Encrypted, EncryptionKeys, Method,
        cached::{Cached, Capacity},
        sharded::{Shard, Sharded},
    },
};
use tresor_testkit::{TemporaryDirectory, conformance::Case, conformance_tests};

fn stacked(case: Case) {
    let directory = TemporaryDirectory::new("conformance");
    let number = AtomicU64::new(0);
    case(&|clock| {
        let clock: Arc<dyn Clock> = clock.clone();
        let place = directory.join(&number.fetch_add(1, Ordering::Relaxed).to_string());
        let seams = || (Arc::new(SystemFiles) as Arc<dyn Files>, clock.clone());
        let options =
            JsonFileOptions { batch_size: 1000, auto_save_interval: Duration::from_secs(10), waits: false };
        let memory: Arc<dyn Engine> =
            MemoryEngine::volatile_at(&MemoryOptions::default(), clock.clone()).expect("an empty engine");
        let file = place.join("store.json");
        let file = JsonFileEngine::open(&MemoryOptions::default(), seams(), &file, options);
        let shards =
            vec![Shard::new("memory", memory), Shard::new("file", file.expect("no file is an empty store"))];
        let shards = Sharded::open(Some(&place), seams(), shards).expect("two shards");
        let keys = EncryptionKeys::parse(&"7".repeat(64)).expect("a key");
        let encrypted = Encrypted::new(shards, &keys, Cipher::XChaCha20Poly1305).expect("nothing is there");
        let options = CompressionOptions { threshold_bytes: 16, ..CompressionOptions::with(Method::Lz4) };
        let compressed = Compressed::new(encrypted, options).expect("it is built in");
        Arc::new(Cached::new(compressed, Capacity::Entries(16)).expect("random numbers"))
    });
}

conformance_tests!(stacked);

mod configured {
    //! The same layers and three shards, opened by one configuration.

    use tresor::{Config, Database, config::ShardOf};

    use super::{
        AtomicU64, Capacity, Case, Cipher, CompressionOptions, Duration, EncryptionKeys, Method, Ordering,
        TemporaryDirectory, conformance_tests,
    };

    fn from_a_configuration(case: Case) {
        let directory = TemporaryDirectory::new("conformance");
        let opened = std::sync::Mutex::new(Vec::new());
        let number = AtomicU64::new(0);
        case(&|clock| {
            let place = directory.join(&number.fetch_add(1, Ordering::Relaxed).to_string());
            let file = Config::json_file(place.join("file.json"));
            let shards = [
                ShardOf::new("memory", Config::memory()),
                ShardOf::new("file", file.in_batches(1000, Duration::from_secs(10))).weighing(2),
                ShardOf::new(
                    "disk",
                    Config::disk(place.join("disk")).durability(tresor::config::Durability::None),
                ),
            ];
            let keys = EncryptionKeys::parse(&"7".repeat(64)).expect("a key");
            let compression =
                CompressionOptions { threshold_bytes: 16, ..CompressionOptions::with(Method::Lz4) };
            let config = Config::sharded(shards)
                .kept_in(place.join("layer"))
                .encrypted(keys, Cipher::XChaCha20Poly1305)
                .compressed(compression)
                .cached(Capacity::Entries(16));
            let database = Database::open_with_clock(config, clock.clone()).expect("three shards");
            let engine = database.engine().clone();
            // The case closes the engine; a database that is dropped would do so before.
            opened.lock().expect("nobody panics with it").push(database);
            engine
        });
    }

    conformance_tests!(from_a_configuration);
}
