//! The tables of each numbered database: prepared when first asked for, made when first written to.
//!
//! Cassandra wants one change of its schema at a time, so a server that makes tables first takes a
//! row of the settings, which frees itself if the server dies.

use std::{sync::Arc, time::Duration};

use parking_lot::RwLock;
use scylla::{
    response::query_result::QueryResult,
    statement::{Consistency, SerialConsistency, unprepared::Statement},
};
use tokio::{sync::Mutex, time::sleep};
use tresor::{Error, ErrorKind, Result, engine::DATABASES};

use crate::{
    cluster::{Cluster, unreadable},
    failure::{self, Intent},
    options::{Options, Order},
    schema::{self, SETTINGS, quoted},
    statements::Statements,
};

/// After so many seconds a server that died while it made tables no longer keeps others from it.
const LOCK_S: i32 = 60;

/// Between two tries to take that row.
const RETRY: Duration = Duration::from_millis(200);

/// The statements of all databases.
pub(crate) struct Tables {
    prepared: [RwLock<Option<Arc<Statements>>>; DATABASES as usize],
    /// One preparation at a time.
    preparing: Mutex<()>,
    transactions: bool,
}

impl Tables {
    /// None yet; with `transactions` they are made for them.
    pub(crate) fn new(transactions: bool) -> Self {
        Self { prepared: Default::default(), preparing: Mutex::default(), transactions }
    }

    fn known(&self, database: u8) -> Option<Arc<Statements>> {
        self.prepared[usize::from(database)].read().clone()
    }

    /// The statements of a database; `None` if nobody has written to it yet.
    pub(crate) async fn existing(
        &self,
        cluster: &Cluster,
        options: &Options,
        database: u8,
    ) -> Result<Option<Arc<Statements>>> {
        if let Some(statements) = self.known(database) {
            return Ok(Some(statements));
        }
        let _alone = self.preparing.lock().await;
        if let Some(statements) = self.known(database) {
            return Ok(Some(statements));
        }
        match Statements::prepare(&cluster.session, options, database).await {
            Ok(statements) => {
                let statements = Arc::new(statements);
                *self.prepared[usize::from(database)].write() = Some(statements.clone());
                Ok(Some(statements))
            }
            Err(error) if failure::is_missing_table(&error) => Ok(None),
            Err(error) => Err(failure::of_preparation(error)),
        }
    }

    /// The statements of a database, whose tables are made if they are missing.
    pub(crate) async fn made(
        &self,
        cluster: &Cluster,
        options: &Options,
        database: u8,
    ) -> Result<Arc<Statements>> {
        if let Some(statements) = self.existing(cluster, options, database).await? {
            return Ok(statements);
        }
        make(cluster, options, database, self.transactions).await?;
        self.existing(cluster, options, database).await?.ok_or_else(|| {
            let message = format!("the tables of database {database} were made and are not there; try again");
            Error::new(ErrorKind::Unavailable, message)
        })
    }
}

async fn make(cluster: &Cluster, options: &Options, database: u8, transactions: bool) -> Result<()> {
    let lock = SchemaLock::take(cluster, options).await?;
    let mut made = cluster.say(&schema::entries(options, database, transactions)).await.map(drop);
    if made.is_ok() && options.order == Order::Kept {
        made = cluster.say(&schema::ordered(options, database)).await.map(drop);
    }
    lock.give().await;
    made
}

/// The right to change the schema.
struct SchemaLock<'c> {
    cluster: &'c Cluster,
    options: &'c Options,
    owner: String,
}

impl<'c> SchemaLock<'c> {
    async fn take(cluster: &'c Cluster, options: &'c Options) -> Result<Self> {
        let random =
            getrandom::u64().map_err(|error| Error::invalid("no random numbers").caused_by(error))?;
        let lock = Self { cluster, options, owner: random.to_string() };
        let words = format!(
            "INSERT INTO {}.{SETTINGS} (name, value) VALUES ('schema lock', ?) IF NOT EXISTS USING TTL {LOCK_S}",
            quoted(&options.keyspace)
        );
        for _ in 0..(LOCK_S as u128 * 2000 / RETRY.as_millis()) {
            if lock.ask(words.clone()).await? {
                return Ok(lock);
            }
            sleep(RETRY).await;
        }
        let message = "another server has been changing the schema for too long; try again";
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    /// Gives it to others; if that fails it frees itself.
    async fn give(self) {
        let words = format!(
            "DELETE FROM {}.{SETTINGS} WHERE name = 'schema lock' IF value = ?",
            quoted(&self.options.keyspace)
        );
        if let Err(error) = self.ask(words).await {
            tracing::debug!(%error, "the right to change the schema was not given back");
        }
    }

    async fn ask(&self, words: String) -> Result<bool> {
        let mut statement = Statement::new(words);
        statement.set_consistency(Consistency::Quorum);
        statement.set_serial_consistency(Some(SerialConsistency::Serial));
        let result = self.cluster.session.query_unpaged(statement, (&self.owner,)).await;
        was_applied(result.map_err(|error| failure::of_request(error, Intent::Harmless))?)
    }
}

/// Whether a compare-and-set was made: its first column says so, whatever comes after.
pub(crate) fn was_applied(result: QueryResult) -> Result<bool> {
    use scylla::value::{CqlValue, Row};

    let rows = result.into_rows_result().map_err(unreadable)?;
    let row = rows.first_row::<Row>().map_err(unreadable)?;
    Ok(matches!(row.columns.first(), Some(Some(CqlValue::Boolean(true)))))
}
