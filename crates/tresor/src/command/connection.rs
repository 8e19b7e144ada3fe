//! Commands about the connection itself: they touch the session, never the engine.

use super::{Args, is, number, shown, syntax_error, wrong_arity};
use crate::{
    engine::DATABASES,
    error::{Error, ErrorKind, Result},
    reply::ReplyWriter,
    session::Session,
};

/// The version of Redis whose behaviour is promised.
pub(super) const REDIS_VERSION: &str = "7.2.4";

/// A container without a subcommand: its arity refuses that before.
pub(super) async fn container(_: &mut Session, args: Args<'_>, _: &mut ReplyWriter) -> Result<()> {
    Err(wrong_arity(&shown(args[0]).to_ascii_lowercase()))
}

pub(super) async fn ping(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    if session.listens() && reply.protocol() == 2 && args.len() <= 2 {
        // In the shape of a message, which is all that such a client expects.
        reply.array(2);
        reply.bulk(b"pong");
        reply.bulk(args.get(1).copied().unwrap_or_default());
        return Ok(());
    }
    match args {
        [_] => reply.simple("PONG"),
        [_, word] => reply.bulk(word),
        _ => return Err(wrong_arity("ping")),
    }
    Ok(())
}

pub(super) async fn echo(_: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    reply.bulk(args[1]);
    Ok(())
}

pub(super) async fn quit(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    session.close();
    reply.ok();
    Ok(())
}

pub(super) async fn reset(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    session.reset();
    // What it has heard by then.
    session.append_mail(reply);
    reply.set_protocol(2);
    session.client().note_protocol(2);
    reply.simple("RESET");
    Ok(())
}

pub(super) async fn select(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    session.select(database_number(args[1])?);
    reply.ok();
    Ok(())
}

/// The database that a word names.
pub(crate) fn database_number(word: &[u8]) -> Result<u8> {
    let number = i32::try_from(number::integer(word)?).map_err(|_| {
        let (low, high) = (i32::MIN, i32::MAX);
        Error::invalid(format!("value is out of range, value must between {low} and {high}"))
    })?;
    let database = u8::try_from(number).ok().filter(|database| *database < DATABASES);
    database.ok_or_else(|| Error::invalid("DB index is out of range"))
}

pub(super) async fn auth(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let (user, password) = match args {
        [_, password] if session.core().settings.needs_password() => (&b"default"[..], *password),
        [_, _] => {
            return Err(Error::invalid(
                "AUTH <password> called without any password configured for the default user. \
                 Are you sure your configuration is correct?",
            ));
        }
        [_, user, password] => (*user, *password),
        _ => return Err(syntax_error()),
    };
    session.authenticate(user, password)?;
    reply.ok();
    Ok(())
}

/// What HELLO asks for.
#[derive(Default)]
struct Introduction<'a> {
    protocol: Option<u8>,
    credentials: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

impl<'a> Introduction<'a> {
    fn parse(args: Args<'a>) -> Result<Self> {
        let mut introduction = Self::default();
        let Some(version) = args.get(1) else { return Ok(introduction) };
        let version = number::parse_integer(version)
            .ok_or_else(|| Error::invalid("Protocol version is not an integer or out of range"))?;
        if !(2..=3).contains(&version) {
            return Err(Error::invalid("NOPROTO unsupported protocol version"));
        }
        introduction.protocol = Some(version as u8);
        let mut rest = &args[2..];
        loop {
            rest = match rest {
                [] => return Ok(introduction),
                [option, user, password, rest @ ..] if is(option, "AUTH") => {
                    introduction.credentials = Some((user, password));
                    rest
                }
                [option, name, rest @ ..] if is(option, "SETNAME") => {
                    introduction.name = Some(name);
                    rest
                }
                [option, ..] => {
                    let message = format!("Syntax error in HELLO option '{}'", shown(option));
                    return Err(Error::invalid(message));
                }
            }
        }
    }
}

pub(super) async fn hello(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let introduction = Introduction::parse(args)?;
    if let Some(name) = introduction.name {
        super::client::check_label(name, "Client names")?;
    }
    if let Some((user, password)) = introduction.credentials {
        session.authenticate(user, password)?;
    }
    if !session.authenticated() {
        let message = "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
                       HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
                       select the RESP protocol version at the same time";
        return Err(Error::new(ErrorKind::Unauthorized, message));
    }
    if let Some(name) = introduction.name {
        super::client::rename(session, name);
    }
    if let Some(protocol) = introduction.protocol {
        reply.set_protocol(protocol);
        if protocol == 2 {
            session.end_change_feed();
        }
        session.client().note_protocol(protocol);
    }
    reply.map(7);
    let text = |reply: &mut ReplyWriter, name: &str, value: &str| {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    };
    // Clients switch on this word, so it stays what they know.
    text(reply, "server", "redis");
    text(reply, "version", REDIS_VERSION);
    reply.bulk(b"proto");
    reply.integer(i64::from(reply.protocol()));
    reply.bulk(b"id");
    reply.integer(session.client().id() as i64);
    text(reply, "mode", "standalone");
    text(reply, "role", "master");
    reply.bulk(b"modules");
    reply.array(0);
    Ok(())
}
