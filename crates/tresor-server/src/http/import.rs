//! `/v1/import`: entries from lines of JSON, of any number, as `/v1/export` tells them.
//!
//! Lines are gathered to batches, and a batch is durable before the next line is read: memory is that of a batch
//! and a line, and what an answer counts is there for good. Each entry is put for itself, because no more is
//! promised of a stream: where it stops, what was imported before stays.

use http::{HeaderMap, StatusCode};
use tresor::{
    Error, ErrorKind, Result,
    engine::{Applied, Change, Expires, Guard, KeyRef, Kind, MAX_KEY_BYTES, memory::BufferShare},
    session::Session,
};

use super::{
    access::media_type,
    body::Body,
    body_lines::BodyLines,
    document::check_json,
    exchange::{Answer, Exchange, weigh},
    export,
    keys::check_whole,
    kv,
    problem::Problem,
    query::{database_of, pairs},
};
use crate::entry_line::EntryLine;

/// Entries of a batch.
const BATCH_ENTRIES: usize = 256;

/// A batch is applied once its keys and values are this many bytes.
const BATCH_BYTES: usize = 1024 * 1024;

/// What a line has besides its key and its value.
const MEMBERS_BYTES: usize = 1024;

/// Bytes of JSON for a byte of text that has to be escaped.
const ESCAPED_BYTES: usize = 6;

/// What the query says.
#[derive(Clone, Copy, Default)]
struct Asked {
    /// Everything goes into this database, whatever the lines say.
    database: Option<u8>,
    /// What is there already stays.
    only_absent: bool,
}

impl Asked {
    fn parse(query: Option<&str>) -> Result<Self> {
        let mut asked = Self::default();
        for (name, value) in pairs(query.unwrap_or_default()) {
            match (name, value) {
                ("db", number) => asked.database = Some(database_of(number)?),
                ("if", "absent") => asked.only_absent = true,
                ("if", _) => return Err(Error::invalid("if must be absent")),
                _ => {}
            }
        }
        Ok(asked)
    }
}

/// Answers a request to `/v1/import`.
pub(super) async fn answer(mut exchange: Exchange<'_>) -> Answer {
    let asked = Asked::parse(exchange.parts.uri.query())?;
    check_type(&exchange.parts.headers)?;
    let max_value_bytes = exchange.database.config().max_value_bytes;
    // So that whatever is exported can be imported.
    let max_line_bytes = max_value_bytes
        .saturating_add(MAX_KEY_BYTES)
        .saturating_mul(ESCAPED_BYTES)
        .saturating_add(MEMBERS_BYTES);
    let held = BufferShare::new(exchange.database.memory_limit().clone());
    let shared = exchange.shared;
    let mut lines = BodyLines::new(exchange.body.take(), &shared.limits, max_line_bytes, held);
    let mut import = Import::new(exchange.session, asked);
    loop {
        let taken = import.take(&mut lines).await;
        let is_full = import.is_full();
        if is_full || !matches!(taken, Ok(true)) {
            import.apply().await?;
            tokio::task::yield_now().await;
        }
        match taken {
            Ok(true) if is_full && shared.stopper.stopping() => {
                let stopping =
                    Error::new(ErrorKind::Unavailable, "the server is stopping: send what follows later");
                return Err(import.stopped_at(lines.number, stopping.into()));
            }
            Ok(true) => {}
            Ok(false) => return Ok(import.answer()),
            Err(problem) => return Err(import.stopped_at(lines.number, problem)),
        }
    }
}

/// Refuses types that are not lines of JSON; forms are taken for them, because `curl --data-binary` says so of any
/// data.
fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    check_whole(headers)?;
    match media_type(headers).as_deref() {
        None | Some(export::MEDIA_TYPE | "application/json" | "application/x-www-form-urlencoded") => Ok(()),
        Some(_) => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body must be lines of JSON: send Content-Type: application/x-ndjson",
        )),
    }
}

/// An import under way.
struct Import<'a> {
    session: &'a mut Session,
    asked: Asked,
    /// Entries that are read and not applied, with the numbers of their lines.
    batch: Vec<(u64, EntryLine)>,
    batch_bytes: usize,
    imported: u64,
    skipped: u64,
    expired: u64,
}

impl<'a> Import<'a> {
    fn new(session: &'a mut Session, asked: Asked) -> Self {
        Self { session, asked, batch: Vec::new(), batch_bytes: 0, imported: 0, skipped: 0, expired: 0 }
    }

    /// Takes a line; false behind the last.
    async fn take(&mut self, lines: &mut BodyLines<'_>) -> Result<bool, Problem> {
        let Some(line) = lines.next().await? else { return Ok(false) };
        if line.trim_ascii().is_empty() {
            return Ok(true);
        }
        let mut entry = weigh(line.len(), move || parse(&line)).await??;
        if let Some(number) = self.asked.database {
            entry.database = number;
        }
        self.session.key(&entry.key)?;
        self.session.value_bytes(entry.value.len())?;
        self.batch_bytes += entry.key.len() + entry.value.len();
        self.batch.push((lines.number, entry));
        Ok(true)
    }

    fn is_full(&self) -> bool {
        self.batch.len() >= BATCH_ENTRIES || self.batch_bytes >= BATCH_BYTES
    }

    /// Puts what is gathered and waits until it is durable.
    async fn apply(&mut self) -> Result<(), Problem> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        self.session.enter().await;
        let put = self.put(&batch).await;
        self.session.leave();
        let durable = self.session.durable().await;
        let failed = match put {
            Ok(failed) => failed,
            Err(error) => batch.first().map(|(line, _)| (*line, error)),
        };
        if let Some((line, error)) = failed {
            return Err(self.stopped_at(line, error.into()));
        }
        Ok(durable?)
    }

    /// Puts entries; the first line that failed.
    async fn put(&mut self, batch: &[(u64, EntryLine)]) -> Result<Option<(u64, Error)>> {
        let now_ms = self.session.now_ms();
        let is_over = |entry: &EntryLine| entry.expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms);
        let (lines, changes): (Vec<u64>, Vec<Change<'_>>) = batch
            .iter()
            .filter(|(_, entry)| !is_over(entry))
            .map(|(line, entry)| (*line, change(entry, self.asked.only_absent)))
            .unzip();
        self.expired += (batch.len() - changes.len()) as u64;
        if self.asked.only_absent {
            for (line, change) in lines.into_iter().zip(changes) {
                match self.session.write(&[change]).await {
                    Ok(outcome) => match outcome.applied {
                        Applied::Whole(_) => self.imported += 1,
                        Applied::Refused { .. } => self.skipped += 1,
                    },
                    Err(error) => return Ok(Some((line, error))),
                }
            }
            return Ok(None);
        }
        let each = self.session.write_each(&changes).await?;
        self.imported += (changes.len() - each.failures.len()) as u64;
        Ok(each.failures.into_iter().next().map(|(index, error)| (lines[index], error)))
    }

    /// The problem that has stopped it, with its line and what is done.
    fn stopped_at(&self, line: u64, problem: Problem) -> Problem {
        problem.at_line(line).member("imported", self.imported).closing()
    }

    fn answer(&self) -> http::Response<Body> {
        let text = format!(
            "{{\"imported\":{},\"skipped\":{},\"expired\":{}}}",
            self.imported, self.skipped, self.expired
        );
        kv::json(Body::Full(text.into()), StatusCode::OK)
    }
}

/// The entry of a line, which is JSON if it says so.
fn parse(line: &[u8]) -> Result<EntryLine> {
    let text = std::str::from_utf8(line).map_err(|_| Error::invalid("it is not UTF-8"))?;
    let entry = EntryLine::from_line(text)?;
    if entry.kind == Kind::Json {
        check_json(&entry.value)?;
    }
    Ok(entry)
}

fn change(entry: &EntryLine, only_absent: bool) -> Change<'_> {
    Change::Put {
        key: KeyRef::new(entry.database, &entry.key),
        guard: if only_absent { Guard::Absent } else { Guard::None },
        value: &entry.value,
        kind: entry.kind,
        expires: entry.expires_at_ms.map_or(Expires::Never, Expires::At),
    }
}
