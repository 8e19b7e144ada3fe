//! The catalog: one row a command, from which COMMAND, help, arity errors and `docs/commands.md` come.
//!
//! The macro makes three things of the rows: the closed set [`CommandId`], the table [`CATALOG`], and
//! the one `match` that calls a command's function, so that a command cannot be in one and not another.

use std::sync::LazyLock;

use super::{Args, connection, key, string};
use crate::{error::Result, reply::ReplyWriter, session::Session};

/// One command.
#[derive(Debug)]
pub struct Row {
    /// Which.
    pub id: CommandId,
    /// Its name, in lower case.
    pub name: &'static str,
    /// How many words it takes, itself included; negative for "at least".
    pub arity: i32,
    /// What it does to the store and to the server.
    pub flags: &'static [Flag],
    /// Where its keys stand.
    pub keys: Keys,
    /// The family, as COMMAND DOCS names it.
    pub group: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// What it answers, in words.
    pub reply: &'static str,
}

/// What callers need to know of a command beforehand. Names are Redis's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// Only reads.
    Readonly,
    /// May change the store.
    Write,
    /// May need memory: refused when there is none.
    Denyoom,
    /// Takes constant or logarithmic time.
    Fast,
    /// For operators.
    Admin,
    /// May be sent before authentication.
    NoAuth,
    /// Not inside a transaction.
    NoMulti,
    /// Touches whole databases: runs with all gates taken.
    AllGates,
}

/// Where a command's keys stand among its words: first, last (negative from the end), step; 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The first key's place.
    pub first: i32,
    /// The last key's place; negative counts from the end.
    pub last: i32,
    /// How far apart.
    pub step: i32,
}

macro_rules! catalog {
    ($($id:ident $name:literal $arity:literal [$($flag:ident)*] ($first:literal $last:literal $step:literal)
        $group:literal $summary:literal $reply:literal => $family:ident::$function:ident;)*) => {
        /// The commands, in the order of [`CATALOG`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        #[allow(missing_docs, reason = "the rows say it")]
        pub enum CommandId { $($id),* }

        /// Every command's row; `CATALOG[id as usize]` is the row of `id`.
        pub static CATALOG: &[Row] = &[$(Row {
            id: CommandId::$id,
            name: $name,
            arity: $arity,
            flags: &[$(Flag::$flag),*],
            keys: Keys { first: $first, last: $last, step: $step },
            group: $group,
            summary: $summary,
            reply: $reply,
        }),*];

        /// Runs a command whose arity and rights were checked.
        #[inline]
        pub(crate) async fn dispatch(
            id: CommandId,
            session: &mut Session,
            args: Args<'_>,
            reply: &mut ReplyWriter,
        ) -> Result<()> {
            match id {
                $(CommandId::$id => $family::$function(session, args, reply).await,)*
            }
        }
    };
}

catalog! {
    Del "del" -2 [Write] (1 -1 1) "generic" "Deletes keys." "integer: how many were there" => key::del;
    Flushall "flushall" -1 [Write AllGates] (0 0 0) "server" "Removes every key of every database." "OK" => key::flushall;
    Get "get" 2 [Readonly Fast] (1 1 1) "string" "Reads the value of a key." "bulk, or null when the key is absent" => string::get;
    Ping "ping" -1 [Fast] (0 0 0) "connection" "Answers PONG, or the word it was given." "simple or bulk" => connection::ping;
    Select "select" 2 [Fast] (0 0 0) "connection" "Changes the connection's database." "OK" => connection::select;
    Set "set" -3 [Write Denyoom] (1 1 1) "string" "Sets the value of a key." "OK, null, or the old value with GET" => string::set;
}

impl Row {
    /// Whether the command has a flag.
    #[inline]
    pub fn has(&self, flag: Flag) -> bool {
        self.flags.contains(&flag)
    }

    /// Whether it takes this many words, itself included.
    #[inline]
    pub fn takes(&self, words: usize) -> bool {
        if self.arity >= 0 {
            words == self.arity as usize
        } else {
            words >= self.arity.unsigned_abs() as usize
        }
    }
}

/// The longest command name, in bytes.
const LONGEST_NAME: usize = 32;

/// Slots of the name table: a power of two well above the number of commands.
const SLOTS: usize = 1024;

static NAMES: LazyLock<Box<[Option<&'static Row>]>> = LazyLock::new(|| {
    let mut slots = vec![None; SLOTS];
    for row in CATALOG {
        let mut slot = slot_of(row.name.as_bytes());
        while slots[slot].is_some() {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = Some(row);
    }
    slots.into_boxed_slice()
});

/// Mixes a name without regard to case: setting bit 5 folds ASCII letters.
#[inline]
fn slot_of(name: &[u8]) -> usize {
    let mixed = name
        .iter()
        .fold(0x51_7c_c1u32, |mixed, byte| (mixed ^ u32::from(byte | 0x20)).wrapping_mul(0x0100_0193));
    (mixed ^ (mixed >> 15)) as usize % SLOTS
}

/// The row of a name, in any case.
#[inline]
pub fn lookup(name: &[u8]) -> Option<&'static Row> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let mut slot = slot_of(name);
    loop {
        let row = NAMES[slot]?;
        if row.name.len() == name.len() && row.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(row);
        }
        slot = (slot + 1) % SLOTS;
    }
}
