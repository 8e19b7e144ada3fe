//! `tresor find`: the entries of a running server that match, one a line.
//!
//! Page after page of `GET /v1/entries`, so a result may be longer than memory, and `tresor find … | head` ends
//! early. What was left out because it could not be read as asked is told at the end, never hidden.

use std::io::{self, BufWriter, Write};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    http::{Answer, Client, read_json, read_whole, segment},
    list::line_of_key,
};
use crate::{
    arguments::ServerOptions,
    failure::{Failure, Outcome},
};

/// Entries that are asked for at a time.
const PAGE_ENTRIES: u64 = 1000;

/// What to find, and where.
#[derive(Debug, clap::Args)]
#[command(after_help = "All conditions have to hold together. Examples:\n  \
    tresor find --prefix user: --field /age --value-from 18 --values\n  \
    tresor find --regex '^session:[0-9]+$' --limit 20\n  \
    tresor find --prefix doc: --nearest '[0.1, 0.7]' --metric cosine --limit 5")]
pub(crate) struct Arguments {
    #[command(flatten)]
    keys: KeyOptions,
    #[command(flatten)]
    values_of: ValueOptions,
    /// Entries nearest to this vector, nearest first: a JSON array of numbers, or a number
    #[arg(long, value_name = "VECTOR", allow_hyphen_values = true)]
    nearest: Option<String>,
    /// How distance is measured
    #[arg(long, requires = "nearest", value_parser = ["l2", "cosine", "ip"])]
    metric: Option<String>,
    /// In which order
    #[arg(long, value_parser = ["asc", "desc", "any"])]
    order: Option<String>,
    /// At most so many entries [default: all; of the nearest 10]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// The numbered database
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(..16))]
    db: u8,
    /// Print lines of JSON with key and value instead of the bare keys
    #[arg(long)]
    values: bool,
    #[command(flatten)]
    server: ServerOptions,
}

/// Conditions on keys.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Keys")]
struct KeyOptions {
    /// This key; may be given several times
    #[arg(long)]
    key: Vec<String>,
    /// Keys that begin so
    #[arg(long)]
    prefix: Option<String>,
    /// Keys that match a glob: * ? [a-z] \
    #[arg(long)]
    glob: Option<String>,
    /// Keys in which a regular expression matches
    #[arg(long)]
    regex: Option<String>,
    /// Keys from this one on
    #[arg(long)]
    from: Option<String>,
    /// Keys up to this one, itself included
    #[arg(long)]
    to: Option<String>,
    /// Keys behind this one
    #[arg(long)]
    after: Option<String>,
    /// Keys before this one
    #[arg(long)]
    before: Option<String>,
}

/// Conditions on values.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Values")]
struct ValueOptions {
    /// What follows is about this field of JSON values, a JSON pointer such as /address/city
    #[arg(long, value_name = "POINTER")]
    field: Option<String>,
    /// Values that begin so
    #[arg(long, value_name = "PREFIX")]
    value_prefix: Option<String>,
    /// Values that match a glob
    #[arg(long, value_name = "GLOB")]
    value_glob: Option<String>,
    /// Values in which a regular expression matches
    #[arg(long, value_name = "REGEX")]
    value_regex: Option<String>,
    /// Values from this one on
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    value_from: Option<String>,
    /// Values up to this one, itself included
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    value_to: Option<String>,
    /// Values greater than this one
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    value_after: Option<String>,
    /// Values smaller than this one
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    value_before: Option<String>,
    /// How values compare [default: as numbers if all bounds are numbers, else as text]
    #[arg(long, value_parser = ["text", "bytes", "number"])]
    value_as: Option<String>,
}

impl Arguments {
    /// The options of the query by their names at the server, in an order in which the field comes first.
    fn options(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let (keys, values) = (&self.keys, &self.values_of);
        let named = keys.key.iter().map(|key| ("key", key.as_str()));
        let others = [
            ("prefix", &keys.prefix),
            ("glob", &keys.glob),
            ("regex", &keys.regex),
            ("from", &keys.from),
            ("to", &keys.to),
            ("after", &keys.after),
            ("before", &keys.before),
            ("field", &values.field),
            ("value_prefix", &values.value_prefix),
            ("value_glob", &values.value_glob),
            ("value_regex", &values.value_regex),
            ("value_from", &values.value_from),
            ("value_to", &values.value_to),
            ("value_after", &values.value_after),
            ("value_before", &values.value_before),
            ("value_as", &values.value_as),
            ("nearest", &self.nearest),
            ("metric", &self.metric),
            ("order", &self.order),
        ];
        named.chain(others.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))))
    }

    fn path(&self, limit: u64, cursor: Option<&str>) -> String {
        let mut path = format!("/v1/entries?db={}&limit={limit}&values={}", self.db, self.values);
        for (name, value) in self.options().chain(cursor.map(|cursor| ("cursor", cursor))) {
            path.push_str(&format!("&{name}={}", segment(value)));
        }
        path
    }
}

#[derive(Deserialize)]
struct Page {
    entries: Vec<Entry>,
    cursor: Option<String>,
    #[serde(default)]
    skipped: u64,
}

#[derive(Deserialize)]
struct Entry {
    key: String,
    distance: Option<Box<RawValue>>,
    value: Option<Box<RawValue>>,
}

impl Entry {
    fn line(&self) -> io::Result<String> {
        if self.distance.is_none() && self.value.is_none() {
            return line_of_key(&self.key);
        }
        let mut line = format!("{{\"key\":{}", serde_json::to_string(&self.key)?);
        for (name, part) in [("distance", &self.distance), ("value", &self.value)] {
            if let Some(part) = part {
                line.push_str(&format!(",\"{name}\":{}", part.get()));
            }
        }
        Ok(line + "}")
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let client = Client::new(&arguments.server)?;
    let mut output = BufWriter::new(io::stdout().lock());
    let (mut cursor, mut skipped) = (None::<String>, 0);
    let nearest = arguments.nearest.is_some();
    let mut left = arguments.limit.unwrap_or(if nearest { 10 } else { u64::MAX });
    while left > 0 {
        let limit = if nearest { left } else { left.min(PAGE_ENTRIES) };
        let page = page(&client, &arguments.path(limit, cursor.as_deref()))?;
        skipped += page.skipped;
        for entry in page.entries.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            writeln!(output, "{}", entry.line()?)?;
        }
        left = left.saturating_sub(page.entries.len() as u64);
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    output.flush()?;
    if skipped > 0 {
        eprintln!("tresor: {skipped} values were left out: they cannot be read as the conditions want them");
    }
    Ok(())
}

fn page(client: &Client, path: &str) -> Outcome<Page> {
    let Answer::Done(response) = client.send("GET", path, &[], b"")? else {
        return Err(Failure::failed("the server has no /v1/entries: it is older than this program"));
    };
    read_json(&read_whole(response)?)
}
