//! Deleting what a query finds, page by page.
//!
//! Each entry goes by itself, and only as it was found: one whose value was judged and has changed meanwhile is
//! looked at again. What matches by its key alone goes whatever it holds by then.

use std::collections::BTreeSet;

use super::{
    finder::{Found, SLICE_ENTRIES},
    query::{MAX_LIMIT, Query},
};
use crate::{
    engine::{Applied, Change, Guard},
    error::{Error, Result},
    session::Session,
};

/// How often an entry that keeps changing is looked at again.
const ROUNDS: usize = 16;

/// What became of a query's entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// How many were found.
    pub matched: u64,
    /// How many of them were deleted; none in a dry run.
    pub deleted: u64,
}

impl Session {
    /// Deletes what a query finds in the selected database, or only counts it. Between [`enter`](Self::enter) and
    /// [`leave`](Self::leave), as a write.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a query that is for everything (say glob `*` for that), for the
    /// nearest, or said wrong, and whatever the engine fails with: what was deleted by then stays so.
    pub async fn remove_found(&mut self, query: &Query, is_dry_run: bool) -> Result<Removed> {
        query.check()?;
        if query.is_for_everything() {
            return Err(Error::invalid("this would delete everything: say glob * if that is meant"));
        }
        if query.nearest.is_some() {
            return Err(Error::invalid(
                "the nearest cannot be deleted by a query: delete them by their keys",
            ));
        }
        let query = query.clone().keys_alone().limit(MAX_LIMIT);
        let (mut removed, mut cursor) = (Removed::default(), None::<String>);
        loop {
            let page = self.find(&query, cursor.as_deref().map(str::as_bytes)).await?;
            removed.matched += page.entries.len() as u64;
            if !is_dry_run {
                removed.deleted += self.remove_page(&query, page.entries).await?;
            }
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(removed);
            }
            self.breathe().await;
        }
    }

    async fn remove_page(&mut self, query: &Query, mut entries: Vec<Found>) -> Result<u64> {
        let is_guarded = query.judges_values() && self.engine().capabilities().guards;
        let mut deleted = 0;
        for _ in 0..ROUNDS {
            let mut changed = BTreeSet::new();
            for (place, found) in entries.iter().enumerate() {
                let guard = if is_guarded { Guard::Version(found.version) } else { Guard::None };
                let key = self.key(&found.key)?;
                let outcome = self.write(&[Change::Delete { key, guard }]).await?;
                match outcome.applied {
                    Applied::Refused { .. } => drop(changed.insert(found.key.clone())),
                    Applied::Whole(_) => {
                        deleted += u64::from(outcome.effect().is_some_and(|effect| effect.existed));
                    }
                }
                if (place + 1).is_multiple_of(SLICE_ENTRIES) {
                    self.breathe().await;
                }
            }
            if changed.is_empty() {
                break;
            }
            entries = self.find(&query.only(changed), None).await?.entries;
        }
        Ok(deleted)
    }
}
