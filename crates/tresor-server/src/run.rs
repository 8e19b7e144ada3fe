//! A run: neighbouring plain GETs, or neighbouring plain puts, that are executed with one engine call.

use smallvec::SmallVec;
use tresor::{command::CommandId, engine::Change, session::Session};

use crate::work::Work;

/// The most commands of a run.
const COMMANDS: usize = 16;

/// A run that is being gathered.
#[derive(Default)]
pub(crate) struct Run<'a> {
    gets: SmallVec<[&'a [u8]; COMMANDS]>,
    /// All of one command.
    puts: SmallVec<[Change<'a>; COMMANDS]>,
    put: Option<CommandId>,
}

impl<'a> Run<'a> {
    /// Takes a command in; false if it does not belong to this run, or to none.
    #[inline]
    pub(crate) fn takes(&mut self, words: &[&'a [u8]], session: &Session) -> bool {
        if let Some(key) = session.plain_get(words) {
            let takes = self.puts.is_empty();
            if takes {
                self.gets.push(key);
            }
            return takes;
        }
        if let Some((id, change)) = session.plain_put(words) {
            let takes = self.gets.is_empty() && self.put.is_none_or(|put| put == id);
            if takes {
                self.put = Some(id);
                self.puts.push(change);
            }
            return takes;
        }
        false
    }

    /// What there is to execute.
    #[inline]
    pub(crate) fn work(&self) -> Option<Work<'_>> {
        match self.put {
            Some(id) => Some(Work::Puts(id, &self.puts)),
            None => (!self.gets.is_empty()).then_some(Work::Gets(&self.gets)),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.gets.clear();
        self.puts.clear();
        self.put = None;
    }
}
