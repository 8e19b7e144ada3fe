//! OBJECT: how Redis's clients see the inside of a value.
//!
//! What is told is what Redis would make of the same value today, from its bytes alone; of how often and when
//! keys are used, nothing is kept that these commands could tell, and they say so.

use super::{Args, number};
use crate::{
    engine::memory::Eviction,
    error::{Error, ErrorKind, Result},
    publish::Wording,
    reply::ReplyWriter,
    session::Session,
};

/// The longest text that Redis looks at as a number.
const LONGEST_INTEGER_BYTES: usize = 20;

/// The longest value that Redis keeps in one piece with its head.
const LONGEST_EMBEDDED_BYTES: usize = 44;

pub(super) fn encoding_of(value: &[u8]) -> &'static str {
    if value.len() <= LONGEST_INTEGER_BYTES && number::parse_integer(value).is_some() {
        "int"
    } else if value.len() <= LONGEST_EMBEDDED_BYTES {
        "embstr"
    } else {
        "raw"
    }
}

pub(super) async fn encoding(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let mut encoding = None;
    session.told_as(Wording::Unread);
    session.read(args[2], |entry| encoding = entry.map(|entry| encoding_of(entry.value.bytes()))).await?;
    match encoding {
        Some(encoding) => reply.bulk(encoding.as_bytes()),
        None => reply.null(),
    }
    Ok(())
}

async fn is_there(session: &mut Session, key: &[u8]) -> Result<bool> {
    let mut found = false;
    session.told_as(Wording::Unread);
    session.read(key, |entry| found = entry.is_some()).await?;
    Ok(found)
}

pub(super) async fn refcount(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    if is_there(session, args[2]).await? {
        reply.integer(1);
    } else {
        reply.null();
    }
    Ok(())
}

/// Whether use is counted, rather than its time noted.
fn counts_use(session: &Session) -> bool {
    matches!(session.core().memory_limit.policy(), Eviction::AllKeysLfu | Eviction::VolatileLfu)
}

const WHEN_SWITCHING: &str = "Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.";

pub(super) async fn idletime(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    if !is_there(session, args[2]).await? {
        reply.null();
        return Ok(());
    }
    if counts_use(session) {
        let reason = "An LFU maxmemory policy is selected, idle time not tracked.";
        return Err(Error::invalid(format!("{reason} {WHEN_SWITCHING}")));
    }
    let message = "the time of a key's last use is not kept: leave OBJECT IDLETIME out";
    Err(Error::new(ErrorKind::Unsupported, message))
}

pub(super) async fn freq(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    if !is_there(session, args[2]).await? {
        reply.null();
        return Ok(());
    }
    if !counts_use(session) {
        let reason = "An LFU maxmemory policy is not selected, access frequency not tracked.";
        return Err(Error::invalid(format!("{reason} {WHEN_SWITCHING}")));
    }
    let message = "how often a key is used is known to eviction alone: leave OBJECT FREQ out";
    Err(Error::new(ErrorKind::Unsupported, message))
}

#[cfg(test)]
mod tests {
    use super::encoding_of;

    #[test]
    fn encodings_change_where_those_of_redis_do() {
        for (value, encoding) in [
            ("9223372036854775807", "int"),
            ("-9223372036854775808", "int"),
            ("9223372036854775808", "embstr"),
            ("01", "embstr"),
            ("", "embstr"),
            (&*"a".repeat(44), "embstr"),
            (&*"a".repeat(45), "raw"),
        ] {
            assert_eq!(encoding_of(value.as_bytes()), encoding, "{value}");
        }
    }
}
