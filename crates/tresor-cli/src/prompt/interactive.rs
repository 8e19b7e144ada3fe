//! The prompt on a terminal: a line in, its answer out, until somebody leaves or the server does.

use rustyline::{Config, Editor, config::ColorMode, error::ReadlineError, history::FileHistory};
use tresor_client::{Client, ErrorKind};

use super::{
    colours::Colours, command_word, completion::Completion, history, history::History, is_skipped,
    open_transactions::OpenTransactions,
};
use crate::failure::{Failure, Outcome};

/// A conversation with one server.
struct Conversation {
    client: Client,
    open: OpenTransactions,
    colours: Colours,
}

/// Runs the prompt until Ctrl-D or QUIT, or until the connection is lost, which is a failure.
pub(super) fn run(client: Client) -> Outcome {
    let mut editor = editor()?;
    let history = History::open(&mut editor);
    let mut conversation =
        Conversation { client, open: OpenTransactions::default(), colours: Colours::of_terminal() };
    println!(
        "Connected to {}. HELP lists the commands, Tab completes them, Ctrl-D leaves.",
        conversation.client.address()
    );
    while let Some(line) = conversation.read(&mut editor)? {
        if is_skipped(&line) {
            continue;
        }
        history.add(&mut editor, &line);
        conversation.execute(&line)?;
        if command_word(&line) == "QUIT" {
            return Ok(());
        }
    }
    conversation.client.disconnect().map_err(Failure::failed)
}

fn editor() -> Outcome<Editor<Completion, FileHistory>> {
    let config = Config::builder()
        .max_history_size(history::LINES)
        .and_then(|builder| builder.history_ignore_dups(true))
        .map_err(Failure::failed)?
        .history_ignore_space(true)
        // What to colour is decided here; the editor would ask nobody.
        .color_mode(ColorMode::Enabled)
        .completion_type(rustyline::CompletionType::List)
        .build();
    let mut editor = Editor::with_config(config).map_err(Failure::failed)?;
    editor.set_helper(Some(Completion));
    Ok(editor)
}

impl Conversation {
    /// The next line; `None` when the user leaves. Ctrl-C gives up a line and asks for another.
    fn read(&self, editor: &mut Editor<Completion, FileHistory>) -> Outcome<Option<String>> {
        let prompt = format!("tresor {}{}> ", self.client.address(), self.open);
        let styled = self.colours.prompt(&prompt);
        loop {
            match editor.readline(&(&prompt, &styled)) {
                Ok(line) => return Ok(Some(line)),
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return Ok(None),
                Err(error) => return Err(Failure::failed(format!("cannot read from the terminal: {error}"))),
            }
        }
    }

    /// Sends a line and shows its answer.
    fn execute(&mut self, line: &str) -> Outcome {
        match self.client.send_line(line) {
            Ok(text) => {
                let answer = serde_json::from_str(&text).unwrap_or_default();
                self.open.follow(line, &answer);
                println!("{}", self.colours.answer(&text, answer["status"] != "Ok"));
                Ok(())
            }
            // The line never left: it was none.
            Err(error) if error.kind() == ErrorKind::Invalid => {
                println!("{}", self.colours.error(&error.to_string()));
                Ok(())
            }
            Err(error) => Err(Failure::failed(error)),
        }
    }
}
