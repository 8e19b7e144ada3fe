//! Whether a cluster has Accord, the transactions of Cassandra 6, and whether a store can use them.

use scylla::statement::{Consistency, unprepared::Statement};
use tresor::Result;

use crate::{
    cluster::{Cluster, unreadable},
    options::{Options, Writes},
    schema::quoted,
};

/// Whether a store that is made now can have transactions: Cassandra has Accord switched on, and tables
/// that somebody has made by hand are for it.
pub(crate) async fn serves(cluster: &Cluster, options: &Options) -> Result<bool> {
    if options.writes != Writes::Linearizable {
        return Ok(false);
    }
    let enabled = "SELECT value FROM system_views.settings WHERE name = 'accord.enabled'";
    // ScyllaDB has no such table, and earlier Cassandras no such row.
    let Ok(result) = cluster.say(enabled).await else { return Ok(false) };
    let rows = result.into_rows_result().map_err(unreadable)?;
    let row = rows.maybe_first_row::<(Option<String>,)>().map_err(unreadable)?;
    if row.and_then(|(value,)| value).as_deref() != Some("true") {
        return Ok(false);
    }
    let state = cluster.session.get_cluster_state();
    let keyspace = state.get_keyspace(&options.keyspace);
    if keyspace.is_none_or(|keyspace| !keyspace.tables.contains_key("entry_0")) {
        return Ok(true);
    }
    // Nothing but a transaction tells whether a table takes part in them.
    let table = format!("{}.entry_0", quoted(&options.keyspace));
    let mut statement = Statement::new(format!(
        "BEGIN TRANSACTION SELECT version FROM {table} WHERE database = 0 AND key = 0x00 AND member = 0x; \
         COMMIT TRANSACTION"
    ));
    statement.set_consistency(Consistency::Quorum);
    Ok(cluster.session.query_unpaged(statement, ()).await.is_ok())
}
