//! One client of the Redis protocol: the loop from a read to a write.
//!
//! Reads once, executes every complete request in the buffer, holds the replies until what they tell
//! of is durable, writes once. Buffers belong to the worker and are borrowed for a moment; between two
//! reads a connection keeps only the beginning of a request that is still incomplete. Nothing here
//! allocates for a request in the steady state, and with an engine that answers at once nothing
//! suspends between the read and the write.

use std::{
    future::{Future, poll_fn},
    mem,
    net::SocketAddr,
    pin::pin,
    task::Poll,
};

use tokio::{net::TcpStream, task::yield_now};
use tresor::{
    Error, FeedPage,
    engine::Sequence,
    reply::ReplyWriter,
    session::{FollowedFeed, Session},
};

use crate::{
    ahead::Ahead,
    apart::{execute_apart, wait_out},
    held::Held,
    intake::{Input, Intake},
    limits::{BATCH_COMMANDS, BATCH_OUTPUT_BYTES, Limits},
    link::{Closed, Link},
    pace::paced_page,
    protocol::{Decoded, Decoder, ProtocolError, RequestBounds, Words},
    run::Run,
    work::Work,
    worker::Seat,
};

/// Serves one client until it goes or has to go.
pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, seat: Seat) {
    let (link, session) = Link::open(stream, peer, seat).await;
    let mut connection = Connection {
        session,
        held: Held::resp(2, link.seat.worker.limits.output_bytes),
        decoder: Decoder::default(),
        intake: Intake::default(),
        suspends: false,
        mail_held: false,
        link,
    };
    let closed = connection.run().await;
    tracing::debug!(%peer, ?closed, "connection closed");
}

struct Connection {
    link: Link,
    session: Session,
    held: Held<ReplyWriter>,
    decoder: Decoder,
    intake: Intake,
    /// Whether a command of this client was seen to wait: then what was there before it goes out first.
    suspends: bool,
    /// Messages stand among the replies that are held: later ones must not overtake them.
    mail_held: bool,
}

/// What a connection goes on with.
enum Received {
    Input(Input),
    Mail,
    Changes(tresor::Result<FeedPage>),
}

impl Received {
    fn of(input: Option<Input>) -> Self {
        input.map_or(Self::Mail, Self::Input)
    }
}

/// Reads from the socket and from the feed, whichever has something first. Whoever comes second has lost nothing.
async fn receive_or_changes(
    intake: &mut Intake,
    link: &mut Link,
    followed: &mut FollowedFeed,
) -> Result<Received, Closed> {
    let (feed, more) = followed.parts();
    let mut input = pin!(intake.receive_unless_mail(link));
    let mut page = pin!(paced_page(feed, more));
    poll_fn(|context| {
        if let Poll::Ready(input) = input.as_mut().poll(context) {
            return Poll::Ready(input.map(Received::of));
        }
        page.as_mut().poll(context).map(|page| Ok(Received::Changes(page)))
    })
    .await
}

/// How a batch of requests ended.
enum Batch {
    /// All are executed; the next one needs at least so many more bytes.
    Drained(usize),
    /// It has had its share.
    Full,
    /// The client is to be disconnected once it has its replies.
    Last(Closed),
}

impl Connection {
    /// Never answers but with the reason for the end.
    async fn run(&mut self) -> Closed {
        loop {
            let sent = match self.receive().await {
                Ok(Received::Input(input)) => {
                    match self.process(input.bytes()).await {
                        Ok(consumed) => self.intake.keep(&self.link, input, consumed),
                        Err(closed) => return closed,
                    }
                    Ok(())
                }
                Ok(Received::Mail) => self.link.deliver().await,
                Ok(Received::Changes(page)) => self.push_changes(page).await,
                Err(closed) => Err(closed),
            };
            if let Err(closed) = sent {
                return closed;
            }
        }
    }

    /// What comes first: input, messages for the client, or changes that it follows.
    #[inline]
    async fn receive(&mut self) -> Result<Received, Closed> {
        let Self { intake, link, session, .. } = self;
        let feed = session.change_feed();
        link.follows = feed.is_some();
        let Some(followed) = feed else {
            return intake.receive_unless_mail(link).await.map(Received::of);
        };
        Box::pin(receive_or_changes(intake, link, followed)).await
    }

    /// Sends changes as pushes. The next ones are read when these are sent.
    #[cold]
    async fn push_changes(&mut self, page: tresor::Result<FeedPage>) -> Result<(), Closed> {
        let page = page.map_err(|error| {
            tracing::debug!(%error, "a change feed ends");
            Closed::Gone
        })?;
        let Some(followed) = self.session.change_feed() else { return Ok(()) };
        *self.held.output().buffer() = self.link.seat.worker.buffers.take_output();
        followed.write(&page, &mut self.held.reply);
        self.link.send(&mut self.held, 0).await?;
        let buffer = std::mem::take(self.held.output().buffer());
        self.link.seat.worker.buffers.give_output(buffer);
        Ok(())
    }

    fn limits(&self) -> &Limits {
        let worker = &self.link.seat.worker;
        if self.session.authenticated() { &worker.limits } else { &worker.limits_before_authentication }
    }

    #[inline]
    fn bounds(&self) -> RequestBounds {
        let limits = self.limits();
        RequestBounds {
            words: limits.request_words,
            word_bytes: limits.word_bytes,
            authenticated: self.session.authenticated(),
        }
    }

    /// Executes all complete requests and sends the replies; answers how many bytes they took.
    #[inline]
    async fn process(&mut self, input: &[u8]) -> Result<usize, Closed> {
        let mut at = 0;
        loop {
            *self.held.output().buffer() = self.link.seat.worker.buffers.take_output();
            self.session.enter().await;
            let batch = self.execute_batch(input, &mut at).await;
            self.session.leave();
            let batch = batch?;
            self.send().await?;
            let buffer = std::mem::take(self.held.output().buffer());
            self.link.seat.worker.buffers.give_output(buffer);
            match batch {
                Batch::Drained(more) => {
                    self.intake.target = input.len() - at + more;
                    let limit = self.limits().input_bytes;
                    if self.intake.target > limit {
                        tracing::warn!(limit, "closing a client over its input limit");
                        return Err(Closed::Refused);
                    }
                    return Ok(at);
                }
                Batch::Full => yield_now().await,
                Batch::Last(closed) => return Err(closed),
            }
        }
    }

    /// Sends the replies once they are true, and messages with them.
    #[inline]
    async fn send(&mut self) -> Result<(), Closed> {
        let highest = self.session.take_highest();
        if self.link.outbox.is_some() {
            self.send_with_mail(highest).await
        } else {
            self.link.send(&mut self.held, highest).await
        }
    }

    /// Messages need not wait until the replies are true, unless some must come behind these.
    #[cold]
    async fn send_with_mail(&mut self, highest: Sequence) -> Result<(), Closed> {
        if !mem::take(&mut self.mail_held) && !self.held.output().is_empty() {
            self.link.deliver_until_durable(highest).await?;
        }
        self.session.append_mail(&mut self.held.reply);
        self.link.send(&mut self.held, highest).await?;
        if let Some(outbox) = &self.link.outbox {
            outbox.sent(0);
        }
        Ok(())
    }

    /// Takes the messages that stand right behind the latest reply.
    #[cold]
    fn take_mail(&mut self) {
        self.link.outbox = self.session.outbox().cloned();
        self.session.append_mail(&mut self.held.reply);
        self.mail_held = true;
    }

    /// Executes requests from `at` on until the input or the batch's share is used up.
    #[inline]
    async fn execute_batch(&mut self, input: &[u8], at: &mut usize) -> Result<Batch, Closed> {
        let mut ahead = Ahead::default();
        let mut executed = 0;
        while executed < BATCH_COMMANDS {
            let bounds = self.bounds();
            let other = ahead.fill(&mut self.decoder, &input[*at..], bounds);
            ahead.announce(&self.session);
            if let Some(end) = self.execute_ahead(&ahead, at).await? {
                // What was decoded but not executed is decoded anew, from its first byte.
                self.decoder = Decoder::default();
                return Ok(end);
            }
            executed += ahead.len();
            if let Some(decoded) = other {
                executed += 1;
                if let Some(end) = self.execute_other(decoded, at).await? {
                    return Ok(end);
                }
            }
        }
        Ok(Batch::Full)
    }

    /// Executes what was decoded ahead, neighbouring plain GETs or SETs in one go.
    #[inline]
    async fn execute_ahead(&mut self, ahead: &Ahead<'_>, at: &mut usize) -> Result<Option<Batch>, Closed> {
        let mut run = Run::default();
        for (words, bytes) in ahead.requests() {
            *at += bytes;
            let may_run = self.may_run();
            if may_run && run.takes(words, &self.session) {
                continue;
            }
            self.execute_run(&mut run).await?;
            if may_run && run.takes(words, &self.session) {
                continue;
            }
            self.execute(words).await?;
            if self.session.closing() {
                return Ok(Some(Batch::Last(Closed::Dismissed)));
            }
            if self.held.reply.pending_bytes() >= BATCH_OUTPUT_BYTES {
                return Ok(Some(Batch::Full));
            }
        }
        self.execute_run(&mut run).await?;
        Ok((self.held.reply.pending_bytes() >= BATCH_OUTPUT_BYTES).then_some(Batch::Full))
    }

    /// Whether commands need no look at rights and pauses one by one.
    #[inline]
    fn may_run(&self) -> bool {
        self.session.runs() && !self.link.seat.worker.database.clients().is_paused(self.session.now_ms())
    }

    /// Whatever is not an array of words: inline requests, the input's end, and errors.
    #[cold]
    async fn execute_other(
        &mut self,
        decoded: Result<Decoded, ProtocolError>,
        at: &mut usize,
    ) -> Result<Option<Batch>, Closed> {
        Ok(match decoded {
            Ok(Decoded::More(bytes)) => Some(Batch::Drained(bytes)),
            Ok(Decoded::Nothing(bytes) | Decoded::Array(bytes)) => {
                *at += bytes;
                None
            }
            Ok(Decoded::Inline(bytes, owned)) => {
                *at += bytes;
                let words: Words<'_> = owned.iter().map(Vec::as_slice).collect();
                self.execute(&words).await?;
                self.session.closing().then_some(Batch::Last(Closed::Dismissed))
            }
            Err(ProtocolError::Http) => Some(Batch::Last(Closed::Refused)),
            Err(error) => {
                self.held.error(&Error::invalid(error.to_string()));
                Some(Batch::Last(Closed::Refused))
            }
        })
    }

    #[inline]
    async fn execute_run(&mut self, run: &mut Run<'_>) -> Result<(), Closed> {
        let Some(work) = run.work() else { return Ok(()) };
        let result = self.perform(work).await;
        run.clear();
        result
    }

    #[inline]
    async fn execute(&mut self, words: &[&[u8]]) -> Result<(), Closed> {
        match self.session.prepare(words) {
            Ok(command) => {
                if self.session.held_back_ms(command) > 0 {
                    let Self { link, held, session, .. } = self;
                    wait_out(link, held, session, |session| session.held_back_ms(command)).await?;
                }
                if self.session.queues(command, &mut self.held.reply) {
                    self.held.replies += 1;
                    return Ok(());
                }
                self.perform(Work::Command(command)).await
            }
            Err(error) => {
                self.held.replies += 1;
                self.session.refuse(&error, &mut self.held.reply);
                Ok(())
            }
        }
    }

    /// Executes; an error means that the client is gone.
    #[inline]
    async fn perform(&mut self, work: Work<'_>) -> Result<(), Closed> {
        if self.held.replies > 0 && (self.suspends || work.waits() || self.session.may_wait()) {
            self.perform_apart(work).await?;
            if self.session.take_mail_due() {
                self.take_mail();
            }
            return Ok(());
        }
        self.held.replies += work.replies();
        let suspends = &mut self.suspends;
        {
            let mut execution = pin!(work.run(&mut self.session, &mut self.held.reply));
            poll_fn(|context| {
                let poll = execution.as_mut().poll(context);
                *suspends |= poll.is_pending();
                poll
            })
            .await;
        }
        if self.session.take_mail_due() {
            self.take_mail();
        }
        Ok(())
    }

    /// Executes what may wait: while it does, the replies before it go out.
    #[cold]
    async fn perform_apart(&mut self, work: Work<'_>) -> Result<(), Closed> {
        let Self { link, held, session, .. } = self;
        let mut apart = Held::resp(held.reply.protocol(), link.seat.worker.limits.output_bytes);
        let run = async |session: &mut Session| work.run(session, &mut apart.reply).await;
        execute_apart(link, held, session, run).await?;
        self.held.reply.set_protocol(apart.reply.protocol());
        self.held.output().append(std::mem::take(apart.output()));
        self.held.replies += work.replies();
        Ok(())
    }
}
