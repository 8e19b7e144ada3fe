//! CLIENT TRACKING and what belongs to it: there is none, and whoever asks is told so.
//!
//! Libraries turn tracking off, or ask whether it is on, without ever having turned it on; those get the
//! answers of a Redis where nobody tracks. Turning it on would promise messages that never come.

use super::{Args, is, number, syntax_error};
use crate::{
    error::{Error, ErrorKind, Result},
    reply::ReplyWriter,
    session::Session,
};

pub(super) async fn caching(_: &mut Session, _: Args<'_>, _: &mut ReplyWriter) -> Result<()> {
    let message = "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled";
    Err(Error::invalid(message))
}

pub(super) async fn getredir(_: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    reply.integer(-1);
    Ok(())
}

pub(super) async fn tracking(_: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    if is(args[2], "OFF") {
        reply.ok();
        return Ok(());
    }
    if !is(args[2], "ON") {
        return Err(syntax_error());
    }
    let message = "keys that clients keep are not tracked: turn client-side caching off, or subscribe to keyspace notifications";
    Err(Error::new(ErrorKind::Unsupported, message))
}

pub(super) async fn trackinginfo(_: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(1);
    reply.bulk(b"off");
    reply.bulk(b"redirect");
    reply.integer(-1);
    reply.bulk(b"prefixes");
    reply.array(0);
    Ok(())
}

/// Nothing blocks a client, so nobody can be unblocked.
pub(super) async fn unblock(_: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    match &args[3..] {
        [] => {}
        [reason] if is(reason, "TIMEOUT") || is(reason, "ERROR") => {}
        [_] => return Err(Error::invalid("CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
        _ => return Err(syntax_error()),
    }
    number::integer(args[2])?;
    reply.integer(0);
    Ok(())
}
