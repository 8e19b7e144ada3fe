//! What all servers of a keyspace agree on: written by the first one, and by nobody again.

use scylla::statement::{Consistency, SerialConsistency, unprepared::Statement};
use tresor::{Error, Result};

use crate::{
    accord,
    cluster::{Cluster, unreadable},
    failure::{self, Intent},
    options::{Options, Order, Writes},
    schema::{FORMAT, SETTINGS, quoted},
    tables::was_applied,
};

/// The settings of a store.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) store_id: u64,
    pub(crate) buckets: u16,
    /// Whether rows of several partitions can be changed as one.
    pub(crate) transactions: bool,
}

/// What the setting of transactions says where there are some.
const ACCORD: &str = "accord";

/// Writes what is not there yet, and reads what is.
pub(crate) async fn agree(cluster: &Cluster, options: &Options) -> Result<Settings> {
    let store_id = getrandom::u64().map_err(|error| Error::invalid("no random numbers").caused_by(error))?;
    let known = read(cluster, options).await?;
    // A store that was made without them stays so: its tables are others.
    let transactions = match known.is_empty() && accord::serves(cluster, options).await? {
        true => ACCORD,
        false => "off",
    };
    for (name, value) in [
        ("format", FORMAT.to_owned()),
        ("writes", options.writes.to_string()),
        ("order", options.order.to_string()),
        ("buckets", options.buckets.to_string()),
        ("store_id", store_id.to_string()),
        ("transactions", transactions.to_owned()),
    ] {
        if known.iter().all(|(known, _)| known != name) {
            put_if_absent(cluster, options, name, &value).await?;
        }
    }
    let settings = read(cluster, options).await?;
    let find = |name: &str| {
        let found = settings.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    if find("format") != FORMAT {
        return Err(Error::invalid(format!(
            "keyspace {} has format {}; this version of Tresor reads format {FORMAT}",
            options.keyspace,
            find("format")
        )));
    }
    refuse_other(options, "--cassandra-writes", options.writes, find("writes").parse::<Writes>())?;
    refuse_other(options, "--cassandra-order", options.order, find("order").parse::<Order>())?;
    let number = |name: &str| {
        find(name).parse::<u64>().map_err(|error| {
            let message = format!("keyspace {} has no readable setting {name}", options.keyspace);
            Error::invalid(message).caused_by(error)
        })
    };
    Ok(Settings {
        store_id: number("store_id")?,
        buckets: number("buckets")?.clamp(1, 4096) as u16,
        transactions: find("transactions") == ACCORD,
    })
}

fn refuse_other<T: PartialEq + std::fmt::Display>(
    options: &Options,
    option: &str,
    wanted: T,
    kept: Result<T, ()>,
) -> Result<()> {
    match kept {
        Ok(kept) if kept == wanted => Ok(()),
        Ok(kept) => Err(Error::invalid(format!(
            "keyspace {} was made with {option} {kept}, and its servers must all have that: start with {option} {kept}, or choose another --cassandra-keyspace",
            options.keyspace
        ))),
        Err(()) => Err(Error::invalid(format!(
            "keyspace {} has a value for {option} that this version of Tresor does not know",
            options.keyspace
        ))),
    }
}

fn serial(words: String) -> Statement {
    let mut statement = Statement::new(words);
    statement.set_consistency(Consistency::Quorum);
    statement.set_serial_consistency(Some(SerialConsistency::Serial));
    statement
}

/// Sets a setting unless it is set; answers whether it did.
pub(crate) async fn put_if_absent(
    cluster: &Cluster,
    options: &Options,
    name: &str,
    value: &str,
) -> Result<bool> {
    let words = format!(
        "INSERT INTO {}.{SETTINGS} (name, value) VALUES (?, ?) IF NOT EXISTS",
        quoted(&options.keyspace)
    );
    let result = cluster.session.query_unpaged(serial(words), (name, value)).await;
    was_applied(result.map_err(|error| failure::of_request(error, Intent::Harmless))?)
}

/// Changes a setting if it is still what it was; answers whether it did.
pub(crate) async fn put_if_same(
    cluster: &Cluster,
    options: &Options,
    name: &str,
    (before, value): (&str, &str),
) -> Result<bool> {
    let words =
        format!("UPDATE {}.{SETTINGS} SET value = ? WHERE name = ? IF value = ?", quoted(&options.keyspace));
    let result = cluster.session.query_unpaged(serial(words), (value, name, before)).await;
    was_applied(result.map_err(|error| failure::of_request(error, Intent::Harmless))?)
}

/// Asks for the settings: an error says that reads and writes would fail too.
pub(crate) async fn ask(cluster: &Cluster, options: &Options) -> Result<()> {
    read(cluster, options).await.map(drop)
}

/// All settings.
pub(crate) async fn read(cluster: &Cluster, options: &Options) -> Result<Vec<(String, String)>> {
    let mut statement = serial(format!("SELECT name, value FROM {}.{SETTINGS}", quoted(&options.keyspace)));
    statement.set_consistency(Consistency::Quorum);
    let result = cluster.session.query_unpaged(statement, ()).await;
    let result = result.map_err(|error| failure::of_request(error, Intent::Harmless))?;
    let rows = result.into_rows_result().map_err(unreadable)?;
    rows.rows::<(String, String)>().map_err(unreadable)?.map(|row| row.map_err(unreadable)).collect()
}
