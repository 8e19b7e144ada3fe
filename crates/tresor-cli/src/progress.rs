//! A progress bar on standard error, when that is a terminal; else nothing.

use indicatif::{ProgressBar, ProgressStyle};

/// How far a long subcommand has come.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Towards a number of entries.
    pub(crate) fn entries(total: u64) -> Self {
        Self::new(
            ProgressBar::new(total),
            "{wide_bar} {human_pos}/{human_len} entries, {per_sec}, {eta} left",
        )
    }

    /// Towards a number of bytes.
    pub(crate) fn bytes(total: u64) -> Self {
        Self::new(ProgressBar::new(total), "{wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left")
    }

    /// Bytes towards nobody knows where.
    pub(crate) fn unknown() -> Self {
        Self::new(ProgressBar::no_length(), "{spinner} {bytes}, {bytes_per_sec}")
    }

    fn new(bar: ProgressBar, template: &str) -> Self {
        // A template that does not parse costs the looks of the bar, nothing else.
        let bar = match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        Self { bar }
    }

    /// This much more is done.
    pub(crate) fn advance(&self, by: u64) {
        self.bar.inc(by);
    }

    /// This much is done in all, of so many.
    pub(crate) fn reach(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    /// All is done.
    pub(crate) fn finish(&self) {
        self.bar.finish();
    }
}
