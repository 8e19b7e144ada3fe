//! Commands that publish messages and subscribe to them.
//!
//! A subscription is confirmed name by name, in the shape of a message. What was published before a name is
//! given up stands before its confirmation, what is published after it was taken stands behind.

use bytes::Bytes;

use super::{Args, wrong_arity};
use crate::{error::Result, publish::Names, reply::ReplyWriter, search::Glob, session::Session};

async fn listen(
    session: &mut Session,
    args: Args<'_>,
    reply: &mut ReplyWriter,
    (names, word): (Names, &str),
) -> Result<()> {
    for name in &args[1..] {
        let count = session.listen(names, name, reply.protocol()).await;
        confirm(reply, word, Some(name), count);
    }
    Ok(())
}

fn ignore(
    session: &mut Session,
    args: Args<'_>,
    reply: &mut ReplyWriter,
    (names, word): (Names, &str),
) -> Result<()> {
    let given: Vec<Bytes> = match &args[1..] {
        [] => session.names(names),
        given => given.iter().map(|name| Bytes::copy_from_slice(name)).collect(),
    };
    for name in &given {
        let count = session.ignore(names, name);
        session.append_mail(reply);
        confirm(reply, word, Some(name), count);
    }
    if given.is_empty() {
        let count = session.ignore(names, b"");
        confirm(reply, word, None, count);
    }
    Ok(())
}

fn confirm(reply: &mut ReplyWriter, word: &str, name: Option<&[u8]>, count: usize) {
    reply.push(3);
    reply.bulk(word.as_bytes());
    match name {
        Some(name) => reply.bulk(name),
        None => reply.null(),
    }
    reply.integer(count as i64);
}

pub(super) async fn subscribe(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    listen(session, args, reply, (Names::Channel, "subscribe")).await
}

pub(super) async fn psubscribe(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    listen(session, args, reply, (Names::Pattern, "psubscribe")).await
}

pub(super) async fn ssubscribe(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    listen(session, args, reply, (Names::ShardChannel, "ssubscribe")).await
}

pub(super) async fn unsubscribe(
    session: &mut Session,
    args: Args<'_>,
    reply: &mut ReplyWriter,
) -> Result<()> {
    ignore(session, args, reply, (Names::Channel, "unsubscribe"))
}

pub(super) async fn punsubscribe(
    session: &mut Session,
    args: Args<'_>,
    reply: &mut ReplyWriter,
) -> Result<()> {
    ignore(session, args, reply, (Names::Pattern, "punsubscribe"))
}

pub(super) async fn sunsubscribe(
    session: &mut Session,
    args: Args<'_>,
    reply: &mut ReplyWriter,
) -> Result<()> {
    ignore(session, args, reply, (Names::ShardChannel, "sunsubscribe"))
}

pub(super) async fn publish(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let receivers = session.publish(false, args[1], args[2]);
    reply.integer(receivers as i64);
    Ok(())
}

pub(super) async fn spublish(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let receivers = session.publish(true, args[1], args[2]);
    reply.integer(receivers as i64);
    Ok(())
}

fn list(session: &Session, args: Args<'_>, reply: &mut ReplyWriter, names: Names) -> Result<()> {
    let glob = match &args[2..] {
        [] => None,
        [pattern] => Some(Glob::new(pattern)),
        _ if names == Names::Channel => return Err(wrong_arity("pubsub|channels")),
        _ => return Err(wrong_arity("pubsub|shardchannels")),
    };
    let mut found = session.core().hub.names(names, glob.as_ref());
    found.sort_unstable();
    reply.array(found.len());
    found.iter().for_each(|name| reply.bulk(name));
    Ok(())
}

fn count(session: &Session, args: Args<'_>, reply: &mut ReplyWriter, names: Names) {
    reply.array(2 * (args.len() - 2));
    for name in &args[2..] {
        reply.bulk(name);
        reply.integer(session.core().hub.subscribers(names, name) as i64);
    }
}

pub(super) async fn channels(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    list(session, args, reply, Names::Channel)
}

pub(super) async fn shardchannels(
    session: &mut Session,
    args: Args<'_>,
    reply: &mut ReplyWriter,
) -> Result<()> {
    list(session, args, reply, Names::ShardChannel)
}

pub(super) async fn numsub(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    count(session, args, reply, Names::Channel);
    Ok(())
}

pub(super) async fn shardnumsub(
    session: &mut Session,
    args: Args<'_>,
    reply: &mut ReplyWriter,
) -> Result<()> {
    count(session, args, reply, Names::ShardChannel);
    Ok(())
}

pub(super) async fn numpat(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let (_, patterns, _) = session.core().hub.counts();
    reply.integer(patterns as i64);
    Ok(())
}
