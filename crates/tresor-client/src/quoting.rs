//! Words of a line: any bytes as one word, plain where they can be and quoted where they must.
//!
//! Plain are words that no rule of the protocol gives a second meaning. Digits alone and `@` name a
//! transaction after `DEL`, and a line that ends in `HTTP/1.1` looks like a web browser's, so a plain word
//! begins with a letter and has no slash; everything else goes between quotes.

use std::fmt::Write as _;

/// The bytes as one word of a line, quoted where they have to be.
///
/// ```
/// use tresor_client::quoted;
///
/// assert_eq!(quoted("key1"), "key1");
/// assert_eq!(quoted("two words"), r#""two words""#);
/// assert_eq!(quoted([0xff, b'"', b'\n']), r#""\xff\"\n""#);
/// ```
pub fn quoted(word: impl AsRef<[u8]>) -> String {
    let mut line = String::new();
    append(&mut line, word.as_ref());
    line
}

/// Appends the bytes as one word.
pub(crate) fn append(line: &mut String, word: &[u8]) {
    if is_plain(word) {
        return line.extend(word.iter().map(|byte| *byte as char));
    }
    line.push('"');
    for chunk in word.utf8_chunks() {
        chunk.valid().chars().for_each(|each| append_char(line, each));
        chunk.invalid().iter().for_each(|byte| append_escaped(line, *byte));
    }
    line.push('"');
}

fn append_char(line: &mut String, each: char) {
    match each {
        '"' => line.push_str("\\\""),
        '\\' => line.push_str("\\\\"),
        '\n' => line.push_str("\\n"),
        control if control.is_ascii_control() => append_escaped(line, control as u8),
        other => line.push(other),
    }
}

fn append_escaped(line: &mut String, byte: u8) {
    // Writing to a string cannot fail.
    let _ = write!(line, "\\x{byte:02x}");
}

fn is_plain(word: &[u8]) -> bool {
    word.first().is_some_and(u8::is_ascii_alphabetic)
        && word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_with_a_second_meaning_are_quoted() {
        for (word, line) in [
            ("user:1_a-b.c", "user:1_a-b.c"),
            ("", r#""""#),
            ("2", r#""2""#),
            ("@", r#""@""#),
            ("HTTP/1.1", r#""HTTP/1.1""#),
            ("a\\b", r#""a\\b""#),
            ("a'b", r#""a'b""#),
            ("tab\tline\r", r#""tab\x09line\x0d""#),
            ("größer", r#""größer""#),
            ("\u{7f}", r#""\x7f""#),
        ] {
            assert_eq!(quoted(word), line);
        }
        assert_eq!(quoted([b'a', 0xc3, b'b']), r#""a\xc3b""#);
    }
}
