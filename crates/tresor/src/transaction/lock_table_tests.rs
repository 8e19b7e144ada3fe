//! The lock table under random requests: what must hold of it after every step, whatever the order.

use std::{collections::BTreeMap, ops::ControlFlow};

use tresor_testkit::random::{Random, seed};

use super::{
    deadlock,
    lock_table::{Asked, Asker, LockTable, Owner, WaitId, WaitState},
    target::{Mode, Target},
};

const OWNERS: u64 = 6;

/// Keys are single letters; a range is from one letter to another, both included.
type Span = (u8, u8);

#[derive(Default)]
struct Owned {
    locks: Vec<(Span, Mode)>,
    waits: Option<(WaitId, Span, Mode)>,
}

fn target(span: &Span) -> Target<'_> {
    let (first, last) = (std::slice::from_ref(&span.0), std::slice::from_ref(&span.1));
    match span.0 == span.1 {
        true => Target::Key { database: 0, key: first },
        false => Target::Range {
            database: 0,
            lower: std::ops::Bound::Included(first),
            upper: std::ops::Bound::Included(last),
        },
    }
}

fn overlap(one: Span, other: Span) -> bool {
    one.0 <= other.1 && other.0 <= one.1
}

struct Play {
    table: LockTable,
    owners: BTreeMap<Owner, Owned>,
}

impl Play {
    fn asker(owner: Owner) -> Asker {
        Asker { owner, party: owner, patient: false }
    }

    fn ask(&mut self, owner: Owner, span: Span, mode: Mode) {
        let asker = Self::asker(owner);
        match self.table.ask(asker, target(&span), mode) {
            Asked::Granted { .. } => self.owners.entry(owner).or_default().locks.push((span, mode)),
            Asked::BlockedByItself => panic!("a party of one owner never blocks itself"),
            Asked::Blocked => {
                let id = self.table.enqueue(asker, target(&span), mode, 0);
                self.owners.entry(owner).or_default().waits = Some((id, span, mode));
                for loser in deadlock::resolve(&mut self.table, id) {
                    self.forget(loser);
                }
            }
        }
        self.collect();
    }

    fn release(&mut self, owner: Owner) {
        self.table.end(owner, owner);
        self.forget(owner);
        self.collect();
    }

    fn forget(&mut self, owner: Owner) {
        if let Some(Owned { waits: Some((id, ..)), .. }) = self.owners.remove(&owner) {
            self.table.forget(id);
        }
    }

    /// Notes what was granted meanwhile.
    fn collect(&mut self) {
        for owned in self.owners.values_mut() {
            if let Some((id, span, mode)) = owned.waits
                && self.table.wait(id).is_none_or(|wait| wait.state == WaitState::Granted)
            {
                self.table.forget(id);
                owned.waits = None;
                owned.locks.push((span, mode));
            }
        }
    }

    fn check(&self) {
        for (owner, owned) in &self.owners {
            for (other, theirs) in self.owners.iter().filter(|(other, _)| *other > owner) {
                for (span, mode) in &owned.locks {
                    let clash = theirs.locks.iter().find(|(theirs, their_mode)| {
                        overlap(*span, *theirs)
                            && (*mode == Mode::Exclusive || *their_mode == Mode::Exclusive)
                    });
                    assert!(clash.is_none(), "{owner} has {span:?} {mode:?} and {other} {clash:?}");
                }
            }
            if let Some((id, span, mode)) = owned.waits {
                let mut waits = false;
                let _ = self.table.waits_for(id, &mut |_| {
                    waits = true;
                    ControlFlow::Break(())
                });
                assert!(waits, "{owner} waits for nobody: {span:?} {mode:?}");
            }
        }
        assert!(!self.goes_round(), "a circle is left");
    }

    /// Whether somebody waits for himself in the end.
    fn goes_round(&self) -> bool {
        let waits = |owner: Owner| {
            let mut parties = Vec::new();
            if let Some((id, ..)) = self.owners.get(&owner).and_then(|owned| owned.waits) {
                let _ = self.table.waits_for(id, &mut |holder| {
                    parties.push(holder.party);
                    ControlFlow::Continue(())
                });
            }
            parties
        };
        self.owners.keys().any(|start| {
            let (mut reached, mut next) = (Vec::new(), waits(*start));
            while let Some(owner) = next.pop() {
                if owner == *start {
                    return true;
                }
                if !reached.contains(&owner) {
                    reached.push(owner);
                    next.extend(waits(owner));
                }
            }
            false
        })
    }
}

#[test]
fn locks_exclude_each_other_nobody_waits_for_nothing_and_no_circle_stays() {
    let mut random = Random::new(seed("locks"));
    for _ in 0..300 {
        let mut play = Play { table: LockTable::default(), owners: BTreeMap::new() };
        for _ in 0..60 {
            let owner = 1 + random.below(OWNERS);
            let waits = play.owners.get(&owner).is_some_and(|owned| owned.waits.is_some());
            if waits || random.below(4) == 0 {
                play.release(owner);
            } else {
                let first = b'a' + random.below(4) as u8;
                let span = (first, first + if random.below(4) == 0 { random.below(3) as u8 } else { 0 });
                let mode = if random.below(2) == 0 { Mode::Shared } else { Mode::Exclusive };
                play.ask(owner, span, mode);
            }
            play.check();
        }
        for owner in 1..=OWNERS {
            play.release(owner);
        }
        assert_eq!(play.table.waiting(), 0);
        assert!(play.table.is_empty(), "something is left");
    }
}
