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
    /// Anything else.
    Unknown,
}

impl Route {
    /// Every route; `ALL[route as usize]` is `route`.
    pub(super) const ALL: [Self; 9] = [
        Self::Kv,
        Self::Keys,
        Self::Key,
        Self::Livez,
        Self::Readyz,
        Self::Metrics,
        Self::Encryption,
        Self::EncryptionRotate,
        Self::Unknown,
    ];

    /// The route of a path, and the key in it, still encoded. An empty key, or one with a slash, is no
    /// path of ours.
    pub(super) fn find(path: &str) -> (Self, &str) {
        if let Some(key) = path.strip_prefix("/keys/") {
            let is_key = !key.is_empty() && memchr::memchr(b'/', key.as_bytes()).is_none();
            return if is_key { (Self::Key, key) } else { (Self::Unknown, "") };
        }
        let route = match path {
            "/kv" => Self::Kv,
            "/keys" => Self::Keys,
            "/livez" => Self::Livez,
            "/readyz" => Self::Readyz,
            "/metrics" => Self::Metrics,
            "/v1/encryption" => Self::Encryption,
            "/v1/encryption/rotate" => Self::EncryptionRotate,
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
            Self::Unknown => "unknown",
        }
    }

    /// Its methods, as an Allow header lists them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::Kv | Self::Key => "GET, HEAD, PUT, DELETE",
            Self::Keys | Self::Livez | Self::Readyz | Self::Metrics | Self::Encryption => "GET, HEAD",
            Self::EncryptionRotate => "POST",
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
