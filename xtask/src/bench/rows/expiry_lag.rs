//! Row `expiry-lag`: how late keys are removed that come due one after the other, beside as many that are not due.
//!
//! The server counts it, key by key; what is told is the bound of its histogram that 99 of 100 keys keep. Nothing
//! asks for the keys meanwhile.

use std::time::{Duration, Instant};

use tresor::clock::{Clock, SystemClock};

use super::{
    super::{
        figure::{Bar, Figure},
        fill::{Expiry, fill},
        launch::Server,
        setup::Setup,
        wait,
    },
    cpu::thousands,
};
use crate::Outcome;

/// Far enough that the others are never due.
const OTHERS_SECONDS: u64 = 90_000;

/// How long the last keys may take to go.
const PATIENCE: Duration = Duration::from_secs(120);

/// Each engine that removes by itself: its name, the words that choose it, and the bar in milliseconds.
const ENGINES: [(&str, &[&str], f64); 3] = [
    ("memory", &[], 100.0),
    ("disk", &["--engine", "disk", "--store-path", "store"], 1000.0),
    ("SQLite", &["--engine", "sqlite", "--store-path", "store.db"], 1000.0),
];

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    ENGINES.into_iter().map(|(name, arguments, bar_ms)| of_engine(setup, (name, arguments), bar_ms)).collect()
}

fn of_engine(setup: &Setup, (name, arguments): (&str, &[&str]), bar_ms: f64) -> Outcome<Figure> {
    // At the same rate in a quick run.
    let (keys, for_ms) = (setup.size(1_000_000, 100_000), setup.size(60_000, 6_000));
    let server = Server::start(setup, setup.ours()?, arguments)?;
    let (clock, started) = (SystemClock::new(), Instant::now());
    fill(server.port, 0..keys, Expiry::InSeconds(OTHERS_SECONDS))?;
    // The second half takes as long as the first one, or a little longer.
    let from_ms = clock.now_ms() + started.elapsed().as_millis() as u64 * 2 + 2_000;
    fill(server.port, keys..keys * 2, Expiry::Spread(from_ms, for_ms))?;
    if clock.now_ms() >= from_ms {
        return Err(format!("{name}: keys were due before all were there"));
    }
    let mut client = server.client()?;
    let due = Duration::from_millis(from_ms - clock.now_ms() + for_ms);
    wait::pause(due);
    wait::until("the keys to go", PATIENCE, || {
        Ok((client.info("stats", "expired_keys")? == keys).then_some(()))
    })?;
    let mut late_ms = |percent: &str| client.info("stats", &format!("tresor_expiry_lag_p{percent}_ms"));
    let (half, most) = (late_ms("50")?, late_ms("99")?);
    let what =
        format!("{name}: removed after due, p99 of {} keys within {} s", thousands(keys), for_ms / 1000);
    Ok(Figure::new(what, "ms", vec![most as f64]).bar(Bar::AtMost(bar_ms)).also(format!("p50 {half} ms")))
}
