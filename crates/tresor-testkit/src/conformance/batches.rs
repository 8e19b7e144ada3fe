//! Batches: whole or not at all, changes in order, guards on the state before.

use tresor::{
    ErrorKind,
    engine::{Change, Effect, Expires, Guard, KeyRef, Kind},
};

use super::{
    Make,
    subject::{Subject, check, delete, expire, guarded, key, member, patch, put, put_as},
};

/// An empty batch is applied and does nothing.
pub fn an_empty_batch_is_whole(make: &Make<'_>) {
    let subject = Subject::new(make);
    assert_eq!(subject.apply(&[]), []);
    assert_eq!(subject.keys(0), Vec::<Vec<u8>>::new());
}

/// All changes of a batch happen, over many keys (and so shards) and databases.
pub fn a_batch_over_many_keys_is_whole(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.atomic_batches) else { return };
    let many = if subject.is_far() { 200 } else { 1000_u16 };
    let names: Vec<[u8; 2]> = (0..many).map(u16::to_be_bytes).collect();
    let address = |number: usize| KeyRef::new((number % 16) as u8, &names[number]);
    let changes: Vec<_> = (0..names.len()).map(|number| put(address(number), &names[number])).collect();
    assert!(subject.apply(&changes).iter().all(|effect| !effect.existed));
    for (number, name) in names.iter().enumerate() {
        assert_eq!(subject.value(address(number)).as_deref(), Some(&name[..]), "key {number}");
    }
    let changes: Vec<_> = (0..names.len()).map(|number| delete(address(number))).collect();
    assert!(subject.apply(&changes).iter().all(|effect| effect.existed));
    assert!((0..16).all(|database| subject.keys(database).is_empty()));
}

/// One failed guard, wherever it stands, and nothing of the batch happens in any key, member or
/// database.
pub fn one_failed_guard_stops_all(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.atomic_batches && can.guards) else { return };
    let names: Vec<[u8; 1]> = (0..60_u8).map(|number| [number]).collect();
    subject.put(key(b"there"), b"old");
    subject.put(KeyRef::new(9, b"there"), b"old");
    for place in [0, 1, 31, 60] {
        let mut changes: Vec<_> = names.iter().map(|name| put(key(name), b"new")).collect();
        changes[7] = put(KeyRef::new(9, b"there"), b"new");
        changes[8] = delete(key(b"there"));
        changes[9] = put(member(b"there", b"m"), b"new");
        changes.insert(place, check(key(b"nobody"), Guard::Present));
        assert_eq!(subject.refused(&changes), (place, None));
        assert_eq!(subject.keys(0), [b"there"]);
        assert_eq!(subject.value(key(b"there")).as_deref(), Some(&b"old"[..]));
        assert_eq!(subject.value(KeyRef::new(9, b"there")).as_deref(), Some(&b"old"[..]));
        assert_eq!(subject.entry(member(b"there", b"m")), None);
    }
}

/// One key's members change together or not at all, on every engine that has guards.
pub fn a_batch_over_members_is_whole(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    let members: Vec<[u8; 1]> = (0..100_u8).map(|number| [number]).collect();
    let mut changes: Vec<_> = members.iter().map(|name| put(member(b"k", name), b"new")).collect();
    changes.push(check(key(b"k"), Guard::Present));
    assert_eq!(subject.refused(&changes), (100, None));
    assert!(subject.keys(0).is_empty());
    changes[100] = put(key(b"k"), b"head");
    subject.apply(&changes);
    assert_eq!(subject.keys(0).len(), 101);
}

/// A later change sees what an earlier one of its batch did.
pub fn later_changes_see_earlier_ones(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    let at = subject.now_ms() + 60_000;
    let k = key(b"k");
    let effects = subject.apply(&[
        put(k, b"abc"),
        patch(k, 3, b"def"),
        expire(k, Some(at)),
        put_as(k, b"{}", Kind::Json, Expires::Keep),
        delete(k),
        expire(k, Some(at)),
        delete(k),
        patch(k, 2, b"z"),
        check(k, Guard::None),
    ]);
    let existed: Vec<_> = effects.iter().map(|effect| effect.existed).collect();
    assert_eq!(existed, [false, true, true, true, true, false, false, false, true]);
    assert_eq!(effects[5], Effect { existed: false, version: 0 });
    let entry = subject.entry(k).expect("patched into being");
    assert_eq!((&entry.value[..], entry.kind, entry.expires_at_ms), (&b"\0\0z"[..], Kind::Raw, None));
    assert_eq!(entry.version, effects[8].version);

    subject.apply(&[
        put_as(k, b"[1]", Kind::Json, Expires::At(at)),
        put_as(k, b"[2]", Kind::Json, Expires::Keep),
    ]);
    let entry = subject.entry(k).expect("there");
    assert_eq!((&entry.value[..], entry.kind, entry.expires_at_ms), (&b"[2]"[..], Kind::Json, Some(at)));
}

/// The same key many times in one batch ends as the last change says.
pub fn the_last_put_of_a_key_wins(make: &Make<'_>) {
    let subject = Subject::new(make);
    let values: Vec<[u8; 2]> = (0..300_u16).map(u16::to_be_bytes).collect();
    let changes: Vec<_> = values.iter().map(|value| put(key(b"k"), value)).collect();
    let effects = subject.apply(&changes);
    assert!(!effects[0].existed && effects[1..].iter().all(|effect| effect.existed));
    assert_eq!(subject.value(key(b"k")).as_deref(), Some(&values[299][..]));
    assert_eq!(subject.version(key(b"k")), effects[299].version);
}

/// Guards look at the state before the batch, whatever earlier changes of the batch do.
pub fn guards_look_at_the_state_before(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    let k = key(b"k");
    let created = guarded(put(k, b"2"), Guard::Absent);
    subject.apply(&[put(k, b"1"), created, check(k, Guard::Absent)]);
    assert_eq!(subject.value(k).as_deref(), Some(&b"2"[..]));

    let version = subject.version(k);
    let present = guarded(put(k, b"4"), Guard::Version(version));
    subject.apply(&[delete(k), put(k, b"3"), present, check(k, Guard::Present)]);
    assert_eq!(subject.value(k).as_deref(), Some(&b"4"[..]));

    let version = subject.version(k);
    assert_eq!(subject.refused(&[delete(k), check(k, Guard::Absent)]), (1, Some(version)));
    assert_eq!(subject.value(k).as_deref(), Some(&b"4"[..]));
}

/// Clear is a change like any other: what stands before it goes, what stands after stays.
pub fn clear_keeps_its_place_in_a_batch(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.atomic_batches && can.swap) else { return };
    subject.put(key(b"old"), b"v");
    subject.put(KeyRef::new(1, b"other"), b"v");
    let effects =
        subject.apply(&[put(key(b"before"), b"v"), Change::Clear { database: 0 }, put(key(b"old"), b"new")]);
    assert!(!effects[1].existed && !effects[2].existed, "{effects:?}");
    assert_eq!(subject.keys(0), [b"old"]);
    assert_eq!(subject.value(key(b"old")).as_deref(), Some(&b"new"[..]));
    assert_eq!(subject.keys(1), [b"other"]);

    if subject.engine.capabilities().guards {
        subject.refused(&[Change::Clear { database: 0 }, check(key(b"old"), Guard::Absent)]);
        assert_eq!(subject.keys(0), [b"old"]);
    }
}

/// Changes that are written each for itself all happen, those of one key in their order, whatever else
/// fails among them.
pub fn each_of_many_changes_stands_for_itself(make: &Make<'_>) {
    let subject = Subject::new(make);
    let names: Vec<[u8; 2]> = (0..40_u16).map(u16::to_be_bytes).collect();
    let values: Vec<Vec<u8>> = (0..200_u32).map(|number| number.to_string().into_bytes()).collect();
    let changes: Vec<_> =
        values.iter().enumerate().map(|(at, value)| put(key(&names[at * 7 % 40]), value)).collect();
    // Runs of every length up to a few, so that no length is special.
    let mut rest = &changes[..];
    for length in (1..=24).cycle() {
        let (now, later) = rest.split_at(length.min(rest.len()));
        rest = later;
        let each = subject.engine.write_each(now, subject.now_ms()).wait().expect("a write works");
        assert!(each.failures.is_empty());
        for change in now {
            let version = subject.version(change.key().expect("a put has a key"));
            assert!(version <= each.sequence, "{version} is not covered by {}", each.sequence);
        }
        if rest.is_empty() {
            break;
        }
    }
    for (at, name) in names.iter().enumerate() {
        let last = (0..200).rfind(|number| number * 7 % 40 == at).expect("every key was written");
        assert_eq!(subject.value(key(name)).as_deref(), Some(&values[last][..]), "key {at}");
    }
    let mixed = [put(key(b"a"), b"1"), delete(key(b"a")), put(key(b"b"), b"1"), delete(key(b"nobody"))];
    subject.engine.write_each(&mixed, subject.now_ms()).wait().expect("a write works");
    assert_eq!((subject.value(key(b"a")), subject.value(key(b"b"))), (None, Some(b"1".to_vec())));
}

/// One change too large fails alone.
pub fn a_failure_among_many_is_its_own(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.max_value_bytes < 1 << 30) else { return };
    let large = vec![b'x'; subject.engine.capabilities().max_value_bytes + 1];
    let changes = [put(key(b"a"), b"1"), put(key(b"b"), &large), put(key(b"c"), b"3")];
    let each = subject.engine.write_each(&changes, subject.now_ms()).wait().expect("the others are written");
    let failures: Vec<_> = each.failures.iter().map(|(index, error)| (*index, error.kind())).collect();
    assert_eq!(failures, [(1, ErrorKind::TooLarge)]);
    assert_eq!(subject.keys(0), [b"a", b"c"]);
}
