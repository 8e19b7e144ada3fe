//! MEMORY: what a key costs.
//!
//! Told is what the entry takes in the engine in memory, whatever engine holds it: its allocation and its slot
//! in the table. It is computed from a copy, so that no engine has to know of this question.

use super::{Args, is, number, syntax_error};
use crate::{engine::memory::Entry, error::Result, publish::Wording, reply::ReplyWriter, session::Session};

/// A slot of 8 bytes in a table that is four fifths full.
const SLOT_BYTES: usize = 10;

pub(super) async fn usage(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    match &args[3..] {
        [] => {}
        // Of how many members of a collection the size is taken; a string has none.
        [option, samples] if is(option, "SAMPLES") => {
            if number::integer(samples)? < 0 {
                return Err(syntax_error());
            }
        }
        _ => return Err(syntax_error()),
    }
    let key = args[2];
    let mut bytes = None;
    session.told_as(Wording::Unread);
    session
        .read(key, |entry| {
            bytes = entry.map(|entry| Entry::copy(key, b"", &entry).view().size() + SLOT_BYTES)
        })
        .await?;
    match bytes {
        Some(bytes) => reply.integer(bytes as i64),
        None => reply.null(),
    }
    Ok(())
}
