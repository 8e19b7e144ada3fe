//! The server's commands as it tells them itself: what Tab completes, and what HELP shows a person.
//!
//! The server's table is the only one, so a prompt fits a server of another version too.

use tresor_client::Client;

use super::colours::Colours;
use crate::failure::{Failure, Outcome};

/// What the server says about its commands.
#[derive(Debug, Default)]
pub(super) struct Catalog(Vec<Command>);

#[derive(Debug)]
struct Command {
    name: String,
    syntax: String,
    summary: String,
    answer: String,
}

impl Catalog {
    /// Asks the server. One that does not want to tell has no completion, and is a failure only if the
    /// connection is.
    pub(super) fn ask(client: &mut Client) -> Outcome<Self> {
        let answer = client.send_command("HELP").map_err(Failure::failed)?;
        let rows = answer["commands"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let command = |row| Command {
            name: text(row, "name"),
            syntax: text(row, "syntax"),
            summary: text(row, "summary"),
            answer: text(row, "answer"),
        };
        Ok(Self(rows.iter().map(command).collect()))
    }

    /// The command words.
    pub(super) fn words(&self) -> Vec<String> {
        self.0.iter().map(|command| command.name.clone()).collect()
    }

    /// A page about one command, or a line about each.
    pub(super) fn help(&self, topic: Option<&str>, colours: Colours) -> String {
        let Some(topic) = topic else {
            let width = self.0.iter().map(|command| command.syntax.chars().count()).max().unwrap_or(0);
            let line = |command: &Command| {
                format!("{}  {}", colours.name(&format!("{:width$}", command.syntax)), command.summary)
            };
            return self.0.iter().map(line).collect::<Vec<_>>().join("\n");
        };
        match self.0.iter().find(|command| command.name.eq_ignore_ascii_case(topic)) {
            Some(Command { syntax, summary, answer, .. }) => {
                format!("{}\n{summary}\nAnswer: {answer}", colours.name(syntax))
            }
            None => colours.error(&format!("There is no command `{topic}`; HELP lists all")),
        }
    }
}
