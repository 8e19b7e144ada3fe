//! The server's answer about its shards: kept as the JSON that it is, shown as a table.

use std::io::{self, Write};

use serde_json::Value;

use super::answered;
use crate::{client::http::Client, failure::Outcome};

/// What `/v1/shards` answers.
pub(super) struct Status(pub(super) Value);

impl Status {
    /// Asks for it.
    pub(super) fn get(client: &Client) -> Outcome<Self> {
        answered(client, "GET", "/v1/shards", (&[], "")).map(Self)
    }

    pub(super) fn is_moving(&self) -> bool {
        self.0["move"]["moving"].as_bool().unwrap_or(false)
    }

    /// A figure of the move.
    pub(super) fn figure(&self, name: &str) -> u64 {
        self.0["move"][name].as_u64().unwrap_or(0)
    }

    /// Why the move does not get on.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.0["move"]["trouble"].as_str()
    }

    pub(super) fn print_json(&self) -> Outcome {
        Ok(writeln!(io::stdout().lock(), "{}", self.0)?)
    }

    /// A row a shard; below them the move, while there is one.
    pub(super) fn print(&self) -> Outcome {
        let shards = self.0["shards"].as_array().map_or(&[][..], Vec::as_slice);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = |shard: &Value| text(&shard["name"]);
        let wide = shards.iter().map(|shard| name(shard).chars().count()).max().unwrap_or(0).max(5);
        let mut output = io::stdout().lock();
        writeln!(output, "{:wide$}  {:9}  {:>6}  {:>6}", "SHARD", "ENGINE", "WEIGHT", "SHARE")?;
        for shard in shards {
            let (weight, next) = (&shard["weight"], &shard["next_weight"]);
            let share = shard["share"].as_f64().unwrap_or(0.0) * 100.0;
            write!(
                output,
                "{:wide$}  {:9}  {weight:>6}  {share:>5.1}%",
                name(shard),
                text(&shard["engine"]),
                weight = weight.to_string()
            )?;
            if weight != next {
                write!(output, "  becomes {next}")?;
            }
            if let Some(trouble) = shard["trouble"].as_str() {
                write!(output, "  {trouble}")?;
            }
            writeln!(output)?;
        }
        if self.is_moving() {
            let (keys, expected) = (self.figure("keys"), self.figure("expected_keys"));
            writeln!(output, "moving: {keys} of about {expected} keys")?;
        }
        Ok(())
    }
}

/// What would move, a row for each two shards, or the JSON.
pub(super) fn print_moves(answer: &Value, as_json: bool) -> Outcome {
    let mut output = io::stdout().lock();
    if as_json {
        return Ok(writeln!(output, "{answer}")?);
    }
    let moves = answer["moves"].as_array().map_or(&[][..], Vec::as_slice);
    if moves.is_empty() {
        writeln!(output, "nothing would move")?;
    }
    for one in moves {
        let (from, to) = (one["from"].as_str().unwrap_or_default(), one["to"].as_str().unwrap_or_default());
        writeln!(output, "{from} -> {to}: {} keys, {} bytes", one["keys"], one["bytes"])?;
    }
    Ok(())
}
