//! A server for one test: HTTP connections on a thread of their own, over the test engine.

use std::{net::SocketAddr, sync::Arc, thread::JoinHandle};

use tokio::{net::TcpListener, runtime::Builder, sync::watch, task::JoinSet};
use tresor::{Config, Database, engine::Engine};
use tresor_server::http::{Hosts, HttpLimits, HttpShared, serve};
use tresor_testkit::ModelEngine;

use crate::client::Client;

/// A running server; stopped and joined when dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) database: Database,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// What a test may choose.
pub(crate) struct Setup {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) config: Config,
    pub(crate) limits: HttpLimits,
    pub(crate) allowed_hosts: Vec<String>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            engine: Arc::new(ModelEngine::new()),
            config: Config::memory(),
            limits: HttpLimits::default(),
            allowed_hosts: Vec::new(),
        }
    }
}

/// A server as everyone gets it.
pub(crate) fn server() -> Running {
    Setup::default().start()
}

impl Setup {
    pub(crate) fn start(self) -> Running {
        let database = Database::over(self.engine, self.config).expect("a database over a test engine opens");
        let (stop, stopped) = watch::channel(false);
        let (report, address) = std::sync::mpsc::channel();
        let served = database.clone();
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let set = tokio::task::LocalSet::new();
            set.block_on(&runtime, async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let mut shared = HttpShared::new(Hosts::new(&[address], &self.allowed_hosts), 1);
                shared.limits = self.limits;
                report.send(address).unwrap();
                accept(listener, served, Arc::new(shared), stopped).await;
            });
        });
        let address = address.recv().unwrap();
        Running { address, database, stop, thread: Some(thread) }
    }
}

async fn accept(
    listener: TcpListener,
    database: Database,
    shared: Arc<HttpShared>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let mut told = stopped.clone();
        let shutdown = async move {
            let _ = told.wait_for(|stop| *stop).await;
        };
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.unwrap();
                connections.spawn_local(serve(stream, database.clone(), 0, shared.clone(), shutdown));
            }
            _ = stopped.wait_for(|stop| *stop) => break,
        }
    }
    shared.stop();
    while connections.join_next().await.is_some() {}
}

impl Running {
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Tells it to stop, without waiting.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// That it still serves others.
    pub(crate) fn assert_serves(&self) {
        let mut client = self.client();
        assert_eq!(client.request("PUT", "/keys/still", &[], b"here").status, 201);
        assert_eq!(client.request("GET", "/keys/still", &[], b"").body, b"here");
        assert_eq!(client.request("DELETE", "/keys/still", &[], b"").status, 200);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let joined = thread.join();
            assert!(joined.is_ok() || std::thread::panicking(), "the server thread panicked");
        }
    }
}
