//! Many threads at once: every increment counts, every batch is seen whole, nobody disturbs another.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    thread,
};

use tresor::engine::{Applied, Change, Edited, EntryRef, Expires, Guard, Isolation, KeyRef, Kind, Version};

use super::{
    Make,
    subject::{Subject, delete, guarded, key, member, patch, put},
};
use crate::random::{Random, seed};

const THREADS: u64 = 4;

/// Runs one closure a thread and returns what they return.
fn together<T: Send>(subject: &Subject, work: impl Fn(&Subject, u64) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..THREADS).map(|number| scope.spawn(move || work(subject, number))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    })
}

fn number_in(entry: Option<EntryRef<'_>>) -> u64 {
    entry.map_or(0, |entry| {
        String::from_utf8_lossy(entry.value.bytes()).parse().expect("a counter holds a number")
    })
}

fn raw(value: String) -> Edited<'static> {
    Edited::Put { value: Cow::Owned(value.into_bytes()), kind: Kind::Raw, expires: Expires::Keep }
}

/// Counters incremented by `update` lose nothing.
pub fn every_increment_counts(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    let versions = together(&subject, |subject, _| {
        let increment = |round: u64| {
            let name = [(round % 3) as u8];
            let edit = |entry: Option<EntryRef<'_>>| Ok(raw((number_in(entry) + 1).to_string()));
            let version = subject.update(key(&name), edit).expect("an update works").version;
            (subject.numbers_by_key().then_some(name), version)
        };
        (0..300).map(increment).collect::<Vec<(Option<[u8; 1]>, Version)>>()
    });
    for counter in 0..3_u8 {
        assert_eq!(subject.value(key(&[counter])), Some(b"400".to_vec()));
    }
    let distinct: BTreeSet<_> = versions.iter().flatten().collect();
    assert_eq!(distinct.len(), 1200, "each increment has a version of its own");
}

/// Writers that guard by version: as many succeed as the counter says.
pub fn guarded_writers_do_not_overwrite(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    subject.put(key(b"k"), b"0");
    let applied: u64 = together(&subject, |subject, _| {
        let mut applied = 0;
        for _ in 0..300 {
            let before = subject.entry(key(b"k")).expect("there");
            let value = (number_in(Some(before.as_entry())) + 1).to_string();
            let change = guarded(put(key(b"k"), value.as_bytes()), Guard::Version(before.version));
            applied += u64::from(matches!(subject.write(&[change]).applied, Applied::Whole(_)));
        }
        applied
    })
    .into_iter()
    .sum();
    assert!(applied >= 300, "somebody always gets through");
    assert_eq!(subject.value(key(b"k")), Some(applied.to_string().into_bytes()));
}

/// Of several that create the same key, one does.
pub fn one_of_many_creates(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    let created = together(&subject, |subject, number| {
        let try_one = |name: &u16| {
            let (name, value) = (name.to_be_bytes(), [number as u8]);
            let change = guarded(put(key(&name), &value), Guard::Absent);
            matches!(subject.write(&[change]).applied, Applied::Whole(_))
        };
        (0..500_u16).filter(try_one).collect::<Vec<_>>()
    });
    assert_eq!(created.iter().map(Vec::len).sum::<usize>(), 500);
    for (number, names) in created.iter().enumerate() {
        for name in names {
            assert_eq!(subject.value(key(&name.to_be_bytes())), Some(vec![number as u8]));
        }
    }
}

/// A batch over many keys is never seen halfway by a read of all of them together.
pub fn batches_are_seen_whole(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.atomic_batches) else { return };
    // Many keys and rounds: on few cores a reader is interrupted only now and then.
    let (keys, rounds) = if subject.is_far() { (40, 100) } else { (255_u8, 500_u64) };
    let names: Vec<[u8; 1]> = (0..=keys).map(|number| [number]).collect();
    let addresses: Vec<_> = names.iter().map(|name| KeyRef::new(name[0] % 2, name)).collect();
    together(&subject, |subject, number| {
        for round in 0..rounds {
            if number % 2 == 0 {
                let value = (round * THREADS + number).to_string();
                let mut changes: Vec<_> = addresses.iter().map(|name| put(*name, value.as_bytes())).collect();
                if number == 0 {
                    changes.reverse();
                }
                if round % 10 == 9 {
                    changes = addresses.iter().map(|name| delete(*name)).collect();
                }
                subject.apply(&changes);
            } else {
                let (entries, _) = subject.seen(&addresses, Isolation::Together);
                let values: BTreeSet<_> =
                    entries.into_iter().map(|entry| entry.map(|entry| entry.value)).collect();
                assert_eq!(values.len(), 1, "a batch was seen halfway: {values:?}");
            }
        }
    });
}

/// A read together is of one moment: of keys that are written one after another, none is seen ahead of the
/// one before it.
pub fn a_read_is_of_one_moment(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.atomic_batches) else { return };
    let names: Vec<[u8; 1]> = (0..8_u8).map(|number| [number]).collect();
    let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
    let rounds: u64 = if subject.is_far() { 50 } else { 500 };
    together(&subject, |subject, number| {
        for round in 1..=rounds {
            if number == 0 {
                for key in &keys {
                    subject.put(*key, round.to_string().as_bytes());
                }
                continue;
            }
            let (entries, _) = subject.seen(&keys, Isolation::Together);
            let numbers: Vec<u64> =
                entries.iter().map(|entry| number_in(entry.as_ref().map(|entry| entry.as_entry()))).collect();
            assert!(
                numbers.is_sorted_by(|one, next| one >= next),
                "a later write without one before it: {numbers:?}"
            );
        }
    });
}

/// Sums that batches move between keys stay what they are in every read together.
pub fn transfers_keep_the_sum(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.atomic_batches && can.guards) else { return };
    let names: Vec<[u8; 1]> = (0..6_u8).map(|number| [number]).collect();
    let accounts: Vec<_> = names.iter().map(|name| key(name)).collect();
    for account in &accounts {
        subject.put(*account, b"100");
    }
    let seed = seed("transfers_keep_the_sum");
    together(&subject, |subject, number| {
        let mut random = Random::new(seed + number);
        for _ in 0..200 {
            let (entries, _) = subject.seen(&accounts, Isolation::Together);
            let balances: Vec<u64> =
                entries.iter().map(|entry| number_in(entry.as_ref().map(|entry| entry.as_entry()))).collect();
            assert_eq!(balances.iter().sum::<u64>(), 600, "{balances:?}");
            let (from, to) = (random.index(6), random.index(6));
            if from == to || balances[from] == 0 {
                continue;
            }
            let guard = |at: usize| Guard::Version(entries[at].as_ref().expect("there").version);
            let (less, more) = ((balances[from] - 1).to_string(), (balances[to] + 1).to_string());
            subject.write(&[
                guarded(put(accounts[from], less.as_bytes()), guard(from)),
                guarded(put(accounts[to], more.as_bytes()), guard(to)),
            ]);
        }
    });
}

/// Each thread works on its own keys beside the others' and finds them as its own model says.
pub fn threads_do_not_disturb_each_other(make: &Make<'_>) {
    let subject = Subject::new(make);
    let seed = seed("threads_do_not_disturb_each_other");
    let (guards, steps) = (subject.engine.capabilities().guards, if subject.is_far() { 200 } else { 1500 });
    together(&subject, |subject, thread| {
        let mut random = Random::new(seed + thread);
        let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for _ in 0..steps {
            let name = format!("{thread}:{}", random.below(40)).into_bytes();
            match random.below(5) {
                0 => {
                    assert_eq!(subject.one(delete(key(&name))).existed, model.remove(&name).is_some());
                }
                1 if guards => {
                    let effect = subject.one(patch(key(&name), 2, b"xy"));
                    assert_eq!(effect.existed, model.contains_key(&name));
                    let value = model.entry(name.clone()).or_default();
                    value.resize(value.len().max(4), 0);
                    value[2..4].copy_from_slice(b"xy");
                }
                2 | 3 => {
                    let length = if random.one_in(20) { 20_000 } else { random.index(100) };
                    let value = random.bytes(length);
                    assert_eq!(
                        subject.one(put(key(&name), &value)).existed,
                        model.insert(name.clone(), value).is_some()
                    );
                }
                _ => {}
            }
            assert!(subject.value(key(&name)).as_ref() == model.get(&name), "{name:?}");
        }
        for (name, value) in &model {
            assert!(subject.value(key(name)).as_ref() == Some(value), "{name:?}");
        }
    });
}

/// Whole-database changes beside writers: no panic, no lost writer, and an end that adds up.
pub fn clear_and_swap_beside_writers(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.swap && can.atomic_batches) else { return };
    together(&subject, |subject, thread| {
        for round in 0..400_u64 {
            let name = (round % 50).to_be_bytes();
            let (zero, one) = (KeyRef::new(0, &name), KeyRef::new(1, &name));
            match (thread, round % 100) {
                (0, 50) => {
                    drop(subject.apply(&[Change::Clear { database: 0 }, Change::Clear { database: 1 }]))
                }
                (0, 99) => drop(subject.one(Change::Swap { first: 0, second: 1 })),
                (0, _) | (1, _) => drop(subject.apply(&[put(zero, b"both"), put(one, b"both")])),
                _ => {
                    let (entries, _) = subject.seen(&[zero, one], Isolation::Together);
                    assert_eq!(entries[0].is_some(), entries[1].is_some(), "a pair was seen halfway");
                }
            }
        }
    });
    assert_eq!(subject.keys(0), subject.keys(1));
    let keys = subject.keys(0).len() as u64;
    assert_eq!((subject.count(0), subject.count(1)), (keys, keys));
}

/// Members of one key change together while others read them together.
pub fn members_are_seen_whole(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    let names: Vec<[u8; 1]> = (0..10_u8).map(|number| [number]).collect();
    let addresses: Vec<_> = names.iter().map(|name| member(b"k", name)).collect();
    together(&subject, |subject, thread| {
        for round in 0..300_u64 {
            let value = (thread * 1000 + round).to_be_bytes();
            if thread < 2 {
                subject.apply(&addresses.iter().map(|name| put(*name, &value)).collect::<Vec<_>>());
            } else {
                let (entries, _) = subject.seen(&addresses, Isolation::Together);
                let values: BTreeSet<_> =
                    entries.into_iter().map(|entry| entry.map(|entry| entry.value)).collect();
                assert_eq!(values.len(), 1, "{values:?}");
            }
        }
    });
}
