//! The arguments of a command as COMMAND DOCS tells them, read from the syntax in its row.
//!
//! The syntax is what people read, in the notation of Redis's documentation: `[x]` may be missing, `[a | b]` and
//! `<a | b>` are one of several, a word in capitals introduces what follows it, and `x [x ...]` comes once or more
//! often. redis-cli and consoles want its structure, for hints and forms. It is made when somebody asks, so
//! the two cannot differ, and a test prints every row's structure back.

use super::Row;
use crate::reply::ReplyWriter;

/// One argument, or several that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Argument<'a> {
    name: &'a str,
    kind: Kind,
    /// The word in capitals that introduces it.
    token: Option<&'a str>,
    optional: bool,
    multiple: bool,
    /// Each time with the token.
    multiple_token: bool,
    parts: Vec<Argument<'a>>,
}

/// What stands for an argument; the rest is said by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Word,
    /// Only the token.
    Token,
    /// One of the parts.
    Choice,
    /// All of the parts.
    Block,
}

impl<'a> Argument<'a> {
    /// What stands between brackets, or is a whole syntax.
    fn of(text: &'a str) -> Self {
        if let Some(once) = repeated_whole(text) {
            let argument = Self::of(once);
            return Self { multiple: true, multiple_token: argument.token.is_some(), ..argument };
        }
        let alternatives = split(text, '|');
        match alternatives.as_slice() {
            [_, _, ..] => {
                let parts: Vec<_> = alternatives.into_iter().map(Self::of).collect();
                Self { name: parts[0].name, kind: Kind::Choice, parts, ..Self::default() }
            }
            _ => Self::block(sequence(&split(text, ' '))),
        }
    }

    fn block(mut parts: Vec<Self>) -> Self {
        match parts.len() {
            1 => parts.remove(0),
            _ => {
                let name = parts.first().map_or("", |first| first.name);
                Self { name, kind: Kind::Block, parts, ..Self::default() }
            }
        }
    }

    /// What a word in capitals introduces.
    fn introduced(token: &'a str, parts: Vec<Self>) -> Self {
        if parts.is_empty() {
            return Self { name: token, kind: Kind::Token, token: Some(token), ..Self::default() };
        }
        let plain = parts.iter().all(|part| part.token.is_none() && !part.optional);
        let introduced = match parts.len() {
            1 if plain => Self::block(parts),
            _ => Self { name: token, kind: Kind::Block, parts, ..Self::default() },
        };
        Self { token: Some(token), ..introduced }
    }

    /// The name of its type, as Redis has it.
    fn type_name(&self) -> &'static str {
        let is_key = ["source", "destination"].contains(&self.name)
            || self.name.trim_end_matches(|digit: char| digit.is_ascii_digit()).ends_with("key");
        match self.kind {
            Kind::Token => "pure-token",
            Kind::Choice => "oneof",
            Kind::Block => "block",
            Kind::Word if is_key => "key",
            Kind::Word if self.name == "pattern" => "pattern",
            Kind::Word if self.name.starts_with("unix-time") => "unix-time",
            Kind::Word => "string",
        }
    }

    /// Writes it; a key with the number of its specification, where the command has one.
    fn tell(&self, specification: Option<i64>, reply: &mut ReplyWriter) {
        let flags: Vec<_> = [
            (self.optional, "optional"),
            (self.multiple, "multiple"),
            (self.multiple_token, "multiple_token"),
        ]
        .into_iter()
        .filter_map(|(holds, flag)| holds.then_some(flag))
        .collect();
        let token = usize::from(self.token.is_some());
        let parts = usize::from(!self.parts.is_empty());
        let type_name = self.type_name();
        let specification_of_key = specification.filter(|_| type_name == "key");
        let key = usize::from(specification_of_key.is_some());
        reply.map(2 + key + token + usize::from(!flags.is_empty()) + parts);
        reply.bulk(b"name");
        reply.bulk(self.name.to_ascii_lowercase().as_bytes());
        reply.bulk(b"type");
        reply.bulk(type_name.as_bytes());
        if let Some(number) = specification_of_key {
            reply.bulk(b"key_spec_index");
            reply.integer(number);
        }
        if let Some(token) = self.token {
            reply.bulk(b"token");
            reply.bulk(token.as_bytes());
        }
        if !flags.is_empty() {
            reply.bulk(b"flags");
            reply.set(flags.len());
            flags.iter().for_each(|flag| reply.simple(flag));
        }
        if !self.parts.is_empty() {
            reply.bulk(b"arguments");
            tell(&self.parts, specification, reply);
        }
    }
}

/// Whether a command has arguments.
pub(super) fn has_any(row: &Row) -> bool {
    !row.syntax.is_empty()
}

/// Writes an array with the arguments of a command.
pub(super) fn tell_all(row: &Row, reply: &mut ReplyWriter) {
    // A command here has one specification of its keys at most.
    tell(&arguments(row), (row.keys.first > 0).then_some(0), reply);
}

fn tell(arguments: &[Argument<'_>], specification: Option<i64>, reply: &mut ReplyWriter) {
    reply.array(arguments.len());
    arguments.iter().for_each(|argument| argument.tell(specification, reply));
}

fn arguments(row: &Row) -> Vec<Argument<'static>> {
    sequence(&split(row.syntax, ' '))
}

/// Arguments one after the other, from words and what stands between brackets.
fn sequence<'a>(words: &[&'a str]) -> Vec<Argument<'a>> {
    let mut found = Vec::new();
    for (place, word) in words.iter().enumerate() {
        if let Some(again) = between(word, "[", " ...]") {
            // Says once more what was said just before.
            let first = found.len().saturating_sub(split(again, ' ').len());
            let repeated = Argument::block(found.split_off(first));
            found.push(Argument { multiple: true, ..repeated });
        } else if let Some(optional) = between(word, "[", "]") {
            found.push(Argument { optional: true, ..Argument::of(optional) });
        } else if let Some(choice) = between(word, "<", ">") {
            found.push(Argument::of(choice));
        } else if word.bytes().any(|byte| byte.is_ascii_lowercase()) {
            found.push(Argument { name: word, ..Argument::default() });
        } else {
            found.push(Argument::introduced(word, sequence(&words[place + 1..])));
            break;
        }
    }
    found
}

fn between<'a>(word: &'a str, opening: &str, closing: &str) -> Option<&'a str> {
    word.strip_prefix(opening)?.strip_suffix(closing)
}

/// What comes once or more often, if a text says nothing else: `x [x ...]`.
fn repeated_whole(text: &str) -> Option<&str> {
    let once = text.len().checked_sub(" [ ...]".len())? / 2;
    let (once, again) = text.split_at_checked(once)?;
    (between(again, " [", " ...]") == Some(once)).then_some(once)
}

/// The parts of a text at a separator that stands outside of brackets.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut depth = 0_usize;
    let parts = text.split(|letter| {
        match letter {
            '[' | '<' => depth += 1,
            ']' | '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && letter == separator
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Argument, Kind, arguments, sequence, split};
    use crate::command::CATALOG;

    /// The notation of an argument.
    fn printed(argument: &Argument<'_>) -> String {
        let once = match argument.kind {
            Kind::Word => argument.name.to_owned(),
            Kind::Token => String::new(),
            Kind::Block => all(&argument.parts, " "),
            // Brackets that say that it may be missing say it too.
            Kind::Choice if argument.optional && argument.token.is_none() => all(&argument.parts, " | "),
            Kind::Choice => format!("<{}>", all(&argument.parts, " | ")),
        };
        let whole = format!("{} {once}", argument.token.unwrap_or_default()).trim().to_owned();
        let text = match argument {
            Argument { multiple: false, .. } => whole,
            Argument { multiple_token: true, .. } => format!("{whole} [{whole} ...]"),
            _ => format!("{whole} [{once} ...]"),
        };
        if argument.optional { format!("[{text}]") } else { text }
    }

    fn all(arguments: &[Argument<'_>], between: &str) -> String {
        arguments.iter().map(printed).collect::<Vec<_>>().join(between)
    }

    #[test]
    fn every_syntax_means_what_it_says() {
        for row in CATALOG {
            assert_eq!(all(&arguments(row), " "), row.syntax, "{}", row.name);
        }
    }

    #[test]
    fn each_part_of_the_notation_is_read() {
        let shape = |text| sequence(&split(text, ' '));
        let word = |name| Argument { name, ..Argument::default() };
        assert_eq!(shape("a b"), [word("a"), word("b")]);
        assert_eq!(shape("[a]"), [Argument { optional: true, ..word("a") }]);
        assert_eq!(shape("a [a ...]"), [Argument { multiple: true, ..word("a") }]);
        assert_eq!(shape("EX a"), [Argument { token: Some("EX"), ..word("a") }]);
        let token = Argument { name: "NX", kind: Kind::Token, token: Some("NX"), ..Argument::default() };
        assert_eq!(shape("NX"), std::slice::from_ref(&token));
        let pair = Argument { kind: Kind::Block, parts: shape("a b"), ..word("a") };
        assert_eq!(shape("a b [a b ...]"), [Argument { multiple: true, ..pair.clone() }]);
        assert_eq!(shape("EX a b"), [Argument { token: Some("EX"), name: "EX", ..pair }]);
        let choice = Argument { kind: Kind::Choice, parts: vec![word("a"), token], ..word("a") };
        assert_eq!(shape("<a | NX>"), std::slice::from_ref(&choice));
        assert_eq!(shape("[a | NX]"), [Argument { optional: true, ..choice }]);
    }

    #[test]
    fn types_are_those_that_clients_know() {
        let types = |text| sequence(&split(text, ' ')).iter().map(Argument::type_name).collect::<Vec<_>>();
        assert_eq!(types("key newkey key1 destination keyword"), ["key", "key", "key", "key", "string"]);
        assert_eq!(types("pattern unix-time-seconds"), ["pattern", "unix-time"]);
        assert_eq!(types("<A | B> [a b] C"), ["oneof", "block", "pure-token"]);
    }
}
