//! Transactions through all front doors at once are strictly serializable, whatever breaks.
//!
//! Eight to twelve clients of the Redis protocol, the line protocol and HTTP fight for three to ten keys:
//! in transactions with locks, with MULTI and EXEC, and with plain commands beside them. They take
//! steps back, abort, run into deadlocks, hang up in the middle and after asking to commit, and the
//! server is killed and started again. What they saw is judged by a checker that knows nothing of the
//! database (`docs/decisions/0017-checking-isolation.md`). With `TRESOR_FULL` set there are 200,000
//! transactions and more, over many seeds.

mod bank;
mod client;
mod door;
mod http;
mod line;
mod lists;
mod phantoms;
mod queue;
mod registers;
mod resp;
mod run;

use std::env;

use run::{Plan, Run, Workload};
use tresor_testkit::{
    isolation::{Finding, Report, Transaction, check, check_totals},
    random::seed,
};

/// Runs a workload without and with kills, over many seeds in the long run, and judges each history.
fn judge(
    test: &str,
    (workload, prepare): (Workload, fn(&tresor_testkit::Server)),
    transactions: u64,
    verdict: impl Fn(&[Transaction]) -> Result<Report, Finding>,
) {
    let first = seed(test);
    let (rounds, transactions, kills) = match env::var_os("TRESOR_FULL") {
        Some(_) => (10, transactions.max(6_000), 12),
        None => (2, transactions, 2),
    };
    let mut committed = 0;
    for round in 0..rounds {
        let seed = first.wrapping_add(round * 1000);
        let kills = if round % 2 == 0 { 0 } else { kills };
        let history = Run::history(Plan { workload, transactions, kills }, seed, prepare);
        let report = verdict(&history).unwrap_or_else(|finding| panic!("seed {seed}: {finding}"));
        println!("{report}");
        committed += report.committed;
    }
    // A run in which nothing works finds nothing either.
    let tried = (rounds * transactions) as usize;
    assert!(committed * 3 > tried, "only {committed} of {tried} committed");
}

#[test]
fn lists_are_strictly_serializable() {
    judge("isolation_lists", (lists::act, |_| {}), 1500, check);
}

#[test]
fn transactions_that_begin_among_plain_commands_are_strictly_serializable() {
    judge("isolation_waves", (lists::act_in_waves, |_| {}), 60_000, check);
}

#[test]
fn registers_are_strictly_serializable() {
    judge("isolation_registers", (registers::act, |_| {}), 1500, check);
}

#[test]
fn questions_about_all_keys_are_strictly_serializable() {
    judge("isolation_phantoms", (phantoms::act, |_| {}), 1000, check);
}

#[test]
fn no_money_is_made_or_lost() {
    judge("isolation_bank", (bank::act, bank::prepare), 1500, |history| check_totals(history, bank::TOTAL));
}
