//! The catalog: one row a command, from which COMMAND, help, arity errors and `docs/commands.md` come.
//!
//! The rows stand in `rows.rs`; this file says what a row is and finds one by name. A subcommand
//! (`CLIENT ID`) is a row of its own, named `client|id`, with its own arity and rights, so that a
//! container command has nothing to parse and nothing to repeat.

use std::sync::LazyLock;

pub use super::rows::{CATALOG, CommandId};

/// One command.
#[derive(Debug)]
pub struct Row {
    /// Which.
    pub id: CommandId,
    /// Its name, in lower case; `container|subcommand` for a subcommand.
    pub name: &'static str,
    /// How many words it takes, itself and its container included; negative for "at least".
    pub arity: i32,
    /// What it does to the store and to the server.
    pub flags: Flags,
    /// Where its keys stand.
    pub keys: Keys,
    /// The family, as COMMAND DOCS names it.
    pub group: &'static str,
    /// The version of Redis that has had it first; of Tresor for its own commands.
    pub since: &'static str,
    /// What it takes, in the notation of Redis's documentation.
    pub syntax: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// What it answers, in words.
    pub reply: &'static str,
}

/// What callers need to know of a command beforehand. Names are Redis's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Flag {
    /// Only reads.
    Readonly = 1 << 0,
    /// May change the store.
    Write = 1 << 1,
    /// May need memory: refused when there is none.
    Denyoom = 1 << 2,
    /// Takes constant or logarithmic time.
    Fast = 1 << 3,
    /// For operators.
    Admin = 1 << 4,
    /// May be sent before authentication.
    NoAuth = 1 << 5,
    /// Not inside a transaction.
    NoMulti = 1 << 6,
    /// Touches whole databases: runs with all gates taken.
    AllGates = 1 << 7,
    /// Its second word is a subcommand.
    Container = 1 << 8,
    /// Slow or far-reaching enough that an operator may want to forbid it.
    Dangerous = 1 << 9,
    /// Is a subcommand: set by the catalog, for names with a bar in them.
    Subcommand = 1 << 10,
    /// Publishes, subscribes, or tells about it.
    PubSub = 1 << 11,
    /// Is about the connection that it comes on: means nothing where each request is for itself.
    Connection = 1 << 12,
}

/// A set of flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    /// The flags of a row, with [`Flag::Subcommand`] where the name says so.
    pub(super) const fn of(name: &str, flags: &[Flag]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < flags.len() {
            bits |= flags[at] as u32;
            at += 1;
        }
        let (name, mut at) = (name.as_bytes(), 0);
        while at < name.len() {
            if name[at] == b'|' {
                bits |= Flag::Subcommand as u32;
            }
            at += 1;
        }
        Self(bits)
    }

    /// Whether a flag is among them.
    #[inline]
    pub const fn contains(self, flag: Flag) -> bool {
        self.0 & flag as u32 != 0
    }
}

/// Where a command's keys stand among its words: first, last (negative from the end), step; 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The first key's place.
    pub first: i32,
    /// The last key's place; negative counts from the end.
    pub last: i32,
    /// How far apart.
    pub step: i32,
}

impl Keys {
    /// The places of the keys in a request of this many words.
    pub fn places(self, words: usize) -> impl Iterator<Item = usize> {
        let last = if self.last < 0 { words as i32 + self.last } else { self.last.min(words as i32 - 1) };
        let places = if self.first > 0 { self.first..last + 1 } else { 0..0 };
        places.step_by(self.step.max(1) as usize).map(|place| place as usize)
    }
}

impl Row {
    /// Whether the command has a flag.
    #[inline]
    pub fn has(&self, flag: Flag) -> bool {
        self.flags.contains(flag)
    }

    /// Whether it takes this many words, itself included.
    #[inline]
    pub fn takes(&self, words: usize) -> bool {
        if self.arity >= 0 {
            words == self.arity as usize
        } else {
            words >= self.arity.unsigned_abs() as usize
        }
    }

    /// The container's name and the subcommand's own, if it is one.
    pub fn subcommand(&self) -> Option<(&'static str, &'static str)> {
        self.name.split_once('|')
    }

    /// The rows of a container's subcommands.
    pub fn subcommands(&self) -> impl Iterator<Item = &'static Row> + use<'_> {
        CATALOG.iter().filter(|row| row.subcommand().is_some_and(|(container, _)| container == self.name))
    }

    /// The row of a container's subcommand, in any case.
    pub fn find_subcommand(&self, word: &[u8]) -> Option<&'static Row> {
        let mut name = [0; LONGEST_NAME];
        let length = self.name.len() + 1 + word.len();
        let name = name.get_mut(..length)?;
        name[..self.name.len()].copy_from_slice(self.name.as_bytes());
        name[self.name.len()] = b'|';
        name[self.name.len() + 1..].copy_from_slice(word);
        find(name)
    }
}

/// The longest command name, in bytes.
const LONGEST_NAME: usize = 32;

/// Slots of the name table: a power of two well above the number of commands.
const SLOTS: usize = 1024;

static NAMES: LazyLock<Box<[Option<&'static Row>]>> = LazyLock::new(|| {
    let mut slots = vec![None; SLOTS];
    for row in CATALOG {
        let mut slot = slot_of(row.name.as_bytes());
        while slots[slot].is_some() {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = Some(row);
    }
    slots.into_boxed_slice()
});

/// Mixes a name without regard to case: setting bit 5 folds ASCII letters.
#[inline]
fn slot_of(name: &[u8]) -> usize {
    let mixed = name
        .iter()
        .fold(0x51_7c_c1u32, |mixed, byte| (mixed ^ u32::from(byte | 0x20)).wrapping_mul(0x0100_0193));
    (mixed ^ (mixed >> 15)) as usize % SLOTS
}

#[inline]
fn find(name: &[u8]) -> Option<&'static Row> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let mut slot = slot_of(name);
    loop {
        let row = NAMES[slot]?;
        if row.name.len() == name.len() && row.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(row);
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// The row of a name, in any case. Subcommands are found through their container only.
#[inline]
pub fn lookup(name: &[u8]) -> Option<&'static Row> {
    find(name).filter(|row| !row.has(Flag::Subcommand))
}

/// The same, by a client whose command before was `before`: mostly it is the same command again.
#[inline]
pub(crate) fn lookup_after(before: CommandId, name: &[u8]) -> Option<&'static Row> {
    let row = &CATALOG[before as usize];
    let same = !row.has(Flag::Subcommand) && row.name.as_bytes().eq_ignore_ascii_case(name);
    if same { Some(row) } else { lookup(name) }
}

#[cfg(test)]
mod tests {
    use super::{CATALOG, Flag, LONGEST_NAME, lookup};

    #[test]
    fn rows_stand_in_order_and_are_found_by_name() {
        for (number, row) in CATALOG.iter().enumerate() {
            assert_eq!(row.id as usize, number);
            assert_eq!(row.name, row.name.to_ascii_lowercase());
            assert!(row.name.len() <= LONGEST_NAME);
            assert!(row.summary.ends_with('.') && !row.reply.is_empty(), "{}", row.name);
            assert!(!(row.has(Flag::Write) && row.has(Flag::Readonly)), "{}", row.name);
            let found = match row.subcommand() {
                None => lookup(row.name.to_ascii_uppercase().as_bytes()),
                Some((container, name)) => {
                    assert!(lookup(row.name.as_bytes()).is_none());
                    let container = lookup(container.as_bytes()).expect("a subcommand has a container");
                    assert!(container.has(Flag::Container));
                    container.find_subcommand(name.to_ascii_uppercase().as_bytes())
                }
            };
            assert_eq!(found.expect("every row is found").id, row.id);
        }
        for name in [&b""[..], b"gets", b"ge", b"client|", &[b'x'; 100]] {
            assert!(lookup(name).is_none());
        }
    }

    #[test]
    fn keys_stand_where_the_row_says() {
        let places =
            |name: &[u8], words| lookup(name).expect("a command").keys.places(words).collect::<Vec<_>>();
        assert_eq!(places(b"get", 2), [1]);
        assert_eq!(places(b"mget", 4), [1, 2, 3]);
        assert_eq!(places(b"mset", 5), [1, 3]);
        assert_eq!(places(b"ping", 2), [0; 0]);
    }
}
