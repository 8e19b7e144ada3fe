//! What Tresor's tests share; no product code depends on it.
//!
//! Engines: [`conformance`] is what every one must pass, [`ModelEngine`] what they are compared with,
//! [`LaterEngine`] makes any of them answer later. Time is a [`ManualClock`]. Randomness comes from a
//! printed seed ([`random`]).

pub mod conformance;
mod later_engine;
mod manual_clock;
mod model_engine;
mod owned_entry;
pub mod random;

pub use later_engine::LaterEngine;
pub use manual_clock::{ManualClock, START_MS};
pub use model_engine::ModelEngine;
pub use owned_entry::OwnedEntry;
