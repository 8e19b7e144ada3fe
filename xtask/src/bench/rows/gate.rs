//! Row `gate`: the gate that every batch of commands enters and leaves, with nobody else about.
//!
//! Measured as a session passes it: awaited, from inside an async block that never suspends.

use std::{hint::black_box, time::Instant};

use tresor::{engine::block_on, transaction::Gates};

use super::super::{
    figure::{Bar, Figure},
    setup::Setup,
};
use crate::Outcome;

const PASSES: u32 = 5_000_000;

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let gates = Gates::new(8);
    let samples = (0..setup.options.rounds()).map(|_| {
        let started = Instant::now();
        block_on(async {
            for _ in 0..PASSES {
                gates.enter(black_box(0)).await;
                gates.leave(black_box(0));
            }
        });
        started.elapsed().as_nanos() as f64 / f64::from(PASSES)
    });
    let samples = samples.collect();
    Ok(vec![Figure::new("gate of a batch, uncontended", "ns", samples).bar(Bar::AtMost(20.0))])
}
