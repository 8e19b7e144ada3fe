//! The prompt on a terminal: a line in, its answer out, until somebody leaves or the server does.

use rustyline::{Config, Editor, config::ColorMode, error::ReadlineError, history::FileHistory};
use tresor_client::{Client, ErrorKind};

use super::{
    catalog::Catalog, colours::Colours, command_word, completion::Completion, history, history::History,
    is_skipped, open_transactions::OpenTransactions,
};
use crate::failure::{Failure, Outcome};

/// A conversation with one server.
struct Conversation {
    client: Client,
    catalog: Catalog,
    open: OpenTransactions,
    colours: Colours,
}

/// Runs the prompt until Ctrl-D or QUIT, or until the connection is lost, which is a failure.
pub(super) fn run(mut client: Client) -> Outcome {
    let catalog = Catalog::ask(&mut client)?;
    let mut editor = editor(catalog.words())?;
    let history = History::open(&mut editor);
    let (open, colours) = (OpenTransactions::default(), Colours::of_terminal());
    let mut conversation = Conversation { client, catalog, open, colours };
    println!(
        "Connected to {}. HELP lists the commands, Tab completes them, Ctrl-D leaves.",
        conversation.client.address()
    );
    while let Some(typed) = conversation.read(&mut editor)? {
        // What was pasted may be several lines.
        for line in typed.lines().filter(|line| !is_skipped(line)) {
            history.add(&mut editor, line);
            conversation.execute(line)?;
            if command_word(line) == "QUIT" {
                return Ok(());
            }
        }
    }
    conversation.client.disconnect().map_err(Failure::failed)
}

fn editor(words: Vec<String>) -> Outcome<Editor<Completion, FileHistory>> {
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
    editor.set_helper(Some(Completion { words }));
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

    /// Sends a line and shows its answer. HELP is answered from what the server has told already.
    fn execute(&mut self, line: &str) -> Outcome {
        if command_word(line) == "HELP" {
            println!("{}", self.catalog.help(line.split_ascii_whitespace().nth(1), self.colours));
            return Ok(());
        }
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
