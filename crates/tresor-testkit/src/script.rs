//! Golden scripts: commands and their replies as text that people read and write.
//!
//! A script is paragraphs with a blank line between them. A step is a command line, quoted as in
//! redis-cli, and under it the reply as [`Reply`](crate::Reply) prints it:
//!
//! ```text
//! # Comments stand on lines of their own.
//! SET name "Alice\n"
//! OK
//!
//! CONFIG GET port
//! 1) "port"
//! 2) (any)
//! @resp3-reply
//! 1# "port" => (any)
//! ```
//!
//! In a reply, `(any)` stands for whatever the rest of the line is and `(integer) 98..100` for a range.
//! `@resp3-reply` begins the reply where version 3 of the protocol has another shape; `@unordered`
//! under the command says that the elements are compared sorted. Paragraphs of their own: `@requires
//! guards` ends the script for whoever lacks that, `@advance-ms 500` moves the time on.

/// A script, able to be written back as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its paragraphs.
    pub paragraphs: Vec<Paragraph>,
}

/// What stands between blank lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paragraph {
    /// The line that it begins on, from 1.
    pub line: usize,
    /// Comment lines before anything else.
    pub comments: Vec<String>,
    /// What there is to do, if anything.
    pub content: Content,
}

/// What a paragraph asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Only comments.
    Nothing,
    /// `@requires`: the names that the door must have.
    Requires(String),
    /// `@advance-ms`.
    AdvanceMs(u64),
    /// A command and its reply.
    Step(Step),
}

/// A command and its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The command line as it was written.
    pub command: String,
    /// Its words.
    pub words: Vec<Vec<u8>>,
    /// Whether elements are compared sorted.
    pub unordered: bool,
    /// The lines of the reply.
    pub reply: Vec<String>,
    /// The lines of the reply in version 3 of the protocol, where they differ.
    pub resp3_reply: Option<Vec<String>>,
}

const RESP3: &str = "@resp3-reply";
const UNORDERED: &str = "@unordered";

impl Script {
    /// Reads a script; an error names the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut paragraphs = Vec::new();
        let mut lines = Vec::new();
        for (index, line) in text.lines().chain([""]).enumerate() {
            if !line.trim().is_empty() {
                lines.push(line.trim_end());
            } else if !lines.is_empty() {
                let number = index + 1 - lines.len();
                let paragraph = Paragraph::parse(number, &lines);
                paragraphs.push(paragraph.map_err(|error| format!("line {number}: {error}"))?);
                lines.clear();
            }
        }
        Ok(Self { paragraphs })
    }

    /// The text of the script.
    pub fn text(&self) -> String {
        let paragraphs: Vec<_> =
            self.paragraphs.iter().map(|paragraph| paragraph.lines().join("\n")).collect();
        paragraphs.join("\n\n") + "\n"
    }
}

impl Paragraph {
    fn parse(line: usize, lines: &[&str]) -> Result<Self, String> {
        let comments = lines.iter().take_while(|line| line.starts_with('#')).count();
        let (comments, lines) = lines.split_at(comments);
        let comments = comments.iter().map(|line| (*line).to_owned()).collect();
        let content = match lines {
            [] => Content::Nothing,
            [line] if line.starts_with('@') => directive(line)?,
            [command, reply @ ..] => Content::Step(Step::parse(command, reply)?),
        };
        Ok(Self { line, comments, content })
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = self.comments.clone();
        match &self.content {
            Content::Nothing => {}
            Content::Requires(names) => lines.push(format!("@requires {names}")),
            Content::AdvanceMs(ms) => lines.push(format!("@advance-ms {ms}")),
            Content::Step(step) => {
                lines.push(step.command.clone());
                lines.extend(step.unordered.then(|| UNORDERED.to_owned()));
                lines.extend(step.reply.iter().cloned());
                if let Some(reply) = &step.resp3_reply {
                    lines.push(RESP3.to_owned());
                    lines.extend(reply.iter().cloned());
                }
            }
        }
        lines
    }
}

impl Step {
    fn parse(command: &str, lines: &[&str]) -> Result<Self, String> {
        let unordered = lines.first() == Some(&UNORDERED);
        let lines = &lines[usize::from(unordered)..];
        let mut parts =
            lines.split(|line| *line == RESP3).map(|part| part.iter().map(|line| (*line).to_owned()));
        let reply = parts.next().into_iter().flatten().collect();
        let resp3_reply = parts.next().map(Iterator::collect);
        if parts.next().is_some() {
            return Err(format!("{RESP3} twice"));
        }
        Ok(Self { command: command.to_owned(), words: words(command)?, unordered, reply, resp3_reply })
    }
}

fn directive(line: &str) -> Result<Content, String> {
    match line.split_once(' ') {
        Some(("@requires", names)) => Ok(Content::Requires(names.to_owned())),
        Some(("@advance-ms", ms)) => {
            ms.parse().map(Content::AdvanceMs).map_err(|error| format!("{line}: {error}"))
        }
        _ => Err(format!("no such directive: {line}")),
    }
}

/// The words of a command line: blanks separate, double quotes take escapes (`\n`, `\xff`, …), single
/// quotes only `\'`.
pub fn words(line: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut words = Vec::new();
    let mut rest = line.as_bytes().trim_ascii();
    while let Some(first) = rest.first() {
        let mut word = Vec::new();
        rest = match first {
            b'"' | b'\'' => quoted_word(*first, &rest[1..], &mut word).ok_or("a quote that does not end")?,
            _ => {
                let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
                word.extend_from_slice(&rest[..end]);
                &rest[end..]
            }
        };
        if rest.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
            return Err("a closing quote is followed by a blank".into());
        }
        words.push(word);
        rest = rest.trim_ascii_start();
    }
    Ok(words)
}

/// Reads up to the closing quote; what stands behind it.
fn quoted_word<'l>(quote: u8, mut rest: &'l [u8], word: &mut Vec<u8>) -> Option<&'l [u8]> {
    loop {
        rest = match rest {
            [first, rest @ ..] if *first == quote => return Some(rest),
            [b'\\', b'\'', rest @ ..] if quote == b'\'' => {
                word.push(b'\'');
                rest
            }
            [b'\\', b'x', high, low, rest @ ..] if quote == b'"' => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                word.push((digit(high)? * 16 + digit(low)?) as u8);
                rest
            }
            [b'\\', escaped, rest @ ..] if quote == b'"' => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'a' => 7,
                    b'b' => 8,
                    other => *other,
                });
                rest
            }
            [byte, rest @ ..] => {
                word.push(*byte);
                rest
            }
            [] => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{Content, Script, words};

    #[test]
    fn words_are_quoted_as_in_redis_cli() {
        let line = r#"SET "a b" 'it\'s "raw" \n' "\x00\xFF\n\"\\" plain"quote"#;
        let wanted: [&[u8]; 5] = [b"SET", b"a b", b"it's \"raw\" \\n", b"\x00\xff\n\"\\", b"plain\"quote"];
        assert_eq!(words(line).unwrap(), wanted);
        assert_eq!(words("  ").unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(words("GET \"\"").unwrap(), [&b"GET"[..], b""]);
        for line in ["GET \"a", "GET 'a", "GET \"a\"b", "GET \"\\x0\"", "GET \"\\"] {
            assert!(words(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_script_is_written_back_as_it_was_read() {
        let text = "# A script\n# of two lines\n\n@requires guards\n\n@advance-ms 5\n\n# About\nKEYS *\n@unordered\n\
                    1) \"a\"\n2) \"b\"\n@resp3-reply\n1~ \"a\"\n\nGET a\n\"1\"\n";
        let script = Script::parse(text).unwrap();
        assert_eq!(script.text(), text);
        assert_eq!(
            script.paragraphs.iter().map(|paragraph| paragraph.line).collect::<Vec<_>>(),
            [1, 4, 6, 8, 16]
        );
        let Content::Step(step) = &script.paragraphs[3].content else { panic!("a step") };
        assert!(step.unordered && step.reply.len() == 2 && step.resp3_reply.is_some());
        assert!(Script::parse("@nonsense\n").unwrap_err().contains("line 1"));
    }
}
