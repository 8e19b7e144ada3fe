//! Entries from one engine into another, page by page, with a mark of how far that has come.
//!
//! In key order where the giver has one, because only then a place can be found again by another
//! process; else a copy that was killed begins its database anew, which changes nothing that is there.
//! Versions come along wherever the receiver can take them.

use tresor::{
    ErrorKind,
    engine::{Change, Content, DATABASES, Engine, Expires, Guard, MAX_SEQUENCE, Order, Page, Position, Scan},
};

use super::marker::{Marker, MarkerFile};
use crate::{
    failure::{Failure, Outcome},
    progress::Progress,
};

/// Entries of a page.
const PAGE_ENTRIES: usize = 1024;

/// A mark is made after so many entries...
const MARK_ENTRIES: u64 = 8192;

/// ...or so many bytes of them.
const MARK_BYTES: u64 = 64 * 1024 * 1024;

/// A copy under way.
pub(crate) struct Transfer<'a> {
    from: &'a dyn Engine,
    to: &'a dyn Engine,
    /// The moment at which entries are there or have expired.
    now_ms: u64,
    /// The giver's latest number: the receiver's later ones are above it.
    above: u64,
    /// Whether the receiver takes entries as they are.
    pub(crate) keeps_versions: bool,
    marker: Marker,
    marked: (u64, u64),
    bytes: u64,
}

impl<'a> Transfer<'a> {
    /// From where `marker` says on.
    pub(crate) fn new(
        (from, to): (&'a dyn Engine, &'a dyn Engine),
        (now_ms, above): (u64, u64),
        marker: Marker,
    ) -> Self {
        Self { from, to, now_ms, above, keeps_versions: true, marked: (marker.entries, 0), marker, bytes: 0 }
    }

    /// Copies all that is left, durably.
    pub(crate) fn run(&mut self, file: &MarkerFile, progress: &Progress) -> Outcome {
        while self.marker.database < DATABASES {
            self.database(file, progress)?;
            self.marker.database += 1;
            self.marker.behind = None;
        }
        self.mark(file)
    }

    fn database(&mut self, file: &MarkerFile, progress: &Progress) -> Outcome {
        let is_ordered = self.from.capabilities().ordered;
        let order = if is_ordered { Order::Ascending } else { Order::Any };
        let mut scan = Scan::all(self.marker.database, order, Content::Entries, PAGE_ENTRIES);
        if let Some((key, member)) = self.marker.behind.clone() {
            scan.position = Position::Behind { key, member };
        }
        loop {
            let mut page = self.from.scan(&scan, self.now_ms).wait()?;
            self.put(&page)?;
            self.marker.entries += page.len() as u64;
            self.bytes += page.bytes() as u64;
            progress.advance(page.len() as u64);
            if let Some((last, _)) = page.iter().next_back().filter(|_| is_ordered) {
                self.marker.behind = Some((last.key.to_vec(), last.member.to_vec()));
            }
            let (entries, bytes) = self.marked;
            if self.marker.entries - entries >= MARK_ENTRIES || self.bytes - bytes >= MARK_BYTES {
                self.mark(file)?;
            }
            let Some(next) = page.next.take() else { return Ok(()) };
            scan.position = next;
        }
    }

    fn put(&mut self, page: &Page) -> Outcome {
        if page.is_empty() {
            return Ok(());
        }
        if self.keeps_versions {
            match self.to.adopt(page, self.above, self.now_ms).wait() {
                Err(error) if error.kind() == ErrorKind::Unsupported => self.keeps_versions = false,
                adopted => return Ok(adopted.map(|_| ())?),
            }
        }
        let changes: Vec<Change<'_>> = page
            .iter()
            .map(|(key, entry)| Change::Put {
                key,
                guard: Guard::None,
                value: entry.value.bytes(),
                kind: entry.kind,
                expires: entry.expires_at_ms.map_or(Expires::Never, Expires::At),
            })
            .collect();
        let each = self.to.write_each(&changes, self.now_ms).wait()?;
        match each.failures.into_iter().next() {
            None => Ok(()),
            Some((index, error)) => {
                let key = changes[index].key().map_or(&[][..], |key| key.key);
                Err(Failure::failed(format!("the key {:?}: {error}", String::from_utf8_lossy(key))))
            }
        }
    }

    /// Makes what was copied durable, then says so.
    fn mark(&mut self, file: &MarkerFile) -> Outcome {
        // A number that was never given stands for the latest.
        self.to.durable(MAX_SEQUENCE).wait()?;
        file.write(&self.marker)?;
        self.marked = (self.marker.entries, self.bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tresor::engine::{Batch, Content, Engine, Order, Scan};
    use tresor_testkit::{HeldEngine, ModelEngine, TemporaryDirectory};

    use super::{Change, Expires, Guard, Marker, MarkerFile, Transfer};
    use crate::progress::Progress;

    #[test]
    fn who_takes_no_entries_as_they_are_is_put_them() {
        let (from, below) = (ModelEngine::new(), Arc::new(ModelEngine::new()));
        let to = HeldEngine::new(below.clone());
        let key = tresor::engine::KeyRef::new(3, b"key\xff");
        let kind = tresor::Kind::Json;
        let put =
            Change::Put { key, guard: Guard::None, value: b"[1]", kind, expires: Expires::At(5_000_000) };
        for _ in 0..3 {
            from.write(Batch::blind(&[put]), 1).wait().expect("a model takes it");
        }
        let directory = TemporaryDirectory::new("transfer");
        let file = MarkerFile::beside(&directory.join("to"));
        let mut transfer = Transfer::new((&from, &*to), (1, 100), Marker::default());
        transfer.run(&file, &Progress::entries(1)).expect("it is copied");
        assert!(!transfer.keeps_versions);
        let scan = Scan::all(3, Order::Ascending, Content::Entries, 10);
        let page = below.scan(&scan, 1).wait().expect("a page");
        let (name, entry) = page.iter().next().expect("the entry is there");
        assert_eq!((name, entry.value.bytes(), entry.kind), (key, &b"[1]"[..], kind));
        assert_eq!((entry.expires_at_ms, entry.version), (Some(5_000_000), 1));
        let marker = file.read().expect("it is whole").expect("it is there");
        assert_eq!((marker.entries, marker.database, marker.behind), (1, 16, None));
    }

    #[test]
    fn what_the_marker_tells_of_is_not_copied_again() {
        let (from, to) = (ModelEngine::new(), ModelEngine::new());
        for (database, key) in [(0, b"a"), (2, b"a"), (2, b"b"), (2, b"c"), (5, b"a")] {
            let key = tresor::engine::KeyRef::new(database, key);
            let (guard, expires) = (Guard::None, Expires::Never);
            let put = Change::Put { key, guard, value: b"v", kind: tresor::Kind::Raw, expires };
            from.write(Batch::blind(&[put]), 1).wait().expect("a model takes it");
        }
        let directory = TemporaryDirectory::new("transfer");
        let file = MarkerFile::beside(&directory.join("to"));
        let behind = Some((b"b".to_vec(), Vec::new()));
        let marker = Marker { database: 2, entries: 3, behind, ..Marker::default() };
        Transfer::new((&from, &to), (1, 100), marker)
            .run(&file, &Progress::entries(5))
            .expect("it is copied");
        let keys = to.status().wait().expect("a model answers").keys;
        assert_eq!(keys[..6], [0, 0, 1, 0, 0, 1], "c of database 2, and all behind it");
        assert_eq!(file.read().expect("it is whole").map(|marker| marker.entries), Some(5));
    }
}
