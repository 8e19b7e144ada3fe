//! What Tab completes: command words at the start of a line, and as topics of HELP.

use rustyline::validate::Validator;
use rustyline::{Context, Helper, completion::Completer, highlight::Highlighter, hint::Hinter};

/// The commands of the line protocol.
const COMMANDS: [&str; 14] = [
    "ABORT",
    "AUTH",
    "BEGIN",
    "COMMIT",
    "COMMITALL",
    "DEL",
    "GET",
    "HELP",
    "PING",
    "PUT",
    "QUIT",
    "ROLLBACK",
    "SELECT",
    "SHOWALL",
];

/// Completes words of the line protocol.
#[derive(Debug)]
pub(super) struct Completion;

impl Completer for Completion {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(candidates(&line[..position]))
    }
}

impl Helper for Completion {}
impl Highlighter for Completion {}
impl Hinter for Completion {
    type Hint = String;
}
impl Validator for Completion {}

/// Where the word at the end of `typed` begins, and what it may become.
fn candidates(typed: &str) -> (usize, Vec<String>) {
    let start = typed.rfind(char::is_whitespace).map_or(0, |blank| blank + 1);
    let (before, word) = (typed[..start].trim(), typed[start..].to_ascii_uppercase());
    if !before.is_empty() && !before.eq_ignore_ascii_case("HELP") {
        return (start, Vec::new());
    }
    let fitting = COMMANDS.iter().filter(|command| command.starts_with(&word));
    (start, fitting.map(|command| format!("{command} ")).collect())
}

#[cfg(test)]
mod tests {
    use super::candidates;

    #[test]
    fn words_are_completed_where_commands_stand() {
        assert_eq!(candidates("com"), (0, vec!["COMMIT ".to_owned(), "COMMITALL ".to_owned()]));
        assert_eq!(candidates("  ro"), (2, vec!["ROLLBACK ".to_owned()]));
        assert_eq!(candidates("help sho"), (5, vec!["SHOWALL ".to_owned()]));
        assert_eq!(candidates("GET sho"), (4, vec![]));
        assert_eq!(candidates("größe c"), (8, vec![]));
    }
}
