//! The real `tresor` program from outside: what it prints, what it refuses, and its exit codes.
//!
//! One binary for all of it, since each test binary costs a link. Servers listen on free ports of
//! loopback; nothing here waits by sleeping.

mod bench;
mod check;
mod client;
mod client_page;
mod compress;
mod configuration;
mod container;
mod copy;
mod deploy;
mod disk;
mod generated;
mod layers;
mod line_script;
mod menu;
mod prompt;
mod python_client;
mod refusals;
mod rewrite;
mod rotation;
mod schema;
mod serving;
mod shards;
mod small_disk;
mod stores;
mod terminal;
mod transfer;

use tresor_testkit::tresor_program::{self, Finished};

/// Runs the program without input.
fn tresor(arguments: &[&str]) -> Finished {
    tresor_program::run(arguments, b"")
}

/// Runs it, expects the exit code, and returns what it wrote to standard error.
#[track_caller]
fn refused(code: i32, arguments: &[&str]) -> String {
    let finished = tresor(arguments);
    assert_eq!(finished.code, Some(code), "{arguments:?}: {finished:?}");
    assert!(!finished.stderr.is_empty(), "{arguments:?} said nothing");
    finished.stderr
}
