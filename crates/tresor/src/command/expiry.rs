//! Commands about when keys expire.
//!
//! A moment that has passed deletes the key at once: expired and absent are the same everywhere, and
//! an entry nobody can see needs no memory.

use super::{Args, number, shown};
use crate::{
    engine::{Change, Edited, Guard},
    error::{Error, Result},
    reply::ReplyWriter,
    session::Session,
};

/// How a command counts time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Seconds,
    Milliseconds,
    /// Seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMilliseconds,
}

impl Count {
    /// The moment in Unix milliseconds; `None` where it does not fit.
    pub(super) fn moment_ms(self, number: i64, now_ms: u64) -> Option<i64> {
        let milliseconds = match self {
            Self::Seconds | Self::UnixSeconds => number.checked_mul(1000)?,
            Self::Milliseconds | Self::UnixMilliseconds => number,
        };
        match self {
            Self::Seconds | Self::Milliseconds => milliseconds.checked_add(i64::try_from(now_ms).ok()?),
            Self::UnixSeconds | Self::UnixMilliseconds => Some(milliseconds),
        }
    }
}

/// Redis's error for a moment that does not fit.
pub(super) fn invalid_expire(command: &str) -> Error {
    Error::invalid(format!("invalid expire time in '{command}' command"))
}

/// What must be true of the expiry that a key has. All that are given must hold.
#[derive(Clone, Copy, Default)]
struct Conditions {
    none: bool,
    some: bool,
    later: bool,
    earlier: bool,
}

impl Conditions {
    fn parse(words: &[&[u8]]) -> Result<Self> {
        let mut conditions = Self::default();
        for word in words {
            let condition = match word.to_ascii_uppercase().as_slice() {
                b"NX" => &mut conditions.none,
                b"XX" => &mut conditions.some,
                b"GT" => &mut conditions.later,
                b"LT" => &mut conditions.earlier,
                _ => return Err(Error::invalid(format!("Unsupported option {}", shown(word)))),
            };
            *condition = true;
        }
        if conditions.none && (conditions.some || conditions.later || conditions.earlier) {
            return Err(Error::invalid("NX and XX, GT or LT options at the same time are not compatible"));
        }
        if conditions.later && conditions.earlier {
            return Err(Error::invalid("GT and LT options at the same time are not compatible"));
        }
        Ok(conditions)
    }

    fn none_given(self) -> bool {
        !(self.none || self.some || self.later || self.earlier)
    }

    /// A key without expiry counts as one that expires at the end of time.
    fn hold(self, current_ms: Option<u64>, wanted_ms: i64) -> bool {
        let current = current_ms.map_or(i128::MAX, i128::from);
        (!self.none || current_ms.is_none())
            && (!self.some || current_ms.is_some())
            && (!self.later || i128::from(wanted_ms) > current)
            && (!self.earlier || i128::from(wanted_ms) < current)
    }
}

async fn set(
    session: &mut Session,
    args: Args<'_>,
    reply: &mut ReplyWriter,
    how: (&str, Count),
) -> Result<()> {
    let (command, count) = how;
    let key = session.key(args[1])?;
    let conditions = Conditions::parse(&args[3..])?;
    let number = number::integer(args[2])?;
    let moment_ms = count.moment_ms(number, session.now_ms()).ok_or_else(|| invalid_expire(command))?;
    let ahead = u64::try_from(moment_ms).ok().filter(|moment_ms| *moment_ms > session.now_ms());
    let done = if conditions.none_given() {
        let guard = Guard::None;
        let change = match ahead {
            Some(_) => Change::Expire { key, guard, expires_at_ms: ahead },
            None => Change::Delete { key, guard },
        };
        session.write(&[change]).await?.effect().is_some_and(|effect| effect.existed)
    } else {
        let mut done = false;
        session
            .update(key, &mut |entry| {
                done = entry.is_some_and(|entry| conditions.hold(entry.expires_at_ms, moment_ms));
                Ok(match (done, ahead) {
                    (false, _) => Edited::Keep,
                    (true, Some(_)) => Edited::Expire(ahead),
                    (true, None) => Edited::Delete,
                })
            })
            .await?;
        done
    };
    reply.integer(i64::from(done));
    Ok(())
}

pub(super) async fn expire(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    set(session, args, reply, ("expire", Count::Seconds)).await
}

pub(super) async fn pexpire(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    set(session, args, reply, ("pexpire", Count::Milliseconds)).await
}

pub(super) async fn expireat(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    set(session, args, reply, ("expireat", Count::UnixSeconds)).await
}

pub(super) async fn pexpireat(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    set(session, args, reply, ("pexpireat", Count::UnixMilliseconds)).await
}

pub(super) async fn persist(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let key = session.key(args[1])?;
    let mut done = false;
    session
        .update(key, &mut |entry| {
            done = entry.is_some_and(|entry| entry.expires_at_ms.is_some());
            Ok(if done { Edited::Expire(None) } else { Edited::Keep })
        })
        .await?;
    reply.integer(i64::from(done));
    Ok(())
}

/// Answers -2 for no such key, -1 for no expiry, else what `show` makes of the moment.
async fn tell(
    session: &mut Session,
    args: Args<'_>,
    reply: &mut ReplyWriter,
    show: fn(u64, u64) -> u64,
) -> Result<()> {
    let mut answer = -2;
    let now_ms = session.now_ms();
    session
        .read(args[1], |entry| {
            answer = match entry {
                None => -2,
                Some(entry) => entry.expires_at_ms.map_or(-1, |at_ms| show(at_ms, now_ms) as i64),
            };
        })
        .await?;
    reply.integer(answer);
    Ok(())
}

/// Whole seconds, the nearest.
fn seconds(milliseconds: u64) -> u64 {
    milliseconds.saturating_add(500) / 1000
}

pub(super) async fn ttl(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    tell(session, args, reply, |at_ms, now_ms| seconds(at_ms.saturating_sub(now_ms))).await
}

pub(super) async fn pttl(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    tell(session, args, reply, |at_ms, now_ms| at_ms.saturating_sub(now_ms)).await
}

pub(super) async fn expiretime(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    tell(session, args, reply, |at_ms, _| seconds(at_ms)).await
}

pub(super) async fn pexpiretime(
    session: &mut Session,
    args: Args<'_>,
    reply: &mut ReplyWriter,
) -> Result<()> {
    tell(session, args, reply, |at_ms, _| at_ms).await
}
