//! Commands about keys, whatever their values are.

use bytes::Bytes;
use smallvec::SmallVec;

use super::{Args, database_number, is, syntax_error};
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

/// Whether the other key was free, where the guard asks for that.
async fn move_entry(session: &mut Session, args: Args<'_>, guard: Guard) -> Result<bool> {
    let (from, to) = (session.key(args[1])?, session.key(args[2])?);
    match place(session, (from, to), guard, Origin::Leaves).await? {
        Placed::Done => Ok(true),
        Placed::Occupied => Ok(false),
        Placed::NothingThere => Err(Error::invalid("no such key")),
    }
}

pub(super) async fn copy(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let (mut database, mut guard) = (session.selected(), Guard::Absent);
    let mut rest = &args[3..];
    while !rest.is_empty() {
        rest = match rest {
            [word, rest @ ..] if is(word, "REPLACE") => {
                guard = Guard::None;
                rest
            }
            [word, number, rest @ ..] if is(word, "DB") => {
                database = database_number(number)?;
                rest
            }
            _ => return Err(syntax_error()),
        };
    }
    let to = KeyRef { database, ..session.key(args[2])? };
    to_other(session, args[1], to, (guard, Origin::Stays), reply).await
}

pub(super) async fn move_to(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let to = KeyRef { database: database_number(args[2])?, ..session.key(args[1])? };
    to_other(session, args[1], to, (Guard::Absent, Origin::Leaves), reply).await
}

/// Answers 1, or 0 where nothing was there or the other place is taken.
async fn to_other(
    session: &mut Session,
    key: &[u8],
    to: KeyRef<'_>,
    (guard, origin): (Guard, Origin),
    reply: &mut ReplyWriter,
) -> Result<()> {
    let from = session.key(key)?;
    if from == to {
        return Err(Error::invalid("source and destination objects are the same"));
    }
    let placed = place(session, (from, to), guard, origin).await?;
    reply.integer(i64::from(placed == Placed::Done));
    Ok(())
}

/// What becomes of an entry at the place that it is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Leaves,
    Stays,
}

/// What became of taking an entry to another place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placed {
    Done,
    /// The guard of the other place failed.
    Occupied,
    NothingThere,
}

/// An entry that outlives the engine's lock.
struct Taken {
    value: Bytes,
    kind: Kind,
    expires_at_ms: Option<u64>,
    version: Version,
}

/// Takes an entry of the selected database to another place unless that one's guard fails. The source is
/// guarded by the version that was read, so that nothing written meanwhile is lost: whoever comes in
/// between makes it start over.
async fn place(
    session: &mut Session,
    (from, to): (KeyRef<'_>, KeyRef<'_>),
    guard: Guard,
    origin: Origin,
) -> Result<Placed> {
    let wording = match origin {
        Origin::Stays => Wording::Copy,
        Origin::Leaves if from.database == to.database => Wording::Rename,
        Origin::Leaves => Wording::Move,
    };
    loop {
        session.told_as(wording);
        let Some(taken) = take(session, from.key).await? else { return Ok(Placed::NothingThere) };
        if from == to {
            return Ok(if guard == Guard::None { Placed::Done } else { Placed::Occupied });
        }
        let as_read = Guard::Version(taken.version);
        let source = match origin {
            Origin::Leaves => Change::Delete { key: from, guard: as_read },
            Origin::Stays => Change::Check { key: from, guard: as_read },
        };
        let expires = taken.expires_at_ms.map_or(Expires::Never, Expires::At);
        let put = Change::Put { key: to, guard, value: &taken.value, kind: taken.kind, expires };
        match session.write(&[source, put]).await?.applied {
            Applied::Whole(_) => return Ok(Placed::Done),
            Applied::Refused { index: 1, .. } => return Ok(Placed::Occupied),
            Applied::Refused { .. } => session.breathe().await,
        }
    }
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
