//! The graph of LATENCY GRAPH: a column a sample, four lines high, with how long ago it was beneath.
//!
//! It looks as Redis draws it, since people know it so: a column ends in `_`, `o` or `#`, by how much of its
//! topmost line it fills.

use std::fmt::Write;

use crate::latency_events::Samples;

/// Columns of a line; more samples go on below.
const COLUMNS: usize = 80;

/// Lines of a graph.
const LINES: u64 = 4;

/// What a line of a column can be filled with, from little to all of it.
const TIPS: [char; 3] = ['_', 'o', '#'];

/// The graph of an event's samples; there is at least one.
pub(super) fn graph(name: &str, samples: Samples, now_s: u64) -> String {
    let took = || samples.samples.iter().map(|sample| sample.took_ms);
    let (high, low) = (took().max().unwrap_or(0), took().min().unwrap_or(0));
    let mut graph =
        format!("{name} - high {high} ms, low {low} ms (all time high {} ms)\n", samples.worst_ms);
    graph += &"-".repeat(COLUMNS);
    graph.push('\n');
    let columns: Vec<_> = samples
        .samples
        .iter()
        .map(|sample| (height(sample.took_ms, (low, high)), ago(now_s.saturating_sub(sample.at_s))))
        .collect();
    let parts: Vec<_> = columns.chunks(COLUMNS).map(draw).collect();
    graph + &parts.join("\n")
}

/// How many thirds of lines a sample reaches up, from 0.
fn height(took_ms: u64, (low, high): (u64, u64)) -> u64 {
    let steps = LINES * TIPS.len() as u64;
    let reached = u128::from(took_ms - low) * u128::from(steps) / u128::from((high - low).max(1));
    (reached as u64).min(steps - 1)
}

fn ago(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn draw(columns: &[(u64, String)]) -> String {
    let mut drawn = String::new();
    let mut line = |symbol: &dyn Fn(&(u64, String)) -> char| {
        // Writing to a string cannot fail.
        let _ = writeln!(drawn, "{}", columns.iter().map(symbol).collect::<String>());
    };
    for above in (0..LINES).rev().map(|number| number * TIPS.len() as u64) {
        line(&|(height, _)| match height.checked_sub(above) {
            None => ' ',
            Some(part) => TIPS.get(part as usize).copied().unwrap_or('|'),
        });
    }
    line(&|_| ' ');
    let longest = columns.iter().map(|(_, ago)| ago.len()).max().unwrap_or(0);
    for place in 0..longest {
        line(&|(_, ago)| ago.as_bytes().get(place).map_or(' ', |byte| char::from(*byte)));
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::graph;
    use crate::latency_events::{Sample, Samples};

    fn samples(took: &[(u64, u64)]) -> Samples {
        let samples = took.iter().map(|(at_s, took_ms)| Sample { at_s: *at_s, took_ms: *took_ms });
        Samples { samples: samples.collect(), worst_ms: 50 }
    }

    #[test]
    fn columns_are_as_high_as_redis_draws_them() {
        let drawn = graph("command", samples(&[(86, 10), (87, 30), (88, 20), (89, 5)]), 91);
        let (head, rest) = drawn.split_once('\n').expect("lines");
        assert_eq!(head, "command - high 30 ms, low 5 ms (all time high 50 ms)");
        let (rule, columns) = rest.split_once('\n').expect("lines");
        assert_eq!(rule, "-".repeat(80));
        assert_eq!(columns, " #  \n |o \n || \n#||_\n    \n5432\nssss\n");
    }

    #[test]
    fn one_sample_and_very_many_are_drawn_too() {
        let one = graph("command", samples(&[(0, 7)]), 3600);
        assert!(one.ends_with("-\n \n \n \n_\n \n1\nh\n"), "{one}");
        let many: Vec<_> = (0..160).map(|second| (second, second)).collect();
        let drawn = graph("command", samples(&many), 200_000);
        assert_eq!(drawn.lines().count(), 2 + 7 + 1 + 7, "{drawn}");
        assert!(drawn.lines().all(|line| line.len() <= 80), "{drawn}");
    }
}
