//! How an answer looks on a terminal: names and values in colours, an error in red, nothing that a
//! terminal would obey.
//!
//! JSON escapes the control characters of ASCII. Those of Latin-1 come as they are, and some terminals
//! take them for orders, so they are escaped here.

use std::{env, fmt::Write as _};

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const CYAN: &str = "\x1b[36m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// Colours, or the decision to have none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Colours(bool);

impl Colours {
    /// What the environment asks for; the output is a terminal. `NO_COLOR` that is not empty wants none
    /// (<https://no-color.org>), and a dumb terminal has none.
    pub(super) fn of_terminal() -> Self {
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self(!unwanted && !dumb)
    }

    /// The prompt's text.
    pub(super) fn prompt(self, text: &str) -> String {
        if self.0 { format!("{BOLD}{text}{PLAIN}") } else { text.to_owned() }
    }

    /// A message about what went wrong.
    pub(super) fn error(self, text: &str) -> String {
        if self.0 { format!("{RED}{text}{PLAIN}") } else { text.to_owned() }
    }

    /// An answer's line of JSON.
    pub(super) fn answer(self, line: &str, is_error: bool) -> String {
        let line = harmless(line);
        match (self.0, is_error) {
            (false, _) => line,
            (true, true) => self.error(&line),
            (true, false) => painted(&line),
        }
    }
}

/// The text without C1 controls and DEL.
fn harmless(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    for each in line.chars() {
        if each.is_control() {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\u{:04x}", u32::from(each));
        } else {
            shown.push(each);
        }
    }
    shown
}

/// Names in one colour, other strings in another.
fn painted(json: &str) -> String {
    let mut shown = String::with_capacity(json.len() * 2);
    let mut rest = json;
    while let Some(start) = rest.find('"') {
        let end = start + string_length(&rest[start..]);
        let is_name = rest[end..].trim_start().starts_with(':');
        shown.push_str(&rest[..start]);
        let colour = if is_name { CYAN } else { GREEN };
        shown.push_str(&[colour, &rest[start..end], PLAIN].concat());
        rest = &rest[end..];
    }
    shown.push_str(rest);
    shown
}

/// How long the JSON string is that `text` begins with, quotes included.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (position, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return position + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::Colours;

    #[test]
    fn names_and_strings_differ() {
        assert_eq!(
            Colours(true).answer(r#"{"a\"":"b:","c": 1}"#, false),
            "{\x1b[36m\"a\\\"\"\x1b[0m:\x1b[32m\"b:\"\x1b[0m,\x1b[36m\"c\"\x1b[0m: 1}"
        );
        assert_eq!(Colours(true).answer("{}", true), "\x1b[31m{}\x1b[0m");
        assert_eq!(Colours(false).answer(r#"{"a":"b"}"#, true), r#"{"a":"b"}"#);
    }

    #[test]
    fn a_value_gives_the_terminal_no_orders() {
        assert_eq!(Colours(false).answer("{\"a\":\"\u{9b}2J\"}", false), r#"{"a":"\u009b2J"}"#);
    }
}
