//! Isolation between clients: the gates that every run of commands passes.

mod gate;

pub use gate::{AllGates, Gates};
