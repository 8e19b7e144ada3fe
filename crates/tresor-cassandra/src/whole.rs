//! What concerns the store as a whole: connecting, batches that span keys or databases, figures.
//!
//! Without transactions no two partitions change as one on Cassandra: there a batch over several keys is
//! only taken where its command is documented to work key by key, and refused before anything is done
//! otherwise.

use std::{collections::HashMap, pin::pin, sync::atomic::Ordering};

use futures_util::{Stream, StreamExt, stream};
use parking_lot::Mutex;
use smallvec::SmallVec;
use tresor::{
    Error, ErrorKind, Result,
    engine::{Applied, Batch, Change, ClusterStatus, DATABASES, Each, Effect, NodeStatus, Outcome, Status},
};

use crate::{
    change::OwnedChange,
    cluster::Cluster,
    eventual, is_whole, linearizable,
    options::{Mset, Options, Order, Writes},
    schema::{self, quoted},
    settings,
    store::Store,
    tokens::Count,
    versions::Versions,
};

/// Keys of one command that are under way together.
const KEYS_TOGETHER: usize = 32;

/// Connects, and makes what is missing.
pub(crate) async fn connect(options: Options, versions: Versions) -> Result<Store> {
    let cluster = Cluster::connect(&options).await?;
    let copies = options.replication.unwrap_or_else(|| cluster.local_nodes().clamp(1, 3) as u8);
    let state = cluster.session.get_cluster_state();
    let keyspace = state.get_keyspace(&options.keyspace);
    // Only what is missing: whose schema was made by hand needs no right to make one.
    if keyspace.is_none() {
        cluster.say(&schema::keyspace(&options, &cluster.datacenter, copies)).await?;
    }
    if keyspace.is_none_or(|keyspace| !keyspace.tables.contains_key(schema::SETTINGS)) {
        cluster.say(&schema::settings(&options)).await?;
    }
    let settings = settings::agree(&cluster, &options).await?;
    let store = Store::new(options, settings, cluster, versions);
    // Everyone's first database is made now, so that what is not granted shows at once.
    store.made(0).await?;
    Ok(store)
}

/// A batch that can be applied.
pub(crate) enum Plan {
    Nothing,
    /// Changes of one key, or of several where there are transactions, as one.
    Together(Vec<OwnedChange>),
    /// Changes of several keys, each for itself.
    Apart(Vec<OwnedChange>),
    /// Databases to be emptied.
    Clear(Vec<u8>),
}

/// How a batch is applied, or why it cannot be.
pub(crate) fn plan(store: &Store, batch: &Batch<'_>) -> Result<Plan> {
    let changes = batch.changes;
    if changes.is_empty() {
        return Ok(Plan::Nothing);
    }
    if changes.iter().any(is_whole) {
        return clear(changes);
    }
    let owned: Vec<OwnedChange> =
        changes.iter().filter_map(|change| OwnedChange::of(change, batch.blind)).collect();
    let beside = owned.iter().all(|change| change.address.beside(&owned[0].address));
    if beside || store.settings.transactions {
        return Ok(Plan::Together(owned));
    }
    let deletes = changes.iter().all(|change| matches!(change, Change::Delete { .. }));
    let puts = changes.iter().all(|change| matches!(change, Change::Put { .. }));
    let guarded = changes.iter().any(|change| change.guard() != tresor::engine::Guard::None);
    match (deletes, puts) {
        (true, _) if !guarded => Ok(Plan::Apart(owned)),
        (_, true) if !guarded && store.options.mset == Mset::PerKey => Ok(Plan::Apart(owned)),
        (_, true) if !guarded => Err(unsupported(
            "several keys cannot be set as one on Cassandra; start with --cassandra-mset per-key to have them set one by one",
        )),
        _ => Err(unsupported("several keys cannot be changed as one on Cassandra; use keys one by one")),
    }
}

fn clear(changes: &[Change<'_>]) -> Result<Plan> {
    let databases = changes.iter().map(|change| match change {
        Change::Clear { database } => Ok(*database),
        Change::Swap { .. } => Err(unsupported("databases cannot be swapped on Cassandra")),
        _ => Err(unsupported("a database cannot be emptied as one with other changes on Cassandra")),
    });
    databases.collect::<Result<_>>().map(Plan::Clear)
}

fn unsupported(message: &str) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

impl Plan {
    /// Applies it.
    pub(crate) async fn apply(self, store: &Store, now_ms: u64) -> Result<Outcome> {
        match self {
            Self::Nothing => Ok(crate::nothing(store)),
            Self::Together(changes) => together(store, &changes, now_ms).await,
            Self::Apart(changes) => apart(store, changes, now_ms).await,
            Self::Clear(databases) => empty(store, &databases).await,
        }
    }
}

async fn together(store: &Store, changes: &[OwnedChange], now_ms: u64) -> Result<Outcome> {
    match store.options.writes {
        Writes::Linearizable => linearizable::write(store, changes, now_ms).await,
        Writes::Eventual => eventual::write(store, changes, now_ms).await,
    }
}

/// Key by key, some of them at a time; the first failure ends it.
async fn apart(store: &Store, changes: Vec<OwnedChange>, now_ms: u64) -> Result<Outcome> {
    let mut applied = pin!(key_by_key(store, changes, now_ms));
    let mut outcomes = Vec::new();
    while let Some((index, result)) = applied.next().await {
        outcomes.push((index, result?));
    }
    outcomes.sort_unstable_by_key(|(index, _)| *index);
    let sequence = outcomes.iter().map(|(_, outcome)| outcome.sequence).max().unwrap_or_default();
    let effects: SmallVec<[Effect; 1]> =
        outcomes.iter().filter_map(|(_, outcome)| outcome.effect()).collect();
    Ok(Outcome { sequence, applied: Applied::Whole(effects) })
}

/// Applies changes each for itself, and tells what became of all of them.
pub(crate) async fn each(store: &Store, changes: Vec<OwnedChange>, now_ms: u64) -> Result<Each> {
    let mut results: Vec<_> = key_by_key(store, changes, now_ms).collect().await;
    results.sort_unstable_by_key(|(index, _)| *index);
    let mut each = Each::default();
    results.into_iter().for_each(|(index, result)| each.note(index, result));
    Ok(each)
}

/// What becomes of each change, as soon as it is known. Some keys at a time; changes of one key in order.
fn key_by_key(
    store: &Store,
    changes: Vec<OwnedChange>,
    now_ms: u64,
) -> impl Stream<Item = (usize, Result<Outcome>)> {
    let mut keys: Vec<Vec<(usize, OwnedChange)>> = Vec::new();
    let mut places = HashMap::new();
    for (index, change) in changes.into_iter().enumerate() {
        let place =
            *places.entry((change.address.database, change.address.key.clone())).or_insert(keys.len());
        if place == keys.len() {
            keys.push(Vec::new());
        }
        keys[place].push((index, change));
    }
    let of_key = move |changes: Vec<(usize, OwnedChange)>| async move {
        let mut results = Vec::new();
        for (index, change) in changes {
            results.push((index, together(store, &[change], now_ms).await));
        }
        stream::iter(results)
    };
    stream::iter(keys).map(of_key).buffer_unordered(KEYS_TOGETHER).flatten()
}

/// Empties databases by TRUNCATE, which wants every replica to answer.
async fn empty(store: &Store, databases: &[u8]) -> Result<Outcome> {
    let mut effects = SmallVec::new();
    for &database in databases {
        if store.existing(database).await?.is_some() {
            let keyspace = quoted(&store.options.keyspace);
            // Entries too many are seen through; entries too few would hide keys. So the rows go first.
            store.cluster.say(&format!("TRUNCATE {keyspace}.entry_{database}")).await?;
            if store.options.order == Order::Kept {
                store.cluster.say(&format!("TRUNCATE {keyspace}.ordered_{database}")).await?;
            }
        }
        effects.push(Effect { existed: false, version: store.versions.take(0, 1) });
    }
    Ok(Outcome { sequence: store.latest(), applied: Applied::Whole(effects) })
}

/// The latest counts of each database: counting reads every key, so figures are given as last counted.
#[derive(Default)]
pub(crate) struct Counts(Mutex<[Count; DATABASES as usize]>);

impl Counts {
    pub(crate) fn note(&self, database: u8, count: Count) {
        self.0.lock()[usize::from(database)] = count;
    }

    pub(crate) fn status(&self, store: &Store) -> Status {
        let counts = *self.0.lock();
        Status {
            keys: counts.map(|count| count.keys),
            expiring: counts.map(|count| count.expiring),
            sequence: store.latest(),
            cluster: Some(cluster_status(store)),
            store_id: store.settings.store_id,
            ..Status::default()
        }
    }
}

/// How the cluster is doing, as the driver sees it.
pub(crate) fn cluster_status(store: &Store) -> ClusterStatus {
    let session = &store.cluster.session;
    let (state, metrics) = (session.get_cluster_state(), session.get_metrics());
    let nodes = state.get_nodes_info().iter().map(|node| NodeStatus {
        address: node.address.to_string(),
        datacenter: node.datacenter.clone().unwrap_or_default(),
        connected: node.is_connected(),
    });
    ClusterStatus {
        nodes: nodes.collect(),
        connections: metrics.get_total_connections(),
        requests: metrics.get_requests_unpaged_num() + metrics.get_requests_manually_paged_num(),
        errors: metrics.get_errors_unpaged_num() + metrics.get_errors_manually_paged_num(),
        retries: metrics.get_retries_num(),
        clock_ahead_ms: store.clock_ahead_ms.load(Ordering::Relaxed),
    }
}
