//! Replacing the encryption keys of a store while it serves: reading them again, and taking values along.
//!
//! One rotation at a time, on a thread that the server joins when it ends; it stops early then, and what
//! it has not come to is left for the next. Until every value is under the new key all keys that there
//! were stay to read with, whatever the file says, so that no file can make a value unreadable.

use std::{
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
};

use parking_lot::Mutex;
use tresor::{
    Database, Error, ErrorKind, Result,
    clock::{Clock, SystemClock},
    layer::{Encrypted, EncryptionKeys, Reencrypted, ReencryptionProgress},
};

/// Where the keys came from at the start.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// This file: it can be read again.
    File(PathBuf),
    /// This environment variable, which cannot change while the process runs.
    Variable(String),
}

/// Why a rotation did not begin.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It cannot be done now, or not with what is there: what is in the way.
    Conflict(String),
    /// It failed.
    Failed(Error),
}

/// How a rotation is doing, or how the latest went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RotationStatus {
    pub(crate) running: bool,
    /// Entries of the store when it began.
    pub(crate) entries: u64,
    /// Of these, how many it has come past.
    pub(crate) looked_at: u64,
    /// Values that it has written again.
    pub(crate) reencrypted: u64,
    /// What went wrong, if anything did.
    pub(crate) trouble: Option<String>,
}

/// The rotations of one server.
pub(crate) struct KeyRotation {
    source: Option<KeySource>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stopping: bool,
    /// Between the request and the thread's end.
    running: bool,
    entries: u64,
    progress: Arc<ReencryptionProgress>,
    trouble: Option<String>,
    thread: Option<JoinHandle<()>>,
}

impl State {
    /// Whether there is one: a thread that has panicked cannot say that it has ended.
    fn is_running(&self) -> bool {
        self.running && !self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }
}

impl KeyRotation {
    /// None yet, with keys that come from `source`.
    pub(crate) fn new(source: Option<KeySource>) -> Arc<Self> {
        Arc::new(Self { source, state: Mutex::default() })
    }

    /// How it is going.
    pub(crate) fn status(&self) -> RotationStatus {
        let state = self.state.lock();
        RotationStatus {
            running: state.is_running(),
            entries: state.entries,
            looked_at: state.progress.looked_at(),
            reencrypted: state.progress.rewritten(),
            trouble: state.trouble.clone(),
        }
    }

    /// Reads the keys again, uses the first of them from now on, and begins to take values along. Reads a
    /// file, so it may block. Unless it answers well, nothing is changed.
    pub(crate) fn start(self: &Arc<Self>, database: &Database) -> Result<(), Refused> {
        let Some(encrypted) = database.encrypted().cloned() else {
            let message = "the store is not encrypted: start the server with --encryption-key-file";
            return Err(Refused::Failed(Error::new(ErrorKind::Unsupported, message)));
        };
        self.begin()?;
        let started = self.start_thread(database, encrypted);
        if started.is_err() {
            self.state.lock().running = false;
        }
        started
    }

    /// Makes this the one rotation, and joins the thread of the one before.
    fn begin(&self) -> Result<(), Refused> {
        let ended = {
            let mut state = self.state.lock();
            if state.stopping {
                let message = "the server is stopping: ask again when it is back";
                return Err(Refused::Failed(Error::new(ErrorKind::Unavailable, message)));
            }
            if state.is_running() {
                let message = "keys are being rotated already: GET /v1/encryption says how far that is";
                return Err(Refused::Conflict(message.to_owned()));
            }
            state.running = true;
            state.thread.take()
        };
        join(ended);
        Ok(())
    }

    fn start_thread(self: &Arc<Self>, database: &Database, encrypted: Arc<Encrypted>) -> Result<(), Refused> {
        let keys = self.keys()?;
        let entries = database.status().map_err(Refused::Failed)?.keys.iter().sum();
        encrypted.begin_rotation(&keys).map_err(|error| Refused::Conflict(error.to_string()))?;
        let progress = Arc::new(ReencryptionProgress::default());
        let mut state = self.state.lock();
        if state.stopping {
            progress.stop();
        }
        (state.entries, state.trouble, state.progress) = (entries, None, progress.clone());
        let (rotation, database) = (self.clone(), database.clone());
        let run = move || {
            let trouble = rotate(&database, (&encrypted, &keys), &progress).err();
            drop(database);
            let mut state = rotation.state.lock();
            (state.running, state.trouble) = (false, trouble);
        };
        let thread = thread::Builder::new().name("tresor-reencrypt".to_owned()).spawn(run);
        state.thread = Some(thread.map_err(|error| {
            let message = "cannot start a thread; the new key is in use, and values are taken along when this is asked again";
            Refused::Failed(Error::new(ErrorKind::Unavailable, message).caused_by(error))
        })?);
        Ok(())
    }

    fn keys(&self) -> Result<EncryptionKeys, Refused> {
        match &self.source {
            Some(KeySource::File(path)) => {
                EncryptionKeys::from_file(path).map_err(|error| Refused::Conflict(error.to_string()))
            }
            Some(KeySource::Variable(name)) => Err(Refused::Conflict(format!(
                "the keys came from the variable {name}, which cannot change while the server runs: start it anew with the new key first, or with --encryption-key-file, then rotate"
            ))),
            None => Err(Refused::Conflict("nobody said where the keys are to be read again".to_owned())),
        }
    }

    /// Tells the one that runs to end, and lets none begin.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.stopping = true;
        state.progress.stop();
    }

    /// Waits until the one that was told to end has.
    pub(crate) fn join(&self) {
        let thread = self.state.lock().thread.take();
        join(thread);
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if thread.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("the thread that re-encrypts has panicked");
    }
}

/// Takes every value along to the current key; what went wrong, in words.
fn rotate(
    database: &Database,
    (encrypted, keys): (&Encrypted, &EncryptionKeys),
    progress: &ReencryptionProgress,
) -> Result<(), String> {
    let current = encrypted.key_ids().first().map(ToString::to_string).unwrap_or_default();
    tracing::info!(key = current, "values are encrypted under this key from now on; taking older ones along");
    // A write that was encrypted under the key before must have landed where the walk will find it.
    database.settle();
    let clock = SystemClock::new();
    let walked = encrypted.reencrypt_watched(progress, &|| clock.now_ms()).wait();
    let outcome = walked.map_err(|error| error.to_string()).and_then(judged);
    match &outcome {
        Ok(()) => {
            // A read that was begun before its value was written again still needs the older key.
            database.settle();
            encrypted.rotate(keys).map_err(|error| error.to_string())?;
            tracing::info!(
                key = current,
                reencrypted = progress.rewritten(),
                "all values are under this key"
            );
        }
        Err(trouble) => tracing::warn!(key = current, trouble, "older keys are still needed"),
    }
    outcome
}

fn judged(walk: Reencrypted) -> Result<(), String> {
    if walk.stopped {
        return Err(
            "the server stopped before all values were re-encrypted: rotate again to go on".to_owned()
        );
    }
    match walk.first_failure {
        Some(error) => Err(format!(
            "{} values could not be read and are as they were, so keep the older keys; the first: {error}",
            walk.left
        )),
        None => Ok(()),
    }
}
