//! The menu of `tresor` without arguments, for someone who has just installed it.
//!
//! Each choice runs what a subcommand runs with its defaults, so the menu owns nothing but questions.

use rustyline::{DefaultEditor, error::ReadlineError};

use crate::{
    arguments::{self, Chosen},
    failure::{Failure, Outcome},
    prompt, serve,
};

const CHOICES: &str = "1. Start Server\n2. Connect Client\n3. Exit";

/// Asks until the user leaves. A server that was started ends the program with itself, for its signals
/// are caught from then on; a client that ends comes back here.
pub(crate) fn run() -> Outcome {
    loop {
        println!("Tresor {}\n{CHOICES}", env!("CARGO_PKG_VERSION"));
        let Some(choice) = ask("Choose 1, 2 or 3: ")? else { return Ok(()) };
        match choice.as_str() {
            "1" => return start_server(),
            "2" => connect_client()?,
            "3" => return Ok(()),
            other => println!("There is no choice `{other}`."),
        }
    }
}

fn start_server() -> Outcome {
    let parsed = arguments::parse(["tresor", "serve"].map(Into::into)).map_err(Failure::usage)?;
    match parsed.subcommand {
        Chosen::Serve(arguments) => serve::run(*arguments),
        _ => Err(Failure::failed("`tresor serve` is no longer a subcommand")),
    }
}

/// A failure is shown here, where the user may choose again.
fn connect_client() -> Outcome {
    let question = format!("Server [{}]: ", prompt::DEFAULT_ADDRESS);
    let Some(address) = ask(&question)? else { return Ok(()) };
    let address = if address.is_empty() { prompt::DEFAULT_ADDRESS } else { &address };
    if let Err(Failure::Usage(message) | Failure::Failed(message)) = prompt::run_at(address) {
        println!("{message}");
    }
    Ok(())
}

/// The answer to a question; `None` after Ctrl-C or Ctrl-D. Each question has an editor of its own, since
/// one that lives around the prompt's would lose the terminal's signals to it.
fn ask(question: &str) -> Outcome<Option<String>> {
    let mut editor = DefaultEditor::new().map_err(Failure::failed)?;
    match editor.readline(question) {
        Ok(answer) => Ok(Some(answer.trim().to_owned())),
        Err(ReadlineError::Eof | ReadlineError::Interrupted) => Ok(None),
        Err(error) => Err(Failure::failed(format!("cannot read from the terminal: {error}"))),
    }
}
