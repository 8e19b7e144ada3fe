//! `cargo xtask cassandra start|stop`: real Cassandra nodes in the background, for whoever develops.
//!
//! They go on when the terminal is closed, and keep their data for the next start. All of it is the
//! testkit's; here are only the words of the command line.

use std::path::PathBuf;

use tresor_testkit::cassandra::{self, Artifacts, Options, background};

use crate::{Outcome, cargo};

const USAGE: &str = "\
usage: cargo xtask cassandra start [--nodes 1|2|3] [--version VERSION] [--directory DIR]
       cargo xtask cassandra stop [--directory DIR]";

/// The parsed arguments.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    Start { nodes: usize, version: String, directory: Option<PathBuf> },
    Stop { directory: Option<PathBuf> },
}

/// Starts nodes and leaves them running, or ends those that run.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    match parse(arguments)? {
        Request::Start { nodes, version, directory } => start(nodes, version, the_directory(directory)?),
        Request::Stop { directory } => stop(the_directory(directory)?),
    }
}

fn start(nodes: usize, version: String, directory: PathBuf) -> Outcome {
    if let Some(missing) = cassandra::missing(&version) {
        return Err(missing);
    }
    if !Artifacts::cached(&version) {
        eprintln!("fetching Cassandra {version} through mvn, which takes a minute");
    }
    Artifacts::fetch(&version)?;
    eprintln!("starting {nodes} of Cassandra {version} in {}", directory.display());
    let mut contacts = Vec::new();
    background::start(nodes, &directory, Options { version, ..Options::default() }, |contact_point| {
        println!("{contact_point} serves CQL");
        contacts.push(format!("--cassandra-contact {contact_point}"));
    })?;
    let first = contacts.first().map(String::as_str).unwrap_or_default();
    println!("\nTo use it:\n  tresor serve --engine cassandra {first}");
    println!("To end it:\n  cargo xtask cassandra stop --directory {}", directory.display());
    Ok(())
}

fn stop(directory: PathBuf) -> Outcome {
    match background::stop(&directory)? {
        0 => println!("no node runs in {}", directory.display()),
        nodes => println!("{nodes} stopped; their data stays in {}", directory.display()),
    }
    Ok(())
}

fn the_directory(chosen: Option<PathBuf>) -> Outcome<PathBuf> {
    match chosen {
        Some(directory) => Ok(directory),
        None => Ok(cargo::target_directory()?.join("cassandra")),
    }
}

fn parse(arguments: &[String]) -> Outcome<Request> {
    let Some((what, options)) = arguments.split_first() else { return Err(USAGE.to_owned()) };
    let starts = match what.as_str() {
        "start" => true,
        "stop" => false,
        unknown => return Err(format!("unknown argument {unknown}\n{USAGE}")),
    };
    let (mut nodes, mut version, mut directory) = (1, cassandra::VERSION.to_owned(), None);
    let mut words = options.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().cloned().ok_or_else(|| format!("{word} needs a value\n{USAGE}"));
        match word.as_str() {
            "--directory" => directory = Some(PathBuf::from(value()?)),
            "--version" if starts => version = value()?,
            "--nodes" if starts => nodes = number_of_nodes(&value()?)?,
            unknown => return Err(format!("unknown argument {unknown}\n{USAGE}")),
        }
    }
    Ok(if starts { Request::Start { nodes, version, directory } } else { Request::Stop { directory } })
}

fn number_of_nodes(text: &str) -> Outcome<usize> {
    let most = cassandra::MOST_NODES;
    text.parse()
        .ok()
        .filter(|nodes| (1..=most).contains(nodes))
        .ok_or_else(|| format!("--nodes is 1 to {most}, not {text}\n{USAGE}"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Request, parse};

    fn parsed(line: &str) -> Result<Request, String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn words_become_a_request_or_say_what_is_wrong() {
        let start = |nodes, version: &str, directory: Option<&str>| {
            Ok(Request::Start { nodes, version: version.to_owned(), directory: directory.map(PathBuf::from) })
        };
        assert_eq!(parsed("start"), start(1, "5.0.8", None));
        assert_eq!(parsed("start --nodes 3 --version 6 --directory d"), start(3, "6", Some("d")));
        assert_eq!(parsed("stop --directory d"), Ok(Request::Stop { directory: Some("d".into()) }));
        for wrong in
            ["", "run", "start --nodes", "start --nodes 0", "start --nodes 4", "stop --nodes 1", "stop x"]
        {
            assert!(parsed(wrong).is_err_and(|error| error.contains("usage:")), "{wrong}");
        }
    }
}
