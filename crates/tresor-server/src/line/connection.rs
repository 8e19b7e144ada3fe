//! One client of the line protocol: the loop from a read to a write.
//!
//! The same way as that of the Redis protocol (`../connection.rs`): reads once, executes every whole line,
//! holds the answers until what they tell of is durable, writes once. A line that makes no sense is answered
//! and the connection goes on; only what a web browser sends ends it. Invariant: one answer a line, in order;
//! none for an empty one.

use std::{
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::pin,
};

use tokio::{net::TcpStream, task::yield_now};
use tresor::{Error, ErrorKind, session::Session, transaction::TransactionId};

use super::{
    command::{Name, Row},
    execute::{Execution, Then, shown},
    lines::{Cut, Lines},
    stream::Stream,
};
use crate::{
    apart::{execute_apart, wait_out},
    held::{Held, LineAnswers},
    intake::Intake,
    limits::{BATCH_COMMANDS, BATCH_OUTPUT_BYTES, Limits},
    link::{Closed, Link},
    protocol::{LineError, LineWords, Word, split_words},
    worker::Seat,
};

/// Capacity up to which the buffer for answers written apart is kept.
const KEPT_APART_BYTES: usize = 4 * 1024;

/// Serves one client until it goes or has to go.
pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, seat: Seat) {
    let (link, session) = Link::open(stream, peer, seat).await;
    let mut connection = Connection {
        link,
        session,
        held: Held::default(),
        lines: Lines::default(),
        intake: Intake::default(),
        latest: None,
        suspends: false,
        apart: Vec::new(),
    };
    let closed = connection.run().await;
    tracing::debug!(%peer, ?closed, "connection closed");
}

struct Connection {
    link: Link,
    session: Session,
    held: Held<LineAnswers>,
    lines: Lines,
    intake: Intake,
    /// The transaction that `@` means.
    latest: Option<TransactionId>,
    /// Whether a command of this client was seen to wait: then what was there before it goes out first.
    suspends: bool,
    /// Where an answer is written while those before it are on their way.
    apart: Vec<u8>,
}

/// How a batch of lines ended.
enum Batch {
    /// All are executed.
    Drained,
    /// It has had its share.
    Full,
    /// The client is to be disconnected once it has its answers.
    Last(Closed),
}

impl Connection {
    /// Never answers but with the reason for the end.
    async fn run(&mut self) -> Closed {
        loop {
            let input = match self.intake.receive(&mut self.link).await {
                Ok(input) => input,
                Err(closed) => return closed,
            };
            let consumed = match self.process(input.bytes()).await {
                Ok(consumed) => consumed,
                Err(closed) => return closed,
            };
            self.intake.keep(&self.link, input, consumed);
        }
    }

    fn limits(&self) -> &Limits {
        let worker = &self.link.seat.worker;
        if self.session.authenticated() { &worker.limits } else { &worker.limits_before_authentication }
    }

    /// Executes all whole lines and sends the answers; says how many bytes they took.
    async fn process(&mut self, input: &[u8]) -> Result<usize, Closed> {
        let mut at = 0;
        loop {
            *self.held.output().buffer() = self.link.seat.worker.buffers.take_output();
            self.session.enter().await;
            let batch = self.execute_batch(input, &mut at).await;
            self.session.leave();
            let batch = batch?;
            self.link.send(&mut self.held, self.session.take_highest()).await?;
            let buffer = std::mem::take(self.held.output().buffer());
            self.link.seat.worker.buffers.give_output(buffer);
            match batch {
                Batch::Drained => {
                    let rest = input.len() - at;
                    self.intake.target = rest + 1;
                    self.intake.expected = (self.limits().line_bytes + 1).saturating_sub(rest);
                    return Ok(at);
                }
                Batch::Full => yield_now().await,
                Batch::Last(closed) => return Err(closed),
            }
        }
    }

    /// Executes lines from `at` on until the input or the batch's share is used up.
    async fn execute_batch(&mut self, input: &[u8], at: &mut usize) -> Result<Batch, Closed> {
        for _ in 0..BATCH_COMMANDS {
            let limit = self.limits().line_bytes;
            match self.lines.cut(&input[*at..], limit) {
                Cut::More => return Ok(Batch::Drained),
                Cut::Skipped(bytes) => *at += bytes,
                Cut::TooLong(bytes) => {
                    *at += bytes;
                    let message =
                        format!("a line may have {limit} bytes: shorten it or raise --max-value-bytes");
                    self.held.error(&Error::new(ErrorKind::TooLarge, message));
                }
                Cut::Line(line, bytes) => {
                    *at += bytes;
                    if let Some(end) = self.execute_line(line).await? {
                        return Ok(Batch::Last(end));
                    }
                }
            }
            if self.held.output().len() >= BATCH_OUTPUT_BYTES {
                return Ok(Batch::Full);
            }
        }
        Ok(Batch::Full)
    }

    /// Executes one line; `Some` is why the connection ends behind it.
    async fn execute_line(&mut self, line: &[u8]) -> Result<Option<Closed>, Closed> {
        let mut words = LineWords::new();
        match split_words(line, &mut words) {
            Err(LineError::Http) => {
                tracing::warn!("closing a client that speaks HTTP to the line protocol's port");
                return Ok(Some(Closed::Refused));
            }
            Err(error) => {
                self.held.error(&Error::invalid(error.to_string()));
                return Ok(None);
            }
            Ok(()) => {}
        }
        let Some((name, arguments)) = words.split_first() else { return Ok(None) };
        let row = match self.row(name, arguments) {
            Ok(row) => row,
            Err(error) => {
                self.held.error(&error);
                return Ok(None);
            }
        };
        if self.session.paused_ms(row.writes) > 0 {
            let Self { link, held, session, .. } = self;
            wait_out(link, held, session, |session| session.paused_ms(row.writes)).await?;
        }
        match self.perform(row, arguments).await? {
            Then::Done => Ok(None),
            Then::Close => Ok(Some(Closed::Dismissed)),
            then => self.stream(then, arguments).await.map(|()| None),
        }
    }

    /// The command that is called, if it may be and as it may be.
    fn row(&self, name: &Word<'_>, arguments: &[Word<'_>]) -> tresor::Result<&'static Row> {
        let unknown = || Error::invalid(format!("unknown command '{}': HELP lists all", shown(&name.bytes)));
        let row = Row::find(&name.bytes).ok_or_else(unknown)?;
        if !row.takes(arguments.len()) {
            return Err(Error::invalid(format!("this is no {}: write {}", row.word, row.syntax())));
        }
        if !row.open && !self.session.authenticated() {
            let message = format!("{} needs a password: send AUTH and the password first", row.word);
            return Err(Error::new(ErrorKind::Unauthorized, message));
        }
        Ok(row)
    }

    /// Executes a command; an error means that the client is gone.
    async fn perform(&mut self, row: &'static Row, words: &[Word<'_>]) -> Result<Then, Closed> {
        let may_wait = self.suspends || self.session.may_wait() || row.name == Name::Begin;
        if self.held.replies > 0 && may_wait {
            return self.perform_apart(row, words).await;
        }
        self.held.replies += 1;
        let Self { link, session, held, latest, suspends, .. } = self;
        let worker = &link.seat.worker;
        let mut execution = Execution { worker, session, latest, out: held.output().buffer() };
        let mut run = pin!(execution.run(row, words));
        let then = poll_fn(|context| {
            let poll = run.as_mut().poll(context);
            *suspends |= poll.is_pending();
            poll
        })
        .await;
        Ok(then)
    }

    /// Executes what may wait: while it does, the answers before it go out.
    async fn perform_apart(&mut self, row: &'static Row, words: &[Word<'_>]) -> Result<Then, Closed> {
        let Self { link, session, held, latest, apart: out, .. } = self;
        let worker = &link.seat.worker;
        let run =
            async |session: &mut Session| Execution { worker, session, latest, out }.run(row, words).await;
        let then = execute_apart(link, held, session, run).await?;
        self.held.replies += 1;
        self.held.output().buffer().append(&mut self.apart);
        self.apart.shrink_to(KEPT_APART_BYTES);
        Ok(then)
    }

    /// Writes and sends an answer that may be large, behind those before it.
    async fn stream(&mut self, then: Then, words: &[Word<'_>]) -> Result<(), Closed> {
        self.session.leave();
        // The answer that comes now is not among those that are held.
        self.held.replies -= 1;
        let highest = self.session.take_highest();
        self.link.send(&mut self.held, highest).await?;
        match self.link.durable(highest, 0).await {
            Err(error) => self.held.error(&error),
            Ok(()) => {
                let mut stream = Stream { link: &self.link, held: &mut self.held };
                match (then, words) {
                    (Then::Found(found), _) => stream.found(*found).await?,
                    (Then::Value(bytes, kind), [key, ..]) => stream.value(&key.bytes, bytes, kind).await?,
                    _ => stream.everything(&self.session).await?,
                }
                self.link.flush(&mut self.held).await?;
            }
        }
        self.session.enter().await;
        Ok(())
    }
}
