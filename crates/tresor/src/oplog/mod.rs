//! The op log: what makes acknowledged changes survive, shared by the engines that keep their own data.

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Nothing is promised.
    #[default]
    None,
    /// A process crash; a power cut loses at most the last `ms` milliseconds.
    Interval {
        /// How long a write may stay unsynced, in milliseconds.
        ms: u64,
    },
    /// A power cut.
    Always,
}

/// How the log is doing, for INFO, metrics and the curious.
#[derive(Clone, Debug, Default)]
pub struct LogStatus {}
