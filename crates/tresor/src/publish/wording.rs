//! What a change is called when it is told of: the change alone does not say whether it was SET or RENAME.

use super::Event;
use crate::engine::{Change, Edited, Expires};

/// How the next change of a command is told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wording {
    /// As what it is: `set`, `setrange`, `del`, `expire`, `persist`.
    #[default]
    Plain,
    /// As APPEND.
    Append,
    /// As INCR and its like.
    IncrBy,
    /// As INCRBYFLOAT.
    IncrByFloat,
    /// As SETBIT.
    SetBit,
    /// As RENAME: from where it is deleted to where it is put.
    Rename,
    /// As COPY.
    Copy,
    /// As MOVE.
    Move,
    /// As RESTORE.
    Restore,
    /// As SET with an expiry that has passed: it is set, expires, and is gone.
    SetAndGone,
    /// As what it is, by a command that wanted to read the key first.
    ReadFirst,
    /// By a command that looks at keys without reading them.
    Unread,
}

/// What was done to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Nothing,
    Put { expires: bool },
    Patched,
    Expire,
    Persisted,
    Deleted,
}

impl Done {
    /// What a change that was applied did.
    pub(crate) fn by(change: &Change<'_>) -> Self {
        match change {
            Change::Put { expires, .. } => Self::Put { expires: matches!(expires, Expires::At(_)) },
            Change::Patch { .. } => Self::Patched,
            Change::Expire { expires_at_ms: Some(_), .. } => Self::Expire,
            Change::Expire { expires_at_ms: None, .. } => Self::Persisted,
            Change::Delete { .. } => Self::Deleted,
            Change::Check { .. } | Change::Clear { .. } | Change::Swap { .. } => Self::Nothing,
        }
    }

    /// What an edit does to an entry that had an expiry or had none.
    pub(crate) fn edited(edited: &Edited<'_>, expired_at: bool) -> Self {
        match edited {
            Edited::Put { expires, .. } => Self::Put { expires: matches!(expires, Expires::At(_)) },
            Edited::Patch { .. } => Self::Patched,
            Edited::Expire(Some(_)) => Self::Expire,
            Edited::Expire(None) if expired_at => Self::Persisted,
            Edited::Delete => Self::Deleted,
            Edited::Expire(None) | Edited::Keep => Self::Nothing,
        }
    }

    /// Whether there is an entry now that was put or changed.
    fn writes(self) -> bool {
        matches!(self, Self::Put { .. } | Self::Patched)
    }
}

impl Wording {
    /// The events of what was done to an entry that was there before or not, in their order.
    pub(crate) fn events(self, done: Done, existed: bool, mut tell: impl FnMut(Event)) {
        if self == Self::ReadFirst && !existed {
            tell(Event::KeyMiss);
        }
        let gone = self == Self::SetAndGone && done == Done::Deleted;
        // These put a new entry where there was one, too.
        let anew = matches!(self, Self::Rename | Self::Copy | Self::Move | Self::Restore);
        if (done.writes() || gone) && (anew || !existed) {
            tell(Event::New);
        }
        if gone {
            return [Event::Set, Event::Expire, Event::Expired].into_iter().for_each(tell);
        }
        match done {
            Done::Put { expires } => {
                tell(self.put());
                if expires && matches!(self, Self::Plain | Self::ReadFirst) {
                    tell(Event::Expire);
                }
            }
            Done::Patched if self == Self::Plain => tell(Event::SetRange),
            Done::Patched => tell(self.put()),
            // Nothing was added to something.
            Done::Nothing if existed && self == Self::Append => tell(Event::Append),
            Done::Expire if existed => tell(Event::Expire),
            Done::Persisted if existed => tell(Event::Persist),
            Done::Deleted if existed => tell(match self {
                Self::Rename => Event::RenameFrom,
                Self::Move => Event::MoveFrom,
                _ => Event::Del,
            }),
            _ => {}
        }
    }

    /// Whether a key that is not there counts as one that somebody wanted to read.
    pub(crate) fn misses(self) -> bool {
        !matches!(self, Self::Rename | Self::Move | Self::Unread)
    }

    fn put(self) -> Event {
        match self {
            Self::Plain | Self::SetAndGone | Self::ReadFirst | Self::Unread => Event::Set,
            Self::Append => Event::Append,
            Self::IncrBy => Event::IncrBy,
            Self::IncrByFloat => Event::IncrByFloat,
            Self::SetBit => Event::SetBit,
            Self::Rename => Event::RenameTo,
            Self::Copy => Event::CopyTo,
            Self::Move => Event::MoveTo,
            Self::Restore => Event::Restore,
        }
    }
}
