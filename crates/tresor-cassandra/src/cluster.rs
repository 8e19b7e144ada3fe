//! The connection to the cluster: one driver session, and the way that every request goes.
//!
//! At most so many requests are under way at a time; one that would wait too long for its turn is
//! refused, so that a slow cluster shows as errors and not as memory.

use std::{sync::Arc, time::Duration};

use scylla::{
    client::{execution_profile::ExecutionProfile, session::Session, session_builder::SessionBuilder},
    policies::{
        load_balancing::DefaultPolicy, retry::FallthroughRetryPolicy,
        speculative_execution::SimpleSpeculativeExecutionPolicy,
    },
    response::query_result::{QueryResult, QueryRowsResult},
    serialize::row::SerializeRow,
    statement::{batch::Batch, prepared::PreparedStatement},
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};
use tresor::{Error, ErrorKind, Result};

use crate::{
    failure::{self, Intent},
    options::Options,
    tls,
};

/// An idempotent request that has no answer after this long is sent to a second node too.
const SECOND_ASK: Duration = Duration::from_millis(500);

/// A session with its cluster.
pub(crate) struct Cluster {
    pub(crate) session: Session,
    /// The datacentre that this server talks to.
    pub(crate) datacenter: String,
    turns: Semaphore,
    patience: Duration,
}

impl Cluster {
    pub(crate) async fn connect(options: &Options) -> Result<Self> {
        let unreachable = |error: String| {
            let message = format!(
                "no node of --cassandra-contact {} answers: start the cluster, or name nodes that run",
                options.contact.join(",")
            );
            Error::new(ErrorKind::Unavailable, message).caused_by(error)
        };
        let session = builder(options)?.build().await.map_err(|error| match failure::of_user(&error) {
            Some(refused) => refused.caused_by(error),
            None => unreachable(error.to_string()),
        })?;
        let nodes = session.get_cluster_state();
        let connected = nodes.get_nodes_info().iter().find(|node| node.is_connected());
        let datacenter = match (&options.datacenter, connected) {
            (Some(name), _) => name.clone(),
            (None, Some(node)) => node.datacenter.clone().unwrap_or_default(),
            (None, None) => return Err(unreachable("every connection failed".to_owned())),
        };
        Ok(Self {
            session,
            datacenter,
            turns: Semaphore::new(options.requests_in_flight),
            patience: options.command_timeout,
        })
    }

    /// How many nodes the local datacentre has.
    pub(crate) fn local_nodes(&self) -> usize {
        let state = self.session.get_cluster_state();
        let local = |name: &Option<String>| name.as_deref() == Some(&self.datacenter);
        state.get_nodes_info().iter().filter(|node| local(&node.datacenter)).count()
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>> {
        match timeout(self.patience, self.turns.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => {
                let message = "too many requests wait for the cluster; try again later";
                Err(Error::new(ErrorKind::Unavailable, message))
            }
        }
    }

    /// Executes a statement.
    pub(crate) async fn execute(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
        intent: Intent,
    ) -> Result<QueryResult> {
        let _turn = self.turn().await?;
        let result = self.session.execute_unpaged(statement, values).await;
        result.map_err(|error| failure::of_request(error, intent))
    }

    /// Executes a statement that answers rows.
    pub(crate) async fn rows(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
        intent: Intent,
    ) -> Result<QueryRowsResult> {
        let result = self.execute(statement, values, intent).await?;
        result.into_rows_result().map_err(unreadable)
    }

    /// Executes a batch.
    pub(crate) async fn batch(
        &self,
        batch: &Batch,
        values: impl scylla::serialize::batch::BatchValues,
        intent: Intent,
    ) -> Result<QueryResult> {
        let _turn = self.turn().await?;
        self.session.batch(batch, values).await.map_err(|error| failure::of_request(error, intent))
    }

    /// Executes a statement in words, such as one that makes a table.
    pub(crate) async fn say(&self, words: &str) -> Result<QueryResult> {
        let result = self.session.query_unpaged(words, ()).await;
        result.map_err(|error| failure::of_request(error, Intent::Harmless))
    }
}

/// An answer that is not what its statement asks for: of another version of Cassandra, or a defect.
pub(crate) fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Internal, "the cluster answered what Tresor cannot read").caused_by(error)
}

fn builder(options: &Options) -> Result<SessionBuilder> {
    let mut policy = DefaultPolicy::builder().token_aware(true);
    if let Some(datacenter) = &options.datacenter {
        policy = policy.prefer_datacenter(datacenter.clone());
    }
    // Statements bring policies of their own; what has none is never sent twice.
    let profile = ExecutionProfile::builder()
        .load_balancing_policy(policy.build())
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .speculative_execution_policy(Some(Arc::new(SimpleSpeculativeExecutionPolicy {
            max_retry_count: 1,
            retry_interval: SECOND_ASK,
        })))
        .request_timeout(Some(options.request_timeout))
        .build();
    let mut builder = SessionBuilder::new()
        .known_nodes(&options.contact)
        .connection_timeout(options.request_timeout)
        .keepalive_interval(Duration::from_secs(5))
        .keepalive_timeout(Duration::from_secs(5))
        .tcp_nodelay(true)
        .tls_context(tls::context(options)?)
        .default_execution_profile_handle(profile.into_handle());
    if let Some((user, password)) = &options.credentials {
        builder = builder.user(user, password);
    }
    Ok(builder)
}
