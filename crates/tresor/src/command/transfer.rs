//! Entries with all that they are: what `tresor dump` and `tresor load` speak.
//!
//! Redis's commands know no kinds, and tell value and expiry in two answers between which either may
//! change. These two move an entry as one: value, kind and expiry.

use super::{Args, is, number, syntax_error};
use crate::{
    engine::{Change, Content, Expires, Guard, Kind, Order, Position, Scan},
    error::{Error, ErrorKind, Result},
    reply::ReplyWriter,
    session::Session,
};

/// Entries of a page when nothing else is asked for.
const DEFAULT_COUNT: usize = 10;

/// The most entries of a page; a page's bytes are bounded by the engine.
const MAX_COUNT: usize = 1024;

/// A page of entries: key, value, kind, and expiry in Unix milliseconds or null.
pub(super) async fn scan(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let cursor = number::parse_unsigned(args[1]).ok_or_else(|| Error::invalid("invalid cursor"))?;
    let count = match &args[2..] {
        [] => DEFAULT_COUNT,
        [option, count] if is(option, "COUNT") => usize::try_from(number::integer(count)?)
            .ok()
            .filter(|count| *count > 0)
            .ok_or_else(syntax_error)?
            .min(MAX_COUNT),
        _ => return Err(syntax_error()),
    };
    let mut scan = Scan::all(session.selected(), Order::Any, Content::Entries, count);
    if cursor != 0 {
        scan.position = Position::Cursor(cursor);
    }
    let page = session.scan(&scan).await?;
    let next = match page.next {
        None => 0,
        Some(Position::Cursor(next)) => next,
        Some(_) => return Err(Error::new(ErrorKind::Unsupported, "this engine has no cursors")),
    };
    reply.array(2);
    reply.bulk(next.to_string().as_bytes());
    reply.array(page.iter().filter(|(key, _)| key.member.is_empty()).count());
    for (key, entry) in page.iter().filter(|(key, _)| key.member.is_empty()) {
        reply.array(4);
        reply.bulk(key.key);
        reply.value(entry.value);
        reply.bulk(match entry.kind {
            Kind::Json => b"json",
            _ => b"raw",
        });
        match entry.expires_at_ms {
            Some(at_ms) => reply.integer(i64::try_from(at_ms).unwrap_or(i64::MAX)),
            None => reply.null(),
        }
    }
    Ok(())
}

/// Creates or replaces an entry, kind and expiry included.
pub(super) async fn put(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let change = change_of_put(session, args)?;
    session.write_blind(&[change]).await?;
    reply.ok();
    Ok(())
}

/// What a put changes.
pub(crate) fn change_of_put<'a>(session: &Session, args: &[&'a [u8]]) -> Result<Change<'a>> {
    let value = session.value(args[2])?;
    let (kind, expires) = match &args[3..] {
        [kind] => (kind, Expires::Never),
        [kind, option, moment] if is(option, "PXAT") => {
            let at_ms = u64::try_from(number::integer(moment)?).map_err(|_| syntax_error())?;
            (kind, Expires::At(at_ms))
        }
        _ => return Err(syntax_error()),
    };
    let kind = if is(kind, "JSON") {
        check_json(value)?;
        Kind::Json
    } else if is(kind, "RAW") {
        Kind::Raw
    } else {
        return Err(syntax_error());
    };
    let key = session.key(args[1])?;
    Ok(match expires {
        // Its time is over before it begins.
        Expires::At(at_ms) if at_ms <= session.now_ms() => Change::Delete { key, guard: Guard::None },
        _ => Change::Put { key, guard: Guard::None, value, kind, expires },
    })
}

/// What is stored as JSON goes out as JSON, so it has to be JSON throughout.
fn check_json(text: &[u8]) -> Result<()> {
    let text = std::str::from_utf8(text)
        .map_err(|error| Error::invalid("the value is not JSON: it is not UTF-8").caused_by(error))?;
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map(|_| ())
        .map_err(|error| Error::invalid("the value is not JSON").caused_by(error))
}
