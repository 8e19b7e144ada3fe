//! The op log: what makes acknowledged changes survive, shared by the engines that keep their own data.

/// How the log is doing, for INFO, metrics and the curious.
#[derive(Clone, Debug, Default)]
pub struct LogStatus {}
