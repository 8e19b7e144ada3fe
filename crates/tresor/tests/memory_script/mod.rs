//! A script of changes of every kind, and a store's whole content to compare.
//!
//! Times are arguments: the script's own moments go on while the engine's clock stands still.

use std::collections::BTreeMap;

use tresor::{
    Result,
    engine::{
        Applied, Batch, Change, Content, DATABASES, Edited, Engine, EntryRef, Expires, Guard, KeyRef, Kind,
        Order, Outcome, Page, Scan, Sequence, ValueRef,
    },
};
use tresor_testkit::{OwnedEntry, START_MS};

/// When the script begins, in Unix milliseconds.
pub(crate) const NOW_MS: u64 = START_MS;

/// One step: at a moment this many milliseconds after the beginning.
#[derive(Debug)]
pub(crate) enum Step {
    Write(u64, Vec<Change<'static>>),
    Update(u64, KeyRef<'static>, Edited<'static>),
    /// An entry that has a version already, if any, and a number for all later ones to be above.
    Adopt(u64, Option<(KeyRef<'static>, &'static str, u64)>, Sequence),
    Save,
}

impl Step {
    /// Lets an engine take the step; a save has no outcome.
    pub(crate) fn run(&self, engine: &dyn Engine) -> Result<Option<Outcome>> {
        match self {
            Self::Write(at, changes) => engine.write(Batch::of(changes), NOW_MS + at).wait().map(Some),
            Self::Update(at, key, edited) => {
                engine.update(*key, NOW_MS + at, &mut |_| Ok(edited.clone())).wait().map(Some)
            }
            Self::Adopt(at, entry, above) => {
                let mut page = Page::new(0);
                if let Some((key, value, version)) = entry {
                    let value = ValueRef::Inline(value.as_bytes());
                    let (kind, expires_at_ms) = (Kind::Json, Some(NOW_MS + 60_000));
                    let entry = EntryRef { value, kind, version: *version, expires_at_ms };
                    page.push(key.key, key.member, &entry, Content::Entries);
                }
                let sequence = engine.adopt(&page, *above, NOW_MS + at).wait()?;
                Ok(Some(Outcome { sequence, applied: Applied::Whole([].into_iter().collect()) }))
            }
            Self::Save => engine.save().wait().map(|()| None),
        }
    }
}

/// An outcome without numbers, which differ between engines: for each change whether the entry was
/// there, or which guard failed.
pub(crate) fn plain(outcome: &Outcome) -> std::result::Result<Vec<bool>, usize> {
    match &outcome.applied {
        Applied::Whole(effects) => Ok(effects.iter().map(|effect| effect.existed).collect()),
        Applied::Refused { index, .. } => Err(*index),
    }
}

type Address = (u8, Vec<u8>, Vec<u8>);

/// All entries of all databases, expired ones included.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Dump(BTreeMap<Address, Shown>);

#[derive(Clone, Debug, PartialEq)]
struct Shown {
    /// The first bytes and the length, to keep a failure's message short, and a sum of all.
    value: (Vec<u8>, usize, u64),
    kind: Kind,
    version: u64,
    expires_at_ms: Option<u64>,
}

impl Dump {
    pub(crate) fn without_versions(&self) -> Self {
        let same =
            |(address, shown): (&Address, &Shown)| (address.clone(), Shown { version: 0, ..shown.clone() });
        Self(self.0.iter().map(same).collect())
    }
}

/// Everything that an engine holds.
pub(crate) fn dump(engine: &dyn Engine) -> Dump {
    let mut entries = BTreeMap::new();
    for database in 0..DATABASES {
        let scan = Scan::all(database, Order::Any, Content::Entries, usize::MAX);
        // At the beginning of time nothing has expired.
        let page = engine.scan(&scan, 0).wait().unwrap();
        assert!(page.next.is_none());
        for (key, entry) in page.iter() {
            let entry = OwnedEntry::from(entry);
            let head = entry.value[..entry.value.len().min(12)].to_vec();
            let sum = entry.value.iter().fold(0, |sum: u64, byte| sum.wrapping_mul(31) + u64::from(*byte));
            let shown = Shown {
                value: (head, entry.value.len(), sum),
                kind: entry.kind,
                version: entry.version,
                expires_at_ms: entry.expires_at_ms,
            };
            entries.insert((database, key.key.to_vec(), key.member.to_vec()), shown);
        }
    }
    Dump(entries)
}

/// Puts one entry into database 0, durably; its number.
pub(crate) fn put(engine: &dyn Engine, key: &[u8], value: &[u8]) -> Result<Sequence> {
    let key = KeyRef::new(0, key);
    let change = Change::Put { key, guard: Guard::None, value, kind: Kind::Raw, expires: Expires::Never };
    let outcome = engine.write(Batch::of(&[change]), NOW_MS).wait()?;
    engine.durable(outcome.sequence).wait()?;
    Ok(outcome.sequence)
}

static HUGE: [u8; 20_000] = [b'h'; 20_000];

fn key(database: u8, key: &'static str) -> KeyRef<'static> {
    KeyRef::new(database, key.as_bytes())
}

fn set(to: KeyRef<'static>, value: &'static str) -> Change<'static> {
    guarded(to, value, Guard::None, Expires::Never)
}

fn guarded(key: KeyRef<'static>, value: &'static str, guard: Guard, expires: Expires) -> Change<'static> {
    Change::Put { key, guard, value: value.as_bytes(), kind: Kind::Raw, expires }
}

fn patch(key: KeyRef<'static>, offset: usize, bytes: &'static str) -> Change<'static> {
    Change::Patch { key, guard: Guard::None, offset, bytes: bytes.as_bytes() }
}

fn expire(key: KeyRef<'static>, expires_at_ms: Option<u64>) -> Change<'static> {
    Change::Expire { key, guard: Guard::None, expires_at_ms }
}

fn delete(key: KeyRef<'static>) -> Change<'static> {
    Change::Delete { key, guard: Guard::None }
}

/// The script: every kind of change, alone, in batches and by `update`, with guards that hold and
/// guards that fail, over expired entries, and around snapshots.
pub(crate) fn script() -> Vec<Step> {
    let mut steps = entries();
    steps.push(Step::Save);
    steps.extend(expiries());
    // Each step is one record: entries that are adopted together may come back one by one.
    steps.push(Step::Adopt(25, None, 1000));
    for entry in [(key(0, "a"), "{}", 900), (key(0, "adopted"), "[]", 2), (key(0, "kept"), "1", 900)] {
        steps.push(Step::Adopt(25, Some(entry), 0));
    }
    steps.push(Step::Write(26, vec![patch(key(0, "adopted"), 1, "1]"), set(key(0, "a"), "above")]));
    steps.extend(databases());
    steps.push(Step::Save);
    steps.extend(flush());
    steps.extend(entries().into_iter().take(6));
    steps
}

fn entries() -> Vec<Step> {
    let (a, b, member) = (key(0, "a"), key(1, "b"), KeyRef { member: b"field", ..key(0, "a") });
    let json = Change::Put {
        key: b,
        guard: Guard::None,
        value: br#"{"json":true}"#,
        kind: Kind::Json,
        expires: Expires::Never,
    };
    let huge = Change::Put {
        key: key(2, "huge"),
        guard: Guard::None,
        value: &HUGE,
        kind: Kind::Raw,
        expires: Expires::Never,
    };
    let refused = guarded(a, "not this", Guard::Absent, Expires::Never);
    vec![
        Step::Write(0, vec![set(a, "one")]),
        Step::Write(0, vec![json]),
        Step::Write(0, vec![patch(a, 2, "patched over the end")]),
        Step::Write(1, vec![huge]),
        Step::Write(1, vec![patch(key(2, "huge"), 19_990, "over the end of it")]),
        Step::Write(1, vec![patch(key(0, "hole"), 5, "behind zeros")]),
        Step::Write(2, vec![set(member, "m"), set(b, "raw now"), delete(key(0, "hole")), patch(b, 0, "R")]),
        Step::Write(2, vec![set(member, "not this"), refused]),
        Step::Write(2, vec![Change::Check { key: b, guard: Guard::Present }, set(key(0, "checked"), "c")]),
        Step::Update(
            3,
            a,
            Edited::Put { value: b"edited"[..].into(), kind: Kind::Raw, expires: Expires::Keep },
        ),
        Step::Update(3, b, Edited::Patch { offset: 7, bytes: b" and patched"[..].into() }),
        Step::Update(3, key(0, "checked"), Edited::Delete),
        Step::Update(3, key(0, "nothing"), Edited::Delete),
        Step::Update(3, a, Edited::Keep),
        Step::Write(4, (0..4).map(|number| set(key(number, "everywhere"), "e")).collect()),
    ]
}

fn expiries() -> Vec<Step> {
    let (gone, kept) = (key(0, "gone"), key(0, "kept"));
    let soon = Expires::At(NOW_MS + 20);
    vec![
        Step::Write(
            10,
            vec![guarded(gone, "soon", Guard::None, soon), guarded(kept, "k", Guard::None, soon)],
        ),
        Step::Write(11, vec![expire(kept, None)]),
        Step::Update(11, kept, Edited::Expire(Some(NOW_MS + 5000))),
        Step::Write(12, vec![guarded(kept, "with its expiry", Guard::Present, Expires::Keep)]),
        // From here on it is absent: guards see nothing, a patch starts anew.
        Step::Write(20, vec![guarded(gone, "refused", Guard::Present, Expires::Never)]),
        Step::Write(20, vec![expire(gone, None)]),
        Step::Write(21, vec![patch(gone, 1, "anew")]),
        Step::Write(22, vec![guarded(key(0, "again"), "x", Guard::None, Expires::At(NOW_MS + 23))]),
        Step::Write(23, vec![guarded(key(0, "again"), "y", Guard::Absent, Expires::At(NOW_MS + 9000))]),
    ]
}

fn databases() -> Vec<Step> {
    let swap = |first, second| Change::Swap { first, second };
    vec![
        Step::Write(30, vec![swap(0, 1)]),
        Step::Write(30, vec![set(key(0, "after the swap"), "in 0")]),
        Step::Save,
        Step::Write(31, vec![swap(1, 3), swap(3, 2), set(key(2, "within"), "a batch")]),
        Step::Write(31, vec![patch(key(0, "after the swap"), 6, " and patched")]),
        Step::Write(32, vec![Change::Clear { database: 1 }]),
        Step::Write(32, vec![set(key(1, "after the clear"), "in 1")]),
        Step::Write(33, vec![swap(3, 3), Change::Clear { database: 3 }, set(key(3, "c"), "after a clear")]),
    ]
}

/// What FLUSHALL does, and life after it.
fn flush() -> Vec<Step> {
    // All that were ever used: each other one costs the test the time to set it up.
    let all: Vec<Change<'_>> = (0..4).map(|database| Change::Clear { database }).collect();
    vec![
        Step::Write(40, all),
        Step::Write(41, vec![set(key(0, "first"), "after the flush")]),
        Step::Write(41, vec![Change::Swap { first: 0, second: 3 }]),
    ]
}
