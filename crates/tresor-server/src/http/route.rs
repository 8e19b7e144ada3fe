//! Which paths there are, and what may be asked of them.
//!
//! One table: path to [`Route`], and per route its name in metrics, its methods and whether it is open
//! to those without the password.

/// A path, or a family of paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Console,
    ConsoleFile,
    Kv,
    Keys,
    Key,
    Livez,
    Readyz,
    Metrics,
    Entries,
    Changes,
    Query,
    Indexes,
    Index,
    Encryption,
    EncryptionRotate,
    Shards,
    Rebalance,
    Shard,
    Batch,
    Export,
    Import,
    Entry,
    EntryIncrement,
    Command,
    CommandPipeline,
    CommandMultiExec,
    OpenApi,
    Transactions,
    Transaction,
    TransactionKv,
    TransactionKeys,
    TransactionKey,
    TransactionCommit,
    TransactionRollback,
    TransactionAbort,
    /// Anything else.
    Unknown,
}

impl Route {
    /// Every route; `ALL[route as usize]` is `route`.
    pub(super) const ALL: [Self; 36] = [
        Self::Console,
        Self::ConsoleFile,
        Self::Kv,
        Self::Keys,
        Self::Key,
        Self::Livez,
        Self::Readyz,
        Self::Metrics,
        Self::Entries,
        Self::Changes,
        Self::Query,
        Self::Indexes,
        Self::Index,
        Self::Encryption,
        Self::EncryptionRotate,
        Self::Shards,
        Self::Rebalance,
        Self::Shard,
        Self::Batch,
        Self::Export,
        Self::Import,
        Self::Entry,
        Self::EntryIncrement,
        Self::Command,
        Self::CommandPipeline,
        Self::CommandMultiExec,
        Self::OpenApi,
        Self::Transactions,
        Self::Transaction,
        Self::TransactionKv,
        Self::TransactionKeys,
        Self::TransactionKey,
        Self::TransactionCommit,
        Self::TransactionRollback,
        Self::TransactionAbort,
        Self::Unknown,
    ];

    /// The route of a path, and the key or name in it, still encoded. An empty one, or one with a slash, is
    /// no path of ours. Of a path in a transaction it is all from the transaction's id on.
    pub(super) fn find(path: &str) -> (Self, &str) {
        if let Some(key) = path.strip_prefix("/keys/") {
            return if is_segment(key) { (Self::Key, key) } else { (Self::Unknown, "") };
        }
        if let Some(rest) = path.strip_prefix("/v1/entries/") {
            return Self::of_entry(rest);
        }
        if let Some(name) = path.strip_prefix("/v1/shards/") {
            return match name {
                "rebalance" => (Self::Rebalance, name),
                name if is_segment(name) => (Self::Shard, name),
                _ => (Self::Unknown, ""),
            };
        }
        if let Some(name) = path.strip_prefix("/v1/indexes/") {
            return if is_segment(name) { (Self::Index, name) } else { (Self::Unknown, "") };
        }
        if let Some(name) = path.strip_prefix("/console/") {
            return if is_segment(name) { (Self::ConsoleFile, name) } else { (Self::Unknown, "") };
        }
        if let Some(rest) = path.strip_prefix("/v1/transactions/") {
            return (Self::in_transaction(rest), rest);
        }
        let route = match path {
            "/" => Self::Console,
            "/kv" => Self::Kv,
            "/keys" => Self::Keys,
            "/livez" => Self::Livez,
            "/readyz" => Self::Readyz,
            "/metrics" => Self::Metrics,
            "/v1/entries" => Self::Entries,
            "/v1/changes" => Self::Changes,
            "/v1/query" => Self::Query,
            "/v1/indexes" => Self::Indexes,
            "/v1/encryption" => Self::Encryption,
            "/v1/encryption/rotate" => Self::EncryptionRotate,
            "/v1/shards" => Self::Shards,
            "/v1/batch" => Self::Batch,
            "/v1/export" => Self::Export,
            "/v1/import" => Self::Import,
            "/v1/command" => Self::Command,
            "/v1/command/pipeline" => Self::CommandPipeline,
            "/v1/command/multi-exec" => Self::CommandMultiExec,
            "/openapi.json" => Self::OpenApi,
            "/v1/transactions" => Self::Transactions,
            _ => Self::Unknown,
        };
        (route, "")
    }

    fn of_entry(path: &str) -> (Self, &str) {
        match path.split_once('/').unwrap_or((path, "")) {
            ("", _) => (Self::Unknown, ""),
            (key, "increment") => (Self::EntryIncrement, key),
            (key, "") if key == path => (Self::Entry, key),
            _ => (Self::Unknown, ""),
        }
    }

    fn in_transaction(path: &str) -> Self {
        let (id, rest) = path.split_once('/').map_or((path, None), |(id, rest)| (id, Some(rest)));
        match rest {
            _ if id.is_empty() => Self::Unknown,
            None => Self::Transaction,
            Some("kv") => Self::TransactionKv,
            Some("keys") => Self::TransactionKeys,
            Some("commit") => Self::TransactionCommit,
            Some("rollback") => Self::TransactionRollback,
            Some("abort") => Self::TransactionAbort,
            Some(rest) => match Self::find_key(rest) {
                Some(_) => Self::TransactionKey,
                None => Self::Unknown,
            },
        }
    }

    /// The key in `keys/{key}`.
    pub(super) fn find_key(path: &str) -> Option<&str> {
        path.strip_prefix("keys/").filter(|key| is_segment(key))
    }

    /// Whether it is `/v1/transactions` or beneath.
    pub(super) fn is_of_transactions(self) -> bool {
        matches!(
            self,
            Self::Transactions
                | Self::Transaction
                | Self::TransactionKv
                | Self::TransactionKeys
                | Self::TransactionKey
                | Self::TransactionCommit
                | Self::TransactionRollback
                | Self::TransactionAbort
        )
    }

    /// Whether it is `/v1/command` or beneath.
    pub(super) fn is_of_commands(self) -> bool {
        matches!(self, Self::Command | Self::CommandPipeline | Self::CommandMultiExec)
    }

    /// How metrics call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Console => "/",
            Self::ConsoleFile => "/console/{file}",
            Self::Kv => "/kv",
            Self::Keys => "/keys",
            Self::Key => "/keys/{key}",
            Self::Livez => "/livez",
            Self::Readyz => "/readyz",
            Self::Metrics => "/metrics",
            Self::Entries => "/v1/entries",
            Self::Changes => "/v1/changes",
            Self::Query => "/v1/query",
            Self::Indexes => "/v1/indexes",
            Self::Index => "/v1/indexes/{name}",
            Self::Encryption => "/v1/encryption",
            Self::EncryptionRotate => "/v1/encryption/rotate",
            Self::Shards => "/v1/shards",
            Self::Rebalance => "/v1/shards/rebalance",
            Self::Shard => "/v1/shards/{name}",
            Self::Batch => "/v1/batch",
            Self::Export => "/v1/export",
            Self::Import => "/v1/import",
            Self::Entry => "/v1/entries/{key}",
            Self::EntryIncrement => "/v1/entries/{key}/increment",
            Self::Command => "/v1/command",
            Self::CommandPipeline => "/v1/command/pipeline",
            Self::CommandMultiExec => "/v1/command/multi-exec",
            Self::OpenApi => "/openapi.json",
            Self::Transactions => "/v1/transactions",
            Self::Transaction => "/v1/transactions/{id}",
            Self::TransactionKv => "/v1/transactions/{id}/kv",
            Self::TransactionKeys => "/v1/transactions/{id}/keys",
            Self::TransactionKey => "/v1/transactions/{id}/keys/{key}",
            Self::TransactionCommit => "/v1/transactions/{id}/commit",
            Self::TransactionRollback => "/v1/transactions/{id}/rollback",
            Self::TransactionAbort => "/v1/transactions/{id}/abort",
            Self::Unknown => "unknown",
        }
    }

    /// Its methods, as an Allow header lists them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::Kv | Self::Key | Self::Entry | Self::TransactionKv | Self::TransactionKey => {
                "GET, HEAD, PUT, DELETE"
            }
            Self::Index => "GET, HEAD, PUT, DELETE",
            Self::Indexes | Self::Export => "GET, HEAD",
            Self::Keys | Self::Livez | Self::Readyz | Self::Metrics | Self::Encryption => "GET, HEAD",
            Self::TransactionKeys | Self::OpenApi | Self::Changes => "GET, HEAD",
            Self::Console | Self::ConsoleFile => "GET, HEAD",
            Self::Entries => "GET, HEAD, DELETE",
            Self::EncryptionRotate | Self::Batch | Self::Import | Self::Query | Self::EntryIncrement => {
                "POST"
            }
            Self::Command | Self::CommandPipeline | Self::CommandMultiExec => "POST",
            Self::TransactionCommit | Self::TransactionRollback | Self::TransactionAbort => "POST",
            Self::Shards | Self::Transactions => "GET, HEAD, POST",
            // A shard may be called so.
            Self::Rebalance => "POST, DELETE",
            Self::Shard | Self::Transaction => "DELETE",
            Self::Unknown => "",
        }
    }

    /// Whether it answers without the password.
    pub(super) fn is_open(self, query: Option<&str>) -> bool {
        match self {
            // The page holds no data; what it then asks for needs the password.
            Self::Livez | Self::Console | Self::ConsoleFile => true,
            Self::Readyz => query.is_none(),
            _ => false,
        }
    }
}

/// Whether it is one part of a path, and not an empty one.
fn is_segment(text: &str) -> bool {
    !text.is_empty() && memchr::memchr(b'/', text.as_bytes()).is_none()
}
