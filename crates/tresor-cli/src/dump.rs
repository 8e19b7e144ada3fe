//! `tresor dump`: every entry of every database as a line of JSON.
//!
//! It reads a running server over the Redis protocol, page by page, so neither side ever holds more
//! than a page. Entries that change meanwhile may appear as before or after. A file takes its name only
//! when it is whole.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use tresor::{engine::Kind, reply::Reply};
use tresor_server::entry_line::EntryLine;

use crate::{
    failure::{Failure, Outcome},
    progress::Progress,
    resp::{Client, RespOptions},
};

/// Entries asked for at a time.
const PAGE_ENTRIES: &[u8] = b"256";

/// From where, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file to write; `-`, or none at all, is standard output
    file: Option<PathBuf>,
    /// Only this database, instead of all 16
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(0..16))]
    db: Option<u8>,
    #[command(flatten)]
    server: RespOptions,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let mut client = Client::connect(&arguments.server)?;
    match arguments.file.as_deref().filter(|path| *path != Path::new("-")) {
        None => {
            let mut output = BufWriter::new(io::stdout().lock());
            dump(&mut client, arguments.db, &mut output)?;
            Ok(output.flush()?)
        }
        Some(path) => to_file(&mut client, arguments.db, path),
    }
}

fn to_file(client: &mut Client, only: Option<u8>, path: &Path) -> Outcome {
    let cannot = |error: io::Error| Failure::failed(format!("cannot write {}: {error}", path.display()));
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let mut output = BufWriter::new(File::create(&partial).map_err(cannot)?);
    dump(client, only, &mut output)?;
    let file = output.into_inner().map_err(|error| cannot(error.into_error()))?;
    file.sync_all().and_then(|()| fs::rename(&partial, path)).map_err(cannot)
}

fn dump(client: &mut Client, only: Option<u8>, output: &mut impl Write) -> Outcome {
    let databases = only.map_or(0..=tresor::engine::DATABASES - 1, |number| number..=number);
    let sizes =
        databases.map(|database| Ok((database, size(client, database)?))).collect::<Outcome<Vec<_>>>()?;
    let progress = Progress::entries(sizes.iter().map(|(_, size)| size).sum());
    for (database, _) in sizes.into_iter().filter(|(_, size)| *size > 0) {
        select(client, database)?;
        let mut cursor = b"0".to_vec();
        loop {
            let page = client.call(&[b"TRESOR.SCAN", &cursor, b"COUNT", PAGE_ENTRIES])?;
            let (next, entries) = page_of(page, database).ok_or_else(unexpected)?;
            for entry in &entries {
                output.write_all(&entry.to_line())?;
            }
            progress.advance(entries.len() as u64);
            if next == b"0" {
                break;
            }
            cursor = next;
        }
    }
    progress.finish();
    Ok(())
}

fn size(client: &mut Client, database: u8) -> Outcome<u64> {
    select(client, database)?;
    match client.call(&[b"DBSIZE"])? {
        Reply::Integer(size) => Ok(size.unsigned_abs()),
        _ => Err(unexpected()),
    }
}

pub(crate) fn select(client: &mut Client, database: u8) -> Outcome {
    client.call(&[b"SELECT", database.to_string().as_bytes()]).map(|_| ())
}

fn unexpected() -> Failure {
    Failure::failed("the server's answer makes no sense: is it a Tresor server of this version?")
}

/// The next cursor and the entries of a page; each is key, value, kind, and expiry or null.
fn page_of(reply: Reply, database: u8) -> Option<(Vec<u8>, Vec<EntryLine>)> {
    let Reply::Array(parts) = reply else { return None };
    let [Reply::Bulk(next), Reply::Array(entries)] = parts.as_slice() else { return None };
    let entries: Option<Vec<EntryLine>> = entries.iter().map(|entry| entry_of(entry, database)).collect();
    Some((next.to_vec(), entries?))
}

fn entry_of(reply: &Reply, database: u8) -> Option<EntryLine> {
    let Reply::Array(parts) = reply else { return None };
    let [Reply::Bulk(key), Reply::Bulk(value), Reply::Bulk(kind), expiry] = parts.as_slice() else {
        return None;
    };
    let kind = match &kind[..] {
        b"raw" => Kind::Raw,
        b"json" => Kind::Json,
        _ => return None,
    };
    let expires_at_ms = match expiry {
        Reply::Integer(at_ms) => Some(at_ms.unsigned_abs()),
        Reply::Null => None,
        _ => return None,
    };
    Some(EntryLine { database, key: key.to_vec(), value: value.to_vec(), kind, expires_at_ms })
}
