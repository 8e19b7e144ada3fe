//! A typed map: a `HashMap` of numbers that every front door of the store can read.

use tresor::{Config, Database, Map, Result};

pub(crate) fn main() -> Result<()> {
    let store = Database::open(Config::memory())?;
    let counters: Map<String, u64> = store.map("counters")?;

    for word in "the cat and the dog and the bird".split(' ') {
        counters.update(word, |count| Some(count.unwrap_or(0) + 1))?;
    }
    for entry in counters.iter() {
        let (word, count) = entry?;
        println!("{word}: {count}");
    }
    assert_eq!(counters.get("the")?, Some(3));
    assert_eq!(counters.len()?, 5);

    // The map is a view: underneath are plain entries with JSON values.
    assert_eq!(store.read("counters:and")?, "2");
    counters.insert("cat", &10)?;
    assert!(counters.remove("dog")?);
    assert!(!counters.contains("dog")?);

    // Where all that is wanted is a number, an increment needs no map.
    assert_eq!(store.add("words", 8)?, 8);
    store.close()
}
