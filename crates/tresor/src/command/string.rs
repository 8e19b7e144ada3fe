//! Commands that read and write whole values.
//!
//! A plain SET is one put in one batch and nothing else. Conditions that an engine can guard become
//! guards; what has to look at the old value becomes an update, whose edit may run more than once and
//! therefore sets everything that it captures anew.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{
    Args,
    expiry::Count,
    set_options::{Condition, Extension, Lifetime, SetOptions, lifetime},
    wrong_arity,
};
use crate::{
    engine::{Change, Edited, Expires, Guard, KeyRef, Kind},
    error::Result,
    publish::Wording,
    reply::ReplyWriter,
    session::Session,
};

pub(super) async fn get(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    session
        .read(args[1], |entry| match entry {
            Some(entry) => reply.value(entry.value),
            None => reply.null(),
        })
        .await
}

pub(super) async fn set(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    if args.len() > 3 {
        return set_with_options(session, args, reply).await;
    }
    let change = put(session, args[1], args[2], Guard::None)?;
    session.write_blind(&[change]).await?;
    reply.ok();
    Ok(())
}

#[inline]
fn put<'a>(session: &Session, key: &'a [u8], value: &'a [u8], guard: Guard) -> Result<Change<'a>> {
    Ok(Change::Put {
        key: session.key(key)?,
        guard,
        value: session.value(value)?,
        kind: Kind::Raw,
        expires: Expires::Never,
    })
}

/// The expiry of a new value; `None` when its time is over before it begins.
fn expires(lifetime: Lifetime) -> Option<Expires> {
    match lifetime {
        Lifetime::Unsaid | Lifetime::Endless => Some(Expires::Never),
        Lifetime::Keep => Some(Expires::Keep),
        Lifetime::Until(moment_ms) => Some(Expires::At(moment_ms)),
        Lifetime::Over => None,
    }
}

async fn set_with_options(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let options = SetOptions::parse(&args[3..], session.now_ms())?;
    let (key, value) = (session.key(args[1])?, session.value(args[2])?);
    match options.condition.guard() {
        Some(guard) if !options.get => {
            let written = write_new(session, (key, value), guard, options.lifetime).await?;
            if written {
                reply.ok()
            } else {
                reply.null()
            }
            Ok(())
        }
        _ => set_after_looking(session, (key, value), options, reply).await,
    }
}

/// Whether the guard held.
async fn write_new(
    session: &mut Session,
    (key, value): (KeyRef<'_>, &[u8]),
    guard: Guard,
    lifetime: Lifetime,
) -> Result<bool> {
    let change = match expires(lifetime) {
        Some(expires) => Change::Put { key, guard, value, kind: Kind::Raw, expires },
        None => {
            session.told_as(Wording::SetAndGone);
            Change::Delete { key, guard }
        }
    };
    session.write_blind(&[change]).await
}

async fn set_after_looking(
    session: &mut Session,
    (key, value): (KeyRef<'_>, &[u8]),
    options: SetOptions<'_>,
    reply: &mut ReplyWriter,
) -> Result<()> {
    let (mut old, mut written) = (None, false);
    session.told_as(match (options.lifetime, options.get) {
        (Lifetime::Over, _) => Wording::SetAndGone,
        (_, true) => Wording::ReadFirst,
        (_, false) => Wording::Plain,
    });
    session
        .update(key, &mut |entry| {
            old = entry.filter(|_| options.get).map(|entry| entry.value.to_bytes());
            written = options.condition.holds(entry);
            Ok(match expires(options.lifetime) {
                _ if !written => Edited::Keep,
                Some(expires) => Edited::Put { value: Cow::Borrowed(value), kind: Kind::Raw, expires },
                None => Edited::Delete,
            })
        })
        .await?;
    match old {
        Some(old) => reply.bulk_shared(&old),
        None if options.get || !written => reply.null(),
        None => reply.ok(),
    }
    Ok(())
}

pub(super) async fn setnx(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let change = put(session, args[1], args[2], Guard::Absent)?;
    let written = session.write_blind(&[change]).await?;
    reply.integer(i64::from(written));
    Ok(())
}

pub(super) async fn setex(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    set_for(session, args, reply, ("setex", Count::Seconds)).await
}

pub(super) async fn psetex(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    set_for(session, args, reply, ("psetex", Count::Milliseconds)).await
}

async fn set_for(
    session: &mut Session,
    args: Args<'_>,
    reply: &mut ReplyWriter,
    (command, count): (&str, Count),
) -> Result<()> {
    let lifetime = lifetime(command, count, args[2], session.now_ms())?;
    let (key, value) = (session.key(args[1])?, session.value(args[3])?);
    write_new(session, (key, value), Guard::None, lifetime).await?;
    reply.ok();
    Ok(())
}

pub(super) async fn getset(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let (key, value) = (session.key(args[1])?, session.value(args[2])?);
    let options = SetOptions { get: true, ..SetOptions::default() };
    set_after_looking(session, (key, value), options, reply).await
}

pub(super) async fn getdel(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    get_and(session, args[1], reply, Ok(Edited::Delete)).await
}

pub(super) async fn getex(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let change = match Extension::parse(&args[2..])?.lifetime(session.now_ms()) {
        Ok(Lifetime::Unsaid | Lifetime::Keep) => return get(session, args, reply).await,
        Ok(Lifetime::Endless) => Ok(Edited::Expire(None)),
        Ok(Lifetime::Until(moment_ms)) => Ok(Edited::Expire(Some(moment_ms))),
        Ok(Lifetime::Over) => Ok(Edited::Delete),
        Err(error) => Err(error),
    };
    get_and(session, args[1], reply, change).await
}

/// Answers the value and changes the entry, if it is there; a bad request matters only then, as in Redis.
async fn get_and(
    session: &mut Session,
    key: &[u8],
    reply: &mut ReplyWriter,
    change: Result<Edited<'static>>,
) -> Result<()> {
    let key = session.key(key)?;
    let mut old = None;
    session.told_as(Wording::ReadFirst);
    session
        .update(key, &mut |entry| {
            old = entry.map(|entry| entry.value.to_bytes());
            match &change {
                _ if old.is_none() => Ok(Edited::Keep),
                Ok(change) => Ok(change.clone()),
                Err(error) => Err(error.again()),
            }
        })
        .await?;
    match old {
        Some(old) => reply.bulk_shared(&old),
        None => reply.null(),
    }
    Ok(())
}

pub(super) async fn delifeq(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let (key, condition) = (session.key(args[1])?, Condition::Equals(args[2]));
    let mut deleted = false;
    session
        .update(key, &mut |entry| {
            deleted = condition.holds(entry);
            Ok(if deleted { Edited::Delete } else { Edited::Keep })
        })
        .await?;
    reply.integer(i64::from(deleted));
    Ok(())
}

pub(super) async fn mget(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let keys = args[1..].iter().map(|key| session.key(key)).collect::<Result<SmallVec<[_; 8]>>>()?;
    reply.array(keys.len());
    session
        .read_together(&keys, |_, entry| match entry {
            Some(entry) => reply.value(entry.value),
            None => reply.null(),
        })
        .await
}

/// Puts of all pairs; of a key that is named twice the last value stays.
fn puts<'a>(session: &Session, args: Args<'a>, guard: Guard) -> Result<SmallVec<[Change<'a>; 8]>> {
    let (pairs, rest) = args[1..].as_chunks::<2>();
    if !rest.is_empty() {
        return Err(wrong_arity(if guard == Guard::Absent { "msetnx" } else { "mset" }));
    }
    pairs.iter().map(|[key, value]| put(session, key, value, guard)).collect()
}

pub(super) async fn mset(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let changes = puts(session, args, Guard::None)?;
    session.write_blind(&changes).await?;
    reply.ok();
    Ok(())
}

pub(super) async fn msetnx(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let changes = puts(session, args, Guard::Absent)?;
    let written = session.write_blind(&changes).await?;
    reply.integer(i64::from(written));
    Ok(())
}
