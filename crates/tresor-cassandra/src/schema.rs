//! The tables, as CQL; what `tresor cassandra schema` prints and the first server makes.
//!
//! Each numbered database has two tables of its own, made when it is first written to, so that
//! emptying one is a TRUNCATE. Rows are found by key alone; the second table repeats the keys in order,
//! spread over a fixed number of partitions. Leveled compaction, because a store is read by key far
//! more often than its tables are rewritten: a read then looks into about one file a level.

use crate::options::{Options, Order};

/// The format of these tables, kept with the keyspace.
pub(crate) const FORMAT: &str = "1";

/// What a table must say to be part of transactions.
const TRANSACTIONAL: &str = " AND transactional_mode = 'full'";

/// The table of settings, which all servers of a store agree on.
pub(crate) const SETTINGS: &str = "settings";

/// A name in double quotes, as CQL takes any.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in single quotes.
fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

pub(crate) fn keyspace(options: &Options, datacenter: &str, copies: u8) -> String {
    format!(
        "CREATE KEYSPACE IF NOT EXISTS {} WITH replication = {{'class': 'NetworkTopologyStrategy', {}: {copies}}}",
        quoted(&options.keyspace),
        text(datacenter),
    )
}

pub(crate) fn settings(options: &Options) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {}.{SETTINGS} (name text PRIMARY KEY, value text)",
        quoted(&options.keyspace)
    )
}

/// The table that holds the entries of a database.
pub(crate) fn entries(options: &Options, database: u8, transactions: bool) -> String {
    let mode = if transactions { TRANSACTIONAL } else { "" };
    format!(
        "CREATE TABLE IF NOT EXISTS {}.entry_{database} (\
         database tinyint, key blob, member blob, \
         value blob, kind tinyint, version bigint, expires_at bigint, \
         PRIMARY KEY ((database, key), member)) \
         WITH compaction = {{'class': 'LeveledCompactionStrategy'}}{mode}",
        quoted(&options.keyspace)
    )
}

/// The table that holds the keys of a database in order.
pub(crate) fn ordered(options: &Options, database: u8) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {}.ordered_{database} (\
         bucket smallint, key blob, member blob, \
         kind tinyint, version bigint, expires_at bigint, \
         PRIMARY KEY (bucket, key, member)) \
         WITH compaction = {{'class': 'LeveledCompactionStrategy'}}",
        quoted(&options.keyspace)
    )
}

/// All statements that make a store, for someone who makes it by hand; `transactions` for a Cassandra
/// that has Accord.
pub fn statements(options: &Options, datacenter: &str, copies: u8, transactions: bool) -> Vec<String> {
    let mut all = vec![keyspace(options, datacenter, copies), settings(options)];
    for database in 0..tresor::engine::DATABASES {
        all.push(entries(options, database, transactions));
        if options.order == Order::Kept {
            all.push(ordered(options, database));
        }
    }
    all
}
