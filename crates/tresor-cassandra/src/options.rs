//! Everything that can be chosen about a store on a cluster, and every limit.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use scylla::statement::Consistency;

/// How the engine reaches its cluster and keeps its data there. Start from [`Options::at`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Nodes to ask first, as `HOST:PORT`; the others are found through them.
    pub contact: Vec<String>,
    /// The keyspace, which this store has to itself.
    pub keyspace: String,
    /// What every write promises; kept with the keyspace.
    pub writes: Writes,
    /// Whether entries can be scanned in key order; kept with the keyspace.
    pub order: Order,
    /// Partitions of the index by key of one database; kept with the keyspace, and only looked at
    /// when that is made.
    pub buckets: u16,
    /// Whether MSET may be applied key by key.
    pub mset: Mset,
    /// With [`Writes::Eventual`]: how many replicas have to answer.
    pub consistency: Level,
    /// Copies of each partition in the local datacentre; `None` for three, or as many as there are
    /// nodes if they are fewer. Only looked at when the keyspace is made.
    pub replication: Option<u8>,
    /// The datacentre to talk to; `None` for that of the first node that answers.
    pub datacenter: Option<String>,
    /// User and password.
    pub credentials: Option<(String, String)>,
    /// The authorities that sign the nodes' certificates, in PEM; `None` for no encryption.
    pub tls_authorities: Option<PathBuf>,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How long a command may take with all its requests and repetitions.
    pub command_timeout: Duration,
    /// Requests under way at a time; others wait for their turn.
    pub requests_in_flight: usize,
    /// The largest value, in bytes. Cassandra refuses mutations over half of a commit log segment,
    /// 16 MiB unless it is configured otherwise.
    pub max_value_bytes: usize,
}

impl Options {
    /// A cluster that these nodes belong to, with what suits most.
    pub fn at(contact: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            contact: contact.into_iter().map(Into::into).collect(),
            keyspace: "tresor".to_owned(),
            writes: Writes::Linearizable,
            order: Order::Kept,
            buckets: 16,
            mset: Mset::Refused,
            consistency: Level::LocalQuorum,
            replication: None,
            datacenter: None,
            credentials: None,
            tls_authorities: None,
            request_timeout: Duration::from_secs(3),
            command_timeout: Duration::from_secs(8),
            requests_in_flight: 1024,
            max_value_bytes: 8 * 1024 * 1024,
        }
    }
}

/// A closed set of words, each with what it is called in options and in the keyspace.
macro_rules! words {
    ($($(#[$docs:meta])* $type:ident { $($(#[$about:meta])* $variant:ident = $word:literal),* $(,)? })*) => {$(
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type { $($(#[$about])* $variant),* }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),* })
            }
        }

        impl FromStr for $type {
            type Err = ();

            fn from_str(word: &str) -> Result<Self, ()> {
                match word { $($word => Ok(Self::$variant),)* _ => Err(()) }
            }
        }
    )*};
}

words! {
    /// What every write of a store promises. The two do not mix in one keyspace.
    Writes {
        /// Each write is a compare-and-set and each read sees the latest one, on every server.
        Linearizable = "linearizable",
        /// The latest write wins; nothing can be guarded.
        Eventual = "eventual",
    }
    /// Whether there is an index by key.
    Order {
        /// There is.
        Kept = "on",
        /// There is none, and writes cost less.
        Off = "off",
    }
    /// What becomes of MSET, which no two partitions can do as one.
    Mset {
        /// It is refused.
        Refused = "off",
        /// Its keys are written one by one.
        PerKey = "per-key",
    }
    /// How many replicas have to answer.
    Level {
        /// One in the local datacentre.
        LocalOne = "local-one",
        /// Most in the local datacentre.
        LocalQuorum = "local-quorum",
        /// Most of all.
        Quorum = "quorum",
        /// Most in each datacentre; for writes.
        EachQuorum = "each-quorum",
        /// All.
        All = "all",
    }
}

impl Level {
    pub(crate) fn for_writes(self) -> Consistency {
        match self {
            Self::LocalOne => Consistency::LocalOne,
            Self::LocalQuorum => Consistency::LocalQuorum,
            Self::Quorum => Consistency::Quorum,
            Self::EachQuorum => Consistency::EachQuorum,
            Self::All => Consistency::All,
        }
    }

    /// Reads cannot ask each datacentre: what each acknowledged, the local one has.
    pub(crate) fn for_reads(self) -> Consistency {
        match self {
            Self::EachQuorum => Consistency::LocalQuorum,
            other => other.for_writes(),
        }
    }
}
