//! Log lines on standard error, as text or as JSON, at a level that can change while the server runs.
//!
//! Only the server logs; every other subcommand speaks through its output and its exit code.

use std::{
    io::{self, IsTerminal},
    sync::Arc,
};

use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt};

use super::options::{LogFormat, LogLevel};

/// Redis's names of levels, from all to nothing, with the value of `--log-level` that comes nearest.
const NAMES: [(&str, LevelFilter, &str); 5] = [
    ("debug", LevelFilter::TRACE, "trace"),
    ("verbose", LevelFilter::DEBUG, "debug"),
    ("notice", LevelFilter::INFO, "info"),
    ("warning", LevelFilter::WARN, "warn"),
    ("nothing", LevelFilter::OFF, "error"),
];

/// What is logged, to be asked for and changed.
#[derive(Clone)]
pub(crate) struct LogControl {
    get: Arc<dyn Fn() -> LevelFilter + Send + Sync>,
    set: Arc<dyn Fn(LevelFilter) + Send + Sync>,
}

impl LogControl {
    /// The level, by Redis's name.
    pub(crate) fn level(&self) -> String {
        let level = (self.get)();
        let name = NAMES.iter().find(|(_, known, _)| *known == level);
        // Redis has no level for errors alone.
        name.map_or("warning", |(name, _, _)| name).to_owned()
    }

    /// Sets it by Redis's name; anything else changes nothing.
    pub(crate) fn set_level(&self, name: &str) {
        if let Some((_, level, _)) = NAMES.iter().find(|(known, _, _)| *known == name) {
            (self.set)(*level);
        }
    }
}

/// The value of `--log-level` that comes nearest to a level of Redis.
pub(super) fn option_of(name: &str) -> &'static str {
    NAMES.iter().find(|(known, _, _)| *known == name).map_or("error", |(_, _, option)| option)
}

/// Starts logging. Once a process.
pub(crate) fn start(format: LogFormat, level: LogLevel) -> LogControl {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let (filter, handle) = tracing_subscriber::reload::Layer::new(level);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    match format {
        LogFormat::Text => registry.with(lines).init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).init(),
    }
    let read = handle.clone();
    LogControl {
        get: Arc::new(move || read.clone_current().unwrap_or(level)),
        set: Arc::new(move |level| {
            if let Err(error) = handle.reload(level) {
                tracing::error!(%error, "the log's level stays");
            }
        }),
    }
}
