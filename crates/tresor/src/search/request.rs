//! A query as words, the way it is sent over the Redis and the line protocol.
//!
//! `NAME value` for each option of a query, and a few words that stand alone; in any case and order. Both
//! protocols and their help come from here, so that a query reads the same everywhere.

use super::query::Query;
use crate::error::{Error, Result};

/// A query with what else its sender wants.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// What to find.
    pub query: Query,
    /// Where to go on.
    pub cursor: Option<Vec<u8>>,
    /// Whether to tell how it is run.
    pub explain: bool,
    /// Whether to count only.
    pub dry_run: bool,
}

impl Request {
    /// Reads words such as `PREFIX user: VALUE_FROM 18 FIELD /age LIMIT 10 WITHVALUES`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a name that there is not, a value that is missing or wrong.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> Result<Self> {
        let mut request = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let name = String::from_utf8_lossy(word).to_ascii_lowercase();
            match &*name {
                "withvalues" => request.query = request.query.values(),
                "explain" => request.explain = true,
                "dryrun" => request.dry_run = true,
                _ => {
                    let missing =
                        || Error::invalid(format!("{} needs a value behind it", name.to_uppercase()));
                    let value = words.next().ok_or_else(missing)?;
                    match &*name {
                        "cursor" => request.cursor = Some(value.to_vec()),
                        name => request.query.option(name, value)?,
                    }
                }
            }
        }
        Ok(request)
    }
}
