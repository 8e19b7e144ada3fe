//! Changing what others may be changing too: versions, guards, and lists that apply as one step.

use tresor::{Changes, Config, Database, ErrorKind, Guard, PutOptions, Result};

/// Moves an amount between two accounts; nobody ever sees it in both or in neither.
fn transfer(store: &Database, from: &str, to: &str, amount: i64) -> Result<bool> {
    loop {
        let (Some(source), Some(target)) = (store.entry(from)?, store.entry(to)?) else { return Ok(false) };
        let (Some(has), Some(had)) = (source.value.as_i64(), target.value.as_i64()) else { return Ok(false) };
        if has < amount {
            return Ok(false);
        }
        let at = |version| PutOptions::new().guard(Guard::Version(version));
        let mut changes = Changes::new();
        changes.put_with(from, has - amount, at(source.version));
        changes.put_with(to, had + amount, at(target.version));
        match store.apply(&changes) {
            Ok(_) => return Ok(true),
            // Somebody was faster: look again.
            Err(error) if matches!(error.kind(), ErrorKind::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
}

pub(crate) fn main() -> Result<()> {
    let store = Database::open(Config::memory())?;

    // An edit that must not overwrite somebody else's.
    let first = store.put("page", "draft")?;
    store.put_if("page", "better draft", Guard::Version(first))?;
    let late = store.put_if("page", "another draft", Guard::Version(first)).expect_err("it has changed");
    println!("{late}");
    assert_eq!(late.kind(), ErrorKind::Conflict);

    // A lock: whoever creates it has it.
    store.create("lock", "worker 1")?;
    assert_eq!(store.create("lock", "worker 2").map_err(|error| error.kind()), Err(ErrorKind::Exists));

    store.put("alice", 100)?;
    store.put("bob", 5)?;
    assert!(transfer(&store, "alice", "bob", 30)?);
    assert!(!transfer(&store, "bob", "alice", 1_000)?);
    println!("alice {}, bob {}", store.read("alice")?, store.read("bob")?);
    assert_eq!((store.read("alice")?.as_i64(), store.read("bob")?.as_i64()), (Some(70), Some(35)));

    // One entry alone needs no loop.
    store.modify("page", |page| Some(format!("{}!", page?).into()))?;
    assert_eq!(store.read("page")?, "better draft!");
    store.close()
}
