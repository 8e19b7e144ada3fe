//! Row `expiry`: how long the memory of expired keys stays taken beside a million that are not due.
//!
//! All due keys expire at the same millisecond. Time runs from then until both the number of keys and
//! the server's own figure of its memory are back; tables have grown to their size beforehand.

use std::time::Duration;

use tresor::clock::{Clock, SystemClock};

use super::{
    super::{
        figure::{Bar, Figure},
        fill::{Expiry, delete, fill},
        launch::Server,
        peers::{Kind, Program},
        samples::Samples,
        setup::Setup,
        wait,
    },
    cpu::thousands,
};
use crate::Outcome;

/// Of the memory that the due keys took, how much may still be missing: tables keep some room.
const TOLERANCE: f64 = 0.2;

/// How long the keys take to be due, at most.
const DUE: Duration = Duration::from_secs(30);

/// Far enough that the others are never due.
const OTHERS_SECONDS: u64 = 90_000;

/// More rounds of ours; Redis takes so long that one has to do.
const OUR_ROUNDS: usize = 3;

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let (others, due) = (setup.size(1_000_000, 50_000), setup.size(100_000, 5_000));
    // Who is slower than this is shown with this.
    let patience = Duration::from_secs(setup.size(90, 5));
    let mut samples = Samples::default();
    let mut late = false;
    for program in setup.ours_and_redis() {
        let rounds = if program.kind == Kind::Tresor { setup.options.rounds().min(OUR_ROUNDS) } else { 1 };
        for _ in 0..rounds {
            let took = back_in(setup, program, (others, due, patience))?;
            late |= took.is_none();
            samples.add(program.kind, took.unwrap_or(patience).as_secs_f64() * 1000.0);
        }
    }
    let what = format!("memory back after {} of {} keys expire", thousands(due), thousands(due + others));
    let mut figure = Figure::against_redis(what, "ms", &samples).bar(Bar::AtMost(1000.0));
    if late {
        figure = figure.also(format!("{} s: not back by then", patience.as_secs()));
    }
    Ok(vec![figure])
}

/// Time from when keys are due until their memory is back; `None` if that takes too long.
fn back_in(
    setup: &Setup,
    program: &Program,
    (others, due, patience): (u64, u64, Duration),
) -> Outcome<Option<Duration>> {
    let server = Server::start(setup, program, &[])?;
    let clock = SystemClock::new();
    let (port, later) = (server.port, Expiry::InSeconds(OTHERS_SECONDS));
    fill(port, 0..others + due, later)?;
    delete(port, others..others + due)?;
    let mut client = server.client()?;
    let before = client.info("memory", "used_memory")?;
    // A second for the keys to live, after as long as a fill may take.
    let due_ms = clock.now_ms() + 1_000 + setup.size(3_000, 500);
    fill(port, others..others + due, Expiry::At(due_ms))?;
    let full = client.info("memory", "used_memory")?;
    if clock.now_ms() >= due_ms {
        return Err("the keys were due before all were there".to_owned());
    }
    let enough = before + ((full.saturating_sub(before)) as f64 * TOLERANCE) as u64;
    wait::until("the keys to be due", DUE, || Ok((clock.now_ms() >= due_ms).then_some(())))?;
    let waited = wait::until("memory to be back", patience, || {
        let keys = client.number(&["DBSIZE"])?;
        Ok((keys <= others && client.info("memory", "used_memory")? <= enough).then_some(()))
    });
    Ok(waited.ok().map(|((), took)| took))
}
