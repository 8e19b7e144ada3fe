//! CLIENT's subcommands: what a connection is called, who else is connected, whom to close.

use super::{Args, is, number, shown, syntax_error};
use crate::{
    client::{Client, Paused},
    error::{Error, Result},
    reply::ReplyWriter,
    session::{Replies, Session},
};

/// Names go into lines of fields: no blanks, no line breaks, nothing beyond ASCII.
pub(super) fn check_label(label: &[u8], what: &str) -> Result<()> {
    if label.iter().all(u8::is_ascii_graphic) {
        return Ok(());
    }
    Err(Error::invalid(format!("{what} cannot contain spaces, newlines or special characters.")))
}

pub(super) fn rename(session: &Session, name: &[u8]) {
    session.client().label(|labels| labels.name = String::from_utf8_lossy(name).into_owned());
}

pub(super) async fn id(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    reply.integer(session.client().id() as i64);
    Ok(())
}

pub(super) async fn setname(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    check_label(args[2], "Client names")?;
    rename(session, args[2]);
    reply.ok();
    Ok(())
}

pub(super) async fn getname(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    match session.client().labels().name {
        name if name.is_empty() => reply.null(),
        name => reply.bulk(name.as_bytes()),
    }
    Ok(())
}

pub(super) async fn setinfo(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let value = String::from_utf8_lossy(args[3]).into_owned();
    if is(args[2], "LIB-NAME") {
        check_label(args[3], "lib-name")?;
        session.client().label(|labels| labels.library = value);
    } else if is(args[2], "LIB-VER") {
        check_label(args[3], "lib-ver")?;
        session.client().label(|labels| labels.library_version = value);
    } else {
        return Err(Error::invalid(format!("Unrecognized option '{}'", shown(args[2]))));
    }
    reply.ok();
    Ok(())
}

fn switch(word: &[u8]) -> Result<bool> {
    match (is(word, "ON"), is(word, "OFF")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(syntax_error()),
    }
}

pub(super) async fn no_evict(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    session.client().set_no_evict(switch(args[2])?);
    reply.ok();
    Ok(())
}

pub(super) async fn no_touch(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    session.client().set_no_touch(switch(args[2])?);
    reply.ok();
    Ok(())
}

pub(super) async fn reply(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    if is(args[2], "ON") {
        session.set_replies(Replies::On);
        reply.ok();
    } else if is(args[2], "OFF") {
        session.set_replies(Replies::Off);
    } else if is(args[2], "SKIP") {
        session.skip_next_reply();
    } else {
        return Err(syntax_error());
    }
    Ok(())
}

pub(super) async fn pause(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let whom = match &args[3..] {
        [] => Paused::Everyone,
        [mode] if is(mode, "ALL") => Paused::Everyone,
        [mode] if is(mode, "WRITE") => Paused::Writers,
        [_] => return Err(Error::invalid("CLIENT PAUSE mode must be WRITE or ALL")),
        _ => return Err(syntax_error()),
    };
    let invalid = || Error::invalid("timeout is not an integer or out of range");
    let timeout_ms = number::parse_integer(args[2]).ok_or_else(invalid)?;
    let timeout_ms = u64::try_from(timeout_ms).map_err(|_| Error::invalid("timeout is negative"))?;
    session.core().clients.pause(session.now_ms().saturating_add(timeout_ms), whom);
    reply.ok();
    Ok(())
}

pub(super) async fn unpause(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    session.core().clients.unpause();
    reply.ok();
    Ok(())
}

pub(super) async fn info(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let line = session.client().line(session.now_ms()) + "\n";
    reply.verbatim("txt", &line);
    Ok(())
}

/// Which clients are meant. All of what is given must hold.
#[derive(Default)]
struct Selection<'a> {
    ids: Option<Vec<u64>>,
    /// Clients that listen, or those that do not.
    listening: Option<bool>,
    /// There are no clients of such a type.
    impossible: bool,
    peer: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
}

impl Selection<'_> {
    fn of_type(&mut self, name: &[u8]) -> Result<()> {
        if !["normal", "master", "replica", "slave", "pubsub"].iter().any(|known| is(name, known)) {
            return Err(Error::invalid(format!("Unknown client type '{}'", shown(name))));
        }
        match (is(name, "normal"), is(name, "pubsub")) {
            (false, false) => self.impossible = true,
            (_, listening) => self.listening = Some(listening),
        }
        Ok(())
    }

    fn holds(&self, client: &Client) -> bool {
        let labels = client.labels();
        !self.impossible
            && self.listening.is_none_or(|listening| listening == client.listens())
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&client.id()))
            && self.peer.is_none_or(|peer| peer == labels.peer.as_bytes())
            && self.local.is_none_or(|local| local == labels.local.as_bytes())
    }
}

pub(super) async fn list(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let mut selection = Selection::default();
    match &args[2..] {
        [] => {}
        [option, name] if is(option, "TYPE") => selection.of_type(name)?,
        [option, ids @ ..] if is(option, "ID") && !ids.is_empty() => {
            let id =
                |id: &&[u8]| number::parse_unsigned(id).ok_or_else(|| Error::invalid("Invalid client ID"));
            selection.ids = Some(ids.iter().map(id).collect::<Result<_>>()?);
        }
        _ => return Err(syntax_error()),
    }
    let mut lines = String::new();
    for client in session.core().clients.all().iter().filter(|client| selection.holds(client)) {
        lines += &client.line(session.now_ms());
        lines.push('\n');
    }
    reply.verbatim("txt", &lines);
    Ok(())
}

pub(super) async fn kill(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    if let [_, _, peer] = args {
        let selection = Selection { peer: Some(peer), ..Selection::default() };
        return match kill_selected(session, &selection, SelfToo::Yes) {
            0 => Err(Error::invalid("No such client")),
            _ => {
                reply.ok();
                Ok(())
            }
        };
    }
    let (mut selection, mut self_too) = (Selection::default(), SelfToo::No);
    let (pairs, rest) = args[2..].as_chunks::<2>();
    if !rest.is_empty() {
        return Err(syntax_error());
    }
    for [option, value] in pairs {
        if is(option, "ID") {
            let id = number::parse_unsigned(value).filter(|id| *id > 0);
            selection.ids =
                Some(vec![id.ok_or_else(|| Error::invalid("client-id should be greater than 0"))?]);
        } else if is(option, "TYPE") {
            selection.of_type(value)?;
        } else if is(option, "ADDR") {
            selection.peer = Some(value);
        } else if is(option, "LADDR") {
            selection.local = Some(value);
        } else if is(option, "USER") {
            if *value != b"default" {
                return Err(Error::invalid(format!("No such user '{}'", shown(value))));
            }
        } else if is(option, "SKIPME") && (is(value, "yes") || is(value, "no")) {
            self_too = if is(value, "no") { SelfToo::Yes } else { SelfToo::No };
        } else {
            return Err(syntax_error());
        }
    }
    reply.integer(kill_selected(session, &selection, self_too) as i64);
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SelfToo {
    Yes,
    No,
}

fn kill_selected(session: &mut Session, selection: &Selection<'_>, self_too: SelfToo) -> usize {
    let mut killed = 0;
    for client in session.core().clients.all() {
        let own = client.id() == session.client().id();
        if !selection.holds(&client) || (own && self_too == SelfToo::No) {
            continue;
        }
        killed += 1;
        // The own connection ends behind the reply, all others at once.
        if own { session.close() } else { client.kill() }
    }
    killed
}
