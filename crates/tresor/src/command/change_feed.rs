//! TRESOR.CHANGES: what happens to the entries of the selected database, as pushes beside the replies.
//!
//! The command says where the feed stands; the connection then reads it page by page whenever its socket has taken
//! what was sent before.

use super::{Args, is, syntax_error};
use crate::{
    change_feed::{FeedChange, FeedOptions, FeedPage, FeedPosition},
    engine::ChangeKind,
    error::{Error, Result},
    reply::ReplyWriter,
    session::Session,
};

/// What every push begins with.
const NAME: &[u8] = b"tresor.changes";

pub(super) async fn changes(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    if let [_, word] = args
        && is(word, "STOP")
    {
        session.end_change_feed();
        reply.ok();
        return Ok(());
    }
    let options = parse(&args[1..])?;
    if reply.protocol() != 3 || !session.takes_pushes() {
        return Err(Error::invalid(
            "TRESOR.CHANGES sends pushes, which need a connection of its own and version 3 of the protocol: say HELLO \
             3 first, or read /v1/changes over HTTP",
        ));
    }
    let position = Box::pin(session.begin_change_feed(options)).await?;
    reply.bulk(position.to_string().as_bytes());
    Ok(())
}

fn parse(mut words: &[&[u8]]) -> Result<FeedOptions> {
    let mut options = FeedOptions::new();
    loop {
        words = match words {
            [] => return Ok(options),
            [word, since, rest @ ..] if is(word, "SINCE") => {
                options = options.since(String::from_utf8_lossy(since).parse::<FeedPosition>()?);
                rest
            }
            [word, prefix, rest @ ..] if is(word, "PREFIX") => {
                options = options.prefix(*prefix);
                rest
            }
            [word, rest @ ..] if is(word, "VALUES") => {
                options = options.values();
                rest
            }
            _ => return Err(syntax_error()),
        };
    }
}

/// Writes a page: a push for the gap, and one for each change. With values each has two elements more.
pub(crate) fn write_page(page: &FeedPage, values: bool, reply: &mut ReplyWriter) {
    let more = if values { 2 } else { 0 };
    if let Some(gap) = page.gap {
        reply.push(4 + more);
        reply.bulk(NAME);
        reply.integer(gap.to as i64);
        reply.bulk(b"gap");
        reply.integer(gap.from as i64);
        (0..more).for_each(|_| reply.null());
    }
    for change in &page.changes {
        reply.push(4 + more);
        write_change(change, reply);
        if values {
            write_value(change, reply);
        }
    }
}

fn write_change(change: &FeedChange, reply: &mut ReplyWriter) {
    reply.bulk(NAME);
    reply.integer(change.sequence as i64);
    reply.bulk(change.kind.name().as_bytes());
    match (change.kind, change.with) {
        (ChangeKind::Swap, Some(with)) => reply.integer(i64::from(with)),
        (ChangeKind::Clear | ChangeKind::Swap, _) => reply.null(),
        _ => reply.bulk(&change.key),
    }
}

fn write_value(change: &FeedChange, reply: &mut ReplyWriter) {
    match &change.value {
        Some((value, version)) => {
            reply.bulk(value.as_bytes());
            reply.integer(*version as i64);
        }
        None => {
            reply.null();
            reply.null();
        }
    }
}
