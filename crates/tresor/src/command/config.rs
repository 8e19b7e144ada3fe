//! CONFIG: what can be read and changed of the settings while the server runs.
//!
//! One table row a parameter, with Redis's names where they mean the same here; what means nothing here
//! stands in `config_inert.rs`. A value is parsed before anything is changed, so that a request with one
//! bad parameter changes none. The server sets its own options by the same way when it starts.

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{
    Args,
    config_inert::{self, Inert},
    is, number, shown, syntax_error,
};
use crate::{
    config::Durability,
    database::Core,
    engine::{DATABASES, memory::Eviction},
    error::{Error, Result},
    publish::{EventClasses, parse_output_limit},
    reply::ReplyWriter,
    search::Glob,
    session::Session,
    slow_log::MOST_ENTRIES,
};

/// What is left to do once every value of a request was found good.
type Apply = Box<dyn FnOnce(&Core) + Send>;

/// What is wrong with a value is said in words that follow CONFIG SET's own.
type Parse = fn(&Core, &[u8]) -> Result<Apply, String>;

struct Parameter {
    name: &'static str,
    get: fn(&Core) -> String,
    set: Set,
}

/// How a parameter is changed.
enum Set {
    /// At once.
    Now(Parse),
    /// By an option when the server starts: only what it already is may be said again.
    AtStart(&'static str),
    /// Not at all.
    Never,
}

const fn parameter(name: &'static str, get: fn(&Core) -> String, set: Set) -> Parameter {
    Parameter { name, get, set }
}

const PARAMETERS: &[Parameter] = &[
    parameter("appendfsync", appendfsync, Set::AtStart("--durability")),
    parameter("appendonly", |core| yes_or_no(core.config.store_path.is_some()), Set::AtStart("--store-path")),
    parameter(
        "client-output-buffer-limit",
        |core| core.hub.limits().text(),
        Set::Now(|_, value| {
            let limit = parse_output_limit(&String::from_utf8_lossy(value))?;
            Ok(Box::new(move |core| {
                if let Some(limit) = limit {
                    core.hub.limits().set_subscribers(limit);
                }
            }))
        }),
    ),
    parameter("databases", |_| DATABASES.to_string(), Set::Never),
    parameter("dir", path, Set::AtStart("--store-path")),
    parameter("io-threads", |core| core.config.workers.to_string(), Set::Never),
    parameter(
        "latency-monitor-threshold",
        |core| core.observers.latency_events().threshold_ms().to_string(),
        Set::Now(|_, value| {
            let milliseconds = integer(value, 0..=i64::MAX)?.unsigned_abs();
            Ok(Box::new(move |core| core.observers.sample_from(milliseconds)))
        }),
    ),
    parameter(
        "latency-tracking",
        |core| yes_or_no(core.settings.latency_tracking.load(Relaxed)),
        Set::Now(|_, value| {
            let tracked = flag(value)?;
            Ok(Box::new(move |core| core.settings.latency_tracking.store(tracked, Relaxed)))
        }),
    ),
    parameter(
        "latency-tracking-info-percentiles",
        |core| percentiles_text(&core.settings.latency_percentiles()),
        Set::Now(|_, value| {
            let percentiles = parse_percentiles(value)?;
            Ok(Box::new(move |core| core.settings.set_latency_percentiles(percentiles)))
        }),
    ),
    parameter(
        "loglevel",
        |core| core.settings.program().map_or_else(String::new, |program| (program.log_level)()),
        Set::Now(|core, value| {
            let level = choice(value, LOG_LEVELS)?;
            if core.settings.program().is_none() {
                return Err("the program that this database is part of has its own log".to_owned());
            }
            Ok(Box::new(move |core| {
                if let Some(program) = core.settings.program() {
                    (program.set_log_level)(level);
                }
            }))
        }),
    ),
    parameter(
        "maxclients",
        |core| core.settings.max_clients.load(Relaxed).to_string(),
        Set::Now(|_, value| store(value, 1..=i64::from(u32::MAX), |core| &core.settings.max_clients)),
    ),
    parameter(
        "maxmemory",
        |core| core.memory_limit.max_bytes().unwrap_or(0).to_string(),
        Set::Now(|_, value| {
            let bytes = bytes(value, 0..=i64::MAX)?.unsigned_abs();
            Ok(Box::new(move |core| set_limit(core, bytes)))
        }),
    ),
    parameter(
        "maxmemory-policy",
        |core| core.memory_limit.policy().name().to_owned(),
        Set::Now(|_, value| {
            let name = choice(value, &Eviction::NAMES.map(|(name, _)| name))?;
            let policy = Eviction::from_name(name).unwrap_or_default();
            Ok(Box::new(move |core| core.memory_limit.set(core.memory_limit.max_bytes(), policy)))
        }),
    ),
    parameter(
        "notify-keyspace-events",
        |core| core.notifications.classes().text(),
        Set::Now(|_, value| {
            let classes = EventClasses::parse(&String::from_utf8_lossy(value))
                .ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?;
            Ok(Box::new(move |core| {
                if let Err(error) = core.notifications.choose(classes) {
                    tracing::error!(%error, "no keyspace notifications");
                }
            }))
        }),
    ),
    parameter(
        "proto-max-bulk-len",
        |core| core.config.max_value_bytes.to_string(),
        Set::AtStart("--max-value-bytes"),
    ),
    parameter(
        REQUIREPASS,
        // Whoever may ask knows the password; logs and screens need not.
        |core| if core.settings.needs_password() { MASK.to_owned() } else { String::new() },
        Set::Now(|core, value| {
            if value.is_empty() && core.settings.requires_password() {
                return Err("a server that others can reach needs a password".to_owned());
            }
            let value = value.to_vec();
            Ok(Box::new(move |core| core.settings.set_password(Some(&value))))
        }),
    ),
    parameter("save", save, Set::AtStart("--snapshot-interval-seconds")),
    parameter(
        "slowlog-log-slower-than",
        |core| core.observers.slow_log().slower_than_us().to_string(),
        Set::Now(|_, value| {
            let microseconds = integer(value, -1..=i64::MAX)?;
            Ok(Box::new(move |core| core.observers.log_slower_than(microseconds)))
        }),
    ),
    parameter(
        "slowlog-max-len",
        |core| core.observers.slow_log().most_entries().to_string(),
        Set::Now(|_, value| {
            let entries = integer(value, 0..=MOST_ENTRIES as i64)? as usize;
            Ok(Box::new(move |core| core.observers.slow_log().set_most_entries(entries)))
        }),
    ),
    parameter(
        "tcp-keepalive",
        |core| core.settings.tcp_keepalive_s.load(Relaxed).to_string(),
        Set::Now(|_, value| store(value, 0..=MOST_SECONDS, |core| &core.settings.tcp_keepalive_s)),
    ),
    parameter(
        "timeout",
        |core| core.settings.idle_timeout_s.load(Relaxed).to_string(),
        Set::Now(|_, value| store(value, 0..=MOST_SECONDS, |core| &core.settings.idle_timeout_s)),
    ),
];

const REQUIREPASS: &str = "requirepass";

/// What stands where a secret would.
const MASK: &str = "********";

/// Percentiles in INFO: more would be a long line a command, and of no use.
const MOST_PERCENTILES: usize = 32;

const MOST_SECONDS: i64 = i32::MAX as i64;

/// Redis's names of what is logged, from all to nothing.
const LOG_LEVELS: &[&str] = &["debug", "verbose", "notice", "warning", "nothing"];

/// Parses a number that goes into a setting as it is.
fn store(value: &[u8], range: RangeInclusive<i64>, place: fn(&Core) -> &AtomicU64) -> Result<Apply, String> {
    let value = integer(value, range)?.unsigned_abs();
    Ok(Box::new(move |core| place(core).store(value, Relaxed)))
}

fn set_limit(core: &Core, bytes: u64) {
    core.memory_limit.set(Some(bytes).filter(|bytes| *bytes > 0), core.memory_limit.policy());
}

pub(super) fn yes_or_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

fn path(core: &Core) -> String {
    core.config.store_path.as_ref().map_or(String::new(), |path| path.display().to_string())
}

fn appendfsync(core: &Core) -> String {
    match core.config.durability {
        Durability::None => "no",
        Durability::Interval { .. } => "everysec",
        Durability::Always => "always",
    }
    .to_owned()
}

fn save(core: &Core) -> String {
    match core.config.store_path {
        Some(_) => format!("{} 1", core.config.snapshot_interval.as_secs()),
        None => String::new(),
    }
}

fn percentiles_text(percentiles: &[f64]) -> String {
    percentiles.iter().map(f64::to_string).collect::<Vec<_>>().join(" ")
}

fn parse_percentiles(value: &[u8]) -> Result<Vec<f64>, String> {
    let text = String::from_utf8_lossy(value);
    let words = text.split(' ').filter(|_| !text.is_empty());
    let percentiles: Result<Vec<f64>, _> = words.map(str::parse).collect();
    let percentiles =
        percentiles.map_err(|_| "Invalid latency-tracking-info-percentiles parameters".to_owned())?;
    if !percentiles.iter().all(|percentile| (0.0..=100.0).contains(percentile)) {
        let message = "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";
        return Err(message.to_owned());
    }
    if percentiles.len() > MOST_PERCENTILES {
        return Err(format!("at most {MOST_PERCENTILES} percentiles can be shown"));
    }
    Ok(percentiles)
}

pub(super) fn flag(value: &[u8]) -> Result<bool, String> {
    match (is(value, "yes"), is(value, "no")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err("argument must be 'yes' or 'no'".to_owned()),
    }
}

pub(super) fn integer(value: &[u8], range: RangeInclusive<i64>) -> Result<i64, String> {
    let value = number::parse_integer(value).ok_or("argument couldn't be parsed into an integer")?;
    within(value.into(), range)
}

pub(super) fn bytes(value: &[u8], range: RangeInclusive<i64>) -> Result<i64, String> {
    // To Redis, nothing is a size, of 0.
    let size = if value.is_empty() { Some(0) } else { number::parse_bytes(value) };
    within(size.ok_or("argument must be a memory value")?.into(), range)
}

fn within(value: i128, range: RangeInclusive<i64>) -> Result<i64, String> {
    let (from, to) = (*range.start(), *range.end());
    let found = i64::try_from(value).ok().filter(|value| range.contains(value));
    found.ok_or_else(|| format!("argument must be between {from} and {to} inclusive"))
}

pub(super) fn choice(value: &[u8], names: &[&'static str]) -> Result<&'static str, String> {
    let found = names.iter().find(|name| is(value, name));
    found.copied().ok_or_else(|| format!("argument(s) must be one of the following: {}", names.join(", ")))
}

fn inert_value(core: &Core, inert: &Inert) -> String {
    match core.settings.kept(inert.name) {
        None => inert.default.to_owned(),
        Some(value) if inert.is_secret() && !value.is_empty() => MASK.to_owned(),
        Some(value) => value,
    }
}

/// Every name and what it stands at.
fn everything(core: &Core) -> BTreeMap<String, String> {
    let inert = config_inert::all().map(|(name, inert)| (name, inert_value(core, inert)));
    let parameters = PARAMETERS.iter().map(|parameter| (parameter.name, (parameter.get)(core)));
    inert
        .chain(core.settings.facts())
        .chain(parameters)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

pub(super) async fn get(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let all = everything(session.core());
    let mut found = BTreeMap::new();
    for pattern in &args[2..] {
        let pattern = shown(pattern);
        // A name that is written out comes back as it was written.
        match all.get(&pattern.to_ascii_lowercase()) {
            Some(value) => {
                found.insert(pattern, value);
            }
            None => {
                let glob = Glob::ignoring_case(pattern.as_bytes());
                let matching = all.iter().filter(|(name, _)| glob.matches(name.as_bytes()));
                found.extend(matching.map(|(name, value)| (name.clone(), value)));
            }
        }
    }
    reply.map(found.len());
    for (name, value) in found {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    Ok(())
}

/// What a name stands for.
enum Known {
    Live(&'static Parameter),
    Inert(&'static Inert),
    /// What a front door has told of itself.
    Fact,
}

impl Known {
    fn find(core: &Core, name: &str) -> Option<Self> {
        let parameter = PARAMETERS.iter().find(|parameter| parameter.name.eq_ignore_ascii_case(name));
        let fact = || core.settings.facts().iter().any(|(fact, _)| fact.eq_ignore_ascii_case(name));
        match (parameter, config_inert::find(name)) {
            (Some(parameter), _) => Some(Self::Live(parameter)),
            (None, _) if fact() => Some(Self::Fact),
            (None, inert) => inert.map(Self::Inert),
        }
    }

    fn is_immutable(&self) -> bool {
        match self {
            Self::Live(parameter) => matches!(parameter.set, Set::Never),
            Self::Inert(inert) => inert.is_fixed(),
            Self::Fact => true,
        }
    }

    /// What is to be done for a value, or why it cannot be.
    fn change(&self, core: &Core, value: &[u8]) -> Result<Apply, String> {
        match *self {
            Self::Inert(inert) => {
                let value = inert.parse(value)?;
                Ok(Box::new(move |core| core.settings.keep(inert.name, value)))
            }
            Self::Live(Parameter { set: Set::Now(parse), name, .. }) => {
                let apply = parse(core, value)?;
                Ok(Box::new(move |core: &Core| {
                    apply(core);
                    core.settings.note_changed(name);
                }))
            }
            Self::Live(Parameter { set: Set::AtStart(_), get, .. }) if value == get(core).as_bytes() => {
                Ok(Box::new(|_: &Core| {}))
            }
            Self::Live(Parameter { set: Set::AtStart(option), .. }) => {
                Err(format!("{IMMUTABLE}: {option} decides it when the server starts"))
            }
            Self::Live(_) | Self::Fact => Err(IMMUTABLE.to_owned()),
        }
    }
}

const IMMUTABLE: &str = "can't set immutable config";

fn cannot_set(name: &str, reason: &str) -> Error {
    Error::invalid(format!("CONFIG SET failed (possibly related to argument '{name}') - {reason}"))
}

pub(super) async fn set(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let (pairs, rest) = args[2..].as_chunks::<2>();
    if !rest.is_empty() {
        return Err(syntax_error());
    }
    let core = session.core();
    // All names are looked at before any value, as Redis does.
    let mut settings: Vec<(String, Known)> = Vec::new();
    for [name, _] in pairs {
        let name = shown(name);
        let known = Known::find(core, &name).ok_or_else(|| {
            Error::invalid(format!("Unknown option or number of arguments for CONFIG SET - '{name}'"))
        })?;
        if known.is_immutable() {
            return Err(cannot_set(&name, IMMUTABLE));
        }
        if settings.iter().any(|(other, _)| other.eq_ignore_ascii_case(&name)) {
            return Err(cannot_set(&name, "duplicate parameter"));
        }
        settings.push((name, known));
    }
    let mut changes = Vec::new();
    for ((name, known), [_, value]) in settings.iter().zip(pairs) {
        let change = known.change(core, value);
        changes.push(change.map_err(|reason| cannot_set(&name.to_ascii_lowercase(), &reason))?);
    }
    changes.into_iter().for_each(|apply| apply(core));
    reply.ok();
    Ok(())
}

/// Whether a setting is kept and never shown.
pub(crate) fn is_secret_setting(name: &str) -> bool {
    name.eq_ignore_ascii_case(REQUIREPASS) || config_inert::find(name).is_some_and(Inert::is_secret)
}

/// Sets a parameter as CONFIG SET would, before there are clients.
pub(crate) fn set_at_start(core: &Core, name: &str, value: &str) -> Result<()> {
    let failed = |reason: &str| Error::invalid(format!("{name}: {reason}"));
    let known = Known::find(core, name).ok_or_else(|| failed("there is no such setting"))?;
    let apply = known.change(core, value.as_bytes()).map_err(|reason| failed(&reason))?;
    apply(core);
    Ok(())
}

pub(super) async fn rewrite(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let core = session.core().clone();
    let rewrite = core.settings.program().and_then(|program| program.rewrite.as_ref());
    let rewrite = rewrite.ok_or_else(|| Error::invalid("The server is running without a config file"))?;
    let changed = core.settings.changed().into_iter().filter_map(|name| {
        let parameter = PARAMETERS.iter().find(|parameter| parameter.name == name)?;
        let value = match name {
            REQUIREPASS => core.settings.password_text(),
            _ => (parameter.get)(&core),
        };
        Some((name, value))
    });
    let changed = changed.chain(core.settings.all_kept()).collect();
    session.outside(rewrite(changed)).await?;
    reply.ok();
    Ok(())
}

pub(super) async fn resetstat(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    session.core().metrics.reset();
    session.core().clients.reset_counts();
    session.core().hub.reset_counts();
    reply.ok();
    Ok(())
}
