//! What CONFIG asks of the program around the server: its log's level, and its configuration file.
//!
//! A file is rewritten on a thread of its own, since a disk may take its time and a worker serves others.

use std::sync::Arc;

use tresor::{Error, ErrorKind, Result, settings};

/// The program's part, as it hands it to [`assemble`](crate::assemble::assemble).
#[derive(Clone)]
pub struct ProgramControl {
    /// The level of its log, by Redis's name.
    pub log_level: Arc<dyn Fn() -> String + Send + Sync>,
    /// Sets it: `debug`, `verbose`, `notice`, `warning` or `nothing`.
    pub set_log_level: Arc<dyn Fn(&str) + Send + Sync>,
    /// Puts settings, by Redis's names, into its configuration file; `None` where there is no file.
    pub rewrite: Option<RewriteFile>,
}

/// Answers when the file has all of them, or is as it was.
pub type RewriteFile = Arc<dyn Fn(&[(&'static str, String)]) -> Result<()> + Send + Sync>;

impl ProgramControl {
    /// As the database takes it.
    pub(crate) fn for_database(&self) -> settings::Program {
        let (log_level, set_log_level) = (self.log_level.clone(), self.set_log_level.clone());
        settings::Program {
            log_level: Box::new(move || log_level()),
            set_log_level: Box::new(move |level| set_log_level(level)),
            rewrite: self.rewrite.clone().map(apart),
        }
    }
}

fn apart(rewrite: RewriteFile) -> Box<settings::Rewrite> {
    Box::new(move |settings| {
        let rewrite = rewrite.clone();
        Box::pin(async move {
            let written = tokio::task::spawn_blocking(move || rewrite(&settings)).await;
            written.unwrap_or_else(|error| {
                let message = "the configuration file was not rewritten, by a defect";
                Err(Error::new(ErrorKind::Internal, message).caused_by(error))
            })
        })
    })
}
