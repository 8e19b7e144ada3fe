//! What can be changed while a database runs: the password, and whatever CONFIG SET accepts.
//!
//! A number that a hot path may read is an atomic. What front doors decide (ports, addresses) they
//! note here as facts, which CONFIG GET shows and CONFIG SET refuses. What only the program around the
//! database can do, its log and its configuration file, it hands in as [`Program`].

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::RwLock;
use subtle::{Choice, ConstantTimeEq};

use crate::{command::is_secret_setting, error::Result};

/// Whether CONFIG's setting of this name, in any case, is kept and never shown.
pub fn is_secret(name: &str) -> bool {
    is_secret_setting(name)
}

/// What CONFIG asks of the program that the database is part of.
pub struct Program {
    /// The level of its log, by Redis's name.
    pub log_level: Box<dyn Fn() -> String + Send + Sync>,
    /// Sets it: `debug`, `verbose`, `notice`, `warning` or `nothing`.
    pub set_log_level: Box<dyn Fn(&str) + Send + Sync>,
    /// Puts parameters that were changed, by Redis's names, into its configuration file, if it has one.
    pub rewrite: Option<Box<Rewrite>>,
}

/// Answers when the file has all of it or is as before.
pub type Rewrite =
    dyn Fn(Vec<(&'static str, String)>) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync;

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
    /// Whether INFO shows latencies; they are counted all the same.
    pub(crate) latency_tracking: AtomicBool,
    facts: RwLock<BTreeMap<&'static str, String>>,
    /// Values of settings without effect.
    kept: RwLock<BTreeMap<&'static str, String>>,
    /// What CONFIG SET has changed.
    changed: RwLock<BTreeSet<&'static str>>,
    latency_percentiles: RwLock<Vec<f64>>,
    program: OnceLock<Program>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            password: RwLock::new(None),
            password_required: AtomicBool::new(false),
            max_clients: AtomicU64::new(10_000),
            idle_timeout_s: AtomicU64::new(0),
            tcp_keepalive_s: AtomicU64::new(300),
            latency_tracking: AtomicBool::new(true),
            facts: RwLock::default(),
            kept: RwLock::default(),
            changed: RwLock::default(),
            latency_percentiles: RwLock::new(vec![50.0, 99.0, 99.9]),
            program: OnceLock::new(),
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

    /// The password itself, for the configuration file alone.
    pub(crate) fn password_text(&self) -> String {
        self.password.read().as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned()
    }

    /// Hands in what the program around the database does for CONFIG; once.
    pub fn set_program(&self, program: Program) {
        // A second one would be a second server over one database, which has the same program.
        let _ = self.program.set(program);
    }

    pub(crate) fn program(&self) -> Option<&Program> {
        self.program.get()
    }

    /// Percentiles of latencies that INFO shows.
    pub(crate) fn latency_percentiles(&self) -> Vec<f64> {
        self.latency_percentiles.read().clone()
    }

    pub(crate) fn set_latency_percentiles(&self, percentiles: Vec<f64>) {
        *self.latency_percentiles.write() = percentiles;
    }

    /// Keeps the value of a setting without effect.
    pub(crate) fn keep(&self, name: &'static str, value: String) {
        self.kept.write().insert(name, value);
    }

    pub(crate) fn kept(&self, name: &str) -> Option<String> {
        self.kept.read().get(name).cloned()
    }

    pub(crate) fn all_kept(&self) -> Vec<(&'static str, String)> {
        self.kept.read().iter().map(|(name, value)| (*name, value.clone())).collect()
    }

    pub(crate) fn note_changed(&self, name: &'static str) {
        self.changed.write().insert(name);
    }

    pub(crate) fn changed(&self) -> Vec<&'static str> {
        self.changed.read().iter().copied().collect()
    }

    /// Notes something that only the command line decides (`port`, `bind`), for CONFIG GET and INFO.
    pub fn set_fact(&self, name: &'static str, value: impl Into<String>) {
        self.facts.write().insert(name, value.into());
    }

    /// A fact, if it was noted.
    pub fn fact(&self, name: &str) -> Option<String> {
        self.facts.read().get(name).cloned()
    }

    /// Whether DEBUG may be used: only where whoever started the server has said so.
    pub fn allows_debug(&self) -> bool {
        self.facts.read().get("enable-debug-command").is_some_and(|allowed| allowed == "yes")
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
