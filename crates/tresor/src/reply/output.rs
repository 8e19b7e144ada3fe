//! Bytes on their way to a socket: one buffer, and the large values spliced into it by reference.

use bytes::Bytes;

use super::Mark;

/// Output in order: plain bytes with reference-counted pieces at marked offsets.
#[derive(Debug)]
pub struct Output {
    bytes: Vec<u8>,
    /// Offset in `bytes` before which the piece goes; ascending.
    shared: Vec<(usize, Bytes)>,
    shared_bytes: usize,
    limit: usize,
    overflowed: bool,
    /// Replies that were taken back because the client does not want them.
    withheld: usize,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            shared: Vec::new(),
            shared_bytes: 0,
            limit: usize::MAX,
            overflowed: false,
            withheld: 0,
        }
    }
}

impl Output {
    /// Sets how many bytes may wait here. Whoever goes over loses them all: its client is of no use
    /// any more, and the memory is.
    pub fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// Whether bytes were lost.
    #[inline]
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Drops everything if that is more than the limit. Before each reply, which may go over by itself.
    #[inline]
    pub(crate) fn check_limit(&mut self) {
        if self.len() > self.limit {
            self.overflow();
        }
    }

    #[cold]
    fn overflow(&mut self) {
        self.overflowed = true;
        self.clear(0);
    }

    /// Makes room for so many more bytes, up to the limit.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes.min(self.limit));
    }

    /// Moves what another has to the end of this one.
    pub fn append(&mut self, mut other: Self) {
        let before = self.bytes.len();
        if before == 0 && other.bytes.len() > self.bytes.capacity() {
            std::mem::swap(&mut self.bytes, &mut other.bytes);
        } else {
            self.bytes.append(&mut other.bytes);
        }
        self.shared.extend(other.shared.into_iter().map(|(at, piece)| (before + at, piece)));
        self.shared_bytes += other.shared_bytes;
        self.overflowed |= other.overflowed;
        self.withheld += other.withheld;
    }

    /// The buffer to append to.
    #[inline]
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Appends a piece without copying it.
    pub fn splice(&mut self, piece: Bytes) {
        self.shared_bytes += piece.len();
        self.shared.push((self.bytes.len(), piece));
    }

    /// Bytes in all.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len() + self.shared_bytes
    }

    /// Whether there is nothing to send.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces in order, as slices; what a vectored write wants.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = 0;
        let spliced = self.shared.iter().flat_map(move |(at, piece)| {
            let before = &self.bytes[from..*at];
            from = *at;
            [before, &piece[..]]
        });
        let last = self.shared.last().map_or(0, |(at, _)| *at);
        spliced.chain(std::iter::once(&self.bytes[last..])).filter(|piece| !piece.is_empty())
    }

    /// The bytes, when nothing is spliced in: the common case, sent with one plain write.
    #[inline]
    pub fn plain(&self) -> Option<&[u8]> {
        self.shared.is_empty().then_some(&self.bytes)
    }

    /// Forgets everything; keeps the buffer up to `keep_bytes` of capacity.
    pub fn clear(&mut self, keep_bytes: usize) {
        self.bytes.clear();
        if self.bytes.capacity() > keep_bytes {
            self.bytes.shrink_to(keep_bytes);
        }
        self.shared.clear();
        self.shared_bytes = 0;
    }

    pub(crate) fn withhold(&mut self, mark: Mark) {
        self.rewind(mark);
        self.withheld += 1;
    }

    /// How many replies were withheld since this was last asked.
    #[inline]
    pub fn take_withheld(&mut self) -> usize {
        std::mem::take(&mut self.withheld)
    }

    #[inline]
    pub(crate) fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), shared: self.shared.len() }
    }

    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        // After an overflow there may be less than at the mark.
        let from = mark.shared.min(self.shared.len());
        self.shared_bytes -= self.shared.drain(from..).map(|(_, piece)| piece.len()).sum::<usize>();
    }
}
