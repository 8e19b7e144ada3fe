//! One connection of a test: write a batch, read its replies, again.

use std::{rc::Rc, time::Instant};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::load::Load;
use crate::{
    failure::{Failure, Outcome},
    resp::{reply, request},
};

/// An open and authenticated connection.
pub(crate) struct Connection {
    stream: TcpStream,
    received: BytesMut,
    number: u32,
}

impl Connection {
    /// Connects, and gives the password if there is one.
    pub(crate) async fn open(address: &str, password: Option<&str>, number: u32) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await.map_err(|error| {
            Failure::failed(format!("no answer from {address} for client {number}: {error}"))
        })?;
        stream.set_nodelay(true)?;
        let mut connection = Self { stream, received: BytesMut::new(), number };
        if let Some(password) = password {
            let mut request = Vec::new();
            request::append(&mut request, &[b"AUTH", password.as_bytes()]);
            connection.stream.write_all(&request).await?;
            let length = connection.next_reply().await?;
            let accepted = connection.received.first() == Some(&b'+');
            connection.received.advance(length);
            if !accepted {
                return Err(Failure::failed(format!("{address} refused the password")));
            }
        }
        Ok(connection)
    }

    /// Sends batches until none are left.
    pub(crate) async fn drive(mut self, load: Rc<Load>) -> Outcome {
        let mut batch = Vec::new();
        loop {
            batch.clear();
            let requests = load.next_batch(&mut batch);
            if requests == 0 {
                return Ok(());
            }
            let started = Instant::now();
            self.exchange(&batch, requests, &load).await?;
            load.finished(requests, started.elapsed());
        }
    }

    async fn exchange(&mut self, batch: &[u8], requests: u64, load: &Load) -> Outcome {
        // Replies are read while a long batch is still being written: a server that holds them back
        // until somebody reads would otherwise wait for us as we wait for it.
        let (mut reading, mut writing) = self.stream.split();
        let write = writing.write_all(batch);
        tokio::pin!(write);
        let (mut written, mut missing) = (false, requests);
        while missing > 0 {
            while missing > 0
                && let Some(length) = reply::length(&self.received).map_err(|_| no_resp())?
            {
                if self.received[0] == b'-' {
                    load.failed(&self.received[..length]);
                }
                self.received.advance(length);
                missing -= 1;
            }
            if missing == 0 {
                break;
            }
            tokio::select! {
                sent = &mut write, if !written => { sent?; written = true; }
                read = reading.read_buf(&mut self.received) => {
                    if read? == 0 {
                        return Err(closed(self.number));
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits for a whole reply and tells its length.
    async fn next_reply(&mut self) -> Outcome<usize> {
        loop {
            if let Some(length) = reply::length(&self.received).map_err(|_| no_resp())? {
                return Ok(length);
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(closed(self.number));
            }
        }
    }
}

fn closed(number: u32) -> Failure {
    Failure::failed(format!("the server closed the connection of client {number}"))
}

fn no_resp() -> Failure {
    Failure::failed("this is not the Redis protocol; give its port with --resp HOST:PORT")
}
