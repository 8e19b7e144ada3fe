//! Watching a move until it is done: a bar on a terminal, else a line at the end.

use std::{thread, time::Duration};

use super::status::Status;
use crate::{
    client::http::Client,
    failure::{Failure, Outcome},
    progress::Progress,
};

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(200);

/// Asks until nothing moves any more; the last answer.
pub(super) fn follow(client: &Client, first: Status) -> Outcome<Status> {
    let bar = Progress::keys(first.figure("expected_keys"));
    let mut status = first;
    let mut said: Option<String> = None;
    while status.is_moving() {
        bar.come_to(status.figure("keys"), status.figure("expected_keys"));
        if let Some(trouble) = status.trouble()
            && said.as_deref() != Some(trouble)
        {
            bar.say(&format!("tresor: it does not get on, and is tried again: {trouble}"));
            said = Some(trouble.to_owned());
        }
        // Nobody unparks it: only the time passes, and Ctrl-C ends the process.
        thread::park_timeout(PAUSE);
        status = Status::get(client).map_err(lost)?;
    }
    bar.come_to(status.figure("keys"), status.figure("keys"));
    bar.finish();
    let (keys, bytes) = (status.figure("keys"), status.figure("bytes"));
    let seconds = status.figure("elapsed_ms") as f64 / 1000.0;
    eprintln!("moved {keys} keys, {bytes} bytes, in {seconds:.1} s");
    Ok(status)
}

/// What is said when the server is not there any more.
fn lost(failure: Failure) -> Failure {
    match failure {
        Failure::Failed(message) => Failure::failed(format!(
            "{message}. A move that was going on goes on when the server does; `tresor shards list` shows it"
        )),
        other => other,
    }
}
