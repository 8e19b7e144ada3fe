//! Lines sent ahead of their answers, as many at a time as fit into the sockets' buffers.
//!
//! A client that only sends while the server only sends would wait for ever. A batch this small is
//! always taken by the buffers between the two, so the client is reading before the server's answers
//! can fill the way back. A longer line goes alone: nothing is on the way back then.

use crate::error::{Error, ErrorKind, Result};

/// How many bytes of lines are on their way at most, if it is more than one line.
const BATCH_BYTES: usize = 16 * 1024;

/// Some lines with their ends, and how many there are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) lines: usize,
}

/// Cuts lines into batches; an error before anything is sent when one of them is no line.
pub(crate) fn batches<L: AsRef<str>>(lines: &[L]) -> Result<impl Iterator<Item = Batch>> {
    for line in lines {
        check(line.as_ref())?;
    }
    let mut left = lines.iter().map(AsRef::as_ref).peekable();
    Ok(std::iter::from_fn(move || {
        let mut batch = Batch { bytes: Vec::new(), lines: 0 };
        while let Some(line) =
            left.next_if(|line| batch.lines == 0 || batch.bytes.len() + line.len() < BATCH_BYTES)
        {
            batch.bytes.extend_from_slice(line.as_bytes());
            batch.bytes.push(b'\n');
            batch.lines += 1;
        }
        (batch.lines > 0).then_some(batch)
    }))
}

/// Whether this is one line with a command: anything else would put answers out of step with lines.
fn check(line: &str) -> Result<()> {
    if line.contains('\n') {
        let message = "a command is one line: write a line end inside of quotes as \\n";
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    if line.trim().is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "an empty line is no command and has no answer"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{BATCH_BYTES, batches};

    #[test]
    fn batches_hold_all_lines_and_are_small() {
        let long = "x".repeat(BATCH_BYTES);
        let mut lines = vec!["PUT key value".to_owned(); 3000];
        lines.insert(1500, long);
        let batches: Vec<_> = batches(&lines).unwrap().collect();
        let sent: Vec<u8> = batches.iter().flat_map(|batch| batch.bytes.clone()).collect();
        assert_eq!(sent, lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect::<Vec<_>>());
        for batch in &batches {
            assert_eq!(batch.lines, batch.bytes.iter().filter(|byte| **byte == b'\n').count());
            assert!(batch.lines == 1 || batch.bytes.len() <= BATCH_BYTES);
        }
        assert!(batches.len() < 10);
    }

    #[test]
    fn what_is_not_one_line_is_refused_before_anything_is_sent() {
        for lines in [&["PING", ""][..], &["PING\nPING"], &[" \t"], &["PING", "GET \"a\nb\""]] {
            assert!(batches(lines).is_err(), "{lines:?}");
        }
    }
}
