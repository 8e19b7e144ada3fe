//! How far a reader of changes has come: all that the server keeps of it.
//!
//! A number, and where its record lies, so that nothing is read twice. No file is held open and nothing is
//! queued: a reader that does not read costs these bytes. What it wants may be gone when it comes back; then
//! it is told of the gap.

use super::{
    change_page::{ChangePage, Gap},
    database_table::DatabaseTable,
    entry::Sequence,
};

/// Where a reader of changes stands.
#[derive(Clone, Debug, Default)]
pub struct ChangeCursor {
    /// The number of the first change that was not told.
    pub(crate) next: Sequence,
    /// The store that `next` is a number of, if that was said.
    store_id: Option<u64>,
    /// Nothing was asked yet.
    begins: bool,
    /// Where the record with `next` is, or one before it.
    pub(crate) place: Option<Place>,
    /// The same for the page before.
    before: Option<Place>,
}

/// The beginning of a record in a segment, or in a part of the buffer that stands in for one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The first number of the segment.
    pub(crate) segment: Sequence,
    /// Where in it.
    pub(crate) offset: u64,
    /// The number of the first change there.
    pub(crate) next: Sequence,
    /// Which physical database each logical one was, before that change.
    pub(crate) table: DatabaseTable,
}

impl ChangeCursor {
    /// Tells what happens from now on. Now is when the first page is asked for.
    pub fn now() -> Self {
        Self { begins: true, ..Self::default() }
    }

    /// Tells what happened after the change with this number.
    pub fn after(sequence: Sequence) -> Self {
        Self { next: sequence.saturating_add(1), ..Self::default() }
    }

    /// The same for the number of a store with this id; in another store, everything is a gap.
    #[must_use]
    pub fn in_store(self, store_id: u64) -> Self {
        Self { store_id: Some(store_id), ..self }
    }

    /// Everything up to here was told; 0 for a cursor that begins now.
    pub fn through(&self) -> Sequence {
        self.next.saturating_sub(1)
    }

    /// Whether it begins now: then a log has to say which number comes next.
    pub(crate) fn begins(&self) -> bool {
        self.begins
    }

    /// Begins behind this number: now, as a log without cursors of its own sees it.
    pub(crate) fn begin_after(&mut self, latest: Sequence) {
        (self.begins, self.next) = (false, latest + 1);
    }

    /// Begins a page of a store with this id whose latest number is `latest`.
    pub(crate) fn begin_page(&mut self, store_id: u64, latest: Sequence) -> ChangePage {
        let mut page = ChangePage::default();
        page.store_id = store_id;
        self.before = self.place;
        if self.begins {
            (self.begins, self.next) = (false, latest + 1);
        } else if self.store_id.is_some_and(|known| known != store_id) || self.next > latest + 1 {
            // A number of another store, or one that a crash took back: nothing is known of what was missed.
            page.gap = Some(Gap { from: 1, to: latest });
            (self.next, self.place, self.before) = (latest + 1, None, None);
        } else if self.next == 0 {
            self.next = 1;
        }
        self.store_id = Some(store_id);
        page.through = self.through();
        page
    }

    /// Says that everything before `next` is gone.
    pub(crate) fn skip_to(&mut self, next: Sequence, page: &mut ChangePage) {
        page.gap = Some(Gap { from: self.next, to: next - 1 });
        (self.next, self.place) = (next, None);
    }

    /// Takes back what a page told behind `through`: the next page tells it again.
    pub fn rewind(&mut self, through: Sequence) {
        self.next = through.saturating_add(1).min(self.next);
        self.place = self.before;
    }
}
