//! Row `publish`: PUBLISH to a hundred subscribers beside Redis, by messages a second and processor time.
//!
//! One thread publishes and reads as all subscribers, so that none of them is slow; a round ends when the last
//! message has reached the last of them. Messages are all of one length: counting bytes counts messages.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::{
    figure::{Bar, Figure},
    launch::Server,
    process::cpu_ns,
    resp,
    samples::Samples,
    setup::Setup,
};
use crate::Outcome;

const SUBSCRIBERS: usize = 100;

const CHANNEL: &[u8] = b"news";

/// What is published: thirty-two bytes.
const PAYLOAD: &[u8] = b"a message of thirty-two bytes ..";

/// How long nothing may come before a message counts as lost.
const PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let depths = [(1, setup.size(20_000, 1_000)), (16, setup.size(60_000, 3_000))];
    let mut servers = Vec::new();
    for program in setup.ours_and_redis() {
        let server = Server::start(setup, program, &[])?;
        let crowd = Crowd::connect(server.port)?;
        servers.push((program.kind, server, crowd));
    }
    let mut rates = vec![Samples::default(); depths.len()];
    let mut cpu_us = vec![Samples::default(); depths.len()];
    for _ in 0..setup.options.rounds() {
        for (place, (depth, messages)) in depths.iter().enumerate() {
            for (kind, server, crowd) in &mut servers {
                let before_ns = cpu_ns(server.pid())?;
                let elapsed = crowd.publish(*depth, *messages)?;
                let spent_ns = cpu_ns(server.pid())? - before_ns;
                rates[place].add(*kind, *messages as f64 / elapsed.as_secs_f64());
                cpu_us[place].add(*kind, spent_ns as f64 / (messages * SUBSCRIBERS as u64) as f64 / 1000.0);
            }
        }
    }
    let figures = depths.iter().zip(rates.iter().zip(&cpu_us)).flat_map(|((depth, _), (rates, cpu_us))| {
        let rate = format!("PUBLISHes a second to {SUBSCRIBERS} subscribers, pipeline {depth}");
        let cpu = format!("CPU per message and subscriber, pipeline {depth}");
        [
            Figure::against_redis(rate, "/s", rates).bar(Bar::RatioAtLeast(1.0)),
            Figure::against_redis(cpu, "µs", cpu_us).bar(Bar::RatioAtMost(0.9)),
        ]
    });
    Ok(figures.collect())
}

/// A publisher and its subscribers.
struct Crowd {
    publisher: TcpStream,
    subscribers: Vec<TcpStream>,
}

impl Crowd {
    fn connect(port: u16) -> Outcome<Self> {
        let connect = || {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let failed = |error: std::io::Error| format!("port {port}: {error}");
        let mut subscribe = Vec::new();
        resp::append(&mut subscribe, &[b"SUBSCRIBE", CHANNEL]);
        let mut subscribers = Vec::new();
        for _ in 0..SUBSCRIBERS {
            let mut stream = connect().map_err(failed)?;
            stream.write_all(&subscribe).map_err(failed)?;
            let mut confirmation = [0; b"*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n".len()];
            stream.read_exact(&mut confirmation).map_err(failed)?;
            stream.set_nonblocking(true).map_err(failed)?;
            subscribers.push(stream);
        }
        let publisher = connect().map_err(failed)?;
        publisher.set_nonblocking(true).map_err(failed)?;
        Ok(Self { publisher, subscribers })
    }

    /// Publishes so many messages, `depth` at a time; how long it took until the last subscriber had the last.
    fn publish(&mut self, depth: u64, messages: u64) -> Outcome<Duration> {
        let reply_bytes = format!(":{SUBSCRIBERS}\r\n").len() as u64;
        let mut message = Vec::new();
        resp::append(&mut message, &[b"message", CHANNEL, PAYLOAD]);
        let mut left_bytes = messages * (message.len() * SUBSCRIBERS) as u64;
        let (mut sent, mut answered_bytes) = (0, 0);
        let mut chunk = vec![0; 64 * 1024];
        let started = Instant::now();
        while left_bytes > 0 || answered_bytes < messages * reply_bytes {
            if sent < messages && answered_bytes == sent * reply_bytes {
                let together = depth.min(messages - sent);
                let mut batch = Vec::new();
                (0..together).for_each(|_| resp::append(&mut batch, &[b"PUBLISH", CHANNEL, PAYLOAD]));
                self.publisher.write_all(&batch).map_err(|error| format!("publishing: {error}"))?;
                sent += together;
            }
            for ready in self.ready()? {
                let read = match ready {
                    0 => self.publisher.read(&mut chunk),
                    ready => self.subscribers[ready - 1].read(&mut chunk),
                };
                let read = match read {
                    Ok(0) => return Err("the server closed a connection".to_owned()),
                    Ok(read) => read as u64,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                    Err(error) => return Err(format!("receiving: {error}")),
                };
                match ready {
                    0 => answered_bytes += read,
                    _ => {
                        left_bytes =
                            left_bytes.checked_sub(read).ok_or("more messages than were published")?
                    }
                }
            }
        }
        Ok(started.elapsed())
    }

    /// Waits until something can be read: 0 for the publisher, else the number of a subscriber.
    fn ready(&self) -> Outcome<Vec<usize>> {
        let streams = std::iter::once(&self.publisher).chain(&self.subscribers);
        let mut polled: Vec<_> = streams.map(|stream| PollFd::new(stream, PollFlags::IN)).collect();
        match poll(&mut polled, Some(&PATIENCE)) {
            Ok(0) => return Err("a message was lost".to_owned()),
            Ok(_) => {}
            Err(error) => return Err(format!("waiting: {error}")),
        }
        let ready = polled.iter().enumerate().filter(|(_, polled)| !polled.revents().is_empty());
        Ok(ready.map(|(place, _)| place).collect())
    }
}
