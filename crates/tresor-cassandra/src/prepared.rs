//! Statements whose words depend on what they are for, prepared once and kept while they are in use.

use std::collections::HashMap;

use parking_lot::Mutex;
use scylla::statement::{Consistency, SerialConsistency, prepared::PreparedStatement, unprepared::Statement};
use tresor::Result;

use crate::{
    cluster::Cluster,
    failure::{self, Intent},
};

/// Statements that are kept.
const MOST: usize = 128;

/// The statements that were prepared, by their words.
#[derive(Default)]
pub(crate) struct Prepared(Mutex<HashMap<String, PreparedStatement>>);

impl Prepared {
    /// The statement with these words, at QUORUM and SERIAL.
    pub(crate) async fn of(&self, cluster: &Cluster, words: String) -> Result<PreparedStatement> {
        if let Some(known) = self.0.lock().get(&words) {
            return Ok(known.clone());
        }
        let mut statement = Statement::new(words.clone());
        statement.set_consistency(Consistency::Quorum);
        statement.set_serial_consistency(Some(SerialConsistency::Serial));
        let prepared = cluster.session.prepare(statement).await;
        let prepared = prepared.map_err(|error| failure::of_request(error.into(), Intent::Harmless))?;
        let mut all = self.0.lock();
        // Few forms are in use at a time: to begin anew is as good as to know which are.
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(words, prepared.clone());
        Ok(prepared)
    }
}
