//! `tresor copy`: all entries of a store into another, whatever engines and layers the two have.
//!
//! Neither store has a server meanwhile. The giver is only read, and the receiver has to be empty, or
//! to be what an earlier copy of the same giver has begun. At the end the receiver is closed, opened
//! anew and compared with the giver, so that what counts is what is on disk. Both are looked at as of
//! one moment, at which time stands still: entries that expire meanwhile come along with their expiry.

mod comparison;
mod marker;
mod transfer;

use std::{
    fs,
    hash::Hasher as _,
    io::{self, Write},
    path::Path,
    time::Instant,
};

use siphasher::sip::SipHasher13;
use tresor::engine::{Content, DATABASES, Engine, Order, Scan};
use tresor_server::assemble::EngineChoice;

use self::{
    comparison::{Difference, Total},
    marker::{Marker, MarkerFile},
    transfer::Transfer,
};
use crate::{
    failure::{Failure, Outcome},
    progress::Progress,
    stopped_store::StoppedStore,
    store_name::StoreName,
};

/// From where, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The store to copy: a configuration as `tresor serve --config` takes it, ENGINE:PATH as in
    /// disk:./data, or the bare path of a store; no server may have it open
    #[arg(value_name = "FROM")]
    from: String,
    /// The store to copy to, which must be empty or not there yet: a configuration or ENGINE:PATH with one
    /// of memory, json, disk and sqlite
    #[arg(value_name = "TO")]
    to: String,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let started = Instant::now();
    let (from, to) = (StoreName::existing(&arguments.from)?, StoreName::spelled(&arguments.to)?);
    if from.is_same_place(&to) {
        return Err(Failure::usage(format!("{from} and {to} are the same store: name another to copy to")));
    }
    if !from.is_there() {
        from.refuse_others()?;
        return Err(Failure::failed(format!("{from}: there is no store; name the one that is to be copied")));
    }
    to.refuse_others()?;
    let copy = Copy { file: marker_file(&to), from, to };
    let (total, keeps_versions) = copy.run()?;
    let mut output = io::stdout().lock();
    writeln!(
        output,
        "copied {} entries ({} bytes) of {} databases from {} to {} in {:.1} s; checked: the same count and checksum",
        total.entries,
        total.bytes,
        total.databases,
        copy.from,
        copy.to,
        started.elapsed().as_secs_f64()
    )?;
    if !keeps_versions {
        let engine = copy.to.assembly.engine;
        writeln!(output, "the versions are new, because the {engine} engine gives entries its own")?;
    }
    Ok(())
}

/// A cluster has no place of its own on this machine.
fn marker_file(to: &StoreName) -> MarkerFile {
    match (to.path(), &to.assembly.cassandra) {
        (None, Some(cluster)) => MarkerFile::beside(Path::new(&cluster.keyspace)),
        (path, _) => MarkerFile::beside(path.unwrap_or(Path::new("store"))),
    }
}

struct Copy {
    from: StoreName,
    to: StoreName,
    file: MarkerFile,
}

impl Copy {
    /// Copies and compares; what there is now, and whether versions came along.
    fn run(&self) -> Outcome<(Total, bool)> {
        let earlier = self.earlier()?;
        // Before it is opened: a handle closed beside SQLite's would end SQLite's locks.
        let file_id = json_id(&self.from)?;
        let from = StoppedStore::open(&self.from)?;
        let status = from.engine().status().wait()?;
        let from_id = file_id.unwrap_or(status.store_id);
        self.refuse_other_giver(earlier.as_ref(), from_id)?;
        let now_ms = from.now_ms;
        let to = StoppedStore::open_at(&self.to, now_ms)?;
        let to_id = self.id_of_receiver(&to)?;
        let marker = self.begun(earlier, &to, Marker { from_id, to_id, ..Marker::default() })?;
        let progress = Progress::entries(status.keys.iter().sum());
        progress.advance(marker.entries);
        let mut transfer = Transfer::new((from.engine(), to.engine()), (now_ms, status.sequence), marker);
        transfer.run(&self.file, &progress)?;
        let keeps_versions = transfer.keeps_versions;
        progress.finish();
        to.engine().save().wait()?;
        to.close()?;
        let total = self.compared(&from)?;
        self.file.remove()?;
        from.close()?;
        Ok((total, keeps_versions))
    }

    /// What an earlier copy has left, if what it copied to is still there.
    fn earlier(&self) -> Outcome<Option<Marker>> {
        let marker = self.file.read()?;
        match &marker {
            Some(earlier) if earlier.entries > 0 && !self.to.is_there() => Err(Failure::failed(format!(
                "{} tells of an earlier copy to {}, which is gone: remove that file to copy anew",
                self.file.path.display(),
                self.to
            ))),
            _ => Ok(marker),
        }
    }

    fn refuse_other_giver(&self, earlier: Option<&Marker>, from_id: u64) -> Outcome {
        match earlier {
            Some(earlier) if earlier.from_id != from_id => Err(Failure::failed(format!(
                "{} tells of an earlier copy of another store than {}, or of one that was changed since: copy that one on, or remove the file and {} to copy anew",
                self.file.path.display(),
                self.from,
                self.to
            ))),
            _ => Ok(()),
        }
    }

    /// The identity of the receiver, where it has one that lasts.
    fn id_of_receiver(&self, to: &StoppedStore) -> Outcome<u64> {
        match self.to.assembly.engine {
            EngineChoice::Json => Ok(0),
            _ => Ok(to.engine().status().wait()?.store_id),
        }
    }

    /// Where to go on, which is at the beginning of an empty store where no copy was begun.
    fn begun(&self, earlier: Option<Marker>, to: &StoppedStore, new: Marker) -> Outcome<Marker> {
        let path = self.file.path.display();
        let is_empty = is_empty(to.engine())?;
        // One that has copied nothing yet may have left a marker alone.
        if let Some(earlier) = earlier.filter(|earlier| earlier.entries > 0 || !is_empty) {
            if earlier.to_id != new.to_id {
                return Err(Failure::failed(format!(
                    "{path} tells of an earlier copy to another store than {}: remove the file, and that store if it is not wanted, to copy anew",
                    self.to
                )));
            }
            eprintln!("going on behind {} entries that were copied before", earlier.entries);
            return Ok(earlier);
        }
        if !is_empty {
            return Err(Failure::failed(format!(
                "{} is not empty: remove it, or name another store to copy to",
                self.to
            )));
        }
        // Before the first entry: from then on the store is not empty.
        self.file.write(&new)?;
        Ok(new)
    }

    /// What both hold, if it is the same.
    fn compared(&self, from: &StoppedStore) -> Outcome<Total> {
        let now_ms = from.now_ms;
        let to = StoppedStore::open_at(&self.to, now_ms)?;
        let expected: u64 = from.engine().status().wait()?.keys.iter().sum();
        let progress = Progress::entries(expected * 2);
        let total = Total::of(from.engine(), now_ms, &progress)?;
        if Total::of(to.engine(), now_ms, &progress)? != total {
            let difference = Difference::between(from.engine(), to.engine(), now_ms)?;
            if difference.entries() > 0 {
                return Err(self.differs(difference));
            }
        }
        progress.finish();
        to.close()?;
        Ok(total)
    }

    fn differs(&self, difference: Difference) -> Failure {
        let Difference { missing, other, surplus } = difference;
        Failure::failed(format!(
            "{} differs from {} in {} entries: {missing} are missing, {other} are not the same, {surplus} are too many; if either was served since the copy began, remove {} and {} and copy anew",
            self.to,
            self.from,
            difference.entries(),
            self.to,
            self.file.path.display()
        ))
    }
}

/// What tells a JSON file from another and from itself as it was: it has no identity of its own.
fn json_id(name: &StoreName) -> Outcome<Option<u64>> {
    match (name.assembly.engine, name.path()) {
        (EngineChoice::Json, Some(path)) => {
            let mut hasher = SipHasher13::new();
            hasher.write(&fs::read(path)?);
            Ok(Some(hasher.finish()))
        }
        _ => Ok(None),
    }
}

/// Whether there is nothing at all, expired or not.
fn is_empty(engine: &dyn Engine) -> Outcome<bool> {
    for database in 0..DATABASES {
        let scan = Scan::all(database, Order::Any, Content::Keys, 1);
        if !engine.scan(&scan, 0).wait()?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}
