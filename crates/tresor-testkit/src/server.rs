//! The real server as a process: started on free ports, stopped in every way that matters.
//!
//! It is ready when it has written its ready file, which is polled; its output goes to files, so no
//! thread has to drain it. Dropping it kills it.

use std::{
    fs, io,
    process::{Child, ExitStatus},
};

use crate::{LineClient, RespClient, TemporaryDirectory, deadline, tresor_program};

/// A running `tresor serve`.
pub struct Server {
    child: Child,
    directory: TemporaryDirectory,
    ports: Ports,
}

/// Where it listens, on 127.0.0.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// HTTP; 0 when off.
    pub http: u16,
    /// Redis protocol; 0 when off.
    pub resp: u16,
    /// Line protocol; 0 when off.
    pub line: u16,
}

impl Server {
    /// Starts a server on free ports with further arguments; they may override the ports. Panics with
    /// its output when it does not get ready.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    /// The same with environment variables.
    pub fn start_with(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let directory = TemporaryDirectory::new("server");
        let ready = directory.join("ready.json");
        let log = fs::File::create(directory.join("log")).expect("the temporary directory takes a file");
        let mut all = vec!["serve"];
        for (option, value) in [("--port", "0"), ("--resp-port", "0"), ("--line-port", "0")] {
            if !arguments.iter().any(|argument| argument.split('=').next() == Some(option)) {
                all.extend([option, value]);
            }
        }
        let ready_text = ready.to_str().expect("temporary paths are UTF-8");
        all.extend(["--ready-file", ready_text]);
        all.extend(arguments);
        let child = tresor_program::command(&all)
            .envs(environment.iter().copied())
            .stdout(log.try_clone().expect("a file handle can be cloned"))
            .stderr(log)
            .spawn()
            .expect("the tresor program starts");
        let mut server = Self { child, directory, ports: Ports::default() };
        server.ports = deadline::wait_for("the server to get ready", || server.ready(&ready));
        server
    }

    fn ready(&mut self, file: &std::path::Path) -> Option<Ports> {
        if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
            panic!("the server ended before it was ready: {status}\n{}", self.log());
        }
        // Half-written is not ready.
        let json: serde_json::Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
        let port = |name: &str| json[name].as_u64().unwrap_or(0) as u16;
        Some(Ports { http: port("http"), resp: port("resp"), line: port("line") })
    }

    /// Where it listens.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// A new connection to its Redis port.
    pub fn resp(&self) -> RespClient {
        RespClient::connect(self.ports.resp).expect("the server accepts")
    }

    /// A new connection to its line protocol port.
    pub fn line(&self) -> LineClient {
        LineClient::connect(self.ports.line).expect("the server accepts")
    }

    /// The URL of a path on its HTTP port.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.http)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All it has written to standard output and error.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.directory.join("log")).unwrap_or_default()).into_owned()
    }

    /// Whether it is still running.
    pub fn running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// `kill -9`: it gets no chance to save anything.
    pub fn kill9(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a killed child ends");
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM).expect("a child takes a signal");
        self.ended()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) -> io::Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    /// Waits until it ends by itself.
    pub fn ended(&mut self) -> ExitStatus {
        tresor_program::wait(&mut self.child, "the server to end")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- log of the server\n{}---", self.log());
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
