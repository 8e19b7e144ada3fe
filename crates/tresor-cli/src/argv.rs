//! The older spelling of options: `tresor serve -mode 2 -store_path ./data -cache_capacity 500`.
//!
//! One dash and underscores are rewritten to two dashes and hyphens before clap sees the words, for
//! `serve` only, which has no bundled short options that this could be confused with.

use std::ffi::OsString;

/// The words as clap is to see them.
pub(crate) fn rewritten(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let words: Vec<OsString> = words.into_iter().collect();
    if words.get(1).is_none_or(|word| word != "serve") {
        return words;
    }
    words.into_iter().map(|word| word.to_str().and_then(long_spelling).map_or(word, OsString::from)).collect()
}

/// The long spelling of `-name` or `-name=value`; `None` for any other word.
fn long_spelling(word: &str) -> Option<String> {
    let body = word.strip_prefix('-')?;
    let (name, value) = body.split_once('=').map_or((body, None), |(name, value)| (name, Some(value)));
    let is_name = name.len() > 1
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|each| each.is_ascii_alphanumeric() || each == '_' || each == '-');
    if !is_name {
        return None;
    }
    let name = name.replace('_', "-");
    Some(value.map_or_else(|| format!("--{name}"), |value| format!("--{name}={value}")))
}

#[cfg(test)]
mod tests {
    use super::rewritten;

    fn after(words: &str) -> String {
        let words = rewritten(words.split(' ').map(Into::into));
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_older_spelling_becomes_the_newer_one() {
        assert_eq!(
            after("tresor serve -mode 2 -store_path ./a_b -cache_capacity=500 -port 0"),
            "tresor serve --mode 2 --store-path ./a_b --cache-capacity=500 --port 0"
        );
    }

    #[test]
    fn other_words_stay_as_they_are() {
        for words in [
            "tresor serve -h --store-path -5 a-b --port=0",
            "tresor put -key value",
            "tresor bench -c 50",
            "tresor -serve",
        ] {
            assert_eq!(after(words), words);
        }
    }
}
