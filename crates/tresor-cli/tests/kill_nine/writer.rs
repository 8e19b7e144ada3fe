//! A client that writes until its connection breaks: pipelines of random changes to its own keys,
//! each with the reply that it must get.

use std::sync::atomic::{AtomicU64, Ordering};

use tresor::clock::{Clock, SystemClock};
use tresor_testkit::{Reply, RespClient, random::Random, resp_client::encode};

use crate::account::{Account, Command, Entries, Entry, NUMBERS, Sent};

const HOUR_MS: u64 = 3_600_000;

/// Writes until the server is gone; if it `pipelines`, many commands at a time.
pub(crate) fn run(
    mut connection: RespClient,
    account: &mut Account,
    (mut random, pipelines): (Random, bool),
    acknowledged: &AtomicU64,
) {
    loop {
        let length = if !pipelines || random.one_in(2) { 1 } else { 1 + random.below(20) };
        let mut bytes = Vec::new();
        for _ in 0..length {
            let sent = change(account, &mut random);
            bytes.extend(encode(&sent.command));
            account.sent.push_back(sent);
        }
        if connection.send(&bytes).is_err() {
            return;
        }
        while !account.sent.is_empty() {
            let Ok(reply) = connection.reply() else { return };
            account.acknowledge(&reply);
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn change(account: &Account, random: &mut Random) -> Sent {
    let mut after = account.latest().clone();
    let number = random.below(NUMBERS);
    let (command, reply) = match random.below(10) {
        0..3 => count(&mut after, account.name("counter", number), random),
        3..8 => write_text(&mut after, account.name("text", number), random),
        8 => set_fleeting(&mut after, account.name("fleeting", number), random),
        _ => set_several(&mut after, account, random),
    };
    Sent { command, reply, after }
}

fn words(words: &[&str]) -> Command {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn ok() -> Reply {
    Reply::Simple("OK".into())
}

fn text(random: &mut Random) -> String {
    // Seldom more than a pipe takes at once.
    let length = if random.one_in(200) { 100_000 } else { random.index(60) };
    char::from(b'a' + random.below(26) as u8).to_string().repeat(length)
}

fn count(entries: &mut Entries, name: String, random: &mut Random) -> (Command, Reply) {
    let by = random.below(100) as i64 - 30;
    let command = words(&["INCRBY", &name, &by.to_string()]);
    let entry = entries.entry(name).or_insert(Entry { value: b"0".to_vec(), expires_at_ms: None });
    let before: i64 = String::from_utf8_lossy(&entry.value).parse().expect("counters hold numbers");
    entry.value = (before + by).to_string().into_bytes();
    (command, Reply::Integer(before + by))
}

fn write_text(entries: &mut Entries, name: String, random: &mut Random) -> (Command, Reply) {
    let there = entries.contains_key(&name);
    match random.below(12) {
        0..4 => {
            let value = text(random);
            let command = words(&["SET", &name, &value]);
            entries.insert(name, Entry { value: value.into_bytes(), expires_at_ms: None });
            (command, ok())
        }
        4..8 if entries.get(&name).is_none_or(|entry| entry.value.len() < 500_000) => {
            let value = text(random);
            let command = words(&["APPEND", &name, &value]);
            let entry = entries.entry(name).or_insert(Entry { value: Vec::new(), expires_at_ms: None });
            entry.value.extend(value.into_bytes());
            (command, Reply::Integer(entry.value.len() as i64))
        }
        8 if there => {
            let at = SystemClock::new().now_ms() + HOUR_MS + random.below(HOUR_MS);
            let command = words(&["PEXPIREAT", &name, &at.to_string()]);
            entries.entry(name).and_modify(|entry| entry.expires_at_ms = Some(at));
            (command, Reply::Integer(1))
        }
        9 => {
            let command = words(&["PERSIST", &name]);
            let had = entries.get_mut(&name).and_then(|entry| entry.expires_at_ms.take());
            (command, Reply::Integer(had.is_some().into()))
        }
        10 if there => {
            let value = text(random);
            let command = words(&["SET", &name, &value, "KEEPTTL"]);
            entries.entry(name).and_modify(|entry| entry.value = value.into_bytes());
            (command, ok())
        }
        _ => {
            let command = words(&["DEL", &name]);
            (command, Reply::Integer(entries.remove(&name).is_some().into()))
        }
    }
}

/// A key that expires soon, or did already.
fn set_fleeting(entries: &mut Entries, name: String, random: &mut Random) -> (Command, Reply) {
    let at = SystemClock::new().now_ms() + 1 + random.below(400);
    let value = text(random);
    let command = words(&["SET", &name, &value, "PXAT", &at.to_string()]);
    entries.insert(name, Entry { value: value.into_bytes(), expires_at_ms: Some(at) });
    (command, ok())
}

/// Several keys in one step: all of it comes back, or none.
fn set_several(entries: &mut Entries, account: &Account, random: &mut Random) -> (Command, Reply) {
    let mut command = words(&["MSET"]);
    for number in 0..NUMBERS {
        let (name, value) = (account.name("text", number), text(random));
        command.extend(words(&[&name, &value]));
        entries.insert(name, Entry { value: value.into_bytes(), expires_at_ms: None });
    }
    (command, ok())
}
