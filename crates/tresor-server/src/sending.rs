//! Sending output: one system call where the socket takes all, waiting where it does not.

use std::{
    future::poll_fn,
    io::{self, IoSlice, Write},
    task::Poll,
};

use smallvec::SmallVec;
use tokio::net::TcpStream;
use tresor::{
    Error,
    reply::{Output, ReplyWriter, RespWriter},
};

use crate::worker::{Doing, Door, Seat};

/// Pieces of one vectored write.
const PIECES: usize = 32;

/// The bytes of a writer of the Redis protocol.
#[inline]
pub(crate) fn output(reply: &mut ReplyWriter) -> &mut Output {
    match reply {
        ReplyWriter::Resp(writer) => writer.output_mut(),
        ReplyWriter::Owned(_) => unreachable!("a connection writes the Redis protocol"),
    }
}

/// Sends everything. Stops with an error when the connection is cut while its client does not read.
#[inline]
pub(crate) async fn send_all(stream: &TcpStream, output: &Output, seat: &Seat) -> io::Result<()> {
    let length = output.len();
    let mut sent = 0;
    while sent < length {
        match send_some(stream, output, sent) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(bytes) => sent += bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => writable(stream, seat).await?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[inline]
fn send_some(stream: &TcpStream, output: &Output, sent: usize) -> io::Result<usize> {
    match output.plain() {
        Some(bytes) => stream.try_write(&bytes[sent..]),
        None => {
            let mut skip = sent;
            let pieces: SmallVec<[IoSlice<'_>; PIECES]> = output
                .pieces()
                .filter_map(|piece| {
                    let skipped = skip.min(piece.len());
                    skip -= skipped;
                    (skipped < piece.len()).then(|| IoSlice::new(&piece[skipped..]))
                })
                .take(PIECES)
                .collect();
            stream.try_write_vectored(&pieces)
        }
    }
}

#[cold]
async fn writable(stream: &TcpStream, seat: &Seat) -> io::Result<()> {
    seat.presence.doing(Doing::Sending);
    let result = poll_fn(|context| {
        if seat.presence.cut() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        stream.poll_write_ready(context)
    })
    .await;
    seat.presence.doing(Doing::Executing);
    seat.worker.saw(&seat.presence);
    result
}

/// Tells a client that there is no room for it.
pub(crate) fn refuse(mut stream: &std::net::TcpStream, door: Door) {
    match door {
        Door::Resp => {
            let mut reply = ReplyWriter::Resp(RespWriter::default());
            reply.error(&Error::invalid("max number of clients reached"));
            // A fresh socket has room for a line; if not, closing says it too.
            let _ = stream.write(output(&mut reply).plain().unwrap_or_default());
        }
    }
}
