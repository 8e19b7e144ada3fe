//! Runs golden scripts through a door: whatever takes words and gives a reply.
//!
//! `UPDATE_SCRIPTS=1` writes what was answered into the scripts instead of comparing, for a person to
//! read in the diff. A door of version 3 then only touches its own part of a step, and only where the
//! shape differs from what version 2 answers.

use std::{env, fs, path::PathBuf};

use crate::{
    Reply,
    script::{Content, Script, Step},
};

/// Which shape a door's replies have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Arrays and bulk strings, as in version 2 of the Redis protocol.
    Resp2,
    /// Maps, sets and doubles too, as in version 3 and in the library's owned replies.
    Resp3,
}

/// One way in, to an empty store of its own.
pub struct Door<'d> {
    /// What it is called in failures.
    pub name: &'d str,
    /// The shape of its replies.
    pub shape: Shape,
    /// What of `@requires` it has.
    pub has: &'d [&'d str],
    /// Executes a command.
    pub execute: &'d mut dyn FnMut(&[Vec<u8>]) -> Reply,
    /// Moves the time on by milliseconds, if it can.
    pub advance_ms: Option<&'d mut dyn FnMut(u64)>,
}

/// The scripts of a folder under `testscripts`, sorted by name; `""` is the folder itself.
pub fn scripts(folder: &str) -> Vec<PathBuf> {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testscripts")).join(folder);
    let entries = fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("cannot list {}: {error}", directory.display()));
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("a folder can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no scripts in {}", directory.display());
    paths
}

/// Runs every script of a folder through a door that `open` makes anew for each, by calling what it
/// is given; panics with all replies that differ.
pub fn run_folder(folder: &str, mut open: impl FnMut(&mut dyn FnMut(Door<'_>))) {
    let update = env::var_os("UPDATE_SCRIPTS").is_some();
    let mut failures = Vec::new();
    for path in scripts(folder) {
        let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut script = Script::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut ran = false;
        open(&mut |door| {
            ran = true;
            if update {
                record(&mut script, door);
            } else {
                failures.extend(compare(&script, door).iter().map(|failure| format!("{name}:{failure}")));
            }
        });
        assert!(ran, "{name} was run through no door");
        if update && script.text() != text {
            fs::write(&path, script.text()).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    assert!(failures.is_empty(), "{} replies differ\n\n{}", failures.len(), failures.join("\n\n"));
}

/// Runs a script and returns a description of each reply that differs.
pub fn compare(script: &Script, door: Door<'_>) -> Vec<String> {
    let (name, shape) = (door.name.to_owned(), door.shape);
    let mut failures = Vec::new();
    each_step(&mut script.clone(), door, |line, step, answered| {
        let wanted = step.wanted(shape);
        if !matches(wanted, answered) {
            failures.push(format!(
                "{line} through {name}\n  {}\n--- expected\n{}\n--- answered\n{}",
                step.command,
                wanted.join("\n"),
                answered.join("\n")
            ));
        }
    });
    failures
}

/// Runs a script and puts what was answered in place of what differs.
pub fn record(script: &mut Script, door: Door<'_>) {
    let shape = door.shape;
    each_step(script, door, |_, step, answered| {
        if matches(step.wanted(shape), answered) {
            return;
        }
        let answered = answered.to_vec();
        match shape {
            Shape::Resp2 => step.reply = answered,
            Shape::Resp3 if step.reply.is_empty() => step.reply = answered,
            Shape::Resp3 => step.resp3_reply = Some(answered),
        }
    });
}

fn each_step(script: &mut Script, mut door: Door<'_>, mut then: impl FnMut(usize, &mut Step, &[String])) {
    for paragraph in &mut script.paragraphs {
        match &mut paragraph.content {
            Content::Nothing => {}
            Content::Requires(names) => {
                if let Some(lacks) = names.split_whitespace().find(|name| !door.has.contains(name)) {
                    println!("from line {} on not for {}, which lacks {lacks}", paragraph.line, door.name);
                    return;
                }
            }
            Content::AdvanceMs(ms) => match &mut door.advance_ms {
                Some(advance) => advance(*ms),
                None => {
                    println!("from line {} on not for {}, whose time is real", paragraph.line, door.name);
                    return;
                }
            },
            Content::Step(step) => {
                let mut reply = (door.execute)(&step.words);
                if step.unordered {
                    sort(&mut reply);
                }
                let answered: Vec<_> = reply.to_string().split('\n').map(str::to_owned).collect();
                then(paragraph.line + paragraph.comments.len(), step, &answered);
            }
        }
    }
}

impl Step {
    fn wanted(&self, shape: Shape) -> &[String] {
        match (&self.resp3_reply, shape) {
            (Some(reply), Shape::Resp3) => reply,
            _ => &self.reply,
        }
    }
}

fn sort(reply: &mut Reply) {
    match reply {
        Reply::Array(elements) | Reply::Set(elements) | Reply::Push(elements) => {
            elements.sort_by_cached_key(ToString::to_string);
        }
        Reply::Map(pairs) => pairs.sort_by_cached_key(|(key, _)| key.to_string()),
        _ => {}
    }
}

fn matches(wanted: &[String], answered: &[String]) -> bool {
    wanted.len() == answered.len()
        && wanted.iter().zip(answered).all(|(wanted, line)| line_matches(wanted, line))
        || wanted == ["(any)"]
}

fn line_matches(wanted: &str, line: &str) -> bool {
    if let Some(before) = wanted.strip_suffix("(any)") {
        return line.starts_with(before);
    }
    wanted == line || in_range(wanted, line).unwrap_or(false)
}

fn in_range(wanted: &str, line: &str) -> Option<bool> {
    let (before, range) = wanted.rsplit_once("(integer) ")?;
    let (low, high) = range.split_once("..")?;
    let number: i64 = line.strip_prefix(before)?.strip_prefix("(integer) ")?.parse().ok()?;
    Some((low.parse().ok()?..=high.parse().ok()?).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::{Door, Shape, compare, matches, record};
    use crate::{Reply, script::Script};

    fn through(text: &str, shape: Shape, mut answer: impl FnMut(&[Vec<u8>]) -> Reply) -> Vec<String> {
        let script = Script::parse(text).unwrap();
        let door = Door { name: "test", shape, has: &["guards"], execute: &mut answer, advance_ms: None };
        compare(&script, door)
    }

    #[test]
    fn a_reply_that_differs_is_reported_with_its_place() {
        let text = "A\n(integer) 1\n\n# Why\nB\n(integer) 1\n";
        let failures = through(text, Shape::Resp2, |words| Reply::Integer(i64::from(words[0] == b"A")));
        assert_eq!(failures, ["5 through test\n  B\n--- expected\n(integer) 1\n--- answered\n(integer) 0"]);
    }

    #[test]
    fn steps_behind_a_lacking_requirement_are_not_run() {
        let text = "@requires guards\n\nA\nOK\n\n@requires swap\n\nB\nOK\n";
        let mut ran = 0;
        assert!(
            through(text, Shape::Resp2, |_| {
                ran += 1;
                Reply::Simple("OK".into())
            })
            .is_empty()
        );
        assert_eq!(ran, 1);
    }

    #[test]
    fn patterns_stand_for_what_varies() {
        let lines = |text: &str| text.split('\n').map(str::to_owned).collect::<Vec<_>>();
        for (wanted, line, is) in [
            ("(integer) 98..100", "(integer) 99", true),
            ("(integer) 98..100", "(integer) 97", false),
            ("(integer) 98..100", "\"99\"", false),
            ("1) \"a\"\n2) (any)", "1) \"a\"\n2) \"x\"", true),
            ("1) \"a\"\n2) (any)", "1) \"b\"\n2) \"x\"", false),
            ("(any)", "1) \"b\"\n2) \"x\"", true),
            ("OK", "\"OK\"", false),
        ] {
            assert_eq!(matches(&lines(wanted), &lines(line)), is, "{wanted} / {line}");
        }
    }

    #[test]
    fn recording_fills_in_what_was_answered() {
        let mut script = Script::parse("A\n\nB\n(any)\n").unwrap();
        let mut two = |_: &[Vec<u8>]| Reply::Array(vec![Reply::Integer(1), Reply::Integer(2)]);
        record(
            &mut script,
            Door { name: "2", shape: Shape::Resp2, has: &[], execute: &mut two, advance_ms: None },
        );
        let mut three = |_: &[Vec<u8>]| Reply::Map(vec![(Reply::Integer(1), Reply::Integer(2))]);
        record(
            &mut script,
            Door { name: "3", shape: Shape::Resp3, has: &[], execute: &mut three, advance_ms: None },
        );
        let text =
            "A\n1) (integer) 1\n2) (integer) 2\n@resp3-reply\n1# (integer) 1 => (integer) 2\n\nB\n(any)\n";
        assert_eq!(script.text(), text);
    }
}
