//! `tresor index`: a running server's indexes, over HTTP.
//!
//! An index is built by the server; this program only watches, and may be stopped meanwhile.

use std::{thread, time::Duration};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::http::{Answer, Client, read_json, read_whole, segment};
use crate::{
    arguments::ServerOptions,
    failure::{Failure, Outcome},
};

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(200);

/// What to do with the indexes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tresor index create ages --prefix user: --field /age\n  \
    tresor index create tastes --prefix user: --field /taste --dimensions 128 --metric cosine\n  \
    tresor find --prefix user: --field /age --value-from 18 --value-to 20")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    chosen: Chosen,
}

#[derive(Debug, clap::Subcommand)]
enum Chosen {
    /// Define an index of values or vectors, and wait until it is built
    Create(Create),
    /// Drop an index
    Drop(Drop),
    /// List the indexes and how they are doing
    List(List),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Its name: letters, digits, `_ . : -`
    name: String,
    /// Of keys that begin so [default: all keys]
    #[arg(long)]
    prefix: Option<String>,
    /// Of this field of JSON values, a JSON pointer such as /address/city [default: the whole value]
    #[arg(long, value_name = "POINTER")]
    field: Option<String>,
    /// Of values in order, compared like this [default: number]
    #[arg(long, value_parser = ["text", "bytes", "number"], conflicts_with = "dimensions")]
    value_as: Option<String>,
    /// Of vectors with so many numbers, by nearness
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    dimensions: Option<u64>,
    /// How distance is measured [default: l2]
    #[arg(long, requires = "dimensions", value_parser = ["l2", "cosine", "ip"])]
    metric: Option<String>,
    /// The numbered database
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(..16))]
    db: u8,
    /// Do not wait until it is built
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Debug, clap::Args)]
struct Drop {
    /// Its name
    name: String,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Debug, clap::Args)]
struct List {
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Deserialize)]
struct Indexes {
    indexes: Vec<Index>,
}

#[derive(Deserialize)]
struct Index {
    name: String,
    db: u8,
    prefix: String,
    field: Option<String>,
    value_as: Option<String>,
    dimensions: Option<u64>,
    metric: Option<String>,
    state: String,
    failure: Option<String>,
    read: u64,
    entries: u64,
    unreadable: u64,
    waiting: u64,
    bytes: u64,
}

impl Index {
    fn line(&self) -> String {
        let of = match (&self.value_as, self.dimensions) {
            (Some(reading), _) => format!("values as {reading}"),
            (None, dimensions) => format!(
                "vectors of {} dimensions, {}",
                dimensions.unwrap_or(0),
                self.metric.as_deref().unwrap_or("l2")
            ),
        };
        let field = self.field.as_deref().map_or(String::new(), |field| format!(", field {field}"));
        let state = match &*self.state {
            "building" if self.waiting > 0 => format!("building: {} vectors to go", self.waiting),
            "building" => format!("building: {} entries read", self.read),
            "failed" => format!("failed: {}", self.failure.as_deref().unwrap_or("for no reason told")),
            state => state.to_owned(),
        };
        format!(
            "{}  database {}, keys {}*{field}, {of}  {state}  {} entries, {} unreadable, {} KiB",
            self.name,
            self.db,
            self.prefix,
            self.entries,
            self.unreadable,
            self.bytes / 1024
        )
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.chosen {
        Chosen::Create(create) => create.run(),
        Chosen::Drop(dropped) => {
            let client = Client::new(&dropped.server)?;
            ask(&client, "DELETE", &format!("/v1/indexes/{}", segment(&dropped.name)), b"").map(drop)
        }
        Chosen::List(list) => {
            let text = ask(&Client::new(&list.server)?, "GET", "/v1/indexes", b"")?;
            if list.json {
                println!("{}", String::from_utf8_lossy(&text));
                return Ok(());
            }
            let indexes: Indexes = read_json(&text)?;
            indexes.indexes.iter().for_each(|index| println!("{}", index.line()));
            Ok(())
        }
    }
}

impl Create {
    fn body(&self) -> String {
        let mut body = Map::new();
        let texts = [
            ("prefix", &self.prefix),
            ("field", &self.field),
            ("value_as", &self.value_as),
            ("metric", &self.metric),
        ];
        for (name, text) in texts {
            body.extend(text.as_ref().map(|text| (name.to_owned(), Value::from(text.as_str()))));
        }
        body.extend(self.dimensions.map(|number| ("dimensions".to_owned(), Value::from(number))));
        Value::Object(body).to_string()
    }

    fn run(&self) -> Outcome {
        let client = Client::new(&self.server)?;
        let path = format!("/v1/indexes/{}", segment(&self.name));
        let mut text = ask(&client, "PUT", &format!("{path}?db={}", self.db), self.body().as_bytes())?;
        loop {
            let index: Index = read_json(&text)?;
            if index.state == "ready" || self.no_wait {
                println!("{}", index.line());
                return Ok(());
            }
            if index.state == "failed" {
                return Err(Failure::failed(index.line()));
            }
            // Nobody unparks it: only the time passes, and Ctrl-C ends the process.
            thread::park_timeout(PAUSE);
            text = ask(&client, "GET", &path, b"")?;
        }
    }
}

fn ask(client: &Client, method: &str, path: &str, body: &[u8]) -> Outcome<Vec<u8>> {
    let headers = [("content-type", "application/json")];
    let headers = if body.is_empty() { &headers[..0] } else { &headers[..] };
    match client.send(method, path, headers, body)? {
        Answer::Done(response) => read_whole(response),
        Answer::Absent => Err(Failure::failed("there is no such index")),
    }
}
