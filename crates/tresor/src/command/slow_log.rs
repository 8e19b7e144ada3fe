//! SLOWLOG: the commands that took longest.

use super::{Args, number};
use crate::{
    error::{Error, Result},
    reply::ReplyWriter,
    session::Session,
    slow_log::SlowCommand,
};

/// Entries that SLOWLOG GET shows when nothing is said.
const SHOWN: usize = 10;

pub(super) async fn get(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let count = match &args[2..] {
        [] => SHOWN,
        [count] => count_of(count)?,
        _ => {
            let message = "unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.";
            return Err(Error::invalid(message));
        }
    };
    let entries = session.core().observers.slow_log().newest(count);
    reply.array(entries.len());
    entries.iter().for_each(|entry| show(entry, reply));
    Ok(())
}

/// How many entries; all for -1.
fn count_of(word: &[u8]) -> Result<usize> {
    match number::parse_integer(word) {
        Some(-1) => Ok(usize::MAX),
        Some(count @ 0..) => Ok(count as usize),
        _ => Err(Error::invalid("count should be greater than or equal to -1")),
    }
}

fn show(entry: &SlowCommand, reply: &mut ReplyWriter) {
    reply.array(6);
    reply.integer(entry.id as i64);
    reply.integer(entry.at_s as i64);
    reply.integer(entry.spent_us as i64);
    reply.array(entry.words.len());
    entry.words.iter().for_each(|word| reply.bulk(word));
    reply.bulk(entry.peer.as_bytes());
    reply.bulk(entry.name.as_bytes());
}

pub(super) async fn len(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    reply.integer(session.core().observers.slow_log().len() as i64);
    Ok(())
}

pub(super) async fn reset(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    session.core().observers.slow_log().clear();
    reply.ok();
    Ok(())
}
