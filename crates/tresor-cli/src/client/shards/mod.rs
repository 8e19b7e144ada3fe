//! `tresor shards`: a running server's shards, over HTTP.
//!
//! A change is begun and then followed until its keys have moved; the server does the moving, so nothing is
//! lost when this program is stopped meanwhile.

mod follow;
mod status;

use serde_json::{Value, json};

use self::status::Status;
use super::http::{Client, refused, segment};
use crate::{
    arguments::ServerOptions,
    failure::{Failure, Outcome},
};

/// What to do with the shards.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    chosen: Chosen,
}

#[derive(Debug, clap::Subcommand)]
enum Chosen {
    /// List the shards, what they weigh, and how a move is doing
    List(List),
    /// Add a shard and move its part of the keys to it
    Add(Add),
    /// Move all keys of a shard to the others, then remove it; its store stays, empty
    Remove(Remove),
    /// Give shards other weights and move keys accordingly
    Rebalance(Rebalance),
}

#[derive(Debug, clap::Args)]
struct List {
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Debug, clap::Args)]
struct Add {
    /// Its name: that of a `[[shard]]` in the server's configuration file, which is read again, or a new
    /// one of letters, digits, `-` and `_`
    name: String,
    /// Where its data lives, if the configuration file does not say so: `memory`, `json`, `disk` or
    /// `sqlite`; it is kept in the server's directory of shards
    #[arg(long, value_name = "NAME")]
    engine: Option<String>,
    /// Its part of the keys, against the weights of the others [default: as configured, or 1]
    #[arg(long, value_name = "NUMBER")]
    weight: Option<u32>,
    #[command(flatten)]
    way: Way,
}

#[derive(Debug, clap::Args)]
struct Remove {
    /// Its name
    name: String,
    #[command(flatten)]
    way: Way,
}

#[derive(Debug, clap::Args)]
struct Rebalance {
    /// A shard and what it is to weigh; repeatable. Without any, all weigh what is configured
    #[arg(long, value_name = "NAME=NUMBER", value_parser = weight)]
    weight: Vec<(String, u32)>,
    #[command(flatten)]
    way: Way,
}

/// How a change is made, and told of.
#[derive(Debug, clap::Args)]
struct Way {
    /// Tell what would move, and change nothing; looks at all keys
    #[arg(long)]
    dry_run: bool,
    /// Do not wait until the keys have moved. Whoever waits may stop with Ctrl-C: the server moves on
    #[arg(long, conflicts_with = "dry_run")]
    no_wait: bool,
    /// Print the server's last answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerOptions,
}

fn weight(text: &str) -> Result<(String, u32), String> {
    let wrong = || format!("`{text}` is no shard with a weight: give both, as in --weight a=2");
    let (name, number) = text.rsplit_once('=').ok_or_else(wrong)?;
    Ok((name.to_owned(), number.parse().map_err(|_| wrong())?))
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.chosen {
        Chosen::List(list) => {
            let status = Status::get(&Client::new(&list.server)?)?;
            if list.json { status.print_json() } else { status.print() }
        }
        Chosen::Add(add) => {
            let mut body = json!({ "name": add.name });
            if let Some(engine) = &add.engine {
                body["engine"] = json!(engine);
            }
            if let Some(weight) = add.weight {
                body["weight"] = json!(weight);
            }
            change("POST", "/v1/shards", Some(&body), &add.way)
        }
        Chosen::Remove(remove) => {
            if matches!(remove.name.as_str(), "" | "." | "..") {
                return Err(Failure::usage(format!("a shard `{}` has no path over HTTP", remove.name)));
            }
            change("DELETE", &format!("/v1/shards/{}", segment(&remove.name)), None, &remove.way)
        }
        Chosen::Rebalance(rebalance) => {
            let weights: serde_json::Map<String, Value> =
                rebalance.weight.iter().map(|(name, weight)| (name.clone(), json!(weight))).collect();
            change("POST", "/v1/shards/rebalance", Some(&json!({ "weights": weights })), &rebalance.way)
        }
    }
}

fn change(method: &str, path: &str, body: Option<&Value>, way: &Way) -> Outcome {
    let client = Client::new(&way.server)?;
    let question = if way.dry_run { "?dry_run=true" } else { "" };
    let body = body.map(Value::to_string).unwrap_or_default();
    let headers: &[_] = if body.is_empty() { &[] } else { &[("content-type", "application/json")] };
    let answer = answered(&client, method, &format!("{path}{question}"), (headers, &body))?;
    if way.dry_run {
        return status::print_moves(&answer, way.json);
    }
    let mut status = Status(answer);
    if !way.no_wait {
        status = follow::follow(&client, status)?;
    }
    if way.json { status.print_json() } else { status.print() }
}

/// The server's answer as JSON; anything but success is a failure with the server's own words.
fn answered(
    client: &Client,
    method: &str,
    path: &str,
    (headers, body): (&[(&str, &str)], &str),
) -> Outcome<Value> {
    let mut response = client.exchange(method, path, headers, body.as_bytes())?;
    if !response.status().is_success() {
        return Err(refused(response));
    }
    let text = response.body_mut().read_to_string().map_err(Failure::failed)?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::failed(format!("the server's answer is not JSON: {error}")))
}
