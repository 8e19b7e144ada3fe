//! Transactions of a connection: MULTI and EXEC as Redis has them, and TRESOR.BEGIN with locks.
//!
//! What may be long here is boxed: each command's future is part of every session's.

use smallvec::SmallVec;

use super::Args;
use crate::{
    error::{Error, ErrorKind, Result},
    reply::ReplyWriter,
    session::Session,
};

pub(super) async fn multi(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    session.begin_queue()?;
    reply.ok();
    Ok(())
}

pub(super) async fn exec(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    Box::pin(session.execute_queue(reply)).await
}

pub(super) async fn discard(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    session.discard_queue()?;
    reply.ok();
    Ok(())
}

pub(super) async fn watch(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let keys = args[1..].iter().map(|key| session.key(key)).collect::<Result<SmallVec<[_; 8]>>>()?;
    Box::pin(session.watch(&keys)).await?;
    reply.ok();
    Ok(())
}

pub(super) async fn unwatch(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    session.unwatch();
    reply.ok();
    Ok(())
}

pub(super) async fn begin(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    if session.bound().is_some() {
        return Err(Error::invalid(
            "a transaction is open on this connection: TRESOR.COMMIT or TRESOR.ABORT first",
        ));
    }
    let id = Box::pin(session.begin()).await?;
    session.bind(Some(id));
    reply.integer(id as i64);
    Ok(())
}

fn bound(session: &Session) -> Result<u64> {
    session.bound().ok_or_else(|| Error::new(ErrorKind::UnknownTransaction, "no such transaction"))
}

pub(super) async fn commit(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let id = bound(session)?;
    let result = Box::pin(session.commit(id)).await;
    // What could not be written is open as before; what is gone is not to be ended twice.
    if result.as_ref().err().is_none_or(|error| error.kind() == ErrorKind::UnknownTransaction) {
        session.bind(None);
    }
    result?;
    reply.ok();
    Ok(())
}

pub(super) async fn rollback(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let id = bound(session)?;
    let undone = Box::pin(session.undo(id)).await?;
    reply.array(2 * undone.len());
    for before in &undone {
        reply.bulk(&before.key);
        match before.value() {
            Some((value, _)) => reply.value(value),
            None => reply.null(),
        }
    }
    Ok(())
}

pub(super) async fn abort(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let id = bound(session)?;
    // One that was ended from outside is gone too: either way nothing of it is left.
    let _ = session.abort(id);
    session.bind(None);
    reply.ok();
    Ok(())
}
