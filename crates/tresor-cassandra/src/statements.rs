//! The prepared statements of one database.
//!
//! A database that nobody has written to has no tables yet; reading from it finds nothing. Each
//! statement carries the consistency that its use asks for, and says whether sending it twice is the
//! same as once.

use std::sync::Arc;

use scylla::{
    client::session::Session,
    errors::PrepareError,
    statement::{Consistency, SerialConsistency, prepared::PreparedStatement, unprepared::Statement},
};

use crate::{
    options::{Options, Order, Writes},
    retry::RetryUnnoticed,
    schema::quoted,
};

/// Rows of one page of a scan by token, at most.
pub(crate) const TOKEN_PAGE: i32 = 2048;

/// Statements over the entries of a database.
pub(crate) struct Statements {
    /// One row, as the mode of the store reads it.
    pub(crate) read: PreparedStatement,
    /// Some rows of one partition, all as of one moment.
    pub(crate) read_members: PreparedStatement,
    /// One row, as a scan reads it: what was acknowledged is there.
    pub(crate) check: PreparedStatement,
    /// A compare-and-set on the version.
    pub(crate) set_if_version: PreparedStatement,
    /// A compare-and-set that only asks for a lower version.
    pub(crate) set_if_below: PreparedStatement,
    /// A deletion for good of a row that is still the same.
    pub(crate) delete_if_version: PreparedStatement,
    /// A write without a condition, and its opposite.
    pub(crate) set: PreparedStatement,
    pub(crate) delete: PreparedStatement,
    /// Rows behind a token, with their values or without.
    pub(crate) tokens: PreparedStatement,
    pub(crate) tokens_of_keys: PreparedStatement,
    /// The index by key, where there is one.
    pub(crate) ordered: Option<OrderedStatements>,
}

/// Statements over the index by key.
pub(crate) struct OrderedStatements {
    pub(crate) insert: PreparedStatement,
    pub(crate) delete: PreparedStatement,
    /// A bucket's entries from a place on, by direction and by whether the bound itself is wanted.
    pub(crate) from: PreparedStatement,
    pub(crate) behind: PreparedStatement,
    pub(crate) to: PreparedStatement,
    pub(crate) before: PreparedStatement,
    /// A bucket's last entries.
    pub(crate) last: PreparedStatement,
}

const ROW: &str = "value, kind, version, expires_at";
const ENTRY: &str = "key, member, kind, version, expires_at";
const AT: &str = "WHERE database = ? AND key = ? AND member = ?";

/// Prepares statements of one kind: with a consistency, and idempotent or not.
struct Preparer<'p> {
    session: &'p Session,
    consistency: Consistency,
    idempotent: bool,
}

impl Preparer<'_> {
    async fn prepare(&self, text: String) -> Result<PreparedStatement, PrepareError> {
        let mut statement = self.session.prepare(Statement::new(text)).await?;
        statement.set_consistency(self.consistency);
        statement.set_serial_consistency(Some(SerialConsistency::Serial));
        statement.set_is_idempotent(self.idempotent);
        statement.set_retry_policy(Some(Arc::new(RetryUnnoticed)));
        Ok(statement)
    }
}

impl Statements {
    pub(crate) async fn prepare(
        session: &Session,
        options: &Options,
        database: u8,
    ) -> Result<Self, PrepareError> {
        let serial = options.writes == Writes::Linearizable;
        // What a quorum acknowledged, a quorum sees: scans rely on it beside serial writes.
        let plain_read = if serial { Consistency::Quorum } else { options.consistency.for_reads() };
        let plain_write = if serial { Consistency::Quorum } else { options.consistency.for_writes() };
        let read = Preparer { session, consistency: plain_read, idempotent: true };
        let key_read =
            Preparer { consistency: if serial { Consistency::Serial } else { plain_read }, ..read };
        let write = Preparer { session, consistency: plain_write, idempotent: true };
        let compare = Preparer { idempotent: false, ..write };
        let table = format!("{}.entry_{database}", quoted(&options.keyspace));
        let update = |using: &str| {
            format!("UPDATE {table} USING {using} SET value = ?, kind = ?, version = ?, expires_at = ? {AT}")
        };
        let tokens = |columns: &str| {
            format!(
                "SELECT token(database, key), key, member, {columns}kind, version, expires_at FROM {table} \
                 WHERE token(database, key) >= ? AND token(database, key) <= ? LIMIT ?"
            )
        };
        Ok(Self {
            read: key_read.prepare(format!("SELECT {ROW} FROM {table} {AT}")).await?,
            read_members: key_read
                .prepare(format!(
                    "SELECT member, {ROW} FROM {table} WHERE database = ? AND key = ? AND member IN ?"
                ))
                .await?,
            check: read.prepare(format!("SELECT {ROW} FROM {table} {AT}")).await?,
            set_if_version: compare.prepare(format!("{} IF version = ?", update("TTL ?"))).await?,
            set_if_below: compare.prepare(format!("{} IF version < ?", update("TTL ?"))).await?,
            delete_if_version: compare.prepare(format!("DELETE FROM {table} {AT} IF version = ?")).await?,
            set: write.prepare(update("TTL ? AND TIMESTAMP ?")).await?,
            delete: write.prepare(format!("DELETE FROM {table} USING TIMESTAMP ? {AT}")).await?,
            tokens: read.prepare(tokens("value, ")).await?,
            tokens_of_keys: read.prepare(tokens("")).await?,
            ordered: match options.order {
                Order::Off => None,
                Order::Kept => Some(OrderedStatements::prepare(&read, &write, options, database).await?),
            },
        })
    }
}

impl OrderedStatements {
    async fn prepare(
        read: &Preparer<'_>,
        write: &Preparer<'_>,
        options: &Options,
        database: u8,
    ) -> Result<Self, PrepareError> {
        let table = format!("{}.ordered_{database}", quoted(&options.keyspace));
        let page = |condition: &str, direction: &str| {
            read.prepare(format!(
                "SELECT {ENTRY} FROM {table} WHERE bucket = ? {condition} \
                 ORDER BY key {direction}, member {direction} LIMIT ?"
            ))
        };
        Ok(Self {
            insert: write
                .prepare(format!(
                    "INSERT INTO {table} (bucket, key, member, kind, version, expires_at) \
                     VALUES (?, ?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?"
                ))
                .await?,
            delete: write
                .prepare(format!(
                    "DELETE FROM {table} USING TIMESTAMP ? WHERE bucket = ? AND key = ? AND member = ?"
                ))
                .await?,
            from: page("AND (key, member) >= (?, ?)", "ASC").await?,
            behind: page("AND (key, member) > (?, ?)", "ASC").await?,
            to: page("AND key <= ?", "DESC").await?,
            before: page("AND (key, member) < (?, ?)", "DESC").await?,
            last: page("", "DESC").await?,
        })
    }
}
