//! A reply as a test sees it, and its readable text.
//!
//! The text follows what redis-cli prints: `(integer) 1`, `"text"`, `(nil)`, `OK`, `(error) ERR …`,
//! nested arrays numbered and indented. Each type has a form of its own, so that equal text means
//! equal type and content (null bulk and null array excepted, which redis-cli does not tell apart).

use std::fmt::{self, Write};

/// What a server answered, in either version of the protocol.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `+OK`
    Simple(String),
    /// `-ERR …`
    Error(String),
    /// `:1`
    Integer(i64),
    /// `$3`
    Bulk(Vec<u8>),
    /// `_`, or `$-1` in RESP2.
    Null,
    /// `*-1` in RESP2.
    NullArray,
    /// `*2`
    Array(Vec<Reply>),
    /// `%1`
    Map(Vec<(Reply, Reply)>),
    /// `~2`
    Set(Vec<Reply>),
    /// `>2`
    Push(Vec<Reply>),
    /// `,1.5`, as it was written.
    Double(String),
    /// `#t`
    Boolean(bool),
    /// `(123`
    BigNumber(String),
    /// `=7`, the three letters and the text.
    Verbatim(String, Vec<u8>),
}

impl Reply {
    /// The bytes of a bulk, simple or verbatim string.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Simple(text) => Some(text.as_bytes()),
            Self::Bulk(bytes) | Self::Verbatim(_, bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The same as UTF-8 text.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// The number of an integer reply.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The message of an error.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Error(message) => Some(message),
            _ => None,
        }
    }

    /// Whether there is nothing.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null | Self::NullArray)
    }

    /// The elements of an array, set or push.
    pub fn elements(&self) -> Option<&[Reply]> {
        match self {
            Self::Array(elements) | Self::Set(elements) | Self::Push(elements) => Some(elements),
            _ => None,
        }
    }

    fn list(elements: &[Reply], mark: char, empty: &str) -> String {
        if elements.is_empty() {
            return format!("(empty {empty})");
        }
        let width = elements.len().to_string().len();
        let rows = elements
            .iter()
            .enumerate()
            .map(|(index, element)| indented(&format!("{:>width$}{mark} ", index + 1), &element.to_string()));
        rows.collect::<Vec<_>>().join("\n")
    }

    fn map(pairs: &[(Reply, Reply)]) -> String {
        if pairs.is_empty() {
            return "(empty map)".into();
        }
        let width = pairs.len().to_string().len();
        let rows = pairs.iter().enumerate().map(|(index, (key, value))| {
            let key = format!("{:>width$}# {key} =>", index + 1);
            match value {
                Self::Array(_) | Self::Map(_) | Self::Set(_) => {
                    format!("{key}\n{}", indented(&" ".repeat(width + 2), &value.to_string()))
                }
                _ => format!("{key} {value}"),
            }
        });
        rows.collect::<Vec<_>>().join("\n")
    }
}

/// The prefix before the first line and blanks of its width before the others.
fn indented(prefix: &str, text: &str) -> String {
    let blanks = format!("\n{}", " ".repeat(prefix.chars().count()));
    format!("{prefix}{}", text.replace('\n', &blanks))
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simple(text) => f.write_str(text),
            Self::Error(message) => write!(f, "(error) {message}"),
            Self::Integer(number) => write!(f, "(integer) {number}"),
            Self::Bulk(bytes) => f.write_str(&quoted(bytes)),
            Self::Null | Self::NullArray => f.write_str("(nil)"),
            Self::Array(elements) => f.write_str(&Self::list(elements, ')', "array")),
            Self::Map(pairs) => f.write_str(&Self::map(pairs)),
            Self::Set(elements) => f.write_str(&Self::list(elements, '~', "set")),
            Self::Push(elements) => f.write_str(&Self::list(elements, '>', "push")),
            Self::Double(text) => write!(f, "(double) {text}"),
            Self::Boolean(true) => f.write_str("(true)"),
            Self::Boolean(false) => f.write_str("(false)"),
            Self::BigNumber(digits) => write!(f, "(big number) {digits}"),
            Self::Verbatim(format, text) => write!(f, "({format}) {}", quoted(text)),
        }
    }
}

/// Bytes in double quotes, what is not printable ASCII escaped: every value has one form.
pub fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in bytes {
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            0x20..=0x7e => text.push(char::from(*byte)),
            _ => write!(text, "\\x{byte:02x}").expect("writing to a string works"),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::Reply;

    #[test]
    fn nested_replies_are_indented() {
        let inner = Reply::Array(vec![Reply::Integer(1), Reply::Null]);
        let map = Reply::Map(vec![
            (Reply::Bulk(b"a\xff\n".to_vec()), Reply::Double("1.5".into())),
            (Reply::Simple("list".into()), inner.clone()),
        ]);
        let reply = Reply::Array(vec![Reply::Simple("OK".into()), inner, map, Reply::Array(vec![])]);
        let text = "1) OK\n\
                    2) 1) (integer) 1\n   2) (nil)\n\
                    3) 1# \"a\\xff\\n\" => (double) 1.5\n   2# list =>\n      1) (integer) 1\n      2) (nil)\n\
                    4) (empty array)";
        assert_eq!(reply.to_string(), text);
    }
}
