//! Every guard on every change, against an entry that is there, absent, or expired.
//!
//! One table stands for 75 cases: the guard's meaning depends on the entry alone, never on the change.

use tresor::engine::{Change, Guard, KeyRef, Version};

use super::{
    Make,
    subject::{Subject, check, delete, expire, guarded, key, patch, put},
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Absent,
    There,
    Expired,
}

/// Brings a fresh key into a state; the version of its last life.
fn prepare(subject: &Subject, name: KeyRef<'_>, state: State) -> Version {
    match state {
        State::Absent => {
            let version = subject.put(name, b"once");
            subject.one(delete(name));
            version
        }
        State::There => subject.put(name, b"value"),
        State::Expired => {
            let version = subject.put_until(name, b"gone", subject.now_ms() + 1);
            subject.advance_ms(1);
            version
        }
    }
}

/// Each guard holds exactly when the interface says, for each kind of change; a failed one names
/// the version it met and changes nothing.
pub fn each_guard_on_each_change(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    let mut number = 0_u32;
    for state in [State::Absent, State::There, State::Expired] {
        for kind in 0..5 {
            for guard in 0..5 {
                let name = number.to_be_bytes();
                number += 1;
                one_case(&subject, key(&name), state, (kind, guard));
            }
        }
    }
}

fn one_case(subject: &Subject, name: KeyRef<'_>, state: State, (kind, guard): (usize, usize)) {
    let version = prepare(subject, name, state);
    let there = state == State::There;
    let (guard, holds) = match guard {
        0 => (Guard::None, true),
        1 => (Guard::Absent, !there),
        2 => (Guard::Present, there),
        3 => (Guard::Version(version), there),
        _ => (Guard::Version(version + 1_000_000), false),
    };
    let far = subject.now_ms() + 1_000_000;
    let change = match kind {
        0 => put(name, b"new"),
        1 => patch(name, 1, b"new"),
        2 => expire(name, Some(far)),
        3 => delete(name),
        _ => check(name, Guard::None),
    };
    let change = guarded(change, guard);
    let before = subject.entry(name);
    if holds {
        let effect = subject.one(change);
        assert_eq!(effect.existed, there, "{change:?} on {state:?}");
        let changes = !matches!(change, Change::Check { .. }) && (there || kind < 2);
        assert_eq!(subject.entry(name) != before, changes, "{change:?} on {state:?}");
    } else {
        assert_eq!(subject.refused(&[change]), (0, there.then_some(version)), "{change:?} on {state:?}");
        assert_eq!(subject.entry(name), before, "{change:?} on {state:?}");
    }
}

/// A version that an entry once had does not hold again, not even after it was deleted and made anew.
pub fn an_old_version_never_holds_again(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    let old = subject.put(key(b"k"), b"v");
    subject.put(key(b"k"), b"v");
    let replaced = guarded(put(key(b"k"), b"x"), Guard::Version(old));
    assert_eq!(subject.refused(&[replaced]).1, Some(subject.version(key(b"k"))));
    subject.one(delete(key(b"k")));
    subject.put(key(b"k"), b"v");
    assert_eq!(subject.refused(&[replaced]).1, Some(subject.version(key(b"k"))));
}

/// The index says which change's guard failed.
pub fn a_refusal_names_the_change(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards && can.atomic_batches) else { return };
    let version = subject.put(key(b"there"), b"v");
    let batch = [
        put(key(b"a"), b"1"),
        check(key(b"b"), Guard::Absent),
        guarded(put(key(b"there"), b"2"), Guard::Absent),
        guarded(delete(key(b"c")), Guard::Absent),
    ];
    assert_eq!(subject.refused(&batch), (2, Some(version)));
    assert_eq!(subject.keys(0), [b"there"]);
}

/// A check alone writes nothing: the version stays.
pub fn a_check_changes_nothing(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    let version = subject.put(key(b"k"), b"v");
    let effect = subject.one(check(key(b"k"), Guard::Version(version)));
    assert_eq!((effect.existed, effect.version), (true, version));
    assert_eq!(subject.version(key(b"k")), version);
    let effect = subject.one(check(key(b"nobody"), Guard::Absent));
    assert_eq!((effect.existed, effect.version), (false, 0));
    assert_eq!(subject.entry(key(b"nobody")), None);
}
