//! `tresor compress --estimate`: what each way to compress would make of a stopped store, from a sample.
//!
//! Values are compressed and read back as a server would do it, so sizes are those that would be kept
//! and times are those of this machine. Nothing is changed.

use std::io::{self, Write};

use serde::Serialize;
use tresor::{
    engine::block_on,
    layer::{CompressionOptions, Estimate, MethodEstimate, estimate},
};

use crate::{
    failure::{Failure, Outcome},
    stopped_store::StoppedStore,
    store_name::StoreName,
};

/// What to estimate.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The store: a configuration as `tresor serve --config` takes it, ENGINE:PATH as in disk:./data, or its
    /// bare path; no server may have it open
    store: String,
    /// Compress nothing, and tell what each method would save and cost
    #[arg(long)]
    estimate: bool,
    /// At this level instead of each method's own, where it has it: 1 to 9 for zlib, 1 to 22 for zstd
    #[arg(long, value_name = "LEVEL")]
    level: Option<i32>,
    /// Values of fewer bytes are left alone
    #[arg(long, value_name = "BYTES", default_value_t = CompressionOptions::default().threshold_bytes)]
    threshold_bytes: usize,
    /// Print the figures as one line of JSON
    #[arg(long)]
    json: bool,
}

/// The figures of one method; times are means over all values of the sample.
#[derive(Serialize)]
struct Row {
    method: &'static str,
    level: Option<i32>,
    bytes: u64,
    ratio: f64,
    compressed: u64,
    write_us: f64,
    read_us: f64,
}

/// All figures.
#[derive(Serialize)]
struct Report {
    keys: u64,
    sampled: u64,
    threshold_bytes: usize,
    bytes: u64,
    methods: Vec<Row>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    if !arguments.estimate {
        return Err(Failure::usage(
            "this version compresses no stopped store in place: serve it with --compression, which compresses what is written from then on, or `tresor copy` it into a configuration with compression; --estimate tells what that would save",
        ));
    }
    let name = StoreName::existing(&arguments.store)?;
    if !name.is_there() {
        name.refuse_others()?;
        return Err(Failure::failed(format!("{name}: there is no store; name the one to look at")));
    }
    let store = StoppedStore::open(&name)?;
    let options = CompressionOptions {
        level: arguments.level,
        threshold_bytes: arguments.threshold_bytes,
        ..CompressionOptions::default()
    };
    let estimate = block_on(estimate(store.engine(), options, store.now_ms))?;
    store.close()?;
    let report = Report::new(&estimate, arguments.threshold_bytes);
    let mut output = io::stdout().lock();
    if arguments.json {
        let line = serde_json::to_string(&report).map_err(Failure::failed)?;
        return Ok(writeln!(output, "{line}")?);
    }
    Ok(report.show(&mut output)?)
}

impl Report {
    fn new(estimate: &Estimate, threshold_bytes: usize) -> Self {
        let mean_us = |ns: u64| ns as f64 / 1000.0 / estimate.values.max(1) as f64;
        let row = |method: &MethodEstimate| Row {
            method: method.method.name(),
            level: method.level,
            bytes: method.bytes,
            ratio: method.ratio(estimate),
            compressed: method.compressed,
            write_us: mean_us(method.write_ns),
            read_us: mean_us(method.read_ns),
        };
        Self {
            keys: estimate.keys,
            sampled: estimate.values,
            threshold_bytes,
            bytes: estimate.bytes,
            methods: estimate.methods.iter().map(row).collect(),
        }
    }

    fn show(&self, output: &mut impl Write) -> io::Result<()> {
        writeln!(
            output,
            "{} values looked at, spread over a store of {}; those of {} bytes and more are compressed where that saves",
            self.sampled, self.keys, self.threshold_bytes
        )?;
        writeln!(
            output,
            "{:<8} {:>5} {:>14} {:>14} {:>6} {:>10} {:>9} {:>9}",
            "method", "level", "bytes now", "bytes then", "ratio", "compressed", "write us", "read us"
        )?;
        for row in &self.methods {
            let level = row.level.map_or_else(|| "-".to_owned(), |level| level.to_string());
            writeln!(
                output,
                "{:<8} {:>5} {:>14} {:>14} {:>6.3} {:>10} {:>9.1} {:>9.1}",
                row.method,
                level,
                self.bytes,
                row.bytes,
                row.ratio,
                row.compressed,
                row.write_us,
                row.read_us
            )?;
        }
        writeln!(
            output,
            "bytes are those of values without compression; times are CPU microseconds a value on this machine"
        )
    }
}
