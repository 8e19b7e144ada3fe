//! A script on standard input: a command a line, its answer as a line of JSON on standard output.
//!
//! Each answer is awaited before the next line is sent, for the first error ends the script and nothing
//! after it may happen. What its transactions had not committed by then is rolled back by the server.

use std::io::{self, BufRead, Read, Write};

use tresor_client::Client;

use super::{command_word, is_skipped};
use crate::failure::{Failure, Outcome};

/// The longest line, in bytes: the largest value a server takes by default, each byte written as `\xNN`.
const LINE_BYTES: u64 = 257 << 20;

/// Runs the lines of `input` until its end, a QUIT, or an error.
pub(super) fn run(mut client: Client, mut input: impl BufRead) -> Outcome {
    let mut output = io::stdout().lock();
    let mut number = 0_u64;
    while let Some(line) = next_line(&mut input, number + 1)? {
        number += 1;
        if is_skipped(&line) {
            continue;
        }
        let answer =
            client.send_line(&line).map_err(|error| Failure::failed(format!("line {number}: {error}")))?;
        writeln!(output, "{answer}")?;
        if let Some(error) = error_in(&answer) {
            return Err(Failure::failed(format!("line {number}: {error}")));
        }
        if command_word(&line) == "QUIT" {
            return Ok(());
        }
    }
    client.disconnect().map_err(Failure::failed)
}

fn next_line(input: &mut impl BufRead, number: u64) -> Outcome<Option<String>> {
    let mut line = Vec::new();
    let read = input.take(LINE_BYTES).read_until(b'\n', &mut line)?;
    if read as u64 == LINE_BYTES && line.last() != Some(&b'\n') {
        return Err(Failure::failed(format!("line {number}: it is longer than {LINE_BYTES} bytes")));
    }
    if read == 0 {
        return Ok(None);
    }
    line.pop_if(|last| *last == b'\n');
    line.pop_if(|last| *last == b'\r');
    let not_text = |_| Failure::failed(format!("line {number}: it is not UTF-8; write such bytes as \\xNN"));
    String::from_utf8(line).map(Some).map_err(not_text)
}

/// Code and message of an answer that is an error.
fn error_in(answer: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_str(answer).ok()?;
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    (answer["status"] != "Ok").then(|| format!("{}: {}", text("code"), text("message")))
}
