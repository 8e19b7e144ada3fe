//! Ending a connection so that the client gets to read its last answer.
//!
//! Closing a socket with input unread makes the kernel take back what was sent: a client that is told
//! 413 in the middle of its upload would see a reset instead. So our side is shut down first, and what
//! still comes in is dropped for a bounded moment.

use std::{cell::Cell, rc::Rc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The longest that a finished connection is kept for its client to read.
const LINGER: Duration = Duration::from_secs(2);

/// The most that is read and dropped meanwhile.
const LINGER_BYTES: usize = 16 * 1024 * 1024;

/// Where a socket is left when the connection around it ends.
pub(super) type Leftover = Rc<Cell<Option<TcpStream>>>;

/// Ends what is left of a connection.
pub(super) async fn end(leftover: &Leftover) {
    let Some(mut stream) = leftover.take() else { return };
    let drain = async {
        stream.shutdown().await?;
        let mut dropped = vec![0; 16 * 1024];
        let mut bytes = 0;
        while bytes < LINGER_BYTES {
            match stream.read(&mut dropped).await? {
                0 => break,
                read => bytes += read,
            }
        }
        Ok::<_, std::io::Error>(())
    };
    // A client that is gone, or does not go, is no concern any more: the socket is closed either way.
    let _ = timeout(LINGER, drain).await;
}
