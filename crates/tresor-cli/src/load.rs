//! `tresor load`: entries from lines of JSON into a running server.
//!
//! Requests go out in bounded batches, each answered before the next, so a refusal names its line and
//! nothing piles up. Entries that are there already are replaced.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use tresor::{engine::Kind, reply::Reply};
use tresor_server::entry_line::EntryLine;

use crate::{
    dump::select,
    failure::{Failure, Outcome},
    progress::Progress,
    resp::{Client, RespOptions},
};

/// Requests sent together at most.
const BATCH_REQUESTS: usize = 256;

/// A batch is sent when it has this many bytes.
const BATCH_BYTES: usize = 1024 * 1024;

/// From where, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file to read; `-`, or none at all, is standard input
    file: Option<PathBuf>,
    #[command(flatten)]
    server: RespOptions,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match arguments.file.as_deref().filter(|path| *path != Path::new("-")) {
        None => load(&arguments.server, io::stdin().lock(), &Progress::unknown()),
        Some(path) => {
            let cannot = |error| Failure::failed(format!("cannot read {}: {error}", path.display()));
            let file = File::open(path).map_err(cannot)?;
            let bytes = file.metadata().map_err(cannot)?.len();
            load(&arguments.server, BufReader::new(file), &Progress::bytes(bytes))
        }
    }
}

fn load(server: &RespOptions, mut input: impl BufRead, progress: &Progress) -> Outcome {
    let mut loader = Loader { client: Client::connect(server)?, database: 0, waiting: Vec::new() };
    let (mut line, mut number) = (String::new(), 0);
    loop {
        line.clear();
        number += 1;
        let read =
            input.read_line(&mut line).map_err(|error| Failure::failed(format!("line {number}: {error}")))?;
        if read == 0 {
            break;
        }
        progress.advance(read as u64);
        if !line.trim().is_empty() {
            match EntryLine::from_line(&line) {
                Ok(entry) => loader.put(number, &entry)?,
                Err(error) => {
                    loader.settle()?;
                    return Err(at_line(number, error));
                }
            }
        }
    }
    loader.settle()?;
    progress.finish();
    Ok(())
}

fn at_line(number: u64, error: impl std::fmt::Display) -> Failure {
    Failure::failed(format!("line {number}: {error}; the lines before it were loaded"))
}

struct Loader {
    client: Client,
    database: u8,
    /// The lines whose replies are outstanding.
    waiting: Vec<u64>,
}

impl Loader {
    fn put(&mut self, line: u64, entry: &EntryLine) -> Outcome {
        if entry.database != self.database {
            self.settle()?;
            select(&mut self.client, entry.database)?;
            self.database = entry.database;
        }
        let kind: &[u8] = match entry.kind {
            Kind::Json => b"JSON",
            Kind::Raw | Kind::Packed => b"RAW",
        };
        match entry.expires_at_ms {
            None => self.client.queue(&[b"TRESOR.PUT", &entry.key, &entry.value, kind]),
            Some(at_ms) => self.client.queue(&[
                b"TRESOR.PUT",
                &entry.key,
                &entry.value,
                kind,
                b"PXAT",
                at_ms.to_string().as_bytes(),
            ]),
        }
        self.waiting.push(line);
        if self.waiting.len() >= BATCH_REQUESTS || self.client.unsent_bytes() >= BATCH_BYTES {
            return self.settle();
        }
        Ok(())
    }

    /// Sends what is queued and takes every reply.
    fn settle(&mut self) -> Outcome {
        self.client.flush()?;
        for line in std::mem::take(&mut self.waiting) {
            if let Reply::Error(text) = self.client.receive()? {
                return Err(at_line(line, text));
            }
        }
        Ok(())
    }
}
