//! The file of intents: what was decided for several shards and may not be done on all of them.
//!
//! One thread writes and syncs whatever was asked meanwhile as one frame, so only the last frame can be
//! torn, and what is in it was told to nobody. Space for dropping intents is set aside when they are
//! written. A failed sync is never tried again. The file also keeps the databases' numbers, which a swap
//! changes; a start writes it anew with what is left.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    task::{Poll, Waker},
    thread::{self, JoinHandle},
};

use parking_lot::{Condvar, Mutex};

use super::{
    intent::{Record, take},
    wanted::Wanted,
};
use crate::{
    engine::{
        database_table::{DatabaseTable, UNSWAPPED},
        json_file::place::Failed,
    },
    error::{Error, ErrorKind, Result},
    files::{File, Files, Open},
};

const NAME: &str = "intents";
const NEW: &str = "intents.new";
const MAGIC: &[u8; 8] = b"TRESORIN";
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 32;
const FRAME_BYTES: usize = 16;

/// Space beyond the last intent: dropping one takes 25 bytes, and no more are open than there are stripes.
const RESERVE: u64 = 64 * 1024;

/// The file is written anew when it is this long.
const REWRITE_BYTES: u64 = 4 * 1024 * 1024;

/// The intents of a layer.
pub(super) struct Intents {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    asked: Condvar,
}

#[derive(Default)]
struct State {
    intents: Vec<Asked>,
    /// Records that need no further space: what is gone.
    gone: Vec<u8>,
    ticket: u64,
    /// Everything through this ticket is on disk, or has failed.
    settled: u64,
    failures: BTreeMap<u64, Error>,
    number: u64,
    open: BTreeMap<u64, Vec<u8>>,
    mapping: DatabaseTable,
    poison: Option<Error>,
    waiting: Vec<Waker>,
    stop: bool,
}

/// An intent that is to be written.
struct Asked {
    ticket: u64,
    number: u64,
    mapping: Option<DatabaseTable>,
    record: Vec<u8>,
}

/// What an earlier run left.
pub(super) struct Left {
    pub(super) mapping: DatabaseTable,
    pub(super) intents: Vec<(u64, Vec<Wanted>)>,
}

/// An intent on its way to the disk.
pub(super) struct Begun<F> {
    pub(super) number: u64,
    pub(super) durable: F,
}

impl Intents {
    /// Opens the file in a directory, or makes it. [`Invalid`](ErrorKind::Invalid) if it is damaged.
    pub(super) fn open(files: Arc<dyn Files>, directory: &Path, layer: u64) -> Result<(Self, Left)> {
        let path = directory.join(NAME);
        let mut state = State { mapping: UNSWAPPED, ..State::default() };
        if let Some(bytes) = contents(&*files, &path)? {
            read(&bytes, &path, layer, &mut state)?;
        }
        let left = Left { mapping: state.mapping, intents: left(&state) };
        let mut output = Output {
            files,
            directory: directory.to_owned(),
            layer,
            file: None,
            end: 0,
            seed: 0,
            frame: 0,
            allocated: 0,
        };
        output.rewrite(&state).map_err(|(Failed::Before(error) | Failed::Unsure(error))| error)?;
        let shared = Arc::new(Shared { state: Mutex::new(state), asked: Condvar::new() });
        let running = shared.clone();
        let thread = thread::Builder::new()
            .name("tresor-intents".to_owned())
            .spawn(move || running.run(output))
            .map_err(|error| Error::new(ErrorKind::Unavailable, "cannot start a thread").caused_by(error))?;
        Ok((Self { shared, thread: Mutex::new(Some(thread)) }, left))
    }

    /// Records an intent; nothing may be done before it is durable.
    pub(super) fn begin<'s>(
        &'s self,
        parts: &[Wanted],
        mapping: Option<DatabaseTable>,
    ) -> Begun<impl Future<Output = Result<()>> + use<'s>> {
        let (number, ticket) = {
            let mut state = self.shared.state.lock();
            state.number += 1;
            let number = state.number;
            (number, state.ask(number, mapping, parts))
        };
        self.shared.asked.notify_one();
        Begun { number, durable: self.shared.settled(ticket) }
    }

    /// Puts another intent in the place of one.
    pub(super) async fn replace(&self, number: u64, parts: &[Wanted]) -> Result<()> {
        let ticket = self.shared.state.lock().ask(number, None, parts);
        self.shared.asked.notify_one();
        self.shared.settled(ticket).await
    }

    /// Drops an intent that is done, durably.
    pub(super) async fn drop_intent(&self, number: u64) -> Result<()> {
        let ticket = {
            let mut state = self.shared.state.lock();
            state.open.remove(&number);
            state.gone.extend(Record::Gone { number }.encode());
            state.ticket += 1;
            state.ticket
        };
        self.shared.asked.notify_one();
        self.shared.settled(ticket).await
    }

    /// Ends the thread. What was asked before is written.
    pub(super) fn close(&self) {
        self.shared.state.lock().stop = true;
        self.shared.asked.notify_one();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes intents has panicked");
        }
    }
}

impl State {
    fn ask(&mut self, number: u64, mapping: Option<DatabaseTable>, parts: &[Wanted]) -> u64 {
        let record = Record::Intent { number, mapping, parts: parts.to_vec() }.encode();
        self.ticket += 1;
        self.open.insert(number, record.clone());
        self.intents.push(Asked { ticket: self.ticket, number, mapping, record });
        self.ticket
    }

    /// Notes what became of a frame.
    fn wrote(&mut self, intents: Vec<Asked>, ticket: u64, result: Result<Option<Error>>) {
        match result {
            Err(error) => {
                self.poison = Some(poisoned(&error));
                return;
            }
            Ok(None) => {
                let mapping = intents.iter().filter_map(|asked| asked.mapping).next_back();
                self.mapping = mapping.unwrap_or(self.mapping);
            }
            Ok(Some(error)) => {
                for asked in intents {
                    self.failures.insert(asked.ticket, error.again());
                    self.open.remove(&asked.number);
                }
            }
        }
        self.settled = ticket;
    }
}

impl Shared {
    /// Waits until what a ticket was given for is on disk, or has failed.
    fn settled(&self, ticket: u64) -> impl Future<Output = Result<()>> {
        poll_fn(move |context| {
            let mut state = self.state.lock();
            if state.settled >= ticket {
                return Poll::Ready(state.failures.remove(&ticket).map_or(Ok(()), Err));
            }
            if let Some(poison) = &state.poison {
                return Poll::Ready(Err(poison.again()));
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
    }

    fn run(&self, mut output: Output) {
        loop {
            let (intents, gone, ticket) = {
                let mut state = self.state.lock();
                while state.settled == state.ticket && !state.stop {
                    self.asked.wait(&mut state);
                }
                if state.settled == state.ticket {
                    return;
                }
                (std::mem::take(&mut state.intents), std::mem::take(&mut state.gone), state.ticket)
            };
            let result = output.write(&intents, &gone);
            let waiting = {
                let mut state = self.state.lock();
                state.wrote(intents, ticket, result);
                if state.poison.is_none() && output.end > REWRITE_BYTES && state.settled == state.ticket {
                    // Under the lock, so that nothing is asked that the new file would not have.
                    match output.rewrite(&state) {
                        Ok(()) | Err(Failed::Before(_)) => {}
                        Err(Failed::Unsure(error)) => state.poison = Some(poisoned(&error)),
                    }
                }
                std::mem::take(&mut state.waiting)
            };
            waiting.into_iter().for_each(Waker::wake);
            if self.state.lock().poison.is_some() {
                return;
            }
        }
    }
}

fn poisoned(cause: &Error) -> Error {
    let message = "the file of intents could not be written, and what is on disk is uncertain; see to the \
         disk, then start again";
    Error::new(ErrorKind::Poisoned, message).caused_by(cause.to_string())
}

fn left(state: &State) -> Vec<(u64, Vec<Wanted>)> {
    let parts = |bytes: &Vec<u8>| match Record::decode(&mut &bytes[..]) {
        Some(Record::Intent { parts, .. }) => parts,
        _ => Vec::new(),
    };
    state.open.iter().map(|(number, bytes)| (*number, parts(bytes))).collect()
}

/// The file while it is written.
struct Output {
    files: Arc<dyn Files>,
    directory: PathBuf,
    layer: u64,
    file: Option<Arc<dyn File>>,
    end: u64,
    seed: u32,
    frame: u64,
    allocated: u64,
}

impl Output {
    /// Writes and syncs a frame. `Ok(Some)`: there was no room for the intents, which are not written.
    fn write(&mut self, intents: &[Asked], gone: &[u8]) -> Result<Option<Error>> {
        let mut payload: Vec<u8> = intents.iter().flat_map(|asked| &asked.record).copied().collect();
        let mut refused = None;
        if !intents.is_empty()
            && let Err(error) = self.make_room((FRAME_BYTES + payload.len() + gone.len()) as u64)
        {
            refused = Some(error);
            payload.clear();
        }
        payload.extend(gone);
        if !payload.is_empty() {
            self.append(&payload)?;
        }
        Ok(refused)
    }

    fn make_room(&mut self, bytes: u64) -> Result<()> {
        let wanted = self.end + bytes + RESERVE;
        let Some(file) = self.file.as_ref().filter(|_| wanted > self.allocated) else { return Ok(()) };
        let wanted = wanted.next_multiple_of(RESERVE);
        file.allocate(wanted).map_err(|error| failed("make room in", &self.path(), &error))?;
        self.allocated = wanted;
        Ok(())
    }

    fn append(&mut self, payload: &[u8]) -> Result<()> {
        self.frame += 1;
        let frame = frame(self.seed, self.frame, payload);
        if let Some(file) = &self.file {
            let written = file.write_at(&frame, self.end).and_then(|()| file.sync());
            written.map_err(|error| failed("write", &self.path(), &error))?;
        }
        self.end += frame.len() as u64;
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.directory.join(NAME)
    }

    /// Puts a new file in the place of this one, with what is open.
    fn rewrite(&mut self, state: &State) -> Result<(), Failed> {
        let new = self.directory.join(NEW);
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        header[16..24].copy_from_slice(&self.layer.to_le_bytes());
        let seed = crc32fast::hash(&header[..HEADER_BYTES - 4]);
        header[HEADER_BYTES - 4..].copy_from_slice(&seed.to_le_bytes());
        let mut payload = Record::Mapping(state.mapping).encode();
        payload.extend(state.open.values().flatten());
        let mut bytes = header.to_vec();
        bytes.extend(frame(seed, 1, &payload));
        let allocated = (bytes.len() as u64 + RESERVE).next_multiple_of(RESERVE);
        let make = || {
            match self.files.remove(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let file = self.files.open(&new, Open::Create)?;
            file.allocate(allocated)?;
            file.write_at(&bytes, 0)?;
            file.sync()?;
            Ok(file)
        };
        let file = make().map_err(|error| Failed::Before(failed("write", &new, &error)))?;
        let renamed = self.files.rename(&new, &self.path());
        let renamed = renamed.and_then(|()| self.files.sync_directory(&self.directory));
        renamed.map_err(|error| Failed::Unsure(failed("replace", &self.path(), &error)))?;
        self.file = Some(file);
        (self.end, self.seed, self.frame, self.allocated) = (bytes.len() as u64, seed, 1, allocated);
        Ok(())
    }
}

fn frame(seed: u32, number: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; FRAME_BYTES];
    bytes[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes[8..16].copy_from_slice(&number.to_le_bytes());
    bytes.extend(payload);
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(&bytes[4..]);
    bytes[..4].copy_from_slice(&hasher.finalize().to_le_bytes());
    bytes
}

/// The number and payload of the frame at the front, if a whole one is there.
fn parse(mut bytes: &[u8], seed: u32) -> Option<(u64, &[u8])> {
    let all = bytes;
    let crc = u32::from_le_bytes(*take(&mut bytes)?);
    let length = u32::from_le_bytes(*take(&mut bytes)?) as usize;
    let number = u64::from_le_bytes(*take(&mut bytes)?);
    let payload = bytes.get(..length).filter(|_| number > 0)?;
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(&all[4..FRAME_BYTES + length]);
    (hasher.finalize() == crc).then_some((number, payload))
}

fn read(bytes: &[u8], path: &Path, layer: u64, state: &mut State) -> Result<()> {
    let header = bytes.get(..HEADER_BYTES).ok_or_else(|| damaged(path, 0, "it has no header"))?;
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let seed = crc32fast::hash(&header[..HEADER_BYTES - 4]);
    if &header[..8] != MAGIC || word(HEADER_BYTES - 4) != seed {
        return Err(damaged(path, 0, "its header is damaged"));
    }
    if word(8) != FORMAT {
        let message = format!(
            "{} has format {}, and this version reads {FORMAT}; use the newer one",
            path.display(),
            word(8)
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    if header[16..24] != layer.to_le_bytes() {
        return Err(damaged(path, 16, "it is of other shards"));
    }
    let (mut at, mut expected) = (HEADER_BYTES, 1);
    while let Some((number, mut payload)) = parse(&bytes[at..], seed).filter(|frame| frame.0 == expected) {
        let length = payload.len();
        while !payload.is_empty() {
            let record = Record::decode(&mut payload);
            take_in(state, record.ok_or_else(|| damaged(path, at, "a record cannot be read"))?);
        }
        at += FRAME_BYTES + length;
        expected = number + 1;
    }
    // Each frame was synced before the next was written: one behind a broken one means damage.
    let vouched = |from: &usize| parse(&bytes[*from..], seed).is_some_and(|frame| frame.0 > expected);
    if (at..bytes.len().saturating_sub(FRAME_BYTES)).any(|from| vouched(&from)) {
        return Err(damaged(path, at, "what is there was on disk, and is broken"));
    }
    Ok(())
}

fn take_in(state: &mut State, record: Record) {
    match record {
        Record::Intent { number, mapping, parts } => {
            state.mapping = mapping.unwrap_or(state.mapping);
            state.number = state.number.max(number);
            state.open.insert(number, Record::Intent { number, mapping, parts }.encode());
        }
        Record::Gone { number } => drop(state.open.remove(&number)),
        Record::Mapping(mapping) => state.mapping = mapping,
    }
}

fn contents(files: &dyn Files, path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match files.open(path, Open::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open", path, &error)),
    };
    let read = || {
        let mut bytes = vec![0; file.size()? as usize];
        let count = file.read_at(&mut bytes, 0)?;
        bytes.truncate(count);
        Ok(bytes)
    };
    read().map(Some).map_err(|error| failed("read", path, &error))
}

fn damaged(path: &Path, offset: usize, what: &str) -> Error {
    let path = path.display();
    let message = format!(
        "{path} is damaged at byte {offset}: {what}. Without it batches over several shards may be there in \
         half; to go on all the same, remove it"
    );
    Error::new(ErrorKind::Invalid, message)
}

pub(super) fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ErrorKind::DiskFull
        }
        io::ErrorKind::PermissionDenied => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("cannot {what} {}: {error}", path.display()))
}
