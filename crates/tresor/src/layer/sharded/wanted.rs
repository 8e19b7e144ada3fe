//! What a shard is to hold in the end, for some of its entries: a part of a batch as states, not as steps.
//!
//! Steps done twice may lead elsewhere (an expiry set before a put that keeps it); states do not. So this
//! is what an intent records, what is done again after a crash, and how a part is taken back.

use std::collections::HashMap;

use bytes::Bytes;

use super::member::Member;
use crate::{
    engine::{Batch, Change, Expires, Guard, Kept, KeyRef, Kind},
    error::Result,
};

/// An entry's address, kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Address {
    pub(super) database: u8,
    pub(super) key: Vec<u8>,
    pub(super) member: Vec<u8>,
}

impl Address {
    pub(super) fn of(key: KeyRef<'_>) -> Self {
        Self { database: key.database, key: key.key.to_vec(), member: key.member.to_vec() }
    }

    pub(super) fn as_key(&self) -> KeyRef<'_> {
        KeyRef { database: self.database, key: &self.key, member: &self.member }
    }
}

/// An entry as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) value: Bytes,
    pub(super) kind: Kind,
    pub(super) expires_at_ms: Option<u64>,
}

impl Content {
    fn of(kept: &Kept) -> Self {
        let value = kept.as_entry().value.to_bytes();
        Self { value, kind: kept.kind, expires_at_ms: kept.expires_at_ms }
    }
}

/// The entries before a batch, by their address.
pub(super) type Before<'a> = HashMap<KeyRef<'a>, Option<&'a Kept>>;

/// What one shard is to hold: these databases empty but for these entries, and these entries so or absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) shard: String,
    pub(super) cleared: Vec<u8>,
    pub(super) entries: Vec<(Address, Option<Content>)>,
}

impl Wanted {
    /// Where these changes lead to from these entries. The changes are as the shard knows them.
    pub(super) fn after(shard: &str, changes: &[Change<'_>], before: &Before<'_>, now_ms: u64) -> Self {
        let mut cleared: Vec<u8> = Vec::new();
        let mut entries: HashMap<KeyRef<'_>, Option<Content>> = HashMap::new();
        for change in changes {
            let Some(key) = change.key() else {
                if let Change::Clear { database } = *change {
                    entries.retain(|key, _| key.database != database);
                    cleared.push(database);
                }
                continue;
            };
            let stored = || before.get(&key).copied().flatten().map(Content::of);
            let current = match entries.get(&key) {
                Some(current) => current.clone(),
                None if cleared.contains(&key.database) => None,
                None => stored(),
            };
            if !matches!(change, Change::Check { .. }) {
                // What was put into the past is absent to what comes after it.
                let current =
                    current.filter(|content| content.expires_at_ms.is_none_or(|at_ms| at_ms > now_ms));
                entries.insert(key, apply(change, current));
            }
        }
        let mut entries: Vec<_> =
            entries.into_iter().map(|(key, content)| (Address::of(key), content)).collect();
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        Self { shard: shard.to_owned(), cleared, entries }
    }

    /// What was there before these changes, of which none empties a database.
    pub(super) fn before(shard: &str, changes: &[Change<'_>], before: &Before<'_>, _now_ms: u64) -> Self {
        let state = |key: KeyRef<'_>| before.get(&key).copied().flatten().map(Content::of);
        let keys = changes.iter().filter(|change| !matches!(change, Change::Check { .. }));
        let mut entries: Vec<_> =
            keys.filter_map(Change::key).map(|key| (Address::of(key), state(key))).collect();
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        entries.dedup_by(|one, other| one.0 == other.0);
        Self { shard: shard.to_owned(), cleared: Vec::new(), entries }
    }

    /// Makes it so, durably.
    pub(super) async fn enforce(&self, member: &Member) -> Result<()> {
        let clears = self.cleared.iter().map(|database| Change::Clear { database: *database });
        let entries = self.entries.iter().map(|(address, content)| {
            let (key, guard) = (address.as_key(), Guard::None);
            match content {
                Some(Content { value, kind, expires_at_ms }) => {
                    let expires = expires_at_ms.map_or(Expires::Never, Expires::At);
                    Change::Put { key, guard, value, kind: *kind, expires }
                }
                None => Change::Delete { key, guard },
            }
        });
        let changes: Vec<Change<'_>> = clears.chain(entries).collect();
        // At the beginning of time nothing has expired: what is to go, goes.
        let outcome = member.engine.write(Batch::blind(&changes), 0).await;
        let sequence = outcome.map_err(|error| member.named(error))?.sequence;
        member.engine.durable(sequence).await.map_err(|error| member.named(error))
    }
}

/// What a change makes of an entry.
fn apply(change: &Change<'_>, current: Option<Content>) -> Option<Content> {
    match *change {
        Change::Put { value, kind, expires, .. } => {
            let expires_at_ms = match expires {
                Expires::Never => None,
                Expires::At(at_ms) => Some(at_ms),
                Expires::Keep => current.and_then(|content| content.expires_at_ms),
            };
            Some(Content { value: Bytes::copy_from_slice(value), kind, expires_at_ms })
        }
        Change::Patch { offset, bytes, .. } => {
            let expires_at_ms = current.as_ref().and_then(|content| content.expires_at_ms);
            let mut value = current.map_or(Vec::new(), |content| content.value.to_vec());
            let end = offset + bytes.len();
            value.resize(value.len().max(end), 0);
            value[offset..end].copy_from_slice(bytes);
            Some(Content { value: value.into(), kind: Kind::Raw, expires_at_ms })
        }
        Change::Expire { expires_at_ms, .. } => current.map(|content| Content { expires_at_ms, ..content }),
        Change::Delete { .. } => None,
        Change::Check { .. } | Change::Clear { .. } | Change::Swap { .. } => current,
    }
}
