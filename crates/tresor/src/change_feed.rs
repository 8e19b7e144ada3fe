//! The change feed: what happens to the entries of a database, in the order in which it happened.
//!
//! A reader keeps a position and asks for page after page; nothing is kept for it here. What is told is durable,
//! comes once, and nothing between two positions is left out without a gap that says so. What a change itself
//! says of a value is told as it was then; of a change of a part or of an expiry the present entry is read, and
//! its version says that it is of that moment.

use std::{fmt, str::FromStr, time::Duration};

use crate::{
    database::Database,
    engine::{
        ChangeCursor, ChangeKind, ChangePage, ChangeRef, ChangesWanted, EntryRef, Gap, Isolation, KeyRef,
        MAX_SEQUENCE, PAGE_BYTES, Sequence, Version, block_on, block_on_for,
    },
    error::{Error, Result},
    feed_counters::FeedFigures,
    value::Value,
    yield_now::yield_now,
};

/// The most changes of one page.
const PAGE_CHANGES: usize = 1024;

/// How far a reader has come: every change through this number of this store was told.
///
/// Written as in an ETag, `0123456789abcdef-42`; a number alone is read as one of whatever store is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedPosition {
    /// The store, if that is known: numbers of another one mean nothing.
    pub store_id: Option<u64>,
    /// The number of the last change that was told.
    pub sequence: Sequence,
}

impl fmt::Display for FeedPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(store_id) = self.store_id {
            write!(f, "{store_id:016x}-")?;
        }
        write!(f, "{}", self.sequence)
    }
}

impl FromStr for FeedPosition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let sequence = |text: &str| text.parse().ok().filter(|_| digits(text)).filter(|n| *n <= MAX_SEQUENCE);
        let position = match text.split_once('-') {
            Some((store_id, number)) if store_id.len() == 16 => u64::from_str_radix(store_id, 16)
                .ok()
                .zip(sequence(number))
                .map(|(store_id, sequence)| Self { store_id: Some(store_id), sequence }),
            Some(_) => None,
            None => sequence(text).map(|sequence| Self { store_id: None, sequence }),
        };
        position.ok_or_else(|| {
            Error::invalid(format!("{text:?} is no position: send one that an answer told, or a number"))
        })
    }
}

/// No change at all: what an engine answers beside the changes is wanted alone.
const NOTHING: ChangesWanted<'static> =
    ChangesWanted { database: 0, prefix: b"", values: false, limit: 0, wait: false };

/// What a reader wants to be told. By default every change from now on, without values.
#[derive(Clone, Debug)]
pub struct FeedOptions {
    since: Option<FeedPosition>,
    prefix: Vec<u8>,
    values: bool,
    limit: usize,
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self { since: None, prefix: Vec::new(), values: false, limit: PAGE_CHANGES }
    }
}

impl FeedOptions {
    /// Every change from now on, without values.
    pub fn new() -> Self {
        Self::default()
    }

    /// What happened after this position, as far as it is kept.
    #[must_use]
    pub fn since(self, position: FeedPosition) -> Self {
        Self { since: Some(position), ..self }
    }

    /// Only keys that begin so. What happens to the whole database is told all the same.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<Vec<u8>>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// Values, too.
    #[must_use]
    pub fn values(self) -> Self {
        Self { values: true, ..self }
    }

    /// At most so many changes in a page; 1 to 1024.
    #[must_use]
    pub fn limit(self, changes: usize) -> Self {
        Self { limit: changes.clamp(1, PAGE_CHANGES), ..self }
    }
}

/// One change.
#[derive(Clone, Debug)]
pub struct FeedChange {
    /// Its number.
    pub sequence: Sequence,
    /// What happened.
    pub kind: ChangeKind,
    /// To which key; empty where it happened to the whole database.
    pub key: Vec<u8>,
    /// With which database it was swapped.
    pub with: Option<u8>,
    /// The value with its version, if values were asked for and there is one. A version above `sequence` says
    /// that the value is a later one.
    pub value: Option<(Value, Version)>,
}

/// Changes in their order.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// What was missed before the first of them, for good.
    pub gap: Option<Gap>,
    /// The changes.
    pub changes: Vec<FeedChange>,
    /// Where to go on.
    pub position: FeedPosition,
    /// Whether there is more to look at already.
    pub more: bool,
}

/// A reader of the changes of one numbered database.
pub struct ChangeFeed {
    database: Database,
    options: FeedOptions,
    cursor: ChangeCursor,
}

impl Database {
    /// Reads what happens to this handle's database, on an engine that keeps changes: memory and disk.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) on other engines, [`Unavailable`](crate::ErrorKind::Unavailable)
    /// once the store is closed.
    pub fn change_feed(&self, options: &FeedOptions) -> Result<ChangeFeed> {
        block_on(self.begin_change_feed(options))
    }

    /// The same without blocking, on any runtime.
    ///
    /// # Errors
    /// As [`change_feed`](Self::change_feed).
    pub async fn begin_change_feed(&self, options: &FeedOptions) -> Result<ChangeFeed> {
        let mut cursor = match options.since {
            None => ChangeCursor::now(),
            Some(FeedPosition { store_id: None, sequence }) => ChangeCursor::after(sequence),
            Some(FeedPosition { store_id: Some(id), sequence }) => ChangeCursor::after(sequence).in_store(id),
        };
        if options.since.is_none() {
            // Now is now, and not when the first page is asked for.
            self.core.engine.changes(&mut cursor, &NOTHING).await?;
        }
        self.core.feeds.come();
        Ok(ChangeFeed { database: self.clone(), options: options.clone(), cursor })
    }

    /// How the change feeds of all its databases fare.
    pub fn feed_figures(&self) -> FeedFigures {
        self.core.feeds.figures()
    }
}

impl Drop for ChangeFeed {
    fn drop(&mut self) {
        self.database.core.feeds.gone();
    }
}

impl ChangeFeed {
    /// The next page with anything to tell; waits for it up to so long. Without one by then it is empty.
    ///
    /// # Errors
    /// As [`Database::change_feed`]. The same page can be asked for again.
    pub fn next_page(&mut self, wait: Duration) -> Result<FeedPage> {
        if let Some(page) = block_on_for(self.told(), wait) {
            return page;
        }
        block_on(self.page(false))
    }

    /// The next page with anything to tell, whenever that is. To be dropped at any time: what was not answered was
    /// not told.
    ///
    /// # Errors
    /// As [`Database::change_feed`].
    pub async fn told(&mut self) -> Result<FeedPage> {
        loop {
            let page = self.page(true).await?;
            if page.gap.is_some() || !page.changes.is_empty() {
                return Ok(page);
            }
            yield_now().await;
        }
    }

    pub(crate) fn tells_values(&self) -> bool {
        self.options.values
    }

    /// Where it stands, with the store's id.
    pub(crate) async fn position(&self) -> Result<FeedPosition> {
        let page = self.database.core.engine.changes(&mut self.cursor.clone(), &NOTHING).await?;
        // What is gone is told as a gap, and that comes behind the position that was asked for.
        let sequence = self.cursor.through();
        Ok(FeedPosition { store_id: Some(page.store_id), sequence })
    }

    /// The next page of what there is already; with `wait` of what comes next, which need not concern this reader.
    ///
    /// # Errors
    /// As [`Database::change_feed`].
    pub async fn page(&mut self, wait: bool) -> Result<FeedPage> {
        let wanted = ChangesWanted {
            database: self.database.number,
            prefix: &self.options.prefix,
            values: self.options.values,
            limit: self.options.limit,
            wait,
        };
        // Whoever drops this call half-way is told the same page again.
        let mut cursor = self.cursor.clone();
        let page = self.database.core.engine.changes(&mut cursor, &wanted).await?;
        let mut told = FeedPage {
            gap: page.gap,
            changes: Vec::with_capacity(page.len()),
            position: FeedPosition { store_id: Some(page.store_id), sequence: page.through },
            more: page.more,
        };
        self.fill(&mut told, &page, &mut cursor).await?;
        self.cursor = cursor;
        self.database.core.feeds.told(told.changes.len(), told.gap.is_some());
        Ok(told)
    }

    /// Takes over what the engine tells, and reads the values that a change does not say itself. What takes too much
    /// room is left to the next page.
    async fn fill(&self, told: &mut FeedPage, page: &ChangePage, cursor: &mut ChangeCursor) -> Result<()> {
        let (mut bytes, mut seen) = (0, 0);
        for change in page.iter() {
            let value = match change.entry {
                Some(entry) => Some((Value::kept(entry.value, entry.kind), entry.version)),
                None if change.kind == ChangeKind::Set && self.options.values => {
                    self.read(&change, &mut seen).await?
                }
                None => None,
            };
            bytes += change.key.len() + value.as_ref().map_or(0, |(value, _)| value.as_bytes().len());
            if bytes > PAGE_BYTES && !told.changes.is_empty() {
                cursor.rewind(change.sequence - 1);
                (told.position.sequence, told.more) = (cursor.through(), true);
                break;
            }
            let (sequence, kind, with) = (change.sequence, change.kind, change.with);
            told.changes.push(FeedChange { sequence, kind, key: change.key.to_vec(), with, value });
        }
        self.database.core.engine.durable(seen).await
    }

    /// The entry as it is now; `seen` becomes at least the number that has to be durable for that. One that is older
    /// than the change is another.
    async fn read(&self, change: &ChangeRef<'_>, seen: &mut Sequence) -> Result<Option<(Value, Version)>> {
        let core = &self.database.core;
        let mut value = None;
        let mut keep = |_: usize, entry: Option<EntryRef<'_>>| {
            let entry = entry.filter(|entry| entry.version >= change.sequence);
            value = entry.map(|entry| (Value::kept(entry.value, entry.kind), entry.version));
        };
        let key = [KeyRef::new(change.database, change.key)];
        let read = core.engine.read(&key, Isolation::Each, core.time.now_ms(), &mut keep).await?;
        *seen = read.sequence.max(*seen);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::FeedPosition;

    #[test]
    fn a_position_is_read_as_it_is_written() {
        for position in [
            FeedPosition { store_id: None, sequence: 0 },
            FeedPosition { store_id: None, sequence: 77 },
            FeedPosition { store_id: Some(0), sequence: 1 },
            FeedPosition { store_id: Some(u64::MAX), sequence: (1 << 48) - 1 },
        ] {
            assert_eq!(position.to_string().parse::<FeedPosition>().unwrap(), position);
        }
        for wrong in ["", "-", "-1", "+1", "1.5", "abc", "12-3", "0123456789abcdef-", "281474976710656"] {
            assert!(wrong.parse::<FeedPosition>().is_err(), "{wrong:?}");
        }
    }
}
