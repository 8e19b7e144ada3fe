//! Commands about keys, whatever their values are.

use bytes::Bytes;
use smallvec::SmallVec;

use super::Args;
use crate::{
    engine::{Applied, Change, Expires, Guard, KeyRef, Kind, Version},
    error::{Error, Result},
    publish::Wording,
    reply::ReplyWriter,
    session::Session,
};

pub(super) async fn del(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let mut deleted = 0;
    let mut changes = SmallVec::<[Change<'_>; 1]>::with_capacity(args.len() - 1);
    for key in &args[1..] {
        changes.push(Change::Delete { key: session.key(key)?, guard: Guard::None });
    }
    if let Applied::Whole(effects) = session.write(&changes).await?.applied {
        deleted = effects.iter().filter(|effect| effect.existed).count();
    }
    reply.integer(deleted as i64);
    Ok(())
}

pub(super) async fn exists(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let keys = args[1..].iter().map(|key| session.key(key)).collect::<Result<SmallVec<[_; 8]>>>()?;
    let mut found = 0;
    session.read_together(&keys, |_, entry| found += i64::from(entry.is_some())).await?;
    reply.integer(found);
    Ok(())
}

pub(super) async fn kind(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let mut found = false;
    session.read(args[1], |entry| found = entry.is_some()).await?;
    // Raw and JSON values are both strings to Redis's clients.
    reply.simple(if found { "string" } else { "none" });
    Ok(())
}

pub(super) async fn rename(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    move_entry(session, args, Guard::None).await?;
    reply.ok();
    Ok(())
}

pub(super) async fn renamenx(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let moved = move_entry(session, args, Guard::Absent).await?;
    reply.integer(i64::from(moved));
    Ok(())
}

/// An entry that outlives the engine's lock.
struct Taken {
    value: Bytes,
    kind: Kind,
    expires_at_ms: Option<u64>,
    version: Version,
}

/// Moves an entry to another key unless the other's guard fails. The source is guarded by the version
/// that was read, so that nothing written meanwhile is lost: whoever comes in between makes it start over.
async fn move_entry(session: &mut Session, args: Args<'_>, guard: Guard) -> Result<bool> {
    let (from, to) = (session.key(args[1])?, session.key(args[2])?);
    loop {
        session.told_as(Wording::Rename);
        let taken = take(session, args[1]).await?.ok_or_else(|| Error::invalid("no such key"))?;
        if from == to {
            return Ok(guard == Guard::None);
        }
        let changes = changes(from, to, guard, &taken);
        match session.write(&changes).await?.applied {
            Applied::Whole(_) => return Ok(true),
            Applied::Refused { index: 1, .. } => return Ok(false),
            Applied::Refused { .. } => session.breathe().await,
        }
    }
}

fn changes<'a>(from: KeyRef<'a>, to: KeyRef<'a>, guard: Guard, taken: &'a Taken) -> [Change<'a>; 2] {
    [
        Change::Delete { key: from, guard: Guard::Version(taken.version) },
        Change::Put {
            key: to,
            guard,
            value: &taken.value,
            kind: taken.kind,
            expires: taken.expires_at_ms.map_or(Expires::Never, Expires::At),
        },
    ]
}

async fn take(session: &mut Session, key: &[u8]) -> Result<Option<Taken>> {
    let mut taken = None;
    session
        .read(key, |entry| {
            taken = entry.map(|entry| Taken {
                value: entry.value.to_bytes(),
                kind: entry.kind,
                expires_at_ms: entry.expires_at_ms,
                version: entry.version,
            });
        })
        .await?;
    Ok(taken)
}
