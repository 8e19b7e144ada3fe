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

    /// Towards a number of entries that is only about right.
    pub(crate) fn keys(about: u64) -> Self {
        Self::new(ProgressBar::new(about), "{wide_bar} {human_pos}/~{human_len} keys, {per_sec}, {eta} left")
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

    /// So much is done, of about so much.
    pub(crate) fn come_to(&self, done: u64, about: u64) {
        self.bar.set_length(about.max(done));
        self.bar.set_position(done);
    }

    /// Says a line above the bar, or where it would be.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// All is done.
    pub(crate) fn finish(&self) {
        self.bar.finish();
    }
}
