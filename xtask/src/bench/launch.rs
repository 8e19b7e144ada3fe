//! Servers: started on core 0 with one worker, waited for, asked to end, and gone when dropped.
//!
//! Each kind is told the same in its own words: loopback, one worker, nothing saved unless a row asks
//! for it. A server's log goes into a file beside its data, and is quoted when it does not come up.

use std::{
    env, fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    core_pinning::SERVER_PREFIX,
    peers::{Kind, Program},
    resp::Client,
    setup::{Directory, Pinned, Setup},
    wait,
};
use crate::Outcome;

/// How long a server may take to come up or to end.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running server.
pub(super) struct Server {
    child: Child,
    pub(super) name: &'static str,
    pub(super) port: u16,
    /// How long it took from the start of the process until it answered.
    pub(super) came_up_in: Duration,
    log: PathBuf,
    _own_directory: Option<Directory>,
}

impl Server {
    /// Starts a program with further arguments and a directory of its own.
    pub(super) fn start(setup: &Setup, program: &Program, arguments: &[&str]) -> Outcome<Self> {
        let directory = setup.directory()?;
        let mut server = Self::start_in(setup, program, (directory.path(), arguments))?;
        server._own_directory = Some(directory);
        Ok(server)
    }

    /// Starts a program on a directory of the caller's, which it may find data in.
    pub(super) fn start_in(
        setup: &Setup,
        program: &Program,
        (directory, arguments): (&Path, &[&str]),
    ) -> Outcome<Self> {
        let port = free_port()?;
        let mut command = pinned(setup, &program.path);
        command.args(own_words(program.kind, port)).args(arguments);
        for door in ["--port", "--line-port"] {
            if program.kind.is_ours() && !arguments.contains(&door) {
                command.args([door, "off"]);
            }
        }
        Self::spawn(command, program.kind.name(), (directory, port))?.when(|server| {
            let Ok(mut client) = Client::connect(server.port) else { return Ok(None) };
            // While it loads, Redis answers with an error.
            Ok(client.command(&["PING"]).ok().filter(|reply| reply.starts_with(b"+PONG")).map(|_| ()))
        })
    }

    /// Starts `tresor` with HTTP alone.
    pub(super) fn start_http(setup: &Setup, arguments: &[&str]) -> Outcome<Self> {
        let directory = setup.directory()?;
        let (http, program) = (free_port()?, setup.ours()?);
        let mut command = pinned(setup, &program.path);
        command.args(["serve", "--threads", "1", "--line-port", "off", "--port", &http.to_string()]);
        command.args(arguments);
        let mut server = Self::spawn(command, program.kind.name(), (directory.path(), http))?
            .when(|server| Ok(TcpStream::connect(("127.0.0.1", server.port)).ok().map(|_| ())))?;
        server._own_directory = Some(directory);
        Ok(server)
    }

    /// Starts the peer on Go's net/http.
    pub(super) fn start_http_map(setup: &Setup) -> Outcome<Self> {
        let program = setup.http_map.clone()?;
        let directory = setup.directory()?;
        let port = free_port()?;
        let mut command = pinned(setup, &program);
        command.env("GOMAXPROCS", "1").args(["-listen", &format!("127.0.0.1:{port}")]);
        let mut server = Self::spawn(command, "Go net/http", (directory.path(), port))?
            .when(|server| Ok(TcpStream::connect(("127.0.0.1", server.port)).ok().map(|_| ())))?;
        server._own_directory = Some(directory);
        Ok(server)
    }

    fn spawn(mut command: Command, name: &'static str, (directory, port): (&Path, u16)) -> Outcome<Self> {
        let log = directory.join("log");
        let file = fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let twin = file.try_clone().map_err(|error| format!("{}: {error}", log.display()))?;
        for (variable, _) in env::vars_os() {
            // Settings of whoever runs this are not what is measured.
            if variable.to_str().is_some_and(|variable| variable.starts_with("TRESOR_")) {
                command.env_remove(variable);
            }
        }
        command.current_dir(directory).stdin(Stdio::null()).stdout(file).stderr(twin);
        let child = command.spawn().map_err(|error| format!("{name} does not start: {error}"))?;
        let came_up_in = Duration::ZERO;
        Ok(Self { child, name, port, came_up_in, log, _own_directory: None })
    }

    /// Waits until it is up, as `look` tells.
    fn when(mut self, mut look: impl FnMut(&Self) -> Outcome<Option<()>>) -> Outcome<Self> {
        let what = format!("{} to answer", self.name);
        let waited = wait::until(&what, PATIENCE, || match self.child.try_wait() {
            Ok(Some(status)) => Err(format!("{} ended with {status}", self.name)),
            _ => look(&self),
        });
        match waited {
            Ok(((), elapsed)) => {
                self.came_up_in = elapsed;
                Ok(self)
            }
            Err(error) => {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                Err(format!("{error}; its log:\n{}", log.trim()))
            }
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection to it.
    pub(super) fn client(&self) -> Outcome<Client> {
        Client::connect(self.port)
    }

    /// Asks it to end and waits until it has.
    pub(super) fn stop(mut self) -> Outcome {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).map_err(|error| format!("{}: {error}", self.name))?;
        let what = format!("{} to end", self.name);
        wait::until(&what, PATIENCE, || {
            self.child.try_wait().map_err(|error| format!("{}: {error}", self.name))
        })?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pinned(setup: &Setup, program: &Path) -> Command {
    match setup.pinned {
        Pinned::NotAtAll => Command::new(program),
        Pinned::Apart => {
            let mut command = Command::new(SERVER_PREFIX[0]);
            command.args(&SERVER_PREFIX[1..]).arg(program);
            command
        }
    }
}

fn own_words(kind: Kind, port: u16) -> Vec<String> {
    let words = match kind {
        Kind::Tresor | Kind::Before => format!("serve --threads 1 --resp-port {port}"),
        Kind::Redis | Kind::Valkey => {
            let words = format!("--bind 127.0.0.1 --port {port} --appendonly no --save");
            return words.split(' ').map(str::to_owned).chain([String::new()]).collect();
        }
        Kind::Pogocache => format!("-h 127.0.0.1 -p {port} --threads=1"),
    };
    words.split(' ').map(str::to_owned).collect()
}

/// A port that nobody has; whoever takes it in between makes the start fail, with the reason.
pub(super) fn free_port() -> Outcome<u16> {
    let listener =
        TcpListener::bind(("127.0.0.1", 0)).map_err(|error| format!("no port is free: {error}"))?;
    Ok(listener.local_addr().map_err(|error| error.to_string())?.port())
}
