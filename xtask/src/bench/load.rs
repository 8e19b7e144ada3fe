//! A load generator of one thread: any mix of connections, at a fixed rate or as fast as answers come.
//!
//! A lane at a fixed rate counts latency from the moment its request was due, sent or not, so a server
//! that stalls cannot hide the requests it kept from being sent. The thread waits in `poll` while all
//! lanes are closed loops and spins while one has a timetable, since it has a core to itself.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{http, resp};
use crate::Outcome;

/// Latencies above this count as this.
const LONGEST_NS: u64 = 600_000_000_000;

/// How long answers may be outstanding once nothing more is sent.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a lane speaks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Protocol {
    Resp,
    Http,
    /// Answers of a line each.
    Lines,
    /// Answers of so many bytes, whatever they say: not to be slow oneself over a very large one.
    Bytes(usize),
}

/// When a lane sends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// So many requests together, and the next ones when all are answered.
    Closed { depth: u32 },
    /// One request each interval, the first after a while, answered or not.
    Every { interval: Duration, first: Duration },
}

/// Appends the next request; false when there is none any more.
pub(super) type Requests = Box<dyn FnMut(&mut Vec<u8>) -> bool>;

/// Looks at the bytes of a reply.
pub(super) type Heed = Box<dyn FnMut(&[u8]) -> Outcome>;

/// One connection and what it sends.
pub(super) struct Lane {
    stream: TcpStream,
    /// Whose latencies it counts among.
    group: usize,
    pace: Pace,
    requests: Requests,
    framing: Framing,
    output: Vec<u8>,
    input: Vec<u8>,
    /// When each outstanding request was sent, or was due.
    sent_ns: VecDeque<u64>,
    due_ns: u64,
    exhausted: bool,
    /// Who looks at each reply, if anyone does.
    heeding: Option<Heed>,
}

enum Framing {
    Resp(resp::Decoder),
    Http,
    Lines,
    Bytes { length: usize, seen: usize },
}

/// What a drive showed.
pub(super) struct Drive {
    /// Latencies in nanoseconds, one histogram a group.
    pub(super) latencies_ns: Vec<Histogram<u64>>,
    /// From the start until no more requests were made.
    pub(super) elapsed: Duration,
}

impl Drive {
    /// The latency that this share of a group's requests had at most, in microseconds.
    pub(super) fn microseconds(&self, group: usize, share: f64) -> f64 {
        self.latencies_ns[group].value_at_quantile(share) as f64 / 1000.0
    }
}

impl Lane {
    /// Connects a lane of group 0.
    pub(super) fn connect(port: u16, protocol: Protocol, pace: Pace, requests: Requests) -> Outcome<Self> {
        let connect = || {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        };
        let stream = connect().map_err(|error: std::io::Error| format!("port {port}: {error}"))?;
        let framing = match protocol {
            Protocol::Resp => Framing::Resp(resp::Decoder::default()),
            Protocol::Http => Framing::Http,
            Protocol::Lines => Framing::Lines,
            Protocol::Bytes(length) => Framing::Bytes { length, seen: 0 },
        };
        Ok(Self {
            stream,
            group: 0,
            pace,
            requests,
            framing,
            output: Vec::new(),
            input: Vec::new(),
            sent_ns: VecDeque::new(),
            due_ns: 0,
            exhausted: false,
            heeding: None,
        })
    }

    /// Counts among the latencies of another group.
    pub(super) fn in_group(mut self, group: usize) -> Self {
        self.group = group;
        self
    }

    /// Shows each reply to somebody.
    pub(super) fn heeding(mut self, heed: Heed) -> Self {
        self.heeding = Some(heed);
        self
    }

    /// Makes a drive's timetable begin anew.
    fn begin(&mut self) {
        if let Pace::Every { first, .. } = self.pace {
            self.due_ns = first.as_nanos() as u64;
        }
    }

    /// Makes the requests that are due at `now_ns`, and sends what the socket takes.
    fn send(&mut self, now_ns: u64) -> Outcome {
        match self.pace {
            Pace::Closed { depth } if self.sent_ns.is_empty() => {
                for _ in 0..depth {
                    self.request(now_ns);
                }
            }
            Pace::Closed { .. } => {}
            Pace::Every { interval, .. } => {
                while self.due_ns <= now_ns && !self.exhausted {
                    self.request(self.due_ns);
                    self.due_ns += interval.as_nanos() as u64;
                }
            }
        }
        self.flush()
    }

    fn request(&mut self, sent_ns: u64) {
        if !self.exhausted && (self.requests)(&mut self.output) {
            self.sent_ns.push_back(sent_ns);
        } else {
            self.exhausted = true;
        }
    }

    fn flush(&mut self) -> Outcome {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(length) => drop(self.output.drain(..length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(format!("sending: {error}")),
            }
        }
        Ok(())
    }

    /// Reads once, and counts the replies that are whole.
    fn receive(&mut self, chunk: &mut [u8], clock: &Instant, latencies: &mut Histogram<u64>) -> Outcome {
        match self.stream.read(chunk) {
            Ok(0) => return Err("the server closed a connection".to_owned()),
            Ok(length) => self.input.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(format!("receiving: {error}")),
        }
        let now_ns = clock.elapsed().as_nanos() as u64;
        let mut at = 0;
        while let Some((length, ends)) = self.framing.step(&self.input[at..])? {
            if let Some(heed) = &mut self.heeding {
                heed(&self.input[at..at + length])?;
            }
            at += length;
            if ends {
                let sent_ns = self.sent_ns.pop_front().ok_or("a reply that nobody asked for")?;
                latencies.saturating_record(now_ns.saturating_sub(sent_ns).max(1));
            }
        }
        self.input.drain(..at);
        Ok(())
    }
}

impl Framing {
    fn step(&mut self, input: &[u8]) -> Outcome<Option<(usize, bool)>> {
        match self {
            Self::Resp(decoder) => decoder.step(input),
            Self::Lines => match memchr::memchr(b'\n', input) {
                Some(end) if !input.starts_with(b"{\"status\":\"Ok\"") => {
                    Err(String::from_utf8_lossy(&input[..end]).into_owned())
                }
                end => Ok(end.map(|end| (end + 1, true))),
            },
            Self::Http => Ok(http::answer_length(input)?.map(|length| (length, true))),
            Self::Bytes { length, seen } => {
                let taken = input.len().min(*length - *seen);
                *seen += taken;
                let ends = *seen == *length;
                if ends {
                    *seen = 0;
                }
                Ok((taken > 0).then_some((taken, ends)))
            }
        }
    }
}

/// Drives lanes until `enough` says so (asked often, with the time so far) or no lane has a request
/// left, then waits for the outstanding answers.
pub(super) fn drive(lanes: &mut [Lane], enough: &mut dyn FnMut(Duration) -> bool) -> Outcome<Drive> {
    let groups = lanes.iter().map(|lane| lane.group + 1).max().unwrap_or(0);
    let mut latencies_ns = Vec::new();
    for _ in 0..groups {
        latencies_ns.push(Histogram::new_with_bounds(1, LONGEST_NS, 3).map_err(|error| error.to_string())?);
    }
    let timetable = lanes.iter().any(|lane| matches!(lane.pace, Pace::Every { .. }));
    let patience = Timespec { tv_sec: 0, tv_nsec: if timetable { 0 } else { 10_000_000 } };
    lanes.iter_mut().for_each(Lane::begin);
    let mut chunk = vec![0; 64 * 1024];
    let clock = Instant::now();
    let mut ended = None;
    loop {
        let now = clock.elapsed();
        if ended.is_none() && (enough(now) || lanes.iter().all(|lane| lane.exhausted)) {
            ended = Some(now);
        }
        match ended {
            None => send_all(lanes, now.as_nanos() as u64)?,
            Some(_) if lanes.iter().all(|lane| lane.sent_ns.is_empty()) => break,
            Some(end) if now > end + PATIENCE => return Err("answers that do not come".to_owned()),
            Some(_) => lanes.iter_mut().try_for_each(Lane::flush)?,
        }
        for number in ready(lanes, &patience)? {
            let lane = &mut lanes[number];
            lane.receive(&mut chunk, &clock, &mut latencies_ns[lane.group])?;
        }
    }
    Ok(Drive { latencies_ns, elapsed: ended.unwrap_or_default() })
}

fn send_all(lanes: &mut [Lane], now_ns: u64) -> Outcome {
    lanes.iter_mut().try_for_each(|lane| lane.send(now_ns))
}

/// The lanes that have something to read; waits for one at most so long.
fn ready(lanes: &[Lane], patience: &Timespec) -> Outcome<Vec<usize>> {
    let mut sockets: Vec<PollFd<'_>> = lanes
        .iter()
        .map(|lane| {
            let writes = if lane.output.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            PollFd::new(&lane.stream, PollFlags::IN | writes)
        })
        .collect();
    match poll(&mut sockets, Some(patience)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(format!("poll: {error}")),
    }
    let found = sockets
        .iter()
        .enumerate()
        .filter(|(_, socket)| socket.revents().intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR));
    Ok(found.map(|(number, _)| number).collect())
}
