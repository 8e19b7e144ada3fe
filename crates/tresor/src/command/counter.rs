//! Commands that count in a value.
//!
//! Each is one update of one key: the edit reads the number, adds and writes it back. A JSON number
//! stays JSON under the integer commands; a sum with a fraction is raw text, as Redis spells it.

use std::borrow::Cow;

use super::{
    Args,
    number::{self, Decimal},
};
use crate::{
    engine::{Edited, Expires, Kind, Outcome, Version},
    error::{Error, Result},
    publish::Wording,
    reply::ReplyWriter,
    session::Session,
};

/// Adds to an integer, as INCRBY does; answers the sum and the entry's version.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for what is no integer and for a sum beyond 64 bits.
pub async fn add_integer(session: &mut Session, key: &[u8], amount: i64) -> Result<(i64, Version)> {
    let key = session.key(key)?;
    let mut sum = 0_i64;
    session.told_as(Wording::IncrBy);
    let outcome = session
        .update(key, &mut |entry| {
            let (old, kind, expires) = match entry {
                Some(entry) => (number::integer(entry.value.bytes())?, entry.kind, Expires::Keep),
                None => (0, Kind::Raw, Expires::Never),
            };
            let overflow = || Error::invalid("increment or decrement would overflow");
            sum = old.checked_add(amount).ok_or_else(overflow)?;
            let value = Cow::Owned(itoa::Buffer::new().format(sum).as_bytes().to_vec());
            Ok(Edited::Put { value, kind, expires })
        })
        .await?;
    Ok((sum, version(&outcome)))
}

/// Adds to a number with a fraction, as INCRBYFLOAT does; answers the sum's digits and the entry's version.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for what is no number and for a sum that is not finite.
pub async fn add_decimal(session: &mut Session, key: &[u8], amount: &[u8]) -> Result<(String, Version)> {
    let decimal =
        |text: &[u8]| Decimal::parse(text).ok_or_else(|| Error::invalid("value is not a valid float"));
    let key = session.key(key)?;
    let mut text = String::new();
    session.told_as(Wording::IncrByFloat);
    let outcome = session
        .update(key, &mut |entry| {
            let old = entry.map_or(Ok(Decimal::ZERO), |entry| decimal(entry.value.bytes()))?;
            text = old.add(decimal(amount)?)?.text();
            let value = Cow::Owned(text.clone().into_bytes());
            Ok(Edited::Put { value, kind: Kind::Raw, expires: Expires::Keep })
        })
        .await?;
    Ok((text, version(&outcome)))
}

fn version(outcome: &Outcome) -> Version {
    outcome.effect().map_or(0, |effect| effect.version)
}

async fn add(session: &mut Session, key: &[u8], amount: i64, reply: &mut ReplyWriter) -> Result<()> {
    let (sum, _) = add_integer(session, key, amount).await?;
    reply.integer(sum);
    Ok(())
}

pub(super) async fn incr(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    add(session, args[1], 1, reply).await
}

pub(super) async fn decr(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    add(session, args[1], -1, reply).await
}

pub(super) async fn incrby(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    add(session, args[1], number::integer(args[2])?, reply).await
}

pub(super) async fn decrby(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let amount = number::integer(args[2])?;
    let amount = amount.checked_neg().ok_or_else(|| Error::invalid("decrement would overflow"))?;
    add(session, args[1], amount, reply).await
}

pub(super) async fn incrbyfloat(
    session: &mut Session,
    args: Args<'_>,
    reply: &mut ReplyWriter,
) -> Result<()> {
    let (text, _) = add_decimal(session, args[1], args[2]).await?;
    reply.bulk(text.as_bytes());
    Ok(())
}
