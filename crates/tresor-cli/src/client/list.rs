//! `tresor list`: the keys in order, one a line, or whole entries as lines of JSON.
//!
//! The server streams one JSON object; it is read member by member, so a list may be longer than
//! memory. An object that breaks off is an error, never a short list.

use std::{
    fmt,
    io::{self, BufReader, BufWriter, Write},
};

use serde::de::{Deserializer as _, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::http::{Answer, Client};
use crate::{
    arguments::ServerOptions,
    failure::{Failure, Outcome},
};

/// What to list, and from where.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print lines of JSON with key and value instead of the bare keys
    #[arg(long)]
    values: bool,
    #[command(flatten)]
    server: ServerOptions,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let Answer::Done(response) = Client::new(&arguments.server)?.send("GET", "/kv", &[], b"")? else {
        return Err(Failure::failed(format!("{} has no /kv", arguments.server.server)));
    };
    let mut printer =
        Printer { output: BufWriter::new(io::stdout().lock()), values: arguments.values, failed: None };
    let body = BufReader::new(response.into_body().into_reader());
    let read = serde_json::Deserializer::from_reader(body).deserialize_map(&mut printer);
    if let Some(error) = printer.failed.take() {
        return Err(error.into());
    }
    printer.output.flush()?;
    read.map_err(|error| Failure::failed(format!("the list broke off: {error}")))
}

/// Prints members of an object as they come.
struct Printer<W> {
    output: W,
    values: bool,
    failed: Option<io::Error>,
}

impl<W: Write> Printer<W> {
    fn print(&mut self, key: &str, value: &RawValue) -> io::Result<()> {
        if self.values {
            let key = serde_json::to_string(key)?;
            return writeln!(self.output, "{{\"key\":{key},\"value\":{value}}}");
        }
        writeln!(self.output, "{}", line_of_key(key)?)
    }
}

/// A line is a key: one with line breaks or worse in it is shown as JSON.
pub(super) fn line_of_key(key: &str) -> io::Result<String> {
    match key.chars().any(char::is_control) {
        true => serde_json::to_string(key).map_err(io::Error::from),
        false => Ok(key.to_owned()),
    }
}

impl<'de, W: Write> Visitor<'de> for &mut Printer<W> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object of entries")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some((key, value)) = entries.next_entry::<String, Box<RawValue>>()? {
            if let Err(error) = self.print(&key, &value) {
                self.failed = Some(error);
                return Err(A::Error::custom("the output is closed"));
            }
        }
        Ok(())
    }
}
