//! CONFIG: what can be read and changed of the settings while the server runs.
//!
//! One table row a parameter, with Redis's names where they mean the same here. A value is parsed
//! before anything is changed, so that a request with one bad parameter changes none.

use std::{collections::BTreeMap, sync::atomic::Ordering::Relaxed};

use super::{Args, is, number, shown, syntax_error};
use crate::{
    config::Durability,
    database::Core,
    engine::{DATABASES, memory::Eviction},
    error::{Error, Result},
    publish::{EventClasses, parse_output_limit},
    reply::ReplyWriter,
    search::Glob,
    session::Session,
};

/// What is left to do once every value of a request was found good.
type Apply = Box<dyn FnOnce(&Core) + Send>;

/// What is wrong with a value is said in words that follow CONFIG SET's own.
type Parse = fn(&Core, &[u8]) -> Result<Apply, String>;

struct Parameter {
    name: &'static str,
    get: fn(&Core) -> String,
    /// `None` for what only the command line decides.
    set: Option<Parse>,
}

const PARAMETERS: &[Parameter] = &[
    Parameter { name: "appendfsync", get: appendfsync, set: None },
    Parameter { name: "appendonly", get: |core| yes_or_no(core.config.store_path.is_some()), set: None },
    Parameter {
        name: "client-output-buffer-limit",
        get: |core| core.hub.limits().text(),
        set: Some(|_, value| {
            let limit = parse_output_limit(&String::from_utf8_lossy(value))?;
            Ok(Box::new(move |core| {
                if let Some(limit) = limit {
                    core.hub.limits().set_subscribers(limit);
                }
            }))
        }),
    },
    Parameter { name: "databases", get: |_| DATABASES.to_string(), set: None },
    Parameter { name: "dir", get: |core| path(core), set: None },
    Parameter { name: "io-threads", get: |core| core.config.workers.to_string(), set: None },
    Parameter {
        name: "maxclients",
        get: |core| core.settings.max_clients.load(Relaxed).to_string(),
        set: Some(|_, value| {
            let value = integer(value, 1..=1_000_000)?;
            Ok(Box::new(move |core| core.settings.max_clients.store(value, Relaxed)))
        }),
    },
    Parameter {
        name: "maxmemory",
        get: |core| core.memory_limit.max_bytes().unwrap_or(0).to_string(),
        set: Some(|_, value| {
            let bytes = number::parse_bytes(value).ok_or("argument must be a memory value")?;
            Ok(Box::new(move |core| set_limit(core, bytes)))
        }),
    },
    Parameter {
        name: "maxmemory-policy",
        get: |core| policy_name(core.memory_limit.policy()).to_owned(),
        set: Some(|_, value| {
            let policy = Eviction::NAMES.iter().find(|(name, _)| is(value, name));
            let (_, eviction) = *policy.ok_or_else(|| {
                let names: Vec<_> = Eviction::NAMES.iter().map(|(name, _)| *name).collect();
                format!("argument(s) must be one of the following: {}", names.join(", "))
            })?;
            Ok(Box::new(move |core| core.memory_limit.set(core.memory_limit.max_bytes(), eviction)))
        }),
    },
    Parameter {
        name: "notify-keyspace-events",
        get: |core| core.notifications.classes().text(),
        set: Some(|_, value| {
            let classes = EventClasses::parse(&String::from_utf8_lossy(value))
                .ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?;
            Ok(Box::new(move |core| {
                if let Err(error) = core.notifications.choose(classes) {
                    tracing::error!(%error, "no keyspace notifications");
                }
            }))
        }),
    },
    Parameter { name: "proto-max-bulk-len", get: |core| core.config.max_value_bytes.to_string(), set: None },
    Parameter {
        name: "requirepass",
        // Whoever may ask knows the password; logs and screens need not.
        get: |core| if core.settings.needs_password() { "********".to_owned() } else { String::new() },
        set: Some(|core, value| {
            if value.is_empty() && core.settings.requires_password() {
                return Err("a server that others can reach needs a password".to_owned());
            }
            let value = value.to_vec();
            Ok(Box::new(move |core| core.settings.set_password(Some(&value))))
        }),
    },
    Parameter { name: "save", get: save, set: None },
    Parameter {
        name: "tcp-keepalive",
        get: |core| core.settings.tcp_keepalive_s.load(Relaxed).to_string(),
        set: Some(|_, value| {
            let value = integer(value, 0..=i64::from(i32::MAX))?;
            Ok(Box::new(move |core| core.settings.tcp_keepalive_s.store(value, Relaxed)))
        }),
    },
    Parameter {
        name: "timeout",
        get: |core| core.settings.idle_timeout_s.load(Relaxed).to_string(),
        set: Some(|_, value| {
            let value = integer(value, 0..=i64::from(i32::MAX))?;
            Ok(Box::new(move |core| core.settings.idle_timeout_s.store(value, Relaxed)))
        }),
    },
];

/// Redis's name of an eviction policy.
pub(super) fn policy_name(eviction: Eviction) -> &'static str {
    Eviction::NAMES.iter().find(|(_, policy)| *policy == eviction).map_or("", |(name, _)| name)
}

fn set_limit(core: &Core, bytes: u64) {
    core.memory_limit.set(Some(bytes).filter(|bytes| *bytes > 0), core.memory_limit.policy());
}

fn yes_or_no(yes: bool) -> String {
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

fn integer(value: &[u8], range: std::ops::RangeInclusive<i64>) -> Result<u64, String> {
    let value = number::parse_integer(value).ok_or("argument couldn't be parsed into an integer")?;
    if !range.contains(&value) {
        let (from, to) = range.into_inner();
        return Err(format!("argument must be between {from} and {to} inclusive"));
    }
    Ok(value.unsigned_abs())
}

pub(super) async fn get(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let core = session.core();
    let mut all: BTreeMap<String, String> =
        core.settings.facts().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    all.extend(PARAMETERS.iter().map(|parameter| (parameter.name.to_owned(), (parameter.get)(core))));
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

pub(super) async fn set(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let (pairs, rest) = args[2..].as_chunks::<2>();
    if !rest.is_empty() {
        return Err(syntax_error());
    }
    let core = session.core();
    let mut changes = Vec::new();
    for (number, [name, value]) in pairs.iter().enumerate() {
        let failed = |reason: &str| {
            let name = shown(name);
            Error::invalid(format!("CONFIG SET failed (possibly related to argument '{name}') - {reason}"))
        };
        if pairs[..number].iter().any(|[other, _]| other.eq_ignore_ascii_case(name)) {
            return Err(failed("duplicate parameter"));
        }
        let parameter = PARAMETERS.iter().find(|parameter| is(name, parameter.name));
        let fact = core.settings.facts().iter().any(|(fact, _)| is(name, fact));
        let parse = match parameter {
            Some(Parameter { set: Some(parse), .. }) => parse,
            Some(_) => return Err(failed("can't set immutable config")),
            None if fact => return Err(failed("can't set immutable config")),
            None => {
                let message =
                    format!("Unknown option or number of arguments for CONFIG SET - '{}'", shown(name));
                return Err(Error::invalid(message));
            }
        };
        changes.push(parse(core, value).map_err(|reason| failed(&reason))?);
    }
    changes.into_iter().for_each(|apply| apply(core));
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
