//! The conformance suite on shards: four in memory, a mix of engines, and shards between which keys are
//! forever being moved while the cases run.

use std::{
    path::Path,
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
    layer::sharded::{Shard, Sharded},
    oplog::{Durability, LogOptions},
};
use tresor_testkit::{
    LaterEngine, ManualClock, ModelEngine, TemporaryDirectory, conformance::Case, conformance_tests,
};

fn memory(clock: &Arc<ManualClock>) -> Arc<dyn Engine> {
    MemoryEngine::volatile_at(&MemoryOptions::default(), clock.clone()).expect("memory needs nothing")
}

fn with_four_in_memory(case: Case) {
    case(&|clock| {
        let shards = ["a", "b", "c", "d"].map(|name| Shard::new(name, memory(clock)));
        Sharded::new(shards).expect("four shards")
    });
}

conformance_tests!(with_four_in_memory);

mod a_mix {
    //! A shard of each kind: in memory, with a log, in a JSON file, and one that answers later.

    use super::{
        Arc, AtomicU64, Case, Clock, Durability, Duration, Files, JsonFileEngine, JsonFileOptions,
        LaterEngine, LogOptions, ManualClock, MemoryEngine, MemoryOptions, Ordering, Path, Shard, Sharded,
        SystemFiles, TemporaryDirectory, conformance_tests, memory,
    };

    fn mix(directory: &Path, clock: &Arc<ManualClock>) -> Arc<Sharded> {
        let seams = || (Arc::new(SystemFiles) as Arc<dyn Files>, clock.clone() as Arc<dyn Clock>);
        let options = MemoryOptions::default();
        let json =
            JsonFileOptions { batch_size: 1, auto_save_interval: Duration::from_secs(10), waits: true };
        let json = JsonFileEngine::open(&options, seams(), &directory.join("c.json"), json);
        let log = LogOptions { durability: Durability::Always, ..LogOptions::default() };
        let log = MemoryEngine::open(&options, seams(), &directory.join("b"), log);
        let shards = vec![
            Shard::new("a", memory(clock)),
            Shard::new("b", log.expect("an empty directory is an empty store").0),
            Shard::new("c", json.expect("no file is an empty store")),
            Shard::new("d", Arc::new(LaterEngine::new(memory(clock)))).weighing(2),
        ];
        Sharded::open(Some(&directory.join("shards")), seams(), shards).expect("four shards")
    }

    fn with_a_mix(case: Case) {
        let directory = TemporaryDirectory::new("conformance");
        let number = AtomicU64::new(0);
        case(&|clock| mix(&directory.join(&number.fetch_add(1, Ordering::Relaxed).to_string()), clock));
    }

    conformance_tests!(with_a_mix);
}

mod while_keys_move {
    //! Shards come and go all the time.

    use std::{
        sync::atomic::AtomicBool,
        thread::{self, JoinHandle},
    };

    use parking_lot::Mutex;
    use tresor::layer::sharded::Pace;

    use super::{
        Arc, Case, Engine, LaterEngine, ManualClock, ModelEngine, Ordering, Shard, Sharded,
        conformance_tests, memory,
    };

    /// A thread that moves keys until it is told to stop.
    struct Mover {
        stop: Arc<AtomicBool>,
        thread: JoinHandle<u64>,
    }

    fn start(sharded: Arc<Sharded>, comes: Arc<dyn Engine>) -> Mover {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let mut rounds = 0;
            while !stopped.load(Ordering::Relaxed) {
                // The store may be closed by the case.
                let added = sharded.add(Shard::new("comes and goes", comes.clone()).weighing(2));
                sharded.wait();
                let heavier = sharded.rebalance(&[("a", 1 + rounds as u32 % 3)]);
                sharded.wait();
                let removed = sharded.remove("comes and goes");
                sharded.wait();
                rounds += u64::from(added.and(heavier).and(removed).is_ok());
                thread::yield_now();
            }
            rounds
        });
        Mover { stop, thread }
    }

    fn run(case: Case, engine: fn(&Arc<ManualClock>) -> Arc<dyn Engine>) {
        let movers: Mutex<Vec<Mover>> = Mutex::default();
        case(&|clock| {
            let shards = ["a", "b"].map(|name| Shard::new(name, engine(clock)));
            let sharded = Sharded::new(shards).expect("two shards");
            sharded.set_pace(Pace { keys_per_second: None, bytes_per_second: None });
            movers.lock().push(start(sharded.clone(), engine(clock)));
            sharded
        });
        for mover in movers.into_inner() {
            mover.stop.store(true, Ordering::Relaxed);
            let rounds = mover.thread.join().expect("moving does not panic");
            println!("{rounds} rounds");
        }
    }

    fn in_memory(case: Case) {
        run(case, memory);
    }

    conformance_tests!(in_memory);

    mod answering_later {
        //! The same far away.

        use super::{Arc, Case, LaterEngine, ModelEngine, conformance_tests, run};

        fn far_away(case: Case) {
            run(case, |_| Arc::new(LaterEngine::new(Arc::new(ModelEngine::new()))));
        }

        conformance_tests!(far_away);
    }
}
