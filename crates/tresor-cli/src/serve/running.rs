//! A server from its first connection to its last: start-up line, ready file, signals, end.
//!
//! The first Ctrl-C or SIGTERM stops it in good order, the second at once. The thread that waits for
//! the server is joined before this returns, and the store is closed only after the last connection.

use std::{net::SocketAddr, process, sync::Arc, thread};

use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};
use tresor_server::{
    Addresses, Ending, Stopper,
    assemble::{Assembled, Assembly, assemble},
};

use super::{
    options::{DurabilityName, EngineName, Options},
    ready_file::{Ready, ReadyFile},
};
use crate::failure::{Failure, Outcome};

/// Runs a server until somebody stops it.
pub(crate) fn run(assembly: Assembly, options: &Options) -> Outcome {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    // Signals are caught before anything is open, so that none of them can end a half-started store.
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let engine = assembly.engine_in_words();
    let assembled = assemble(assembly)?;
    let addresses = assembled.addresses().clone();
    let ready_file = match &options.ready_file {
        Some(path) => Some(ReadyFile::write(path, &ready(&addresses))?),
        None => None,
    };
    announce(&addresses, options, &engine);
    let ended = until_ended(&runtime, &mut signals, assembled);
    drop(ready_file);
    ended
}

fn until_ended(runtime: &runtime::Runtime, signals: &mut Signals, assembled: Assembled) -> Outcome {
    let stopper = assembled.stopper();
    let (tell, told) = oneshot::channel();
    let waiting = thread::Builder::new().name("tresor-wait".to_owned()).spawn(move || {
        let ending = assembled.wait();
        tracing::info!("stopping: connections get up to 10 seconds to finish; a second signal stops at once");
        // Nobody listens only if the other side is gone, and then nobody needs to know.
        let _ = tell.send(assembled.finish().map(|()| ending));
    })?;
    let ended = runtime.block_on(first_signal_stops(signals, &stopper, told));
    waiting.join().map_err(|_| Failure::failed("the thread that stops the server has panicked"))?;
    let ending = ended.ok_or(Failure::Silent)??;
    match &*ending {
        Ending::Asked(_) => {
            tracing::info!("stopped");
            Ok(())
        }
        Ending::Failed(error) => Err(Failure::failed(error)),
    }
}

type End = tresor::Result<Arc<Ending>>;

async fn first_signal_stops(
    signals: &mut Signals,
    stopper: &Stopper,
    mut told: oneshot::Receiver<End>,
) -> Option<End> {
    loop {
        tokio::select! {
            ended = &mut told => return ended.ok(),
            () = signals.next() => {
                if stopper.stopping() {
                    tracing::warn!("stopping at once");
                    process::exit(1);
                }
                stopper.stop();
            }
        }
    }
}

/// Ctrl-C and SIGTERM; and SIGXFSZ, which only has to be caught: then a file that grows over its limit
/// is an error like that of a full disk, and not the end of the process.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    _file_size: Signal,
}

impl Signals {
    fn new() -> Outcome<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            _file_size: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn ready(addresses: &Addresses) -> Ready {
    let port = |of: &[SocketAddr]| of.first().map(SocketAddr::port);
    Ready {
        pid: process::id(),
        http: port(&addresses.http),
        resp: port(&addresses.resp),
        line: port(&addresses.line),
    }
}

const SURVIVES_ALWAYS: &str = "a power cut (durability always)";
const SURVIVES_INTERVAL: &str = "a crash of the process (durability interval)";
const SURVIVES_NONE: &str = "only an orderly stop (durability none)";

/// What becomes of data that is spread over shards: those in memory keep nothing, whatever the others do.
fn shards_in_words(options: &Options) -> String {
    let shards = options.shard.iter().flatten();
    let volatile: Vec<&str> =
        shards.filter(|shard| shard.store_path.is_none()).map(|shard| shard.name.as_str()).collect();
    let is_kept = options.shard.iter().flatten().count() > volatile.len();
    let survives = match options.durability {
        Some(DurabilityName::Always) => SURVIVES_ALWAYS,
        Some(DurabilityName::Interval) => SURVIVES_INTERVAL,
        _ => SURVIVES_NONE,
    };
    match (is_kept, volatile.is_empty()) {
        (false, _) => "data is gone when it stops (give the shards a store-path to keep it)".to_owned(),
        (true, true) => format!("data is kept by the shards and an acknowledged write survives {survives}"),
        (true, false) => format!(
            "data on {} is gone when it stops (a store-path keeps it); on the other shards an acknowledged write survives {survives}",
            volatile.join(", ")
        ),
    }
}

/// One line that tells someone new what is running and what becomes of their data.
fn announce(addresses: &Addresses, options: &Options, engine_in_words: &str) {
    let list = |of: &[SocketAddr], scheme: &str| {
        if of.is_empty() {
            return "off".to_owned();
        }
        of.iter().map(|address| format!("{scheme}{address}")).collect::<Vec<_>>().join(", ")
    };
    let (http, resp) = (list(&addresses.http, "http://"), list(&addresses.resp, ""));
    let line = list(&addresses.line, "");
    let engine = options.engine.unwrap_or(EngineName::Memory);
    let keeping = match (&options.store_path, options.durability) {
        (None, _) if engine == EngineName::Cassandra => {
            format!(
                "data is kept by the cluster of {}",
                options.cassandra_contact.iter().flatten().cloned().collect::<Vec<_>>().join(", ")
            )
        }
        _ if options.shard.is_some() => shards_in_words(options),
        (None, _) => "data is gone when it stops (name a --store-path to keep it)".to_owned(),
        (Some(path), durability) => format!(
            "data is kept in {} and an acknowledged write survives {}",
            path.display(),
            match durability {
                Some(DurabilityName::Always) => SURVIVES_ALWAYS,
                _ if engine == EngineName::Json => "what comes after the next save",
                Some(DurabilityName::Interval) => SURVIVES_INTERVAL,
                _ => SURVIVES_NONE,
            }
        ),
    };
    tracing::info!(
        "Tresor {} is ready: HTTP on {http}, Redis protocol on {resp}, line protocol on {line}; engine {}, {keeping}",
        env!("CARGO_PKG_VERSION"),
        engine_in_words
    );
}
