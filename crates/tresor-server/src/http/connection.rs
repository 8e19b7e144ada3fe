//! One HTTP connection: hyper's state machine around our answers.
//!
//! A connection has one session, used by one request at a time, as HTTP/1.1 has it. The order of the
//! checks is the order of trust: who sent it, which path, how often, the password, the method, then the request
//! itself; nothing of a body is read before all of them have passed.

use std::{cell::RefCell, convert::Infallible, net::IpAddr, pin::pin, rc::Rc, sync::Arc};

use http::{HeaderValue, Request, Response, StatusCode, header, request::Parts};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use tokio::{net::TcpStream, time::Instant};
use tresor::{Database, session::Session};

use super::{
    access::{check_password, check_post, check_sender},
    batch,
    body::Body,
    changes, command, console, content_coding, cors,
    counters::{Answered, method_index},
    encryption, entries_page, entry,
    exchange::{Answer, Exchange},
    export, find, health, import, increment, indexes, keys, kv,
    linger::{self, Leftover},
    metrics_page, openapi,
    problem::Problem,
    progress::{Progress, Socket, Watch},
    query::Parameters,
    route::Route,
    shards,
    shared::HttpShared,
    transactions,
    underway::Underway,
};

/// Serves one accepted connection on a worker's current-thread runtime, until the client goes, a limit
/// is outstayed, or the server stops and the request in flight is done.
///
/// # Errors
/// The store is poisoned: nothing more can be promised, and the server has to end.
pub(crate) async fn serve(
    stream: TcpStream,
    database: &Database,
    worker: usize,
    shared: Arc<HttpShared>,
) -> tresor::Result<()> {
    let _open = shared.counters.connection();
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    // Without one it is gone already.
    let Ok(peer) = stream.peer_addr() else { return Ok(()) };
    let progress = Rc::new(Progress::default());
    let mut watch = Watch::new(progress.clone(), &shared.limits);
    let leftover = Leftover::default();
    let socket = Socket::new(stream, progress.clone(), leftover.clone());
    let connection = Rc::new(Connection {
        session: RefCell::new(Some(database.session(worker))),
        admitted: RefCell::new(None),
        poison: RefCell::new(None),
        database: database.clone(),
        worker,
        peer: peer.ip(),
        shared: shared.clone(),
        progress,
    });
    let underway = Underway::default();
    let (answering, begun) = (connection.clone(), underway.clone());
    let service = service_fn(move |request| begun.begin(answering.clone().answer(request)));
    let mut served = Box::pin(builder(&shared).serve_connection(socket, service));
    let mut shutdown = pin!(shared.stopper.stopped());
    let (mut is_stopping, mut is_cut) = (false, false);
    loop {
        tokio::select! {
            biased;
            result = served.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%error, "HTTP connection ended");
                }
                break;
            }
            () = &mut shutdown, if !is_stopping => {
                is_stopping = true;
                served.as_mut().graceful_shutdown();
            }
            limit = watch.outstayed(&shared.limits) => {
                tracing::debug!(limit, "HTTP connection closed");
                is_cut = true;
                break;
            }
        }
    }
    drop(served);
    underway.finish().await;
    if let Some(error) = connection.poison.take() {
        return Err(error);
    }
    if !is_cut {
        linger::end(&leftover).await;
    }
    Ok(())
}

fn builder(shared: &HttpShared) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // `Watch` limits the time of heads, with one timer a connection.
        .header_read_timeout(None)
        .max_buf_size(shared.limits.head_bytes)
        .max_headers(shared.limits.headers)
        // A client may send its last request, shut its side down and read on.
        .half_close(true)
        // Held-back answers would be lost where input is left over at the end, as after a bad request.
        .pipeline_flush(false);
    builder
}

struct Connection {
    database: Database,
    worker: usize,
    peer: IpAddr,
    shared: Arc<HttpShared>,
    /// Taken out while a request uses it.
    session: RefCell<Option<Session>>,
    /// The last Host that was found to be ours.
    admitted: RefCell<Option<HeaderValue>>,
    /// Why the store can promise nothing any more.
    poison: RefCell<Option<tresor::Error>>,
    progress: Rc<Progress>,
}

impl Connection {
    async fn answer(self: Rc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let started = Instant::now();
        self.progress.begin_answer();
        let (parts, body) = request.into_parts();
        let (route, key) = Route::find(parts.uri.path());
        let mut response = match self.respond((route, key), &parts, body).await {
            Ok(response) => response,
            Err(problem) if route.is_of_commands() => self.refuse(problem.with_reply_text()),
            Err(problem) => self.refuse(problem),
        };
        content_coding::code(&parts.headers, &mut response);
        cors::share(&self.shared.hosts, &parts.headers, response.headers_mut());
        if self.shared.stopper.stopping() {
            // This connection may not have heard of it yet.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let seen = Answered {
            route,
            method: method_index(&parts.method),
            status: response.status(),
            took: started.elapsed(),
        };
        self.shared.counters.answered(self.worker, &seen);
        self.progress.end_answer();
        Ok(response)
    }

    fn refuse(&self, problem: Problem) -> Response<Body> {
        match problem.poison() {
            Some(error) => {
                self.poison.replace(Some(error));
                problem.closing().into_response()
            }
            None => problem.into_response(),
        }
    }

    async fn respond(&self, (route, key): (Route, &str), parts: &Parts, body: Incoming) -> Answer {
        check_sender(&self.shared.hosts, parts, &mut self.admitted.borrow_mut())?;
        if !route.is_open(parts.uri.query()) {
            if let Some(limit) = &self.shared.rate_limit {
                limit.admit(self.peer, Instant::now())?;
            }
            if let Some(answer) = cors::preflight(&self.shared.hosts, route, parts) {
                return Ok(answer);
            }
            check_password(&self.database, &parts.headers)?;
        }
        check_route(route, parts)?;
        let taken = self.session.borrow_mut().take();
        let mut session = taken.unwrap_or_else(|| self.database.session(self.worker));
        let exchange = Exchange {
            database: &self.database,
            worker: self.worker,
            shared: &self.shared,
            session: &mut session,
            parts,
            body: Some(body),
            transaction: None,
            held: None,
        };
        let answer = dispatch(exchange, route, key).await;
        *self.session.borrow_mut() = Some(session);
        answer
    }
}

/// Checks that there is such a path and that it takes this method.
fn check_route(route: Route, parts: &Parts) -> Result<(), Problem> {
    if route == Route::Unknown {
        let detail = "there is nothing here: see / (the console), /kv, /keys, /v1/entries, /v1/changes, /v1/query, /v1/indexes, \
                      /v1/command, /v1/batch, /v1/export, /v1/import, /v1/transactions, /v1/shards, /v1/encryption, \
                      /openapi.json, /livez, /readyz and /metrics";
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    }
    let method = parts.method.as_str();
    if !route.methods().split(", ").any(|allowed| allowed == method) {
        let detail = format!("this path takes {}", route.methods());
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).with(header::ALLOW, route.methods()));
    }
    check_post(&parts.method, &parts.headers)
}

async fn dispatch(exchange: Exchange<'_>, route: Route, key: &str) -> Answer {
    match route {
        Route::Console | Route::ConsoleFile => console::answer(&exchange, key),
        Route::Key => keys::answer(exchange, key).await,
        Route::Kv => kv::answer(exchange).await,
        Route::Keys => {
            let database = Parameters::parse(exchange.parts.uri.query())?.database;
            kv::list_committed(&exchange, database).await
        }
        Route::Livez => health::live(),
        Route::Readyz => health::ready(exchange).await,
        Route::OpenApi => Ok(openapi::answer()),
        Route::Metrics => metrics_page::answer(exchange).await,
        Route::Entries => entries_page::answer(exchange).await,
        Route::Changes => changes::answer(exchange).await,
        Route::Query => find::answer(exchange).await,
        Route::Indexes | Route::Index => indexes::answer(exchange, key).await,
        Route::Encryption => encryption::show(&exchange),
        Route::EncryptionRotate => encryption::rotate(exchange).await,
        Route::Shards | Route::Rebalance | Route::Shard => shards::answer(exchange, route, key).await,
        Route::Batch => batch::answer(exchange).await,
        Route::Export => export::answer(exchange).await,
        Route::Import => import::answer(exchange).await,
        Route::Entry => entry::answer(exchange, key).await,
        Route::EntryIncrement => increment::answer(exchange, key).await,
        route if route.is_of_commands() => command::answer(exchange, route).await,
        route if route.is_of_transactions() => transactions::answer(exchange, route, key).await,
        _ => Err(Problem::new(StatusCode::NOT_FOUND, "there is nothing here")),
    }
}
