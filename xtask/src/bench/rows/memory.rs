//! Row `memory`: resident bytes a key, as the kernel counts them.
//!
//! Resident memory after the load has rested, less what was resident before it, by the number of keys:
//! it counts tables, allocator and fragmentation, which a server's own figure does not.

use std::time::Duration;

use super::{
    super::{
        figure::{Bar, Figure},
        fill::{Expiry, fill},
        launch::Server,
        peers::Program,
        process::resident_bytes,
        samples::Samples,
        setup::Setup,
        wait,
    },
    cpu::thousands,
};
use crate::Outcome;

/// Between the load and the look at what is left of it.
const REST: Duration = Duration::from_secs(3);

/// Far enough that nothing expires meanwhile.
const EXPIRY_SECONDS: u64 = 90_000;

/// A fill repeats to within a byte or two: more rounds would only take longer.
const MOST_ROUNDS: usize = 3;

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let keys = setup.size(1_000_000, 50_000);
    let (mut plain, mut expiring, mut base) = (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..setup.options.rounds().min(MOST_ROUNDS) {
        for program in &setup.programs {
            let (base_bytes, plain_bytes) = loaded(setup, program, (keys, Expiry::Never))?;
            let (_, expiring_bytes) = loaded(setup, program, (keys, Expiry::InSeconds(EXPIRY_SECONDS)))?;
            plain.add(program.kind, plain_bytes);
            expiring.add(program.kind, expiring_bytes - plain_bytes);
            base.add(program.kind, base_bytes / f64::from(1 << 20));
        }
    }
    let keys = thousands(keys);
    Ok(vec![
        Figure::against_redis(format!("memory a key of 16+32 bytes, {keys} keys"), "bytes", &plain)
            .bar(Bar::AtMost(85.0)),
        Figure::against_redis("what an expiry adds a key", "bytes", &expiring).bar(Bar::AtMost(24.0)),
        Figure::against_redis("memory of an empty server", "MiB", &base),
    ])
}

/// Bytes resident in an empty server, and bytes a key once it is loaded.
fn loaded(setup: &Setup, program: &Program, (keys, expiry): (u64, Expiry)) -> Outcome<(f64, f64)> {
    let server = Server::start(setup, program, &[])?;
    let before = resident_bytes(server.pid())? as f64;
    fill(server.port, 0..keys, expiry)?;
    wait::pause(REST);
    let after = resident_bytes(server.pid())? as f64;
    Ok((before, (after - before) / keys as f64))
}
