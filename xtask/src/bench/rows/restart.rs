//! Row `restart`: from the start of the process to its first answer, with a store to load.
//!
//! Both come back from what a clean end left: a snapshot here, an RDB file there, both in the page
//! cache. The number of keys is checked, so that nobody wins by forgetting.

use super::{
    super::{
        figure::{Bar, Figure},
        fill::{Expiry, fill},
        launch::Server,
        peers::{Kind, Program},
        samples::Samples,
        setup::{Directory, Setup},
    },
    cpu::thousands,
};
use crate::Outcome;

fn words(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Tresor => &["--store-path", "store"],
        _ => &[],
    }
}

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let keys = setup.size(1_000_000, 50_000);
    let mut stores = Vec::new();
    for program in setup.ours_and_redis() {
        stores.push((program, prepared(setup, program, keys)?));
    }
    let mut samples = Samples::default();
    for _ in 0..setup.options.rounds() {
        for (program, directory) in &stores {
            let server = Server::start_in(setup, program, (directory.path(), words(program.kind)))?;
            samples.add(program.kind, server.came_up_in.as_secs_f64() * 1000.0);
            let found = server.client()?.number(&["DBSIZE"])?;
            if found != keys {
                return Err(format!("{} came back with {found} of {keys} keys", server.name));
            }
            server.stop()?;
        }
    }
    let what = format!("restart with {} keys, to the first answer", thousands(keys));
    Ok(vec![Figure::against_redis(what, "ms", &samples).bar(Bar::RatioAtMost(1.0))])
}

/// A directory with a store of so many keys, cleanly left.
fn prepared(setup: &Setup, program: &Program, keys: u64) -> Outcome<Directory> {
    let directory = setup.directory()?;
    let server = Server::start_in(setup, program, (directory.path(), words(program.kind)))?;
    fill(server.port, 0..keys, Expiry::Never)?;
    if program.kind != Kind::Tresor {
        // It is told to save nothing by itself, not even at its end.
        server.client()?.command(&["SAVE"])?;
    }
    server.stop()?;
    Ok(directory)
}
