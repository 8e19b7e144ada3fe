//! What Tresor's tests share; no product code depends on it.
//!
//! Engines: [`conformance`] is what every one must pass, [`ModelEngine`] what they are compared with,
//! [`LaterEngine`] makes any of them answer later, [`HeldEngine`] when the test says so. Time is a [`ManualClock`], randomness comes from a
//! printed seed ([`random`]). Processes: [`Server`] and [`RedisServer`], spoken to by a [`RespClient`], or by
//! [`client_libraries`] of others; pages in [`Chromium`].
//! What clients saw of single keys is judged by [`linearizability`], of transactions by [`isolation`]; what an engine costs beside the store
//! beneath it is measured by [`own_cost`].

pub mod cassandra;
mod chromium;
pub mod client_libraries;
pub mod conformance;
pub mod deadline;
pub mod documents;
mod failing_engine;
pub mod faulty_files;
mod held_engine;
pub mod isolation;
pub mod kv_script;
mod later_engine;
pub mod line_client;
pub mod linearizability;
mod manual_clock;
mod model_engine;
pub mod own_cost;
mod owned_entry;
pub mod programs;
pub mod random;
mod redis_server;
mod reply;
pub mod resp_client;
pub mod script;
pub mod script_runner;
mod server;
mod session_door;
mod small_disk;
mod temporary_directory;
pub mod tresor_program;

pub use chromium::{Chromium, Page};
pub use failing_engine::{FailingEngine, Fails};
pub use held_engine::{HeldCall, HeldEngine, Moment};
pub use later_engine::LaterEngine;
pub use line_client::LineClient;
pub use manual_clock::{ManualClock, START_MS};
pub use model_engine::ModelEngine;
pub use owned_entry::OwnedEntry;
pub use redis_server::RedisServer;
pub use reply::{Reply, quoted};
pub use resp_client::RespClient;
pub use server::{Ports, Server};
pub use session_door::SessionDoor;
pub use small_disk::SmallDisk;
pub use temporary_directory::TemporaryDirectory;
