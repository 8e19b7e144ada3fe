//! The program on a real terminal: what somebody types, and what they see.
//!
//! A pseudoterminal, its state directory a temporary one. Nothing is typed before what it answers to is
//! on the screen, so there is nothing to wait for by time.

use std::process::Stdio;

use rexpect::{
    process::WaitStatus,
    session::{Options, PtySession, spawn_with_options},
};
use tresor_testkit::{TemporaryDirectory, deadline::PATIENCE, tresor_program};

/// The program with a person in front of it.
pub(crate) struct Terminal {
    session: PtySession,
    /// Its `XDG_STATE_HOME`.
    pub(crate) state: TemporaryDirectory,
}

impl Terminal {
    /// Starts the program without colours.
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_in(
            TemporaryDirectory::new("state"),
            arguments,
            &[environment, &[("NO_COLOR", "1")]].concat(),
        )
    }

    /// Starts it with a state directory, and with no more environment than is said.
    pub(crate) fn start_in(
        state: TemporaryDirectory,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = tresor_program::command(arguments);
        command.env_remove("NO_COLOR").env("TERM", "xterm").env("XDG_STATE_HOME", state.join(""));
        command.stdin(Stdio::inherit()).envs(environment.iter().copied());
        let options = Options::new().timeout_ms(Some(PATIENCE.as_millis() as u64));
        let session = spawn_with_options(command, options).expect("the program starts on a terminal");
        Self { session, state }
    }

    /// Waits until this is on the screen; returns what came before it.
    #[track_caller]
    pub(crate) fn sees(&mut self, text: &str) -> String {
        match self.session.exp_string(text) {
            Ok(before) => before,
            Err(error) => panic!("{text:?} never came: {error}"),
        }
    }

    /// Types a line.
    pub(crate) fn types(&mut self, line: &str) {
        self.session.send_line(line).expect("the terminal takes a line");
    }

    /// Types without an end of line.
    pub(crate) fn presses(&mut self, keys: &str) {
        self.session.send(keys).and_then(|_| self.session.flush()).expect("the terminal takes keys");
    }

    /// Presses Ctrl and a letter.
    pub(crate) fn control(&mut self, letter: char) {
        self.session.send_control(letter).expect("the terminal takes keys");
    }

    /// Waits for the end; returns what came until then.
    #[track_caller]
    pub(crate) fn ends(mut self, code: i32) -> (String, TemporaryDirectory) {
        let rest = self.session.exp_eof().expect("the program ends");
        match self.session.process().wait() {
            Ok(WaitStatus::Exited(_, status)) => assert_eq!(status, code, "{rest}"),
            other => panic!("{other:?}: {rest}"),
        }
        (rest, self.state)
    }
}
