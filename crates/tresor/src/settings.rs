//! What can be changed while a database runs: the password, and whatever CONFIG SET accepts.
//!
//! A number that a hot path may read is an atomic. What front doors decide (ports, addresses) they
//! note here as facts, which CONFIG GET shows and CONFIG SET refuses.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use parking_lot::RwLock;
use subtle::{Choice, ConstantTimeEq};

/// Settings shared by all sessions.
pub struct Settings {
    password: RwLock<Option<Vec<u8>>>,
    password_required: AtomicBool,
    /// Connections above this number are turned away.
    pub max_clients: AtomicU64,
    /// Idle connections are closed after this many seconds; 0 for never.
    pub idle_timeout_s: AtomicU64,
    /// Seconds between TCP keepalive probes; 0 for none.
    pub tcp_keepalive_s: AtomicU64,
    facts: RwLock<BTreeMap<&'static str, String>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            password: RwLock::new(None),
            password_required: AtomicBool::new(false),
            max_clients: AtomicU64::new(10_000),
            idle_timeout_s: AtomicU64::new(0),
            tcp_keepalive_s: AtomicU64::new(300),
            facts: RwLock::default(),
        }
    }
}

impl Settings {
    /// Sets the password that new clients have to show; `None` or an empty one for none.
    pub fn set_password(&self, password: Option<&[u8]>) {
        *self.password.write() = password.filter(|password| !password.is_empty()).map(<[u8]>::to_vec);
    }

    /// Whether clients have to authenticate.
    pub fn needs_password(&self) -> bool {
        self.password.read().is_some()
    }

    /// Keeps CONFIG SET from emptying the password: for servers that others can reach.
    pub fn require_password(&self) {
        self.password_required.store(true, Relaxed);
    }

    /// Whether the password may not be emptied.
    pub fn requires_password(&self) -> bool {
        self.password_required.load(Relaxed)
    }

    /// Whether this is the password, in a time that depends on the attempt's length alone. True when
    /// there is none.
    pub fn is_password(&self, attempt: &[u8]) -> bool {
        let password = self.password.read();
        let Some(password) = password.as_deref() else { return true };
        let mut same = Choice::from(u8::from(attempt.len() == password.len()));
        for (byte, expected) in attempt.iter().zip(password.iter().cycle()) {
            same &= byte.ct_eq(expected);
        }
        same.into()
    }

    /// Notes something that only the command line decides (`port`, `bind`), for CONFIG GET and INFO.
    pub fn set_fact(&self, name: &'static str, value: impl Into<String>) {
        self.facts.write().insert(name, value.into());
    }

    /// A fact, if it was noted.
    pub fn fact(&self, name: &str) -> Option<String> {
        self.facts.read().get(name).cloned()
    }

    /// All facts, by name.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        self.facts.read().iter().map(|(name, value)| (*name, value.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn only_the_whole_password_is_the_password() {
        let settings = Settings::default();
        assert!(settings.is_password(b"anything"));
        settings.set_password(Some(b"secret"));
        assert!(settings.is_password(b"secret"));
        for attempt in [&b""[..], b"s", b"secre", b"secrets", b"secretsecret", b"Secret", b"terces"] {
            assert!(!settings.is_password(attempt));
        }
        settings.set_password(Some(b""));
        assert!(!settings.needs_password());
    }
}
