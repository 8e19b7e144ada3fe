//! Changes for readers, from the log.
//!
//! The log has a change before the tables have it. Who is told of a change must find it, and who begins to read
//! now must find everything before that; both wait for the locks under which changes get from one to the other.

use super::store::Store;
use crate::{
    engine::{ChangeCursor, ChangePage, ChangesWanted, Eventual},
    error::Result,
};

/// The next page of changes.
pub(super) fn changes<'a>(
    store: &'a Store,
    cursor: &'a mut ChangeCursor,
    wanted: &'a ChangesWanted<'a>,
) -> Eventual<'a, ChangePage> {
    if cursor.begins() {
        let latest = store.log.latest();
        if let Err(error) = store.settle() {
            return Eventual::Now(Err(error));
        }
        cursor.begin_after(latest);
    }
    match store.log.changes(cursor, wanted) {
        Eventual::Now(page) => Eventual::Now(page.and_then(|page| visible(store, page))),
        later => Eventual::later(async move { visible(store, later.await?) }),
    }
}

/// The page once the tables have all that it tells.
fn visible(store: &Store, page: ChangePage) -> Result<ChangePage> {
    // Whoever changes whole databases holds this lock alone.
    drop(store.read()?);
    page.iter().for_each(|change| drop(store.lock(change.key)));
    Ok(page)
}
