//! What the commands of the line protocol do.
//!
//! A command of a transaction is the ordinary one between `enter_transaction` and `leave_transaction`; the
//! session sees to locks, and to ids that are not this connection's. Invariant: a command that answers with
//! an error has changed nothing, and has written nothing before that error.

use bytes::Bytes;
use tresor::{
    Error, ErrorKind, Result,
    engine::{Change, DATABASES, EntryRef, Expires, Guard, KeyRef, Kind},
    search::Request,
    session::Session,
    transaction::TransactionId,
};

use super::{
    answer,
    command::{Name, Row, write_help},
};
use crate::{found::FoundMembers, protocol::Word, worker::Worker};

/// Values up to this many bytes are written where they are read; others are kept and written piece by piece.
const WRITTEN_AT_ONCE_BYTES: usize = 16 * 1024;

/// What is still to be done about an answer.
pub(super) enum Then {
    /// Nothing: it is written.
    Done,
    /// The connection ends once it is sent.
    Close,
    /// It is a large value, and nothing of it is written.
    Value(Bytes, Kind),
    /// It is a page of a query, and nothing of it is written.
    Found(Box<FoundMembers>),
    /// It is everything, and nothing of it is written.
    ShowAll,
}

/// A command with its words, and what it may use.
pub(super) struct Execution<'a> {
    pub(super) worker: &'a Worker,
    pub(super) session: &'a mut Session,
    /// What `@` means; nothing when the latest BEGIN has failed, so that what was sent after it does not end
    /// up in the transaction before.
    pub(super) latest: &'a mut Option<TransactionId>,
    pub(super) out: &'a mut Vec<u8>,
}

impl Execution<'_> {
    /// Executes a command inside a gate; `words` are those behind its name, as many as its row wants.
    pub(super) async fn run(&mut self, row: &Row, words: &[Word<'_>]) -> Then {
        let start = self.out.len();
        let result = self.dispatch(row.name, words).await;
        self.worker.http.line.executed(self.worker.number, row, result.is_err());
        result.unwrap_or_else(|error| {
            self.out.truncate(start);
            answer::write_error(self.out, &error);
            Then::Done
        })
    }

    async fn dispatch(&mut self, name: Name, words: &[Word<'_>]) -> Result<Then> {
        match (name, words) {
            (Name::Begin, _) => self.begin().await?,
            (Name::Put, [key, value, rest @ ..]) => self.put(key, value, rest.first()).await?,
            (Name::Get, [key, rest @ ..]) => return self.get(key, rest.first()).await,
            (Name::Find, words) => return self.find(words).await,
            (Name::Del, [word]) if names_transaction(word) => self.delete_all(word).await?,
            (Name::Del, [key, rest @ ..]) => self.delete(key, rest.first()).await?,
            (Name::Rollback, [id, ..]) => self.rollback(id).await?,
            (Name::Abort, [id, ..]) => {
                self.session.abort(self.transaction(id)?)?;
                self.ok();
            }
            (Name::Commit, [id, ..]) => {
                self.session.commit(self.transaction(id)?).await?;
                self.ok();
            }
            (Name::CommitAll, _) => self.commit_all().await?,
            (Name::ShowAll, _) => return Ok(Then::ShowAll),
            (Name::Auth, [password, ..]) => self.authenticate(password)?,
            (Name::Ping, _) => answer::write_text(self.out, "message", "PONG"),
            (Name::Select, [number, ..]) => self.select(number)?,
            (Name::Help, _) => write_help(self.out),
            (Name::Quit, _) => {
                answer::write_text(self.out, "message", "BYE");
                return Ok(Then::Close);
            }
            _ => return Err(Error::new(ErrorKind::Internal, "a command has fewer words than its row says")),
        }
        Ok(Then::Done)
    }

    fn ok(&mut self) {
        self.out.extend_from_slice(answer::OK);
    }

    /// The transaction that a word names.
    fn transaction(&self, word: &Word<'_>) -> Result<TransactionId> {
        transaction_of(word, *self.latest)
    }

    /// Lets what follows belong to a transaction, if a word names one.
    fn enter(&mut self, id: Option<&Word<'_>>) -> Result<()> {
        match id {
            Some(id) => self.session.enter_transaction(self.transaction(id)?),
            None => Ok(()),
        }
    }

    async fn begin(&mut self) -> Result<()> {
        *self.latest = None;
        let id = self.session.begin().await?;
        *self.latest = Some(id);
        answer::write_number(self.out, "transaction_id", id);
        Ok(())
    }

    async fn put(&mut self, key: &Word<'_>, value: &Word<'_>, id: Option<&Word<'_>>) -> Result<()> {
        let key = self.session.key(&key.bytes)?;
        self.session.value_bytes(value.bytes.len())?;
        self.session.may_grow()?;
        let (value, kind, expires) = (&*value.bytes, Kind::Raw, Expires::Never);
        let change = Change::Put { key, guard: Guard::None, value, kind, expires };
        self.enter(id)?;
        let written = self.session.write_blind(&[change]).await;
        self.leave(id);
        written?;
        self.ok();
        Ok(())
    }

    fn leave(&mut self, id: Option<&Word<'_>>) {
        if id.is_some() {
            self.session.leave_transaction();
        }
    }

    async fn get(&mut self, key: &Word<'_>, id: Option<&Word<'_>>) -> Result<Then> {
        let (mut found, mut large) = (false, None);
        let out = &mut *self.out;
        let visit = |entry: Option<EntryRef<'_>>| {
            let Some(entry) = entry else { return };
            found = true;
            match entry.value.bytes() {
                bytes if bytes.len() <= WRITTEN_AT_ONCE_BYTES => {
                    answer::write_entry(out, &key.bytes, Some((bytes, entry.kind)));
                }
                _ => large = Some((entry.value.to_bytes(), entry.kind)),
            }
        };
        // Not `enter`, which would borrow the output too.
        if let Some(id) = id {
            let id = transaction_of(id, *self.latest)?;
            self.session.enter_transaction(id)?;
        }
        let read = self.session.read(&key.bytes, visit).await;
        self.leave(id);
        read?;
        match large {
            Some((bytes, kind)) => Ok(Then::Value(bytes, kind)),
            None if found => Ok(Then::Done),
            None => Err(Error::new(ErrorKind::NotFound, "no such key")),
        }
    }

    async fn find(&mut self, words: &[Word<'_>]) -> Result<Then> {
        let request = Request::parse(words.iter().map(|word| &*word.bytes))?;
        if request.dry_run {
            return Err(Error::invalid("FIND changes nothing: leave DRYRUN out"));
        }
        let plan = request.explain.then(|| self.session.plan(&request.query)).transpose()?;
        let page = Box::pin(self.session.find(&request.query, request.cursor.as_deref())).await?;
        Ok(Then::Found(Box::new(FoundMembers::new(page, plan.as_ref()))))
    }

    async fn delete(&mut self, key: &Word<'_>, id: Option<&Word<'_>>) -> Result<()> {
        let key = self.session.key(&key.bytes)?;
        self.enter(id)?;
        let deleted = delete(self.session, key).await;
        self.leave(id);
        answer::write_number(self.out, "deleted", u64::from(deleted?));
        Ok(())
    }

    /// Deletes every key that a transaction has written, one step each; all of them or none.
    async fn delete_all(&mut self, id: &Word<'_>) -> Result<()> {
        let id = self.transaction(id)?;
        let keys = self.session.written_keys(id)?;
        let mut deleted = 0;
        self.session.enter_transaction(id)?;
        let mut result = Ok(());
        for (database, key) in &keys {
            match delete(self.session, KeyRef::new(*database, key)).await {
                Ok(existed) => deleted += u64::from(existed),
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.session.leave_transaction();
        if result.is_err() {
            for _ in 0..deleted {
                // It can only have ended meanwhile, and then nothing is left to undo.
                let _ = self.session.undo(id).await;
            }
        }
        result?;
        answer::write_number(self.out, "deleted", deleted);
        Ok(())
    }

    async fn rollback(&mut self, id: &Word<'_>) -> Result<()> {
        let undone = self.session.undo(self.transaction(id)?).await?;
        // Every command of this protocol writes one key a step.
        let before = undone.first();
        let before = before.ok_or_else(|| Error::new(ErrorKind::Internal, "a step has written nothing"))?;
        let value = before.value().map(|(value, kind)| (value.bytes(), kind));
        answer::write_entry(self.out, &before.key, value);
        Ok(())
    }

    async fn commit_all(&mut self) -> Result<()> {
        let mut committed = 0;
        for id in self.session.transactions() {
            match self.session.commit(id).await {
                Ok(()) => committed += 1,
                // It was idle for too long just now.
                Err(error) if error.kind() == ErrorKind::UnknownTransaction => {}
                Err(error) => {
                    let message = format!(
                        "{committed} transactions are committed, {id} and those after it stay open: {error}"
                    );
                    return Err(Error::new(error.kind(), message));
                }
            }
        }
        answer::write_number(self.out, "committed", committed);
        Ok(())
    }

    fn authenticate(&mut self, password: &Word<'_>) -> Result<()> {
        if !self.worker.database.settings().needs_password() {
            return Err(Error::invalid("this server asks for no password: AUTH is not needed"));
        }
        let wrong = |error: Error| Error::new(error.kind(), "wrong password");
        self.session.authenticate(b"default", &password.bytes).map_err(wrong)?;
        self.ok();
        Ok(())
    }

    fn select(&mut self, number: &Word<'_>) -> Result<()> {
        let text = std::str::from_utf8(&number.bytes).ok().filter(|text| is_number(text.as_bytes()));
        let database = text.and_then(|text| text.parse().ok()).filter(|database| *database < DATABASES);
        let none = || Error::invalid(format!("no such database: say a number from 0 to {}", DATABASES - 1));
        self.session.select(database.ok_or_else(none)?);
        self.ok();
        Ok(())
    }
}

/// The transaction that a word names, where `@` means the latest.
fn transaction_of(word: &Word<'_>, latest: Option<TransactionId>) -> Result<TransactionId> {
    let unknown = || Error::new(ErrorKind::UnknownTransaction, "no such transaction");
    match &*word.bytes {
        b"@" => latest.ok_or_else(unknown),
        digits if is_number(digits) => {
            // A number that is too large for one names none either.
            let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
            number.ok_or_else(unknown)
        }
        other => Err(Error::invalid(format!(
            "'{}' is no transaction: say the number that BEGIN answered, or @ for the latest",
            shown(other)
        ))),
    }
}

/// Deletes a key; whether it was there.
async fn delete(session: &mut Session, key: KeyRef<'_>) -> Result<bool> {
    let outcome = session.write(&[Change::Delete { key, guard: Guard::None }]).await?;
    Ok(outcome.effect().is_some_and(|effect| effect.existed))
}

/// Whether DEL's only argument names a transaction and no key.
fn names_transaction(word: &Word<'_>) -> bool {
    !word.quoted && (*word.bytes == *b"@" || is_number(&word.bytes))
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// A word in a message, cut short.
pub(super) fn shown(word: &[u8]) -> String {
    const SHOWN_BYTES: usize = 64;
    String::from_utf8_lossy(&word[..word.len().min(SHOWN_BYTES)]).into_owned()
}
