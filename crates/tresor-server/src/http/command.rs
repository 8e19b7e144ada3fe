//! `/v1/command`: commands of the Redis protocol over HTTP: one, several, or several as one step.
//!
//! Requests and answers have the shapes of Upstash's REST interface, so that its clients work here. Each request
//! is for itself: a command that is about its connection is refused, MULTI and EXEC are there as a path.
//! Invariant: the session is left without a transaction open, whatever happens. What is on these paths
//! exactly: `docs/http-commands.md`.

use std::time::Duration;

use http::StatusCode;
use smallvec::SmallVec;
use tokio::{task::yield_now, time::sleep};
use tresor::{
    Error, ErrorKind,
    command::{Command, Flag},
    reply::{OwnedWriter, Reply, ReplyWriter},
    session::Session,
};

use super::{
    body::Body,
    command_words::{Words, parse_one, parse_several},
    exchange::{Answer, Exchange, weigh},
    kv::{check_type, json, read_document},
    query::Parameters,
    reply_json::{self, Encoding, write_outcome},
    route::Route,
    shared::HttpShared,
};
use crate::{apart::PAUSE_LOOK, limits::BATCH_COMMANDS};

/// What the answers to one request may come to, beside one value of the largest size.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Answers `/v1/command` and the two paths beneath it.
pub(super) async fn answer(mut exchange: Exchange<'_>, route: Route) -> Answer {
    let parameters = Parameters::parse(exchange.parts.uri.query())?;
    check_type(&exchange.parts.headers)?;
    let encoding = Encoding::of(&exchange.parts.headers);
    let body = read_document(&mut exchange).await?;
    let parse = if route == Route::Command { parse_one } else { parse_several };
    let commands = weigh(body.len(), move || parse(&body)).await??;
    let max_bytes = exchange.database.config().max_value_bytes.saturating_add(MAX_ANSWER_BYTES);
    exchange.session.select(parameters.database);
    exchange.session.trust();
    let (shared, session) = (exchange.shared, &mut *exchange.session);
    let mut execution = Execution { shared, session, max_bytes };
    let replies = match route {
        Route::CommandMultiExec => execution.run_as_one(&commands).await?,
        _ => execution.run_each(&commands).await?,
    };
    exchange.session.durable().await?;
    let bytes = replies.bytes();
    if bytes > max_bytes {
        let message = format!("what was asked for is done, but its answer has {bytes} bytes, over the limit");
        return Err(Error::new(ErrorKind::TooLarge, format!("{message} of {max_bytes}: ask for less")).into());
    }
    let is_list = route != Route::Command;
    let status = if replies.are_an_error(is_list) { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let document = weigh(bytes, move || replies.document(is_list, encoding)).await?;
    Ok(json(Body::Full(document.into()), status))
}

/// What is answered to a request.
enum Replies {
    /// One for each command.
    Each(Vec<Reply>),
    /// One that says why nothing was done.
    Refused(Reply),
}

impl Replies {
    fn bytes(&self) -> usize {
        match self {
            Self::Each(replies) => replies.iter().map(reply_json::bytes).sum(),
            Self::Refused(reply) => reply_json::bytes(reply),
        }
    }

    /// Whether the request as a whole has come to an error.
    fn are_an_error(&self, is_list: bool) -> bool {
        match self {
            Self::Each(replies) => !is_list && matches!(replies[..], [Reply::Error(_)]),
            Self::Refused(_) => true,
        }
    }

    fn document(&self, is_list: bool, encoding: Encoding) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Refused(reply) => write_outcome(&mut out, reply, encoding),
            Self::Each(replies) if is_list => {
                out.push(b'[');
                for (place, reply) in replies.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    write_outcome(&mut out, reply, encoding);
                }
                out.push(b']');
            }
            Self::Each(replies) => {
                write_outcome(&mut out, replies.first().unwrap_or(&Reply::Null), encoding);
            }
        }
        out
    }
}

/// Commands on their way through a session.
struct Execution<'a> {
    shared: &'a HttpShared,
    session: &'a mut Session,
    /// From so many bytes of answers on, further commands are not executed.
    max_bytes: usize,
}

impl Execution<'_> {
    /// Executes commands one after another, each for itself.
    async fn run_each(&mut self, commands: &[Words]) -> tresor::Result<Replies> {
        let (mut replies, mut bytes) = (Vec::with_capacity(commands.len()), 0);
        for batch in commands.chunks(BATCH_COMMANDS) {
            self.session.enter().await;
            for words in batch {
                let reply = match bytes > self.max_bytes {
                    true => Reply::Error("ERR not executed: the answers before it are too long".to_owned()),
                    false => match self.execute(words).await {
                        Ok(reply) => reply,
                        Err(error) => {
                            self.session.leave();
                            return Err(error);
                        }
                    },
                };
                bytes += reply_json::bytes(&reply);
                replies.push(reply);
            }
            self.session.leave();
            if replies.len() < commands.len() {
                yield_now().await;
            }
        }
        Ok(Replies::Each(replies))
    }

    /// Executes commands as MULTI and EXEC do.
    async fn run_as_one(&mut self, commands: &[Words]) -> tresor::Result<Replies> {
        self.session.enter().await;
        let run = self.queue_and_execute(commands).await;
        if self.session.queued().is_some() {
            // What went wrong is told; this cannot, inside MULTI.
            let _ = self.plain(b"DISCARD").await;
        }
        self.session.leave();
        run
    }

    async fn queue_and_execute(&mut self, commands: &[Words]) -> tresor::Result<Replies> {
        self.plain(b"MULTI").await?;
        let mut cause = None;
        for (index, words) in commands.iter().enumerate() {
            if let Reply::Error(text) = self.execute(words).await? {
                cause.get_or_insert_with(|| format!("commands[{index}]: {text}"));
            }
        }
        Ok(match (self.plain(b"EXEC").await?, cause) {
            (Reply::Array(replies), _) => Replies::Each(replies),
            // Behind Redis's words, because nobody has seen the replies of the commands themselves.
            (Reply::Error(text), Some(cause)) => Replies::Refused(Reply::Error(format!("{text} {cause}"))),
            (reply, _) => Replies::Refused(reply),
        })
    }

    /// Executes a command of the client; inside the gate.
    async fn execute(&mut self, words: &Words) -> tresor::Result<Reply> {
        let words: SmallVec<[&[u8]; 8]> = words.iter().map(|word| &word[..]).collect();
        let mut writer = ReplyWriter::Owned(OwnedWriter::default());
        match self.session.prepare(&words) {
            Ok(command) if command.row.has(Flag::Connection) => {
                self.session.refuse(&about_the_connection(command), &mut writer);
            }
            Ok(command) => {
                self.wait_out(command).await?;
                self.session.execute(command, &mut writer).await;
            }
            Err(error) => self.session.refuse(&error, &mut writer),
        }
        Ok(reply_of(writer))
    }

    /// Executes a command of our own, which is its one word.
    async fn plain(&mut self, word: &[u8]) -> tresor::Result<Reply> {
        let mut writer = ReplyWriter::Owned(OwnedWriter::default());
        let words = [word];
        let command = self.session.prepare(&words)?;
        self.session.execute(command, &mut writer).await;
        Ok(reply_of(writer))
    }

    /// Waits while CLIENT PAUSE holds a command back, outside the gate.
    async fn wait_out(&mut self, command: Command<'_>) -> tresor::Result<()> {
        loop {
            let left_ms = self.session.held_back_ms(command);
            if left_ms == 0 {
                return Ok(());
            }
            if self.shared.stopper.stopping() {
                let message = "the server is stopping, and CLIENT PAUSE has held the command back";
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
            self.session.leave();
            sleep(Duration::from_millis(left_ms).min(PAUSE_LOOK)).await;
            self.session.enter().await;
        }
    }
}

/// The reply that was written; nothing where the command has none.
fn reply_of(writer: ReplyWriter) -> Reply {
    match writer {
        ReplyWriter::Owned(mut writer) => writer.take().pop().unwrap_or(Reply::Null),
        ReplyWriter::Resp(_) => Reply::Null,
    }
}

fn about_the_connection(command: Command<'_>) -> Error {
    let name = command.row.name.replace('|', " ").to_ascii_uppercase();
    Error::invalid(format!(
        "{name} is about the connection it comes on, and a request has none to itself: use the port of the \
         Redis protocol, /v1/command/multi-exec or ?db="
    ))
}
