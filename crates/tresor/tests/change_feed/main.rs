//! The change feed through the library, on every engine that has one: everything once and in order, under
//! concurrent writers, through reconnects, restarts and crashes, with gaps said where something is gone.

#![allow(clippy::unwrap_used)] // In the tests' own functions too: a panic is how a test fails.

mod gaps;
mod kinds;
mod replayed;
mod stores;
mod values;
mod waiting;
mod written_once;
