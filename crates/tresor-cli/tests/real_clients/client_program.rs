//! One run of a client program: its questions, which are to stop and start the server, and its end.
//!
//! What it writes goes to files, which are polled: no thread has to read them, and a program that says nothing
//! runs into a deadline.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
};

use tresor_testkit::{TemporaryDirectory, deadline};

use crate::served::{Door, PASSWORD, Served};

/// Runs a program against a server of its own. It has to stop and start the server, and to be fine.
pub(crate) fn passes(command: Command, door: Door) {
    let mut served = Served::start(door);
    let mut program = ClientProgram::start(command, &served);
    assert_eq!(program.says(), "stop");
    served.stop();
    program.is_told("done");
    assert_eq!(program.says(), "start");
    served.start_again();
    program.is_told("done");
    assert_eq!(program.says(), "fine");
    program.ends();
}

struct ClientProgram {
    child: Child,
    input: Option<ChildStdin>,
    directory: TemporaryDirectory,
    /// Lines of its output that were read.
    read: usize,
}

impl ClientProgram {
    fn start(mut command: Command, served: &Served) -> Self {
        let directory = TemporaryDirectory::new("client");
        let file = |path: PathBuf| fs::File::create(path).expect("the temporary directory takes a file");
        command.args([&served.host, &served.port.to_string(), PASSWORD]);
        command.stdin(Stdio::piped());
        command.stdout(file(directory.join("output"))).stderr(file(directory.join("errors")));
        let mut child = command.spawn().expect("the program starts");
        let input = child.stdin.take();
        Self { child, input, directory, read: 0 }
    }

    /// The next line that it writes.
    #[track_caller]
    fn says(&mut self) -> String {
        let line = deadline::wait_for("a line of the program", || {
            // Looked at first, so that nothing is written after the output was read.
            let ended = self.child.try_wait().expect("a child can be waited for");
            let output = self.written("output");
            let line = output.split_inclusive('\n').nth(self.read).filter(|line| line.ends_with('\n'));
            match (line, ended) {
                (Some(line), _) => Some(line.trim_end().to_owned()),
                (None, Some(status)) => panic!("the program ended: {status}\n{}", self.written("errors")),
                (None, None) => None,
            }
        });
        self.read += 1;
        line
    }

    fn is_told(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input is open");
        writeln!(input, "{line}").expect("the program reads its input");
    }

    #[track_caller]
    fn ends(mut self) {
        self.input = None;
        let status = deadline::wait_for("the program to end", || {
            self.child.try_wait().expect("a child can be waited for")
        });
        let (output, errors) = (self.written("output"), self.written("errors"));
        assert!(status.success(), "{status}\n{errors}");
        assert_eq!(output.lines().count(), self.read, "{output}");
        assert_eq!(errors, "", "it has something to complain of");
    }

    fn written(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.directory.join(name)).unwrap_or_default()).into_owned()
    }
}

impl Drop for ClientProgram {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- errors of the program\n{}---", self.written("errors"));
        }
        // It has ended already unless something went wrong.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
