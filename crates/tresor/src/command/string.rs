//! Commands that read and write whole values.

use super::Args;
use crate::{
    engine::{Change, Expires, Guard, Kind},
    error::{Error, Result},
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
        return Err(Error::invalid("syntax error"));
    }
    let change = Change::Put {
        key: session.key(args[1])?,
        guard: Guard::None,
        value: session.value(args[2])?,
        kind: Kind::Raw,
        expires: Expires::Never,
    };
    session.write(&[change]).await?;
    reply.ok();
    Ok(())
}
