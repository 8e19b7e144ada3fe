//! Queries: finding entries by what their keys and values are.

use serde_json::json;
use tresor::{Config, Database, Query, Result};

pub(crate) fn main() -> Result<()> {
    let store = Database::open(Config::memory())?;
    for (name, age, taste) in [("ada", 36, [0.9, 0.1]), ("bob", 17, [0.2, 0.8]), ("cyd", 52, [0.4, 0.7])] {
        store.put(format!("user:{name}"), json!({"age": age, "taste": taste}))?;
    }

    // All conditions have to hold together.
    let grown_up = Query::new().prefix("user:").field("/age").value_from("18").values();
    for found in store.find(&grown_up) {
        let found = found?;
        println!("{} {:?}", String::from_utf8_lossy(&found.key), found.value);
    }
    assert_eq!(store.find(&grown_up).count(), 2);

    // Nearest first, with the distance.
    let near_bob = Query::new().field("/taste").nearest("[0.2, 0.8]").limit(2);
    let nearest: Vec<_> = store.find(&near_bob).collect::<Result<_>>()?;
    assert_eq!(nearest[1].key, b"user:cyd");

    // Said wrong, it is an error when it is run.
    assert!(store.find(&Query::new().regex("(")).next().is_some_and(|found| found.is_err()));

    let young = Query::new().field("/age").value_before("18");
    assert_eq!(store.delete_found(&young, true)?.matched, 1);
    assert_eq!(store.delete_found(&young, false)?.deleted, 1);
    assert_eq!(store.len()?, 2);
    store.close()
}
