//! Commands about keys, whatever their values are.

use super::Args;
use crate::{
    engine::{Applied, Change, Guard},
    error::Result,
    reply::ReplyWriter,
    session::Session,
};

pub(super) async fn del(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let mut deleted = 0;
    let mut changes = Vec::with_capacity(args.len() - 1);
    for key in &args[1..] {
        changes.push(Change::Delete { key: session.key(key)?, guard: Guard::None });
    }
    if let Applied::Whole(effects) = session.write(&changes).await?.applied {
        deleted = effects.iter().filter(|effect| effect.existed).count();
    }
    reply.integer(deleted as i64);
    Ok(())
}

pub(super) async fn flushall(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let changes: Vec<_> = (0..crate::engine::DATABASES).map(|database| Change::Clear { database }).collect();
    session.write(&changes).await?;
    reply.ok();
    Ok(())
}
