//! The slow log: the commands that took longest to execute, newest first, for SLOWLOG.
//!
//! A ring of a bounded number of entries, each of bounded size, behind a mutex that only slow commands and
//! those who read take. Everyone else looks at one number. Invariant: an entry holds no password, since it is
//! made from words that were redacted.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;

/// The most entries that can be asked for: at 5 KiB each when every word is long.
pub(crate) const MOST_ENTRIES: usize = 100_000;

/// Words of a command that are kept, the one included that tells of those left out.
const WORDS: usize = 32;

/// Bytes of a word that are kept.
const WORD_BYTES: usize = 128;

/// The commands that took longest.
pub(crate) struct SlowLog {
    slower_than_us: AtomicI64,
    most_entries: AtomicUsize,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    next_id: u64,
    newest_first: VecDeque<Arc<SlowCommand>>,
}

/// A command that took long.
#[derive(Debug)]
pub(crate) struct SlowCommand {
    /// Rises with every entry, also after they were forgotten.
    pub(crate) id: u64,
    /// When it had ended, in Unix seconds.
    pub(crate) at_s: u64,
    /// How long it took, in microseconds.
    pub(crate) spent_us: u64,
    /// Its words, cut.
    pub(crate) words: Vec<Box<[u8]>>,
    /// The client's address.
    pub(crate) peer: String,
    /// The client's name.
    pub(crate) name: String,
}

impl Default for SlowLog {
    fn default() -> Self {
        Self {
            slower_than_us: AtomicI64::new(10_000),
            most_entries: AtomicUsize::new(128),
            ring: Mutex::default(),
        }
    }
}

impl SlowLog {
    /// From how many microseconds on a command is kept; negative for never.
    pub(crate) fn slower_than_us(&self) -> i64 {
        self.slower_than_us.load(Relaxed)
    }

    pub(super) fn set_slower_than_us(&self, microseconds: i64) {
        self.slower_than_us.store(microseconds, Relaxed);
    }

    /// Whether a command that took this long is to be kept.
    #[inline]
    pub(crate) fn takes(&self, spent_ns: u64) -> bool {
        u64::try_from(self.slower_than_us()).is_ok_and(|slower_than_us| spent_ns / 1000 >= slower_than_us)
    }

    /// How many entries are kept.
    pub(crate) fn most_entries(&self) -> usize {
        self.most_entries.load(Relaxed)
    }

    /// Keeps so many from now on, [`MOST_ENTRIES`] at most.
    pub(crate) fn set_most_entries(&self, entries: usize) {
        self.most_entries.store(entries.min(MOST_ENTRIES), Relaxed);
        self.ring.lock().newest_first.truncate(entries);
    }

    /// Keeps a command; its id is given here.
    pub(crate) fn add(&self, mut command: SlowCommand) {
        let mut ring = self.ring.lock();
        command.id = ring.next_id;
        ring.next_id += 1;
        ring.newest_first.push_front(Arc::new(command));
        ring.newest_first.truncate(self.most_entries());
    }

    /// How many were ever kept.
    pub(crate) fn taken(&self) -> u64 {
        self.ring.lock().next_id
    }

    /// The newest entries, so many at most.
    pub(crate) fn newest(&self, entries: usize) -> Vec<Arc<SlowCommand>> {
        self.ring.lock().newest_first.iter().take(entries).cloned().collect()
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.ring.lock().newest_first.len()
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        self.ring.lock().newest_first.clear();
    }
}

/// The words of a command as an entry keeps them: as Redis cuts them.
pub(crate) fn cut_words<'a>(words: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<Box<[u8]>> {
    let count = words.len();
    let kept = if count > WORDS { WORDS - 1 } else { count };
    let mut cut: Vec<_> = words.take(kept).map(cut_word).collect();
    if kept < count {
        cut.push(more(count - kept, "arguments"));
    }
    cut
}

/// What stands for what was left out.
pub(crate) fn more(count: usize, what: &str) -> Box<[u8]> {
    format!("... ({count} more {what})").into_bytes().into()
}

fn cut_word(word: &[u8]) -> Box<[u8]> {
    match word.split_at_checked(WORD_BYTES) {
        Some((kept, rest)) if !rest.is_empty() => [kept, &more(rest.len(), "bytes")].concat().into(),
        _ => word.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{SlowCommand, SlowLog, cut_words};

    fn command(spent_us: u64) -> SlowCommand {
        let (peer, name) = (String::new(), String::new());
        SlowCommand { id: 0, at_s: 0, spent_us, words: Vec::new(), peer, name }
    }

    #[test]
    fn the_newest_are_kept_and_ids_go_on() {
        let log = SlowLog::default();
        log.set_most_entries(3);
        (0..5).for_each(|spent_us| log.add(command(spent_us)));
        let kept =
            |entries| log.newest(entries).iter().map(|entry| (entry.id, entry.spent_us)).collect::<Vec<_>>();
        assert_eq!(kept(10), [(4, 4), (3, 3), (2, 2)]);
        assert_eq!(kept(1), [(4, 4)]);
        log.set_most_entries(1);
        assert_eq!(kept(10), [(4, 4)]);
        log.clear();
        assert_eq!(log.len(), 0);
        log.add(command(9));
        assert_eq!(kept(10), [(5, 9)]);
        log.set_most_entries(0);
        log.add(command(9));
        assert_eq!((log.len(), log.taken()), (0, 7));
    }

    #[test]
    fn only_what_took_so_long_is_taken() {
        let log = SlowLog::default();
        assert!(log.takes(10_000_000) && !log.takes(9_999_999));
        log.set_slower_than_us(0);
        assert!(log.takes(0));
        log.set_slower_than_us(-1);
        assert!(!log.takes(u64::MAX));
    }

    #[test]
    fn words_are_cut_where_redis_cuts_them() {
        let cut = |words: &[&[u8]]| -> Vec<String> {
            let cut = cut_words(words.iter().copied());
            cut.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
        };
        assert_eq!(cut(&[&b"a"[..]; 32]), ["a"; 32]);
        let many = cut(&[&b"a"[..]; 33]);
        assert_eq!((many.len(), &*many[31]), (32, "... (2 more arguments)"));
        let (whole, longer) = (vec![b'x'; 128], vec![b'x'; 129]);
        let words = cut(&[&whole, &longer]);
        assert_eq!(words[0].len(), 128);
        assert_eq!(words[1], "x".repeat(128) + "... (1 more bytes)");
    }
}
