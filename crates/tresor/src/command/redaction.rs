//! A command's words as logs and monitors may show them: without passwords.
//!
//! Rather a word too many is hidden than one too few: what follows AUTH in a HELLO that is wrong hides too.

use super::{Args, CommandId, is};

const REDACTED: &[u8] = b"(redacted)";

/// The words, with `(redacted)` in place of those that nobody may see.
pub(crate) fn shown_words<'a>(
    id: CommandId,
    words: Args<'a>,
) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
    words.iter().enumerate().map(move |(place, word)| match is_secret(id, words, place) {
        true => REDACTED,
        false => *word,
    })
}

fn is_secret(id: CommandId, words: Args<'_>, place: usize) -> bool {
    match id {
        CommandId::Auth => place > 0,
        // User and password.
        CommandId::Hello => words[1.min(place)..place].iter().rev().take(2).any(|word| is(word, "AUTH")),
        CommandId::ConfigSet => place > 2 && names_a_password(words[place - 1]),
        _ => false,
    }
}

/// Whether a parameter of CONFIG SET is one, here or in Redis.
fn names_a_password(parameter: &[u8]) -> bool {
    let parameter = parameter.to_ascii_lowercase();
    [&b"pass"[..], b"auth"].iter().any(|part| parameter.windows(part.len()).any(|window| window == *part))
}

#[cfg(test)]
mod tests {
    use super::{CommandId, shown_words};

    fn shown(id: CommandId, line: &str) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let shown: Vec<_> = shown_words(id, &words).map(String::from_utf8_lossy).collect();
        shown.join(" ")
    }

    #[test]
    fn passwords_are_hidden_and_nothing_else() {
        use CommandId as Id;
        for (id, line, expected) in [
            (Id::Auth, "AUTH pw", "AUTH (redacted)"),
            (Id::Auth, "auth user pw more", "auth (redacted) (redacted) (redacted)"),
            (Id::Hello, "HELLO", "HELLO"),
            (Id::Hello, "HELLO 3", "HELLO 3"),
            (Id::Hello, "HELLO 3 auth u pw SETNAME n", "HELLO 3 auth (redacted) (redacted) SETNAME n"),
            (Id::Hello, "HELLO 3 SETNAME n AUTH u pw", "HELLO 3 SETNAME n AUTH (redacted) (redacted)"),
            (Id::Hello, "HELLO 3 AUTH pw", "HELLO 3 AUTH (redacted)"),
            (
                Id::ConfigSet,
                "CONFIG SET requirepass pw timeout 5",
                "CONFIG SET requirepass (redacted) timeout 5",
            ),
            (
                Id::ConfigSet,
                "CONFIG SET timeout 5 REQUIREPASS pw",
                "CONFIG SET timeout 5 REQUIREPASS (redacted)",
            ),
            (Id::ConfigSet, "CONFIG SET masterauth pw", "CONFIG SET masterauth (redacted)"),
            (Id::Set, "SET AUTH requirepass pw", "SET AUTH requirepass pw"),
        ] {
            assert_eq!(shown(id, line), expected);
        }
    }
}
