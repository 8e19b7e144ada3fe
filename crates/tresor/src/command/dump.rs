//! DUMP and RESTORE: an entry from one server to another, Redis or ours.
//!
//! The payload holds the value alone. What Redis does not know, that a value is JSON, is lost on the way: what is
//! restored is raw.

use bytes::Bytes;

use super::{Args, dump_payload, is, number, syntax_error};
use crate::{
    engine::{Change, Expires, Guard, Kind},
    error::{Error, ErrorKind, Result},
    publish::Wording,
    reply::ReplyWriter,
    session::Session,
};

pub(super) async fn dump(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let mut value = None;
    session.read(args[1], |entry| value = entry.map(|entry| entry.value.to_bytes())).await?;
    match value {
        Some(value) => reply.bulk_shared(&Bytes::from(dump_payload::encode(&value))),
        None => reply.null(),
    }
    Ok(())
}

/// RESTORE's options. How a key was used elsewhere is checked and not kept.
#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
}

impl Options {
    fn parse(words: &[&[u8]]) -> Result<Self> {
        let (mut options, mut idle, mut frequency) = (Self::default(), false, false);
        let mut rest = words;
        while let [word, after @ ..] = rest {
            rest = after;
            if is(word, "REPLACE") {
                options.replace = true;
            } else if is(word, "ABSTTL") {
                options.absolute = true;
            } else if let (true, false, [seconds, after @ ..]) = (is(word, "IDLETIME"), frequency, rest) {
                if number::integer(seconds)? < 0 {
                    return Err(Error::invalid("Invalid IDLETIME value, must be >= 0"));
                }
                (idle, rest) = (true, after);
            } else if let (true, false, [count, after @ ..]) = (is(word, "FREQ"), idle, rest) {
                if !(0..=255).contains(&number::integer(count)?) {
                    return Err(Error::invalid("Invalid FREQ value, must be >= 0 and <= 255"));
                }
                (frequency, rest) = (true, after);
            } else {
                return Err(syntax_error());
            }
        }
        Ok(options)
    }

    /// The expiry; `None` for a moment that has passed.
    fn expires(&self, word: &[u8], now_ms: u64) -> Result<Option<Expires>> {
        let ttl_ms = u64::try_from(number::integer(word)?)
            .map_err(|_| Error::invalid("Invalid TTL value, must be >= 0"))?;
        let at_ms = if self.absolute { ttl_ms } else { now_ms.saturating_add(ttl_ms).min(i64::MAX as u64) };
        Ok(match ttl_ms {
            0 => Some(Expires::Never),
            _ => Some(Expires::At(at_ms)).filter(|_| at_ms > now_ms),
        })
    }
}

fn busy() -> Error {
    Error::new(ErrorKind::Exists, "BUSYKEY Target key name already exists.")
}

pub(super) async fn restore(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let options = Options::parse(&args[4..])?;
    let key = session.key(args[1])?;
    if !options.replace {
        // Looked at first, because this is what Redis complains of first.
        let mut found = false;
        session.told_as(Wording::Unread);
        session.read(args[1], |entry| found = entry.is_some()).await?;
        if found {
            return Err(busy());
        }
    }
    let expires = options.expires(args[2], session.now_ms())?;
    let limit = session.value_limit();
    let value = dump_payload::decode(args[3], |bytes| limit.check(bytes))?;
    let guard = if options.replace { Guard::None } else { Guard::Absent };
    let change = match expires {
        Some(expires) => Change::Put { key, guard, value: &value, kind: Kind::Raw, expires },
        None => Change::Delete { key, guard },
    };
    session.told_as(Wording::Restore);
    if !session.write_blind(&[change]).await? {
        return Err(busy());
    }
    reply.ok();
    Ok(())
}
