//! Row `snapshot`: memory and latency while a snapshot of a large store is taken under writes.
//!
//! Writes come at a fixed rate and their latency counts from when they were due. The peak is the
//! kernel's own, reset just before; where a server forks, the pages that it had to copy are added.

use std::{cell::RefCell, rc::Rc, time::Duration};

use super::{
    super::{
        figure::{Bar, Figure},
        fill::{Expiry, fill, random_sets},
        launch::Server,
        load::{Drive, Lane, Pace, Protocol, drive},
        peers::Kind,
        process::{peak_resident_bytes, reset_peak, resident_bytes},
        resp::{append, info_number},
        samples::{Samples, median},
        setup::Setup,
    },
    cpu::thousands,
};
use crate::Outcome;

/// Connections that write.
const WRITERS: u64 = 10;

/// A snapshot that takes longer than this is not waited for.
const PATIENCE: Duration = Duration::from_secs(90);

/// Rounds are long here.
const MOST_ROUNDS: usize = 3;

#[derive(Default)]
struct Measured {
    peak: Samples,
    quiet_us: Samples,
    busy_us: Samples,
    seconds: Samples,
}

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let keys = setup.size(2_000_000, 100_000);
    let rate = setup.size(50_000, 5_000);
    let mut servers = Vec::new();
    for program in setup.ours_and_redis() {
        // Snapshots only when asked for, and no syncing between them, as Redis with RDB alone.
        let words: &[&str] = match program.kind {
            Kind::Tresor => {
                &["--store-path", "store", "--durability", "none", "--snapshot-log-bytes", "1024GiB"]
            }
            _ => &[],
        };
        let server = Server::start(setup, program, words)?;
        fill(server.port, 0..keys, Expiry::Never)?;
        servers.push((program.kind, server));
    }
    let mut measured = Measured::default();
    for _ in 0..setup.options.rounds().min(MOST_ROUNDS) {
        for (kind, server) in &servers {
            round(*kind, server, &mut measured, (keys, rate, setup.size(4_000, 500)))?;
        }
    }
    Ok(figures(&measured, keys, rate))
}

fn round(
    kind: Kind,
    server: &Server,
    measured: &mut Measured,
    (keys, rate, quiet_ms): (u64, u64, u64),
) -> Outcome {
    let quiet = Duration::from_millis(quiet_ms);
    let mut lanes = writers(server.port, keys, rate)?;
    let without = drive(&mut lanes, &mut |elapsed| elapsed >= quiet)?;
    let before = resident_bytes(server.pid())? as f64;
    reset_peak(server.pid())?;
    let with = drive_beside_snapshot(server, lanes)?;
    let mut copied = 0;
    if kind != Kind::Tresor {
        copied = server.client()?.info("persistence", "rdb_last_cow_size")?;
    }
    let peak = peak_resident_bytes(server.pid())? + copied;
    measured.peak.add(kind, peak as f64 / before);
    measured.quiet_us.add(kind, without.microseconds(0, 0.999));
    measured.busy_us.add(kind, with.microseconds(0, 0.999));
    measured.seconds.add(kind, with.elapsed.as_secs_f64());
    Ok(())
}

fn writers(port: u16, keys: u64, rate: u64) -> Outcome<Vec<Lane>> {
    let interval = Duration::from_nanos(1_000_000_000 * WRITERS / rate);
    (0..WRITERS)
        .map(|number| {
            let pace = Pace::Every { interval, first: interval * number as u32 / WRITERS as u32 };
            Lane::connect(port, Protocol::Resp, pace, random_sets(keys, number))
        })
        .collect()
}

/// Asks for a snapshot and drives the writers until it is finished.
fn drive_beside_snapshot(server: &Server, mut lanes: Vec<Lane>) -> Outcome<Drive> {
    let finished_before = server.client()?.info("persistence", "rdb_saves")?;
    let pace = |interval, first| Pace::Every {
        interval: Duration::from_millis(interval),
        first: Duration::from_millis(first),
    };
    let mut left = Some(());
    let bgsave =
        Box::new(move |request: &mut Vec<u8>| left.take().map(|()| append(request, &[b"BGSAVE"])).is_some());
    lanes.push(Lane::connect(server.port, Protocol::Resp, pace(1, 10), bgsave)?.in_group(1));
    let info = Rc::new(RefCell::new(Vec::new()));
    let watch = Box::new(|request: &mut Vec<u8>| {
        append(request, &[b"INFO", b"persistence"]);
        true
    });
    let watcher = Lane::connect(server.port, Protocol::Resp, pace(20, 20), watch)?;
    let latest = info.clone();
    let heed = Box::new(move |reply: &[u8]| {
        latest.replace(reply.to_vec());
        Ok(())
    });
    lanes.push(watcher.in_group(2).heeding(heed));
    let mut finished = false;
    let drive = drive(&mut lanes, &mut |elapsed| {
        // Redis counts a save when it begins.
        let saves = info_number(&info.borrow(), "rdb_saves");
        let idle = info_number(&info.borrow(), "rdb_bgsave_in_progress") == Some(0);
        finished = idle && saves.is_some_and(|saves| saves > finished_before);
        finished || elapsed > PATIENCE
    })?;
    if finished { Ok(drive) } else { Err(format!("{}: the snapshot does not end", server.name)) }
}

fn figures(measured: &Measured, keys: u64, rate: u64) -> Vec<Figure> {
    let of = |samples: &Samples, kind| median(&samples.of(kind));
    let beside = format!("{} keys, {} writes/s", thousands(keys), thousands(rate));
    vec![
        Figure::against_redis(
            format!("snapshot, {beside}: peak memory by memory before"),
            "",
            &measured.peak,
        )
        .bar(Bar::AtMost(1.10))
        .also(format!(
            "snapshot in {:.1} s, Redis {:.1} s",
            of(&measured.seconds, Kind::Tresor),
            of(&measured.seconds, Kind::Redis)
        )),
        Figure::new("p99.9 of these writes during the snapshot", "µs", measured.busy_us.of(Kind::Tresor))
            .against("without one", measured.quiet_us.of(Kind::Tresor))
            .bar(Bar::RatioAtMost(2.0))
            .also(format!(
                "Redis {:.0} µs, without one {:.0} µs",
                of(&measured.busy_us, Kind::Redis),
                of(&measured.quiet_us, Kind::Redis)
            )),
    ]
}
