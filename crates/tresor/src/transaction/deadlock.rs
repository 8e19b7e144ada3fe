//! Deadlocks: found when the wait that closes a circle begins, ended at once.
//!
//! Parties wait for parties: a client waits for one thing at a time, so a circle is a walk from the request
//! that just began to wait back to its own party. Only that request can have closed a circle, because every
//! other way of changing who waits for whom (a grant, a release) adds nothing that was not waited for before.
//! The transaction that began last loses. A request that holds nothing is part of a circle only by its place
//! in a line, and is sent to the end of it instead.

use std::{collections::HashSet, ops::ControlFlow};

use super::lock_table::{LockTable, Owner, Party, WaitId, WaitState};

/// Ends every deadlock that the request closes; the owners that have lost, whose locks are free now.
pub(super) fn resolve(table: &mut LockTable, closing: WaitId) -> Vec<Owner> {
    let mut losers = Vec::new();
    while let Some(circle) = circle(table, closing) {
        let patient = |id: &&WaitId| table.wait(**id).is_some_and(|wait| wait.asker.patient);
        if let Some(id) = circle.iter().find(patient).copied() {
            table.send_back(id);
            continue;
        }
        let youngest = circle.iter().filter_map(|id| Some((table.wait(*id)?.asker.owner, *id))).max();
        let Some((owner, id)) = youngest else { return losers };
        table.end_wait(id, WaitState::Deadlock);
        table.release(owner);
        losers.push(owner);
    }
    losers
}

/// The requests of a circle through `start`, if there is one.
fn circle(table: &LockTable, start: WaitId) -> Option<Vec<WaitId>> {
    let home = table.wait(start).filter(|wait| wait.state == WaitState::Waiting)?.asker.party;
    let mut seen = HashSet::new();
    // Each step of the way, with the parties that are still to be tried from there.
    let mut way = vec![(start, parties(table, start))];
    while let Some((_, next)) = way.last_mut() {
        let Some(party) = next.pop() else {
            way.pop();
            continue;
        };
        if party == home {
            return Some(way.into_iter().map(|(id, _)| id).collect());
        }
        if let Some(id) = table.blocked(party)
            && seen.insert(id)
        {
            way.push((id, parties(table, id)));
        }
    }
    None
}

fn parties(table: &LockTable, id: WaitId) -> Vec<Party> {
    let mut parties = Vec::new();
    let _ = table.waits_for(id, &mut |holder| {
        parties.push(holder.party);
        ControlFlow::Continue(())
    });
    parties
}
