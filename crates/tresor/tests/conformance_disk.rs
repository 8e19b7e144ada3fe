//! The conformance suite on the disk engine.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tresor::{
    clock::Clock,
    config::Durability,
    engine::disk::{DiskEngine, DiskOptions},
    files::SystemFiles,
    oplog::LogOptions,
};
use tresor_testkit::{TemporaryDirectory, conformance::Case, conformance_tests};

fn open(path: &Path, clock: Arc<dyn Clock>, options: &DiskOptions) -> Arc<DiskEngine> {
    let log = LogOptions { durability: Durability::None, ..LogOptions::default() };
    DiskEngine::open(options, (Arc::new(SystemFiles), clock), path, log).expect("an empty store").0
}

fn on_disk(case: Case) {
    let directory = TemporaryDirectory::new("conformance");
    let number = AtomicU64::new(0);
    // Small buffers, so that entries are read from tables and not only from memory.
    let options = DiskOptions { write_buffer_bytes: 1 << 20, ..DiskOptions::default() };
    case(&|clock| {
        let path = directory.join(&number.fetch_add(1, Ordering::Relaxed).to_string());
        open(&path, clock.clone(), &options)
    });
}

conformance_tests!(on_disk);
