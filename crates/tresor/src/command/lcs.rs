//! LCS: the longest common subsequence of two values.
//!
//! The table of lengths (Wagner and Fischer, 1974) is made row by row, of which two are kept, and of each
//! cell one bit: which way back leads to the longer one. That is a thirty-second of the table that Redis
//! keeps, whose limit on its size holds here too, because time grows with it as well. Between slices of
//! rows others get their turn.

use bytes::Bytes;

use super::{Args, is, number, syntax_error};
use crate::{
    error::{Error, Result},
    reply::ReplyWriter,
    session::Session,
};

/// The most cells of a table: those whose lengths fill 512 MiB, as in Redis.
const MAX_CELLS: u64 = (512 << 20) / 4;

/// Cells made before others run.
const SLICE_CELLS: usize = 1 << 20;

#[derive(Default)]
struct Options {
    length: bool,
    ranges: bool,
    with_lengths: bool,
    shortest: u64,
}

impl Options {
    fn parse(words: &[&[u8]]) -> Result<Self> {
        let mut options = Self::default();
        let mut rest = words;
        while let [word, after @ ..] = rest {
            rest = after;
            if is(word, "LEN") {
                options.length = true;
            } else if is(word, "IDX") {
                options.ranges = true;
            } else if is(word, "WITHMATCHLEN") {
                options.with_lengths = true;
            } else if let (true, [number, after @ ..]) = (is(word, "MINMATCHLEN"), rest) {
                options.shortest = u64::try_from(number::integer(number)?).unwrap_or(0);
                rest = after;
            } else {
                return Err(syntax_error());
            }
        }
        if options.length && options.ranges {
            return Err(Error::invalid("If you want both the length and indexes, please just use IDX."));
        }
        Ok(options)
    }
}

/// Two values, and what is known of each pair of their beginnings.
struct Table {
    a: Bytes,
    b: Bytes,
    /// For each cell where the last bytes differ: whether leaving out the last of `a` is better. Bits, a row
    /// after another, without the empty beginnings.
    leave_a: Vec<u64>,
    length: u32,
}

impl Table {
    async fn new(session: &mut Session, a: Bytes, b: Bytes, with_ways: bool) -> Result<Self> {
        let cells = (a.len() as u64 + 1).saturating_mul(b.len() as u64 + 1);
        if cells > MAX_CELLS {
            let message = "Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len";
            return Err(Error::invalid(message));
        }
        let bits = if with_ways { a.len() * b.len() } else { 0 };
        let mut table = Self { a, b, leave_a: vec![0; bits.div_ceil(64)], length: 0 };
        let (mut above, mut row) = (vec![0; table.b.len() + 1], vec![0; table.b.len() + 1]);
        let mut cells = 0;
        for i in 0..table.a.len() {
            table.fill(i, &above, &mut row, with_ways);
            std::mem::swap(&mut above, &mut row);
            cells += table.b.len();
            if cells >= SLICE_CELLS {
                cells = 0;
                session.breathe().await;
            }
        }
        table.length = above.last().copied().unwrap_or(0);
        Ok(table)
    }

    fn fill(&mut self, i: usize, above: &[u32], row: &mut [u32], with_ways: bool) {
        let last = self.a[i];
        for (j, byte) in self.b.iter().enumerate() {
            row[j + 1] = if *byte == last { above[j] + 1 } else { above[j + 1].max(row[j]) };
            if with_ways && above[j + 1] > row[j] {
                let bit = i * self.b.len() + j;
                self.leave_a[bit / 64] |= 1 << (bit % 64);
            }
        }
    }

    /// The common pieces from the last to the first, each as far as it goes: where it begins in both, and
    /// its length.
    fn pieces(&self) -> Vec<(usize, usize, usize)> {
        let (mut i, mut j) = (self.a.len(), self.b.len());
        let (mut pieces, mut length) = (Vec::new(), 0);
        while i > 0 && j > 0 {
            if self.a[i - 1] == self.b[j - 1] {
                (i, j, length) = (i - 1, j - 1, length + 1);
                continue;
            }
            if length > 0 {
                pieces.push((i, j, length));
                length = 0;
            }
            let bit = (i - 1) * self.b.len() + j - 1;
            if self.leave_a[bit / 64] >> (bit % 64) & 1 == 1 {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        if length > 0 {
            pieces.push((i, j, length));
        }
        pieces
    }

    fn text(&self) -> Vec<u8> {
        let pieces = self.pieces();
        pieces.iter().rev().flat_map(|(i, _, length)| &self.a[*i..i + length]).copied().collect()
    }
}

fn answer_ranges(table: &Table, options: &Options, reply: &mut ReplyWriter) {
    let mut pieces = table.pieces();
    pieces.retain(|(_, _, length)| *length as u64 >= options.shortest);
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(pieces.len());
    for (i, j, length) in pieces {
        reply.array(2 + usize::from(options.with_lengths));
        for start in [i, j] {
            reply.array(2);
            reply.integer(start as i64);
            reply.integer((start + length - 1) as i64);
        }
        if options.with_lengths {
            reply.integer(length as i64);
        }
    }
    reply.bulk(b"len");
    reply.integer(i64::from(table.length));
}

pub(super) async fn lcs(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let options = Options::parse(&args[3..])?;
    let keys = [session.key(args[1])?, session.key(args[2])?];
    let mut values = [Bytes::new(), Bytes::new()];
    session
        .read_together(&keys, |index, entry| {
            values[index] = entry.map_or_else(Bytes::new, |entry| entry.value.to_bytes());
        })
        .await?;
    let [a, b] = values;
    let table = Table::new(session, a, b, !options.length).await?;
    if options.ranges {
        answer_ranges(&table, &options, reply);
    } else if options.length {
        reply.integer(i64::from(table.length));
    } else {
        reply.bulk(&table.text());
    }
    Ok(())
}
