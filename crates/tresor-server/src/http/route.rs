//! Which paths there are, and what may be asked of them.
//!
//! One table: path to [`Route`], and per route its name in metrics, its methods and whether it is open
//! to those without the password.

/// A path, or a family of paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Kv,
    Keys,
    Key,
    Livez,
    Readyz,
    Metrics,
    Encryption,
    EncryptionRotate,
    Shards,
    Rebalance,
    Shard,
    /// Anything else.
    Unknown,
}

impl Route {
    /// Every route; `ALL[route as usize]` is `route`.
    pub(super) const ALL: [Self; 12] = [
        Self::Kv,
        Self::Keys,
        Self::Key,
        Self::Livez,
        Self::Readyz,
        Self::Metrics,
        Self::Encryption,
        Self::EncryptionRotate,
        Self::Shards,
        Self::Rebalance,
        Self::Shard,
        Self::Unknown,
    ];

    /// The route of a path, and the key or name in it, still encoded. An empty one, or one with a slash, is
    /// no path of ours.
    pub(super) fn find(path: &str) -> (Self, &str) {
        if let Some(key) = path.strip_prefix("/keys/") {
            let is_key = !key.is_empty() && memchr::memchr(b'/', key.as_bytes()).is_none();
            return if is_key { (Self::Key, key) } else { (Self::Unknown, "") };
        }
        if let Some(name) = path.strip_prefix("/v1/shards/") {
            let is_name = !name.is_empty() && memchr::memchr(b'/', name.as_bytes()).is_none();
            return match name {
                "rebalance" => (Self::Rebalance, name),
                name if is_name => (Self::Shard, name),
                _ => (Self::Unknown, ""),
            };
        }
        let route = match path {
            "/kv" => Self::Kv,
            "/keys" => Self::Keys,
            "/livez" => Self::Livez,
            "/readyz" => Self::Readyz,
            "/metrics" => Self::Metrics,
            "/v1/encryption" => Self::Encryption,
            "/v1/encryption/rotate" => Self::EncryptionRotate,
            "/v1/shards" => Self::Shards,
            _ => Self::Unknown,
        };
        (route, "")
    }

    /// How metrics call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kv => "/kv",
            Self::Keys => "/keys",
            Self::Key => "/keys/{key}",
            Self::Livez => "/livez",
            Self::Readyz => "/readyz",
            Self::Metrics => "/metrics",
            Self::Encryption => "/v1/encryption",
            Self::EncryptionRotate => "/v1/encryption/rotate",
            Self::Shards => "/v1/shards",
            Self::Rebalance => "/v1/shards/rebalance",
            Self::Shard => "/v1/shards/{name}",
            Self::Unknown => "unknown",
        }
    }

    /// Its methods, as an Allow header lists them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::Kv | Self::Key => "GET, HEAD, PUT, DELETE",
            Self::Keys | Self::Livez | Self::Readyz | Self::Metrics | Self::Encryption => "GET, HEAD",
            Self::EncryptionRotate => "POST",
            Self::Shards => "GET, HEAD, POST",
            // A shard may be called so.
            Self::Rebalance => "POST, DELETE",
            Self::Shard => "DELETE",
            Self::Unknown => "",
        }
    }

    /// Whether it answers without the password.
    pub(super) fn is_open(self, query: Option<&str>) -> bool {
        match self {
            Self::Livez => true,
            Self::Readyz => query.is_none(),
            _ => false,
        }
    }
}
