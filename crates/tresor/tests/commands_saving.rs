//! INFO tells how saving went, a snapshot that failed included.

#![allow(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod commands_client;

use std::{path::Path, sync::Arc};

use commands_client::TestClient;
use tresor::{
    Config, Database,
    clock::{Clock, SystemClock},
    engine::memory::{MemoryEngine, MemoryOptions},
    files::Files,
    oplog::LogOptions,
    reply::Reply,
};
use tresor_testkit::faulty_files::FaultyFiles;

fn save_status(client: &mut TestClient) -> String {
    let info = client.text("INFO persistence");
    let line = info.lines().find_map(|line| line.strip_prefix("rdb_last_bgsave_status:"));
    line.expect("INFO has the status").to_owned()
}

#[test]
fn info_tells_of_a_snapshot_that_failed_until_one_succeeds() {
    let files = FaultyFiles::new();
    let seams = (Arc::new(files.clone()) as Arc<dyn Files>, Arc::new(SystemClock::new()) as Arc<dyn Clock>);
    let options = MemoryOptions::default();
    let (engine, _) = MemoryEngine::open(&options, seams, Path::new("store"), LogOptions::default()).unwrap();
    let database = Database::over(engine, Config::memory()).unwrap();
    let mut client = TestClient::connect(&database, "127.0.0.1:1");
    assert_eq!(save_status(&mut client), "ok");
    assert_eq!(client.reply("SET key value"), Reply::Simple("OK".into()));
    files.limit_space(Some(files.used_space()));
    assert!(matches!(client.reply("SAVE"), Reply::Error(_)));
    assert_eq!(save_status(&mut client), "err");
    files.limit_space(None);
    assert_eq!(client.reply("SAVE"), Reply::Simple("OK".into()));
    assert_eq!(save_status(&mut client), "ok");
}
