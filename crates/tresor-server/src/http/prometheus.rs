//! The Prometheus text format, version 0.0.4, as far as it is needed.
//!
//! Format: <https://prometheus.io/docs/instrumenting/exposition_formats/>. All samples of a family
//! stand together under its HELP and TYPE, which the writer sees to.

use std::fmt::{Display, Write};

use tresor::{
    engine::ExpiryLag,
    metrics::{BUCKETS, bucket_floor_ns},
};

/// Upper bounds of the latency buckets that are shown: every second power of two from a microsecond to
/// a minute. Finer ones would cost more than they tell.
const BOUNDS_LOG2_NS: std::ops::RangeInclusive<usize> = 10..=36;

/// Metrics being written.
#[derive(Default)]
pub(super) struct Families {
    text: String,
}

/// One family: its samples follow.
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Families {
    /// Begins a family of counters; the name ends in `_total`.
    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.begin(name, help, "counter")
    }

    /// Begins a family of numbers that rise and fall.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.begin(name, help, "gauge")
    }

    /// Begins a family of histograms of seconds.
    pub(super) fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.begin(name, help, "histogram")
    }

    fn begin(&mut self, name: &'static str, help: &str, kind: &str) -> Family<'_> {
        append(&mut self.text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { text: &mut self.text, name }
    }

    /// The text.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// A sample without labels.
    pub(super) fn value(&mut self, value: impl Display) {
        append(self.text, format_args!("{} {value}\n", self.name));
    }

    /// A sample with labels.
    pub(super) fn labelled(&mut self, labels: &[(&str, &str)], value: impl Display) {
        append(self.text, format_args!("{}{} {value}\n", self.name, Labels(labels, None)));
    }

    /// A histogram out of latency buckets, in seconds.
    pub(super) fn latencies(&mut self, labels: &[(&str, &str)], buckets: &[u64], nanoseconds: u64) {
        let (mut below, mut bucket) = (0, 0);
        for power in BOUNDS_LOG2_NS.step_by(2) {
            let bound_ns = 1u64 << power;
            while bucket < BUCKETS && bucket_floor_ns(bucket) < bound_ns {
                below += buckets[bucket];
                bucket += 1;
            }
            self.bucket(labels, bound_ns as f64 / 1e9, below);
        }
        self.sum_and_count(labels, nanoseconds as f64 / 1e9, buckets.iter().sum());
    }

    /// A histogram of how late expired entries went, in seconds.
    pub(super) fn expiry_lag(&mut self, lag: &ExpiryLag) {
        let mut below = 0;
        for (bound_ms, count) in ExpiryLag::BOUNDS_MS.iter().zip(&lag.counts) {
            below += count;
            self.bucket(&[], *bound_ms as f64 / 1e3, below);
        }
        self.sum_and_count(&[], lag.sum_ms as f64 / 1e3, lag.removed());
    }

    fn bucket(&mut self, labels: &[(&str, &str)], bound_seconds: f64, below: u64) {
        let (name, bound) = (self.name, bound_seconds.to_string());
        append(self.text, format_args!("{name}_bucket{} {below}\n", Labels(labels, Some(&bound))));
    }

    fn sum_and_count(&mut self, labels: &[(&str, &str)], sum_seconds: f64, all: u64) {
        let name = self.name;
        append(self.text, format_args!("{name}_bucket{} {all}\n", Labels(labels, Some("+Inf"))));
        append(self.text, format_args!("{name}_sum{} {sum_seconds}\n", Labels(labels, None)));
        append(self.text, format_args!("{name}_count{} {all}\n", Labels(labels, None)));
    }
}

/// Labels in braces, with `le` last where it is given.
struct Labels<'a>(&'a [(&'a str, &'a str)], Option<&'a str>);

impl Display for Labels<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(labels, bound) = self;
        let all = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        let mut before = '{';
        for (name, value) in all {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write!(f, "{before}{name}=\"{value}\"")?;
            before = ',';
        }
        if before == ',' { f.write_str("}") } else { Ok(()) }
    }
}

fn append(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(arguments);
}
