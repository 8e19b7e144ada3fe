//! The library's calls on entries, in memory and over an engine that answers later.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tresor::{Changes, Config, Database, Error, ErrorKind, Guard, Kind, PutOptions};
use tresor_testkit::{LaterEngine, ModelEngine};

/// A store in memory, and one over a model that answers later: every test runs on both.
fn stores() -> [Database; 2] {
    let later = Arc::new(LaterEngine::new(Arc::new(ModelEngine::new())));
    let over = Database::over(later, Config::memory());
    [Database::open(Config::memory()), over].map(|store| store.expect("a store that opens"))
}

fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    result.expect_err("this call is to fail").kind()
}

#[test]
fn create_read_update_and_delete_answer_whether_the_key_is_there() -> tresor::Result<()> {
    for store in stores() {
        assert_eq!(kind(store.read("name")), ErrorKind::NotFound);
        assert_eq!(kind(store.update("name", "Bob")), ErrorKind::NotFound);
        assert_eq!(store.get("name")?, None);
        store.create("name", "Alice")?;
        assert_eq!(kind(store.create("name", "Eve")), ErrorKind::Exists);
        assert_eq!(store.read("name")?.to_string(), "Alice");
        store.update("name", "Bob")?;
        assert_eq!(store.get("name")?.expect("it is there"), "Bob");
        assert!(store.contains("name")?);
        assert!(store.delete("name")?);
        assert!(!store.delete("name")?);
        assert!(!store.contains("name")?);
    }
    Ok(())
}

#[test]
fn an_error_names_its_key() -> tresor::Result<()> {
    let [store, _] = stores();
    assert_eq!(kind(store.read("a\u{0}b")), ErrorKind::NotFound);
    let message = store.read("a\u{0}b").expect_err("it is absent").to_string();
    assert_eq!(message, r#"the key "a\0b" is not there"#);
    Ok(())
}

#[test]
fn kinds_and_bytes_come_back_as_they_were_put() -> tresor::Result<()> {
    for store in stores() {
        let every_byte: Vec<u8> = (0..=255).collect();
        store.put(&every_byte, every_byte.clone())?;
        let value = store.read(&every_byte)?;
        assert_eq!((value.kind(), value.as_bytes()), (Kind::Raw, &every_byte[..]));
        store.put("age", 30)?;
        assert_eq!((store.read("age")?.kind(), store.read("age")?.as_i64()), (Kind::Json, Some(30)));
        store.put("age", "thirty")?;
        assert_eq!(store.read("age")?.kind(), Kind::Raw);
        store.put("", "")?;
        assert_eq!(store.read("")?, "");
    }
    Ok(())
}

#[test]
fn limits_are_refused_before_anything_changes() -> tresor::Result<()> {
    let config = Config { max_value_bytes: 10, ..Config::memory() };
    let store = Database::over(Arc::new(ModelEngine::new()), config)?;
    let long = vec![b'k'; Config::max_key_bytes() + 1];
    assert_eq!(kind(store.put(&long, 1)), ErrorKind::TooLarge);
    assert_eq!(kind(store.get(&long)), ErrorKind::TooLarge);
    assert_eq!(kind(store.put("k", "12345678901")), ErrorKind::TooLarge);
    let mut changes = Changes::new();
    changes.put("a", 1).put("k", "12345678901");
    assert_eq!(kind(store.apply(&changes)), ErrorKind::TooLarge);
    assert_eq!(kind(store.modify("k", |_| Some("12345678901".into()))), ErrorKind::TooLarge);
    assert!(store.is_empty()?);
    store.put(&long[1..], "1234567890")?;
    Ok(())
}

#[test]
fn compare_and_set_by_version_lets_one_of_two_win() -> tresor::Result<()> {
    for store in stores() {
        let first = store.put("k", 1)?;
        let entry = store.entry("k")?.expect("it is there");
        assert_eq!((entry.version, entry.expires_at_ms, entry.value.as_i64()), (first, None, Some(1)));
        let second = store.put_if("k", 2, Guard::Version(first))?;
        assert_ne!(first, second);
        assert_eq!(kind(store.put_if("k", 3, Guard::Version(first))), ErrorKind::Conflict);
        assert_eq!(kind(store.delete_if("k", Guard::Version(first))), ErrorKind::Conflict);
        assert_eq!(store.read("k")?.as_i64(), Some(2));
        assert!(store.delete_if("k", Guard::Version(second))?);
        assert_eq!(kind(store.put_if("k", 3, Guard::Version(second))), ErrorKind::Conflict);
        assert_eq!(store.entry("k")?, None);
    }
    Ok(())
}

#[test]
fn a_list_of_changes_applies_whole_or_not_at_all() -> tresor::Result<()> {
    for store in stores() {
        store.put("from", 10)?;
        let mut changes = Changes::new();
        changes.put("from", 9).put("to", 1).delete("gone").check("missing", Guard::Absent);
        let effects = store.apply(&changes)?;
        let existed: Vec<bool> = effects.iter().map(|effect| effect.existed).collect();
        assert_eq!(existed, [true, false, false, false]);
        let mut refused = Changes::new();
        refused.put("from", 8).delete("to").check("missing", Guard::Present);
        let error = store.apply(&refused).expect_err("a guard fails");
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::NotFound, "the key \"missing\" is not there")
        );
        assert_eq!(store.read("from")?.as_i64(), Some(9));
        assert!(store.contains("to")?);
        assert_eq!(store.apply(&Changes::new())?, []);
    }
    Ok(())
}

#[test]
fn increments_keep_kind_and_expiry_and_refuse_what_is_no_integer() -> tresor::Result<()> {
    for store in stores() {
        assert_eq!(store.add("n", 5)?, 5);
        assert_eq!(store.read("n")?.kind(), Kind::Json);
        assert_eq!(store.add("n", -7)?, -2);
        store.put_with("raw", "41", PutOptions::new().expires_in(Duration::from_secs(100)))?;
        assert_eq!(store.add("raw", 1)?, 42);
        assert_eq!(store.read("raw")?.kind(), Kind::Raw);
        assert!(store.ttl("raw")?.is_some());
        for wrong in ["", "x", "1.5", " 1", "9223372036854775807"] {
            store.put("n", wrong)?;
            assert_eq!(kind(store.add("n", 1)), ErrorKind::Invalid, "{wrong:?}");
            assert_eq!(store.read("n")?, wrong);
        }
    }
    Ok(())
}

#[test]
fn modify_runs_again_when_the_entry_changes_under_it() -> tresor::Result<()> {
    for store in stores() {
        store.put("n", 1)?;
        let mut rounds = 0;
        let made = store.modify("n", |value| {
            rounds += 1;
            if rounds == 1 {
                store.put("n", 10).expect("the key is not locked");
            }
            Some((value?.as_i64()? * 2).into())
        })?;
        assert_eq!((rounds, made.and_then(|value| value.as_i64())), (2, Some(20)));
        assert_eq!(store.modify("n", |_| None)?, None);
        assert!(!store.contains("n")?);
        assert_eq!(store.modify("n", |_| None)?, None);
    }
    Ok(())
}

#[test]
fn an_expiry_is_set_told_kept_and_removed() -> tresor::Result<()> {
    for store in stores() {
        let minute = Duration::from_secs(60);
        assert_eq!(kind(store.ttl("s")), ErrorKind::NotFound);
        assert!(!store.expire("s", minute)?);
        store.put_with("s", "x", PutOptions::new().expires_in(minute))?;
        let left = store.ttl("s")?.expect("it expires");
        assert!(left <= minute && left > minute - Duration::from_secs(30), "{left:?}");
        store.put_with("s", "y", PutOptions::new().keep_expiry())?;
        assert!(store.ttl("s")?.is_some());
        assert!(store.persist("s")?);
        assert!(!store.persist("s")?);
        assert_eq!(store.ttl("s")?, None);
        assert!(store.expire("s", minute)?);
        assert!(store.ttl("s")?.is_some());
        store.put("s", "z")?;
        assert_eq!(store.ttl("s")?, None);
        for wrong in [Duration::ZERO, Duration::MAX] {
            assert_eq!(kind(store.expire("s", wrong)), ErrorKind::Invalid);
            assert_eq!(
                kind(store.put_with("s", "x", PutOptions::new().expires_in(wrong))),
                ErrorKind::Invalid
            );
        }
    }
    Ok(())
}

#[test]
fn what_has_expired_is_absent_for_every_call() -> tresor::Result<()> {
    for store in stores() {
        // A moment in the past: no waiting.
        store.put_with("s", "x", PutOptions::new().expires_at_ms(1))?;
        store.put("stays", 1)?;
        assert_eq!(store.get("s")?, None);
        assert!(!store.contains("s")?);
        assert!(!store.delete("s")?);
        assert_eq!(kind(store.ttl("s")), ErrorKind::NotFound);
        store.put_with("s", "x", PutOptions::new().expires_at_ms(1))?;
        assert_eq!(store.len()?, 1);
        assert_eq!(store.entries().count(), 1);
        assert_eq!(kind(store.update("s", "y")), ErrorKind::NotFound);
        assert_eq!(store.add("s", 1)?, 1);
        store.create("t", 1)?;
        assert_eq!(store.len()?, 3);
    }
    Ok(())
}

#[test]
fn numbered_databases_are_apart() -> tresor::Result<()> {
    for store in stores() {
        let third = store.database(3)?;
        assert_eq!(kind(store.database(16).map(|_| ())), ErrorKind::Invalid);
        store.put("k", "zero")?;
        third.put("k", "three")?;
        assert_eq!((store.read("k")?, third.read("k")?), ("zero".into(), "three".into()));
        assert_eq!(third.session(0).selected(), 3);
        third.clear()?;
        assert_eq!((store.len()?, third.len()?), (1, 0));
    }
    Ok(())
}

#[test]
fn after_close_every_handle_answers_unavailable() -> tresor::Result<()> {
    for store in stores() {
        let other = store.database(1)?;
        store.put("k", 1)?;
        store.close()?;
        store.close()?;
        assert_eq!(kind(store.get("k")), ErrorKind::Unavailable);
        assert_eq!(kind(other.put("k", 1)), ErrorKind::Unavailable);
        assert_eq!(kind(other.add("k", 1)), ErrorKind::Unavailable);
        assert_eq!(kind(store.len()), ErrorKind::Unavailable);
        assert_eq!(kind(store.save()), ErrorKind::Unavailable);
        assert_eq!(kind(store.clear()), ErrorKind::Unavailable);
        let mut entries = store.entries();
        assert_eq!(entries.next().map(kind), Some(ErrorKind::Unavailable));
        assert!(entries.next().is_none());
    }
    Ok(())
}

#[test]
fn the_last_handle_closes_the_engine() -> tresor::Result<()> {
    let engine: Arc<ModelEngine> = Arc::new(ModelEngine::new());
    let store = Database::over(engine.clone(), Config::memory())?;
    let other = store.database(1)?;
    drop(store);
    other.put("k", 1)?;
    drop(other);
    let again = Database::over(engine, Config::memory()).and_then(|again| again.get("k"));
    assert_eq!(kind(again), ErrorKind::Unavailable);
    Ok(())
}

#[test]
fn a_key_expires_under_someone_who_only_reads() -> tresor::Result<()> {
    for store in stores() {
        let began = Instant::now();
        store.put_with("s", "x", PutOptions::new().expires_in(Duration::from_millis(20)))?;
        while store.get("s")?.is_some() {
            assert!(began.elapsed() < Duration::from_secs(10), "it does not expire");
            thread::yield_now();
        }
        assert!(began.elapsed() >= Duration::from_millis(19), "it has expired too early");
        assert_eq!(store.entry("s")?, None);
        store.create("s", "y")?;
    }
    Ok(())
}
