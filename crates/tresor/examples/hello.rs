//! The first minute: put, read, change and remove entries of a store in memory.

use tresor::{Config, Database, ErrorKind, Result};

pub(crate) fn main() -> Result<()> {
    let store = Database::open(Config::memory())?;
    store.create("name", "Alice")?;
    println!("{}", store.read("name")?); // Alice
    store.update("name", "Bob")?;
    store.put("age", 30)?;
    assert_eq!(store.read("name")?, "Bob");
    assert_eq!(store.get("age")?.and_then(|age| age.as_i64()), Some(30));

    // Errors say what can be done about them.
    let taken = store.create("name", "Carol").expect_err("the key is there");
    assert_eq!(taken.kind(), ErrorKind::Exists);
    let missing = store.read("nobody").expect_err("the key is not there");
    println!("{missing}"); // the key "nobody" is not there

    for entry in store.entries() {
        let (key, value) = entry?;
        println!("{key} = {value}");
    }
    assert!(store.delete("age")?);
    assert_eq!((store.len()?, store.get("age")?), (1, None));
    store.close()
}
