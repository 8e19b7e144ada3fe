//! BITOP: a value from the bits of others.
//!
//! Values are read as of one moment and combined outside the engine's locks. The result is written only
//! if all of them are still as they were read; whoever comes in between makes it start over. So it is one
//! step, whatever its size.

use bytes::Bytes;

use super::{Args, syntax_error};
use crate::{
    engine::{Applied, Change, Expires, Guard, KeyRef, Kind},
    error::{Error, Result},
    reply::ReplyWriter,
    session::Session,
};

/// From this many bytes on others get turns between two values.
const LARGE_BYTES: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
}

impl Operation {
    fn parse(word: &[u8]) -> Result<Self> {
        match word.to_ascii_uppercase().as_slice() {
            b"AND" => Ok(Self::And),
            b"OR" => Ok(Self::Or),
            b"XOR" => Ok(Self::Xor),
            b"NOT" => Ok(Self::Not),
            _ => Err(syntax_error()),
        }
    }

    /// Takes a value into the result; what is behind the shorter one's end counts as zeros.
    fn take_in(self, result: &mut [u8], value: &[u8]) {
        let (common, beyond) = result.split_at_mut(value.len());
        let pairs = common.iter_mut().zip(value);
        match self {
            Self::And => {
                pairs.for_each(|(byte, other)| *byte &= other);
                beyond.fill(0);
            }
            Self::Or => pairs.for_each(|(byte, other)| *byte |= other),
            Self::Xor => pairs.for_each(|(byte, other)| *byte ^= other),
            Self::Not => {}
        }
    }
}

/// A value that was read, and the guard that holds while it is still there.
struct Source {
    value: Bytes,
    guard: Guard,
}

async fn read(session: &mut Session, keys: &[KeyRef<'_>]) -> Result<Vec<Source>> {
    let mut sources = Vec::with_capacity(keys.len());
    session
        .read_together(keys, |_, entry| {
            sources.push(match entry {
                Some(entry) => Source { value: entry.value.to_bytes(), guard: Guard::Version(entry.version) },
                None => Source { value: Bytes::new(), guard: Guard::Absent },
            });
        })
        .await?;
    Ok(sources)
}

async fn combine(session: &mut Session, operation: Operation, sources: &[Source]) -> Vec<u8> {
    let longest = sources.iter().map(|source| source.value.len()).max().unwrap_or(0);
    let mut result = Vec::with_capacity(longest);
    result.extend(sources.iter().take(1).flat_map(|source| source.value.iter()));
    result.resize(longest, 0);
    for source in sources.iter().skip(1) {
        if longest >= LARGE_BYTES {
            session.breathe().await;
        }
        operation.take_in(&mut result, &source.value);
    }
    if operation == Operation::Not {
        result.iter_mut().for_each(|byte| *byte = !*byte);
    }
    result
}

pub(super) async fn bitop(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let operation = Operation::parse(args[1])?;
    if operation == Operation::Not && args.len() != 4 {
        return Err(Error::invalid("BITOP NOT must be called with a single source key."));
    }
    let target = session.key(args[2])?;
    let keys = args[3..].iter().map(|key| session.key(key)).collect::<Result<Vec<_>>>()?;
    loop {
        let sources = read(session, &keys).await?;
        let result = combine(session, operation, &sources).await;
        let checks = keys.iter().zip(&sources);
        let mut changes: Vec<_> =
            checks.map(|(key, source)| Change::Check { key: *key, guard: source.guard }).collect();
        changes.push(if result.is_empty() {
            Change::Delete { key: target, guard: Guard::None }
        } else {
            Change::Put {
                key: target,
                guard: Guard::None,
                value: &result,
                kind: Kind::Raw,
                expires: Expires::Never,
            }
        });
        match session.write(&changes).await?.applied {
            Applied::Whole(_) => {
                reply.integer(result.len() as i64);
                return Ok(());
            }
            Applied::Refused { .. } => session.breathe().await,
        }
    }
}
