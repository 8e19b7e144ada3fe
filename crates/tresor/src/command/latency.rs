//! LATENCY: when commands took long, and how their times are spread.
//!
//! The events are kept from `latency-monitor-threshold` on; the histograms come from the counters that every
//! command has anyway.

use std::fmt::Write;

use super::{Args, CATALOG, Flag, Row, introspection, latency_graph::graph, shown};
use crate::{
    database::Core,
    error::{Error, Result},
    latency_events::{LatencyEvent, Samples},
    metrics::CommandFigures,
    reply::ReplyWriter,
    session::Session,
};

pub(super) async fn latest(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let events = session.core().observers.latency_events().all();
    reply.array(events.len());
    for (event, samples) in events {
        reply.array(4);
        reply.bulk(event.name().as_bytes());
        let latest = samples.samples.back().map_or((0, 0), |latest| (latest.at_s, latest.took_ms));
        reply.integer(latest.0 as i64);
        reply.integer(latest.1 as i64);
        reply.integer(samples.worst_ms as i64);
    }
    Ok(())
}

pub(super) async fn history(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let samples = session.core().observers.latency_events().samples(args[2]).samples;
    reply.array(samples.len());
    for sample in samples {
        reply.array(2);
        reply.integer(sample.at_s as i64);
        reply.integer(sample.took_ms as i64);
    }
    Ok(())
}

pub(super) async fn reset(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    reply.integer(session.core().observers.latency_events().reset(&args[2..]) as i64);
    Ok(())
}

pub(super) async fn draw(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let samples = session.core().observers.latency_events().samples(args[2]);
    let name = shown(args[2]);
    if samples.samples.is_empty() {
        return Err(Error::invalid(format!("No samples available for event '{name}'")));
    }
    reply.verbatim("txt", &graph(&name, samples, session.now_ms() / 1000));
    Ok(())
}

pub(super) async fn doctor(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    reply.verbatim("txt", &report(session.core(), session.now_ms() / 1000));
    Ok(())
}

fn report(core: &Core, now_s: u64) -> String {
    let (slow_log, events) = (core.observers.slow_log(), core.observers.latency_events());
    let (threshold_ms, all) = (events.threshold_ms(), events.all());
    if all.is_empty() {
        return match threshold_ms {
            0 => "Latency is not watched. CONFIG SET latency-monitor-threshold <milliseconds> begins it.\n"
                .into(),
            _ => format!("No command has taken {threshold_ms} ms since this is watched.\n"),
        };
    }
    let mut report = String::new();
    for (event, samples) in &all {
        // Writing to a string cannot fail.
        let _ = writeln!(report, "{}", summary(*event, samples, now_s));
    }
    if all.iter().any(|(event, _)| *event == LatencyEvent::FastCommand) {
        report += "\nFast commands are slow where they wait: for the disk or the network of the engine, for a \
                   transaction that has their key locked, or for a processor.\n";
    }
    let shortest_ms = all.iter().flat_map(|(_, samples)| &samples.samples).map(|sample| sample.took_ms).min();
    let wanted_us = shortest_ms.unwrap_or(0) as i64 * 1000;
    report += "\nSLOWLOG GET tells which commands they were.";
    if !(0..=wanted_us).contains(&slow_log.slower_than_us()) {
        let _ = write!(
            report,
            " It leaves these out now: CONFIG SET slowlog-log-slower-than {wanted_us} takes them in."
        );
    }
    report + "\n"
}

fn summary(event: LatencyEvent, samples: &Samples, now_s: u64) -> String {
    let (name, seconds) = (event.name(), samples.samples.len() as u64);
    let sum_ms: u64 = samples.samples.iter().map(|sample| sample.took_ms).sum();
    let latest_s = samples.samples.back().map_or(0, |latest| now_s.saturating_sub(latest.at_s));
    format!(
        "{name}: slow in seconds: {seconds}, the latest {latest_s} s ago; worst {} ms, average {} ms.",
        samples.worst_ms,
        sum_ms / seconds.max(1)
    )
}

pub(super) async fn histogram(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let rows: Vec<&Row> = match &args[2..] {
        [] => CATALOG.iter().collect(),
        names => names.iter().flat_map(|name| named(name)).collect(),
    };
    let metrics = &session.core().metrics;
    let figures = rows.into_iter().map(|row| (row.name, metrics.command(row.id)));
    let called: Vec<_> = figures.filter(|(_, figures)| figures.calls > 0).collect();
    reply.map(called.len());
    for (name, figures) in called {
        reply.bulk(name.as_bytes());
        reply.map(2);
        reply.bulk(b"calls");
        reply.integer(figures.calls as i64);
        reply.bulk(b"histogram_usec");
        let steps = steps(&figures);
        reply.map(steps.len());
        for (microseconds, calls) in steps {
            reply.integer(microseconds as i64);
            reply.integer(calls as i64);
        }
    }
    Ok(())
}

/// The rows that a name stands for: those of all subcommands for a container.
fn named(name: &[u8]) -> Vec<&'static Row> {
    match introspection::find(name) {
        Some(row) if row.has(Flag::Container) => row.subcommands().chain([row]).collect(),
        row => row.into_iter().collect(),
    }
}

/// How many calls took no longer than each of these, where another has taken longer than the one before. The
/// steps are powers of two of nanoseconds, told in microseconds as Redis tells them.
fn steps(figures: &CommandFigures) -> Vec<(u64, u64)> {
    const SHORTEST: usize = 10;
    let longest = figures.buckets.len() / 4;
    let up_to = |power: usize| figures.buckets[..4 * power].iter().sum::<u64>();
    let mut steps = Vec::new();
    let mut before = 0;
    for power in SHORTEST..=longest {
        let calls = up_to(power);
        if calls > before {
            // A step reaches a little further, as those of Redis's histograms do.
            let ns = (1_u64 << power) + (1 << (power - 7)) - 1;
            steps.push((ns / 1000, calls));
            before = calls;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::{CommandFigures, steps};
    use crate::metrics::{BUCKETS, bucket_of};

    #[test]
    fn steps_add_up_and_stand_where_those_of_redis_do() {
        let mut buckets = vec![0; BUCKETS];
        for ns in [5, 1_000, 1_025, 3_000, 3_000, 40_000, 100_000, 1_000_000_000, u64::MAX] {
            buckets[bucket_of(ns)] += 1;
        }
        let figures = CommandFigures { calls: 9, nanoseconds: 0, rejected: 0, failed: 0, buckets };
        let expected = [(1, 2), (2, 3), (4, 5), (66, 6), (132, 7), (1_082_130, 8), (1_108_101_562, 9)];
        assert_eq!(steps(&figures), expected);
    }
}
