//! Commands about the server as a whole: saving, stopping, its time.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use super::{Args, is, number, syntax_error};
use crate::{
    error::{Error, Result},
    reply::ReplyWriter,
    session::{Replies, Session},
    shutdown::Saving,
};

pub(super) async fn time(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let now_ms = session.now_ms();
    reply.array(2);
    reply.bulk((now_ms / 1000).to_string().as_bytes());
    reply.bulk((now_ms % 1000 * 1000).to_string().as_bytes());
    Ok(())
}

/// There are no replicas that could have acknowledged anything, and none will come: no need to wait.
pub(super) async fn wait(_: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    number::integer(args[1])?;
    let timeout = number::parse_integer(args[2])
        .ok_or_else(|| Error::invalid("timeout is not an integer or out of range"))?;
    if timeout < 0 {
        return Err(Error::invalid("timeout is negative"));
    }
    reply.integer(0);
    Ok(())
}

pub(super) async fn whoami(_: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    reply.bulk(b"default");
    Ok(())
}

pub(super) async fn modules(_: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    reply.array(0);
    Ok(())
}

pub(super) async fn lolwut(_: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    reply.verbatim(
        "txt",
        concat!(
            "   ____________\n",
            "  /___________/|\n",
            " |     __     ||\n",
            " |----|()|----||\n",
            " |____________|/\n",
            "\n",
            "Tresor ver. ",
            env!("CARGO_PKG_VERSION"),
            "\n"
        ),
    );
    Ok(())
}

pub(super) async fn monitor(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    session.begin_monitoring(reply.protocol()).await?;
    reply.ok();
    Ok(())
}

pub(super) async fn save(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let engine = session.engine().clone();
    session.outside(engine.save()).await?;
    reply.ok();
    Ok(())
}

pub(super) async fn bgsave(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    match &args[1..] {
        [] => {}
        [option] if is(option, "SCHEDULE") => {}
        _ => return Err(syntax_error()),
    }
    let mut saving = session.engine().save();
    // One poll starts it. Whoever wants to know its end asks LASTSAVE.
    if let Poll::Ready(result) = Pin::new(&mut saving).poll(&mut Context::from_waker(Waker::noop())) {
        result?;
    }
    reply.simple("Background saving started");
    Ok(())
}

pub(super) async fn lastsave(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let status = session.engine().clone().status().await?;
    reply.integer((super::info::last_save_ms(session.core(), &status) / 1000) as i64);
    Ok(())
}

pub(super) async fn shutdown(session: &mut Session, args: Args<'_>, _: &mut ReplyWriter) -> Result<()> {
    let (mut saving, mut abort, mut other) = (Saving::AsConfigured, false, false);
    for option in &args[1..] {
        if is(option, "ABORT") {
            abort = true;
            continue;
        }
        other = true;
        saving = match () {
            () if is(option, "SAVE") && saving != Saving::Never => Saving::Always,
            () if is(option, "NOSAVE") && saving != Saving::Always => Saving::Never,
            // There are no replicas to wait for, and nothing that an error would have to be ignored for.
            () if is(option, "NOW") || is(option, "FORCE") => saving,
            () => return Err(syntax_error()),
        };
    }
    if abort {
        let message = if other { "syntax error" } else { "No shutdown in progress." };
        return Err(Error::invalid(message));
    }
    // The end of the connection is the answer.
    session.set_replies(Replies::Skip);
    session.close();
    session.core().shutdown.request(saving);
    Ok(())
}
