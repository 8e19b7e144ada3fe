//! DEBUG: what test suites of clients ask a server for. Only where the server was started so.
//!
//! DEBUG SLEEP keeps nobody else waiting, unlike that of Redis: it sleeps outside its gate, and ends early when
//! the server stops or its client is closed.

use std::time::Duration;

use super::{Args, dump_payload, is, object};
use crate::{
    error::{Error, Result},
    publish::Wording,
    reply::ReplyWriter,
    session::Session,
};

/// The longest sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(300);

pub(super) async fn sleep(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let duration = seconds(args[2])?;
    let (core, client) = (session.core().clone(), session.client().clone());
    session.outside(core.transactions.sleep(duration, || client.is_killed())).await?;
    reply.ok();
    Ok(())
}

fn seconds(word: &[u8]) -> Result<Duration> {
    let seconds = std::str::from_utf8(word).ok().and_then(|text| text.parse().ok());
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.filter(|duration| *duration <= LONGEST_SLEEP).ok_or_else(|| {
        Error::invalid(format!("DEBUG SLEEP takes a number of seconds from 0 to {}", LONGEST_SLEEP.as_secs()))
    })
}

pub(super) async fn inspect(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let mut told = None;
    session.told_as(Wording::Unread);
    session
        .read(args[2], |entry| {
            told = entry.map(|entry| {
                let value = entry.value.bytes();
                (object::encoding_of(value), dump_payload::string_bytes(value))
            });
        })
        .await?;
    let (encoding, bytes) = told.ok_or_else(|| Error::invalid("no such key"))?;
    // Fields that stand for nothing here are told all the same: clients look for them.
    reply.simple(&format!(
        "Value at:0x0 refcount:1 encoding:{encoding} serializedlength:{bytes} lru:0 lru_seconds_idle:0"
    ));
    Ok(())
}

pub(super) async fn set_active_expire(
    session: &mut Session,
    args: Args<'_>,
    reply: &mut ReplyWriter,
) -> Result<()> {
    let active = match args[2] {
        b"0" => false,
        b"1" => true,
        _ => return Err(Error::invalid("DEBUG SET-ACTIVE-EXPIRE takes 0 or 1")),
    };
    session.core().removals.keep_expired(!active);
    reply.ok();
    Ok(())
}

/// Writes a reply.
type Write = fn(&mut ReplyWriter);

/// How each type of reply looks, with the content that Redis gives it.
#[expect(clippy::approx_constant, reason = "Redis answers this number, which is no circle's")]
const TYPES: [(&str, Write); 13] = [
    ("string", |reply| reply.bulk(b"Hello World")),
    ("integer", |reply| reply.integer(12345)),
    ("double", |reply| reply.double(3.141)),
    ("bignum", |reply| reply.big_number("1234567999999999999999999999999999999")),
    ("null", ReplyWriter::null),
    ("array", |reply| {
        reply.array(3);
        (0..3).for_each(|number| reply.integer(number));
    }),
    ("set", |reply| {
        reply.set(3);
        (0..3).for_each(|number| reply.integer(number));
    }),
    ("map", |reply| {
        reply.map(3);
        (0..3).for_each(|number| {
            reply.integer(number);
            reply.boolean(number == 1);
        });
    }),
    ("attrib", |reply| {
        if reply.attribute(1) {
            reply.bulk(b"key-popularity");
            reply.array(2);
            reply.bulk(b"key:123");
            reply.integer(90);
        }
        reply.bulk(b"Some real reply following the attribute");
    }),
    ("push", |reply| {
        reply.push(2);
        reply.bulk(b"server-cpu-usage");
        reply.integer(42);
        // A push answers nothing.
        reply.bulk(b"Some real reply following the push reply");
    }),
    ("verbatim", |reply| reply.verbatim("txt", "This is a verbatim\nstring")),
    ("true", |reply| reply.boolean(true)),
    ("false", |reply| reply.boolean(false)),
];

pub(super) async fn protocol(_: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let Some((name, write)) = TYPES.iter().find(|(name, _)| is(args[2], name)) else {
        let names: Vec<_> = TYPES.iter().map(|(name, _)| *name).collect();
        let message =
            format!("Wrong protocol type name. Please use one of the following: {}", names.join("|"));
        return Err(Error::invalid(message));
    };
    if *name == "push" && reply.protocol() == 2 {
        return Err(Error::invalid("RESP2 is not supported by this command"));
    }
    write(reply);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_sleep_is_a_number_of_seconds_within_reason() {
        for (word, milliseconds) in [("0", 0), ("0.25", 250), ("1e-1", 100), ("300", 300_000)] {
            assert_eq!(seconds(word.as_bytes()).unwrap().as_millis(), milliseconds);
        }
        for word in ["", "x", "-1", "nan", "inf", "300.5", "1e300"] {
            assert!(seconds(word.as_bytes()).is_err(), "{word}");
        }
    }
}
