//! Changes of entries: from what a caller wants to rows, inside one transaction.
//!
//! The row as it is decides everything (guards, effects, counts), so it is looked at before it is
//! written; its value only where the change needs it. An expired row counts as absent and stays until
//! it is written over or the housekeeper removes it.

use rusqlite::{OptionalExtension, params};
use tresor::{
    Error, Result,
    engine::{
        Applied, Batch, Change, Edit, Edited, Effect, EntryRef, Expires, Guard, KeyRef, Kind, Outcome, Page,
        Sequence, Version,
    },
};

use crate::{
    failure,
    row::{Address, Head, SELECT_HEAD, SELECT_ROW, Text, Value, bytes, check_size, holds, observed, patched},
    writer::Transaction,
};

/// What a change did not do.
const NOTHING: Effect = Effect { existed: false, version: 0 };

impl Transaction<'_> {
    /// Applies a batch, or nothing where a guard fails.
    pub(crate) fn batch(&mut self, batch: Batch<'_>, now_ms: u64) -> Result<Outcome> {
        let before = self.writer.latest();
        let mut sequence = 0;
        for (index, change) in batch.changes.iter().enumerate() {
            let Some(key) = change.key() else { continue };
            if change.guard() == Guard::None {
                continue;
            }
            let head = self.head(self.address(key))?;
            sequence = sequence.max(observed(head.as_ref(), self.removed()));
            let version = head.filter(|head| head.is_live(now_ms)).map(|head| head.version);
            if !holds(change.guard(), version) {
                return Ok(Outcome { sequence, applied: Applied::Refused { index, version } });
            }
        }
        let mut effects = smallvec::SmallVec::with_capacity(batch.changes.len());
        for change in batch.changes {
            let (effect, seen) = self.apply(change, now_ms)?;
            sequence = sequence.max(seen);
            effects.push(effect);
        }
        if self.writer.latest() > before {
            sequence = sequence.max(self.writer.latest());
        }
        Ok(Outcome { sequence, applied: Applied::Whole(effects) })
    }

    /// Shows one entry to an edit and does what that says.
    pub(crate) fn edit(&mut self, key: KeyRef<'_>, now_ms: u64, edit: &mut Edit<'_>) -> Result<Outcome> {
        let address = self.address(key);
        let (before, mut head) = (self.writer.latest(), None);
        let edited = self.with_row(address, |row| {
            head = row.map(|(head, _)| head);
            edit(row.filter(|(head, _)| head.is_live(now_ms)).map(|(head, value)| head.entry(value)))
        })??;
        let guard = Guard::None;
        let change = match &edited {
            Edited::Keep => Change::Check { key, guard },
            Edited::Put { value, kind, expires } => {
                Change::Put { key, guard, value, kind: *kind, expires: *expires }
            }
            Edited::Patch { offset, bytes } => Change::Patch { key, guard, offset: *offset, bytes },
            Edited::Expire(expires_at_ms) => Change::Expire { key, guard, expires_at_ms: *expires_at_ms },
            Edited::Delete => Change::Delete { key, guard },
        };
        let mut sequence = observed(head.as_ref(), self.removed());
        let effect = self.apply_to(key, head, &change, now_ms)?;
        if self.writer.latest() > before {
            sequence = self.writer.latest();
        }
        Ok(Outcome { sequence, applied: Applied::Whole(smallvec::smallvec![effect]) })
    }

    /// Puts entries as they are, unless there is one with a version at least as high.
    pub(crate) fn adopt(&mut self, entries: &Page, above: Sequence) -> Result<Sequence> {
        let highest = entries.iter().map(|(_, entry)| entry.version).max();
        self.lift(highest.unwrap_or_default().max(above));
        let mut put = false;
        for (key, entry) in entries.iter() {
            let head = self.head(self.address(key))?;
            if head.is_none_or(|head| head.version < entry.version) {
                self.put(key, head, &entry)?;
                put = true;
            }
        }
        // Whoever saw an entry absent, or another one, has to wait for this.
        if put { self.next_removal() } else { Ok(self.writer.latest()) }
    }

    fn address<'k>(&self, key: KeyRef<'k>) -> Address<'k> {
        Address::of(self.writer.databases.place(key.database), key)
    }

    /// One change, and the number that was observed with it.
    fn apply(&mut self, change: &Change<'_>, now_ms: u64) -> Result<(Effect, Sequence)> {
        match *change {
            Change::Clear { database } => {
                let number = self.next_removal()?;
                self.writer.databases.clear(database);
                Ok((Effect { existed: false, version: number }, number))
            }
            Change::Swap { first, second } => {
                let number = self.next_removal()?;
                self.writer.databases.swap(first, second);
                Ok((Effect { existed: false, version: number }, number))
            }
            Change::Put { key, value, kind, expires: Expires::Never, .. } if self.never_expire(key) => {
                let (existed, version) = self.put_blindly(key, value, kind)?;
                Ok((Effect { existed, version }, version))
            }
            _ => {
                let key = change.key().ok_or_else(|| Error::invalid("a change without a key"))?;
                let head = self.head(self.address(key))?;
                let seen = observed(head.as_ref(), self.removed());
                Ok((self.apply_to(key, head, change, now_ms)?, seen))
            }
        }
    }

    /// One change of an entry whose row is known.
    fn apply_to(
        &mut self,
        key: KeyRef<'_>,
        head: Option<Head>,
        change: &Change<'_>,
        now_ms: u64,
    ) -> Result<Effect> {
        let live = head.filter(|head| head.is_live(now_ms));
        let existed = live.is_some();
        if let (Change::Put { .. } | Change::Patch { .. }, Some(expired), None) = (change, head, live) {
            self.note_expired(&expired);
        }
        match *change {
            Change::Put { value, kind, expires, .. } => {
                let expires_at_ms = match expires {
                    Expires::Never => None,
                    Expires::At(at_ms) => Some(at_ms),
                    Expires::Keep => live.and_then(|head| head.expires_at_ms),
                };
                let version = self.put_new(key, head, (value, kind, expires_at_ms))?;
                Ok(Effect { existed, version })
            }
            Change::Patch { offset, bytes, .. } => {
                check_size(offset.saturating_add(bytes.len()))?;
                let new = self.with_row(self.address(key), |row| {
                    let old =
                        row.filter(|(head, _)| head.is_live(now_ms)).map_or(&[][..], |(_, value)| value);
                    patched(old, offset, bytes)
                })?;
                let expires_at_ms = live.and_then(|head| head.expires_at_ms);
                let version = self.put_new(key, head, (&new, Kind::Raw, expires_at_ms))?;
                Ok(Effect { existed, version })
            }
            Change::Expire { expires_at_ms, .. } => match live {
                Some(head) => Ok(Effect { existed, version: self.expire(key, head, expires_at_ms)? }),
                None => Ok(NOTHING),
            },
            Change::Delete { .. } => match live {
                Some(head) => Ok(Effect { existed, version: self.delete(key, head)? }),
                None => Ok(NOTHING),
            },
            Change::Check { .. } | Change::Clear { .. } | Change::Swap { .. } => {
                Ok(Effect { existed, version: live.map_or(0, |head| head.version) })
            }
        }
    }

    /// A row without its value.
    pub(crate) fn head(&self, address: Address<'_>) -> Result<Option<Head>> {
        let mut select =
            self.writer.connection.prepare_cached(SELECT_HEAD).map_err(|error| self.failed(error))?;
        let read = |row: &rusqlite::Row<'_>| Head::read(row, 0, address);
        let parameters = params![address.place, Text(address.key), Text(address.member)];
        match select.query_row(parameters, read).optional() {
            Ok(None) => Ok(None),
            Ok(Some(Some(head))) => Ok(Some(head)),
            Ok(Some(None)) => Err(failure::damaged(&self.store.path, "an entry")),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Shows a whole row, or that there is none.
    fn with_row<T>(&self, address: Address<'_>, show: impl FnOnce(Option<(Head, &[u8])>) -> T) -> Result<T> {
        let mut select =
            self.writer.connection.prepare_cached(SELECT_ROW).map_err(|error| self.failed(error))?;
        let parameters = params![address.place, Text(address.key), Text(address.member)];
        let mut rows = select.query(parameters).map_err(|error| self.failed(error))?;
        let Some(row) = rows.next().map_err(|error| self.failed(error))? else { return Ok(show(None)) };
        let head = Head::read(row, 0, address).map_err(|error| self.failed(error))?;
        let value = bytes(row, 4).map_err(|error| self.failed(error))?;
        match (head, value) {
            (Some(head), Some(value)) if head.fits(value) => Ok(show(Some((head, value)))),
            _ => Err(failure::damaged(&self.store.path, "an entry")),
        }
    }

    /// Writes an entry with a new number.
    fn put_new(
        &mut self,
        key: KeyRef<'_>,
        head: Option<Head>,
        (value, kind, expires_at_ms): (&[u8], Kind, Option<u64>),
    ) -> Result<Version> {
        check_size(value.len())?;
        let version = self.next()?;
        let value = tresor::engine::ValueRef::Inline(value);
        self.put(key, head, &EntryRef { value, kind, version, expires_at_ms })?;
        Ok(version)
    }

    /// Whether no entry of the database has an expiry, so that what is there is live.
    fn never_expire(&self, key: KeyRef<'_>) -> bool {
        self.writer.databases.rows[usize::from(key.database)].expiring == 0
    }

    /// Writes an entry that never expires where none does, without a look at what is there, which
    /// puts can do without. Whether there was one, and the new version.
    fn put_blindly(&mut self, key: KeyRef<'_>, value: &[u8], kind: Kind) -> Result<(bool, Version)> {
        check_size(value.len())?;
        if kind == Kind::Packed {
            self.pack()?;
        }
        let (version, address) = (self.next()?, self.address(key));
        let head = Head { version, kind, expires_at_ms: None, value_checksum: crc32fast::hash(value) };
        let update = "UPDATE stored SET version = ?4, kind = ?5, checksum = ?6, value = ?7 \
                      WHERE place = ?1 AND key = ?2 AND member = ?3";
        let insert = "INSERT INTO stored (place, key, member, version, kind, checksum, value) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let write = |sql| {
            self.writer.connection.prepare_cached(sql)?.execute(params![
                address.place,
                Text(address.key),
                Text(address.member),
                version as i64,
                kind as i64,
                head.checksum(address),
                Value(value)
            ])
        };
        let existed = self.writer.databases.rows[usize::from(key.database)].keys > 0
            && write(update).map_err(|error| self.failed(error))? > 0;
        if !existed {
            write(insert).map_err(|error| self.failed(error))?;
        }
        self.grew(value.len());
        let row = self.writer.databases.change(key.database);
        row.keys += u64::from(!existed);
        Ok((existed, version))
    }

    /// Writes an entry as it is, over the row that is there.
    fn put(&mut self, key: KeyRef<'_>, old: Option<Head>, entry: &EntryRef<'_>) -> Result<()> {
        if entry.kind == Kind::Packed {
            self.pack()?;
        }
        let (address, value) = (self.address(key), entry.value.bytes());
        let head = Head {
            version: entry.version,
            kind: entry.kind,
            expires_at_ms: entry.expires_at_ms,
            value_checksum: crc32fast::hash(value),
        };
        let sql = match old {
            None => {
                "INSERT INTO stored (place, key, member, version, kind, expires_at_ms, checksum, value) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
            }
            Some(_) => {
                "UPDATE stored SET version = ?4, kind = ?5, expires_at_ms = ?6, checksum = ?7, value = ?8 \
                 WHERE place = ?1 AND key = ?2 AND member = ?3"
            }
        };
        let mut write = self.writer.connection.prepare_cached(sql).map_err(|error| self.failed(error))?;
        let (version, kind) = (head.version as i64, head.kind as i64);
        write
            .execute(params![
                address.place,
                Text(address.key),
                Text(address.member),
                version,
                kind,
                head.expires_column(),
                head.checksum(address),
                Value(value)
            ])
            .map_err(|error| self.failed(error))?;
        drop(write);
        self.grew(value.len());
        self.count(key.database, old, Some(head));
        Ok(())
    }

    fn expire(&mut self, key: KeyRef<'_>, old: Head, expires_at_ms: Option<u64>) -> Result<Version> {
        let (version, address) = (self.next()?, self.address(key));
        let head = Head { version, expires_at_ms, ..old };
        let sql = "UPDATE stored SET version = ?4, expires_at_ms = ?5, checksum = ?6 \
                   WHERE place = ?1 AND key = ?2 AND member = ?3";
        let mut update = self.writer.connection.prepare_cached(sql).map_err(|error| self.failed(error))?;
        let (at_ms, checksum) = (head.expires_column(), head.checksum(address));
        update
            .execute(params![
                address.place,
                Text(address.key),
                Text(address.member),
                version as i64,
                at_ms,
                checksum
            ])
            .map_err(|error| self.failed(error))?;
        drop(update);
        self.grew(0);
        self.count(key.database, Some(old), Some(head));
        Ok(version)
    }

    /// Removes a row that is there.
    pub(crate) fn delete(&mut self, key: KeyRef<'_>, old: Head) -> Result<Version> {
        let (version, address) = (self.next_removal()?, self.address(key));
        let sql = "DELETE FROM stored WHERE place = ?1 AND key = ?2 AND member = ?3";
        let mut delete = self.writer.connection.prepare_cached(sql).map_err(|error| self.failed(error))?;
        delete
            .execute(params![address.place, Text(address.key), Text(address.member)])
            .map_err(|error| self.failed(error))?;
        drop(delete);
        self.grew(0);
        self.count(key.database, Some(old), None);
        Ok(version)
    }

    fn count(&mut self, database: u8, old: Option<Head>, new: Option<Head>) {
        let row = self.writer.databases.change(database);
        let expires = |head: Option<Head>| u64::from(head.is_some_and(|head| head.expires_at_ms.is_some()));
        // A person may have removed what the counts tell of: below zero there is nothing.
        row.keys = (row.keys + u64::from(new.is_some())).saturating_sub(u64::from(old.is_some()));
        row.expiring = (row.expiring + expires(new)).saturating_sub(expires(old));
    }
}
