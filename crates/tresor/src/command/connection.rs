//! Commands about the connection itself: they touch the session, never the engine.

use super::Args;
use crate::{
    engine::DATABASES,
    error::{Error, Result},
    reply::ReplyWriter,
    session::Session,
};

pub(super) async fn ping(_: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    match args {
        [_] => reply.simple("PONG"),
        [_, word] => reply.bulk(word),
        _ => return Err(Error::invalid("wrong number of arguments for 'ping' command")),
    }
    Ok(())
}

pub(super) async fn select(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let number = std::str::from_utf8(args[1]).ok().and_then(|text| text.parse::<u8>().ok());
    match number {
        Some(number) if number < DATABASES => session.select(number),
        Some(_) => return Err(Error::invalid("DB index is out of range")),
        None => return Err(Error::invalid("value is not an integer or out of range")),
    }
    reply.ok();
    Ok(())
}
