//! From what a caller wants to what will be done: a change against the entry as it is becomes a step.
//!
//! A step is physical and complete: it is logged first and applied after, and doing it again leads
//! to the same entry. No step means that the change has nothing to do.

use std::borrow::Cow;

use crate::{
    engine::{Change, Edited, EntryRef, Eventual, Expires, Guard, KeyRef, Kind, ValueRef},
    error::{Error, ErrorKind, Result},
    oplog::{Logged, Refused},
};

/// The largest value that the engine takes, whatever the configured limit: a log record must hold it.
const MAX_VALUE_BYTES: usize = (1 << 30) - (1 << 20);

/// What will be done to one entry.
#[derive(Clone, Debug)]
pub(crate) enum Step<'a> {
    Put { value: Cow<'a, [u8]>, kind: Kind, expires_at_ms: Option<u64> },
    Patch { offset: usize, bytes: Cow<'a, [u8]> },
    Expire(Option<u64>),
    Delete,
}

impl<'a> Step<'a> {
    /// What a change of one entry does to it; `None` for nothing.
    #[inline]
    pub(crate) fn of_change(change: &Change<'a>, entry: Option<&EntryRef<'_>>) -> Result<Option<Self>> {
        match *change {
            Change::Put { value, kind, expires, .. } => Self::put(Cow::Borrowed(value), kind, expires, entry),
            Change::Patch { offset, bytes, .. } => Self::patch(offset, Cow::Borrowed(bytes), entry),
            Change::Expire { expires_at_ms, .. } => Ok(entry.map(|_| Self::Expire(expires_at_ms))),
            Change::Delete { .. } => Ok(entry.map(|_| Self::Delete)),
            Change::Check { .. } | Change::Clear { .. } | Change::Swap { .. } => Ok(None),
        }
    }

    /// What an edit's answer does to the entry that it was shown.
    pub(crate) fn of_edit(edited: Edited<'a>, entry: Option<&EntryRef<'_>>) -> Result<Option<Self>> {
        match edited {
            Edited::Keep => Ok(None),
            Edited::Put { value, kind, expires } => Self::put(value, kind, expires, entry),
            Edited::Patch { offset, bytes } => Self::patch(offset, bytes, entry),
            Edited::Expire(expires_at_ms) => Ok(entry.map(|_| Self::Expire(expires_at_ms))),
            Edited::Delete => Ok(entry.map(|_| Self::Delete)),
        }
    }

    #[inline]
    fn put(
        value: Cow<'a, [u8]>,
        kind: Kind,
        expires: Expires,
        entry: Option<&EntryRef<'_>>,
    ) -> Result<Option<Self>> {
        check_size(value.len())?;
        let expires_at_ms = match expires {
            Expires::Never => None,
            Expires::At(at_ms) => Some(at_ms),
            Expires::Keep => entry.and_then(|entry| entry.expires_at_ms),
        };
        Ok(Some(Self::Put { value, kind, expires_at_ms }))
    }

    fn patch(offset: usize, bytes: Cow<'a, [u8]>, entry: Option<&EntryRef<'_>>) -> Result<Option<Self>> {
        check_size(offset.saturating_add(bytes.len()))?;
        if entry.is_some() {
            return Ok(Some(Self::Patch { offset, bytes }));
        }
        let value = if offset == 0 { bytes } else { Cow::Owned(patched(&[], offset, &bytes)) };
        Ok(Some(Self::Put { value, kind: Kind::Raw, expires_at_ms: None }))
    }

    /// The whole entry that the step leads to from `entry`; `None` when it leads to absence.
    pub(crate) fn result(&self, entry: Option<&EntryRef<'_>>) -> Option<Step<'a>> {
        match (self, entry) {
            (Self::Put { .. }, _) => Some(self.clone()),
            (Self::Patch { offset, bytes }, Some(entry)) => Some(Step::Put {
                value: Cow::Owned(patched(entry.value.bytes(), *offset, bytes)),
                kind: Kind::Raw,
                expires_at_ms: entry.expires_at_ms,
            }),
            (Self::Expire(expires_at_ms), Some(entry)) => Some(Step::Put {
                value: Cow::Owned(entry.value.bytes().to_vec()),
                kind: entry.kind,
                expires_at_ms: *expires_at_ms,
            }),
            (Self::Delete, _) | (_, None) => None,
        }
    }

    /// The entry that a step which says it whole leads to, for planning what comes on top of it; none if
    /// that has expired already.
    pub(crate) fn entry(&self, now_ms: u64) -> Option<EntryRef<'_>> {
        match self {
            Self::Put { expires_at_ms: Some(at_ms), .. } if now_ms >= *at_ms => None,
            Self::Put { value, kind, expires_at_ms } => Some(EntryRef {
                value: ValueRef::Inline(value),
                kind: *kind,
                version: 0,
                expires_at_ms: *expires_at_ms,
            }),
            Self::Patch { .. } | Self::Expire(_) | Self::Delete => None,
        }
    }

    /// How the log says it; `key` carries the physical database.
    #[inline]
    pub(crate) fn logged<'b>(&'b self, key: KeyRef<'b>) -> Logged<'b> {
        match self {
            Self::Put { value, kind, expires_at_ms } => {
                Logged::Put { key, kind: *kind, expires_at_ms: *expires_at_ms, value }
            }
            Self::Patch { offset, bytes } => Logged::Patch { key, offset: *offset, bytes },
            Self::Expire(expires_at_ms) => Logged::Expire { key, expires_at_ms: *expires_at_ms },
            Self::Delete => Logged::Delete { key, removal: None },
        }
    }

    /// Whether it may need memory.
    pub(crate) fn grows(&self) -> bool {
        matches!(self, Self::Put { .. } | Self::Patch { .. })
    }
}

/// Whether a guard holds for the entry as it is.
#[inline]
pub(crate) fn holds(guard: Guard, entry: Option<&EntryRef<'_>>) -> bool {
    guard.holds(entry.map(|entry| entry.version))
}

fn check_size(bytes: usize) -> Result<()> {
    if bytes > MAX_VALUE_BYTES {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("a value of {bytes} bytes is over the limit of {MAX_VALUE_BYTES}"),
        ));
    }
    Ok(())
}

/// A value with bytes written into it, zeros filling a gap.
pub(crate) fn patched(value: &[u8], offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut patched = Vec::with_capacity(value.len().max(offset + bytes.len()));
    patched.extend_from_slice(value);
    if patched.len() < offset + bytes.len() {
        patched.resize(offset + bytes.len(), 0);
    }
    patched[offset..offset + bytes.len()].copy_from_slice(bytes);
    patched
}

/// Attempts a change again whenever the log may have room for it, until it has or will have none.
pub(crate) async fn retry<'s, T>(
    room: impl Fn(usize) -> Eventual<'s, ()>,
    mut bytes: usize,
    mut attempt: impl FnMut() -> Result<T, Refused>,
) -> Result<T> {
    loop {
        room(bytes).await?;
        match attempt() {
            Ok(outcome) => return Ok(outcome),
            Err(Refused::Failed(error)) => return Err(error),
            Err(Refused::NoRoom { bytes: wanted }) => bytes = wanted,
        }
    }
}
