//! What happens to keys, and of which of it clients want to hear.
//!
//! Names, classes and their letters are Redis's
//! (<https://redis.io/docs/latest/develop/use/keyspace-notifications/>).

/// Something that happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A value was put.
    Set,
    /// A part of a value was written over.
    SetRange,
    /// Bytes were added to a value.
    Append,
    /// A number was added to.
    IncrBy,
    /// A number with a fraction was added to.
    IncrByFloat,
    /// Bits were changed.
    SetBit,
    /// The key was deleted.
    Del,
    /// It got an expiry.
    Expire,
    /// It lost its expiry.
    Persist,
    /// It went to another key.
    RenameFrom,
    /// It came from another key.
    RenameTo,
    /// It is a copy of another key.
    CopyTo,
    /// It went to another database.
    MoveFrom,
    /// It came from another database.
    MoveTo,
    /// It was restored from a dump.
    Restore,
    /// Its time was over.
    Expired,
    /// It gave way to others for want of memory.
    Evicted,
    /// It came into being.
    New,
    /// Somebody wanted to read it and it was not there.
    KeyMiss,
}

/// Classes of events, and the two kinds of channels: one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventClasses(u32);

/// The classes by their letters. Those of lists, sets, hashes, sorted sets, streams and modules have no events
/// here yet.
const LETTERS: &[u8] = b"g$lshzxetdnKEm";

/// The first so many are what `A` stands for.
const ALL: usize = 10;

const ALL_BITS: u32 = (1 << ALL) - 1;

const fn bit(letter: u8) -> u32 {
    let mut at = 0;
    while LETTERS[at] != letter {
        at += 1;
    }
    1 << at
}

/// Messages go to the key's channel.
const BY_KEY: u32 = bit(b'K');
/// Messages go to the event's channel.
const BY_EVENT: u32 = bit(b'E');

impl Event {
    /// Its name, as channels and messages have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::SetRange => "setrange",
            Self::Append => "append",
            Self::IncrBy => "incrby",
            Self::IncrByFloat => "incrbyfloat",
            Self::SetBit => "setbit",
            Self::Del => "del",
            Self::Expire => "expire",
            Self::Persist => "persist",
            Self::RenameFrom => "rename_from",
            Self::RenameTo => "rename_to",
            Self::CopyTo => "copy_to",
            Self::MoveFrom => "move_from",
            Self::MoveTo => "move_to",
            Self::Restore => "restore",
            Self::Expired => "expired",
            Self::Evicted => "evicted",
            Self::New => "new",
            Self::KeyMiss => "keymiss",
        }
    }

    const fn class(self) -> u32 {
        match self {
            Self::Set | Self::SetRange | Self::Append | Self::IncrBy | Self::IncrByFloat | Self::SetBit => {
                bit(b'$')
            }
            Self::Expired => bit(b'x'),
            Self::Evicted => bit(b'e'),
            Self::New => bit(b'n'),
            Self::KeyMiss => bit(b'm'),
            _ => bit(b'g'),
        }
    }
}

impl EventClasses {
    /// Reads letters, in any order; `None` if one is none.
    pub fn parse(text: &str) -> Option<Self> {
        text.bytes().try_fold(Self(0), |classes, letter| match letter {
            b'A' => Some(Self(classes.0 | ALL_BITS)),
            letter if LETTERS.contains(&letter) => Some(Self(classes.0 | bit(letter))),
            _ => None,
        })
    }

    /// The letters in Redis's order, `A` for all that it stands for.
    pub fn text(self) -> String {
        let all = self.0 & ALL_BITS == ALL_BITS;
        let shown = |place: &usize| self.0 & (1 << place) != 0 && !(all && *place < ALL);
        let letters = (0..LETTERS.len()).filter(shown).map(|place| char::from(LETTERS[place]));
        all.then_some('A').into_iter().chain(letters).collect()
    }

    pub(super) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(super) fn bits(self) -> u32 {
        self.0
    }

    /// Whether anybody could hear of anything.
    pub(super) fn any(self) -> bool {
        self.0 & (BY_KEY | BY_EVENT) != 0 && self.0 & !(BY_KEY | BY_EVENT) != 0
    }

    /// Whether anybody could hear of an event.
    pub(super) fn tell(self, event: Event) -> bool {
        self.by_key_or_event() && self.0 & event.class() != 0
    }

    fn by_key_or_event(self) -> bool {
        self.by_key() || self.by_event()
    }

    pub(super) fn by_key(self) -> bool {
        self.0 & BY_KEY != 0
    }

    pub(super) fn by_event(self) -> bool {
        self.0 & BY_EVENT != 0
    }
}

#[cfg(test)]
mod tests {
    use super::EventClasses;

    #[test]
    fn classes_are_written_as_redis_writes_them() {
        for (given, written) in [
            ("", ""),
            ("KEA", "AKE"),
            ("Kg$", "g$K"),
            ("Elg", "glE"),
            ("KEAm", "AKEm"),
            ("KExed", "xedKE"),
            ("KEg$lshzxetd", "AKE"),
            ("$lshzxetd", "$lshzxetd"),
            ("nmEg", "gnEm"),
            ("nKEA", "AnKE"),
        ] {
            let classes = EventClasses::parse(given).expect("letters of classes");
            assert_eq!(classes.text(), written, "{given}");
            assert_eq!(EventClasses::parse(written), Some(classes));
        }
        assert_eq!(EventClasses::parse("KEx!"), None);
    }
}
