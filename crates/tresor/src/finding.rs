//! Queries as a Rust program runs them: an iterator over what is found, a page at a time.
//!
//! Holds one page and no gate between two, so it may be as slow as it likes. What holds for a query's pages holds
//! here: an entry that is there from beginning to end comes once.

use std::vec;

use crate::{
    database::Database,
    error::Result,
    search::{Found, FoundPage, Plan, Query, Removed},
    session::Session,
};

/// What a query finds; after an error it ends. Made by [`Database::find`].
pub struct Matches {
    database: Database,
    query: Query,
    ready: vec::IntoIter<Found>,
    next: Next,
    skipped: u64,
}

enum Next {
    First,
    Cursor(String),
    Nothing,
}

impl Matches {
    /// How many were left out so far because they cannot be read as a condition wants it.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

impl Iterator for Matches {
    type Item = Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(found) = self.ready.next() {
                return Some(Ok(found));
            }
            let cursor = match std::mem::replace(&mut self.next, Next::Nothing) {
                Next::First => None,
                Next::Cursor(cursor) => Some(cursor),
                Next::Nothing => return None,
            };
            match self.database.find_page(&self.query, cursor.as_deref()) {
                Ok(page) => {
                    self.next = page.cursor.map_or(Next::Nothing, Next::Cursor);
                    self.skipped += page.skipped;
                    self.ready = page.entries.into_iter();
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Queries: by patterns and ranges of keys and values, and by nearness of vectors.
impl Database {
    /// Everything that a query finds. Its limit is a page's, as much as is held at a time; of the nearest it is
    /// how many there are. A query that was said wrong gives its error first.
    pub fn find(&self, query: &Query) -> Matches {
        let (database, query) = (self.clone(), query.clone());
        Matches { database, query, ready: Vec::new().into_iter(), next: Next::First, skipped: 0 }
    }

    /// One page of a query, from the beginning or from a page's cursor.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a query that was said wrong, or a cursor of another one.
    pub fn find_page(&self, query: &Query, cursor: Option<&str>) -> Result<FoundPage> {
        self.within(async |session| session.find(query, cursor.map(str::as_bytes)).await)
    }

    /// How a query is run.
    ///
    /// # Errors
    /// As [`find_page`](Self::find_page).
    pub fn explain<'q>(&self, query: &'q Query) -> Result<Plan<'q>> {
        self.session(0).plan(query)
    }

    /// Deletes everything that a query finds, each entry by itself; with `is_dry_run` it only counts.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a query for everything (say glob `*`) or for the nearest. What was
    /// deleted before an error stays so.
    pub fn delete_found(&self, query: &Query, is_dry_run: bool) -> Result<Removed> {
        self.within(async |session| session.remove_found(query, is_dry_run).await)
    }

    fn within<T>(&self, ask: impl AsyncFnOnce(&mut Session) -> Result<T>) -> Result<T> {
        self.beside(async |session| {
            let result = ask(session).await;
            session.leave();
            let durable = session.durable().await;
            result.and_then(|answer| durable.map(|()| answer))
        })
    }
}
