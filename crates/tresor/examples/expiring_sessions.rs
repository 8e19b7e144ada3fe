//! Sessions that end by themselves, and live on while they are used.

use std::time::Duration;

use tresor::{Config, Database, Guard, PutOptions, Result};

const IDLE: Duration = Duration::from_secs(30 * 60);

/// Starts a session. Ids that are taken are refused, never overwritten.
fn start(store: &Database, id: &str, user: &str) -> Result<()> {
    let options = PutOptions::new().expires_in(IDLE).guard(Guard::Absent);
    store.put_with(format!("session:{id}"), user, options)?;
    Ok(())
}

/// The user of a session, which has half an hour again from now on.
fn visit(store: &Database, id: &str) -> Result<Option<String>> {
    let key = format!("session:{id}");
    let user = store.get(&key)?;
    if user.is_some() {
        store.expire(&key, IDLE)?;
    }
    Ok(user.map(|user| user.to_string()))
}

pub(crate) fn main() -> Result<()> {
    let store = Database::open(Config::memory())?;
    start(&store, "3f7a", "alice")?;
    println!("{:?} has {:?} left", visit(&store, "3f7a")?, store.ttl("session:3f7a")?);
    assert!(store.ttl("session:3f7a")?.is_some_and(|left| left <= IDLE));

    // A session to remember stays until it is deleted.
    assert!(store.persist("session:3f7a")?);
    assert_eq!(store.ttl("session:3f7a")?, None);

    // What has expired is absent at once, for every reader.
    store.put_with("session:old", "bob", PutOptions::new().expires_at_ms(1))?;
    assert_eq!(visit(&store, "old")?, None);
    assert_eq!(store.len()?, 1);
    store.close()
}
