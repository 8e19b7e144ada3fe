//! A run of changes without guards, each for itself: one record in the log and one batch of the tables.
//!
//! As many clients as there are changes could have sent them, so it is no matter that they become visible
//! together; a pipeline of writes then costs the tables one turn instead of many.

use super::{
    store::Store,
    write::{self, eventually},
};
use crate::{
    engine::{Batch, Change, Each, Eventual, Guard},
    error::Result,
    oplog::Refused,
};

/// Changes that go into one record.
const TOGETHER: usize = 256;

/// Applies changes of single entries; later only when the log has no room at hand.
pub(super) fn write_each<'a>(store: &'a Store, changes: &'a [Change<'a>], now_ms: u64) -> Eventual<'a, Each> {
    let (mut each, mut done) = (Each::default(), 0);
    eventually(store, move || {
        while done < changes.len() {
            let run = &changes[done..(done + TOGETHER).min(changes.len())];
            attempt(store, run, now_ms, done, &mut each)?;
            done += run.len();
        }
        Ok(std::mem::take(&mut each))
    })
}

/// The run in one go; one by one where that fails, so that each failure is its own.
fn attempt(
    store: &Store,
    run: &[Change<'_>],
    now_ms: u64,
    first: usize,
    each: &mut Each,
) -> Result<(), Refused> {
    let alone = run.iter().any(|change| change.key().is_none() || change.guard() != Guard::None);
    if run.len() > 1 && !alone {
        match write::try_write(store, Batch::blind(run), now_ms) {
            Ok(outcome) => {
                each.sequence = each.sequence.max(outcome.sequence);
                return Ok(());
            }
            Err(refused @ Refused::NoRoom { .. }) => return Err(refused),
            Err(Refused::Failed(_)) => {}
        }
    }
    for (index, change) in run.iter().enumerate() {
        match write::try_write(store, Batch::blind(std::slice::from_ref(change)), now_ms) {
            Ok(outcome) => each.note(first + index, Ok(outcome)),
            Err(Refused::Failed(error)) => each.note(first + index, Err(error)),
            Err(refused @ Refused::NoRoom { .. }) => return Err(refused),
        }
    }
    Ok(())
}
