//! How a running server is told to stop, and why it did.
//!
//! A signal handler, the SHUTDOWN command and a poisoned store all come here. The first reason stands;
//! whoever waits, a thread in [`Stopper::wait`] or a worker's task, is woken once.

use std::sync::{Arc, OnceLock};

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;
use tresor::{Database, shutdown::Saving};

/// Why a server stops.
#[derive(Debug)]
pub enum Ending {
    /// Somebody asked: a signal, SHUTDOWN, or the program that runs it; and what is to be saved.
    Asked(Saving),
    /// The store can promise nothing any more; the process should exit with an error.
    Failed(tresor::Error),
}

/// Stops a server. Clones stop the same one.
#[derive(Clone)]
pub struct Stopper {
    shared: Arc<Shared>,
}

struct Shared {
    ending: Mutex<Option<Arc<Ending>>>,
    ended: Condvar,
    tasks: watch::Sender<bool>,
    discarded: OnceLock<usize>,
}

impl Stopper {
    pub(crate) fn new() -> Self {
        let shared = Shared {
            ending: Mutex::default(),
            ended: Condvar::new(),
            tasks: watch::Sender::new(false),
            discarded: OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Asks the server to stop: it accepts nothing more and finishes what is in flight.
    pub fn stop(&self) {
        self.stop_saving(Saving::AsConfigured);
    }

    /// The same, and says what is to be saved.
    pub(crate) fn stop_saving(&self, saving: Saving) {
        self.end(Ending::Asked(saving));
    }

    /// The same because the store failed.
    pub(crate) fn fail(&self, error: tresor::Error) {
        self.end(Ending::Failed(error));
    }

    fn end(&self, ending: Ending) {
        let mut current = self.shared.ending.lock();
        if current.is_none() {
            *current = Some(Arc::new(ending));
            self.shared.ended.notify_all();
            self.shared.tasks.send_replace(true);
        }
    }

    /// Blocks the calling thread until the server is told to stop, and says why.
    pub fn wait(&self) -> Arc<Ending> {
        let mut ending = self.shared.ending.lock();
        loop {
            if let Some(ending) = &*ending {
                return ending.clone();
            }
            self.shared.ended.wait(&mut ending);
        }
    }

    /// Whether it was told to.
    pub fn stopping(&self) -> bool {
        *self.shared.tasks.borrow()
    }

    /// Rolls back what is open when the server stops and says how many that are: once for all workers, of
    /// whom none goes on before it is done.
    pub(crate) fn discard_transactions(&self, database: &Database) {
        self.shared.discarded.get_or_init(|| {
            let transactions = database.end_transactions();
            if transactions > 0 {
                tracing::info!("rolled back {transactions} open transactions");
            }
            transactions
        });
    }

    /// Answers when it is told to.
    pub(crate) async fn stopped(&self) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.shared.tasks.subscribe().wait_for(|stopping| *stopping).await;
    }
}
