//! Row `changes`: writers beside ten readers of the change feed, each of a tenth of the keys.
//!
//! One connection writes in pipelines, paced, alone and then with ten readers of server-sent events, in turn. Lost
//! is what was written and not told; late is told of the writer, whose pace the readers must not break.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use memchr::memmem;

use super::super::{
    figure::{Bar, Figure},
    launch::{Server, free_port},
    process,
    resp::{Decoder, append},
    samples::median,
    setup::Setup,
    wait,
};
use crate::Outcome;

/// Readers, each of one prefix.
const READERS: u64 = 10;

/// SETs of one pipeline.
const TOGETHER: u64 = 100;

/// Writes a second.
const PACE: u64 = 50_000;

/// What each event of a reader begins with.
const EVENT: &[u8] = b"event: set\n";

/// How long a reader may take to be told of the last write.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let mut figures = compare(setup, "memory", &[])?;
    let with_log = ["--store-path", "store", "--durability", "interval"];
    figures.extend(compare(setup, "memory with a log", &with_log)?);
    Ok(figures)
}

fn compare(setup: &Setup, engine: &str, arguments: &[&str]) -> Outcome<Vec<Figure>> {
    let http = free_port()?;
    let port = http.to_string();
    let arguments = [arguments, &["--port", &port]].concat();
    let server = Server::start(setup, setup.ours()?, &arguments)?;
    let writes = setup.size(500_000, 50_000);
    let (mut alone, mut beside, mut lost, mut grown) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut cpu_alone, mut cpu_beside) = (Vec::new(), Vec::new());
    // Everything that writing makes large is so before anything is looked at.
    write(&server, writes)?;
    for _ in 0..setup.options.rounds() {
        let (a_second, cpu_us) = write(&server, writes)?;
        alone.push(a_second);
        cpu_alone.push(cpu_us);
        let before = process::resident_bytes(server.pid())?;
        let readers = (0..READERS).map(|number| Reader::start(http, number)).collect::<Outcome<Vec<_>>>()?;
        process::reset_peak(server.pid())?;
        let (a_second, cpu_us) = write(&server, writes)?;
        beside.push(a_second);
        cpu_beside.push(cpu_us);
        let told = told(&readers, writes);
        grown.push((process::peak_resident_bytes(server.pid())?.saturating_sub(before)) as f64 / 1_048_576.0);
        lost.push(writes.saturating_sub(told) as f64);
        readers.into_iter().try_for_each(Reader::stop)?;
    }
    let name = format!("{engine}: {PACE} writes a second beside {READERS} readers of changes");
    let cpu =
        format!("CPU {:.2} µs a write, without readers {:.2} µs", median(&cpu_beside), median(&cpu_alone));
    Ok(vec![
        Figure::new(format!("{name}: writes a second"), "/s", beside)
            .against("without readers", alone)
            .bar(Bar::RatioAtLeast(0.8))
            .also(cpu),
        Figure::new(format!("{name}: changes lost"), "", lost).bar(Bar::AtMost(0.0)),
        Figure::new(format!("{name}: memory that readers add"), "MiB", grown).bar(Bar::AtMost(64.0)),
    ])
}

/// Writes at the pace; how many a second that were, and the server's processor time for each in microseconds.
fn write(server: &Server, writes: u64) -> Outcome<(f64, f64)> {
    let mut stream =
        TcpStream::connect(("127.0.0.1", server.port)).map_err(|error| format!("the writer: {error}"))?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (cpu_before, started) = (process::cpu_ns(server.pid())?, Instant::now());
    let (mut request, mut chunk) = (Vec::new(), vec![0; 64 * 1024]);
    for first in (0..writes).step_by(TOGETHER as usize) {
        request.clear();
        for number in first..first + TOGETHER {
            let key = format!("p{}:{:06}", number % READERS, number % 100_000);
            append(&mut request, &[b"SET", key.as_bytes(), b"0123456789abcdef0123456789abcdef"]);
        }
        stream.write_all(&request).map_err(|error| error.to_string())?;
        let (mut decoder, mut answered, mut filled) = (Decoder::default(), 0, 0);
        while answered < TOGETHER {
            filled += stream.read(&mut chunk[filled..]).map_err(|error| error.to_string())?;
            let mut at = 0;
            while let Some((length, ends)) = decoder.step(&chunk[at..filled])? {
                at += length;
                answered += u64::from(ends);
            }
            chunk.copy_within(at..filled, 0);
            filled -= at;
        }
        let due = Duration::from_secs_f64((first + TOGETHER) as f64 / PACE as f64);
        if let Some(early) = due.checked_sub(started.elapsed()) {
            wait::pause(early);
        }
    }
    let cpu_ns = process::cpu_ns(server.pid())? - cpu_before;
    Ok((writes as f64 / started.elapsed().as_secs_f64(), cpu_ns as f64 / 1000.0 / writes as f64))
}

/// How many changes readers have been told of, once that is all or nothing more comes.
fn told(readers: &[Reader], writes: u64) -> u64 {
    let count = || readers.iter().map(|reader| reader.told.load(Ordering::Relaxed)).sum::<u64>();
    let all =
        wait::until("the readers to be told of all", PATIENCE, || Ok((count() >= writes).then_some(())));
    if let Err(error) = all {
        eprintln!("  {error}");
    }
    count()
}

/// A reader of one prefix that counts.
struct Reader {
    stream: TcpStream,
    told: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Reader {
    /// Begins to read, and is told of everything from when this returns.
    fn start(http: u16, number: u64) -> Outcome<Self> {
        let mut stream =
            TcpStream::connect(("127.0.0.1", http)).map_err(|error| format!("a reader: {error}"))?;
        let request = format!(
            "GET /v1/changes?prefix=p{number}: HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        let (mut chunk, mut head) = (vec![0; 64 * 1024], Vec::new());
        while memmem::find(&head, b"id: ").is_none() {
            match stream.read(&mut chunk).map_err(|error| error.to_string())? {
                0 => return Err(format!("a reader got {}", String::from_utf8_lossy(&head))),
                read => head.extend_from_slice(&chunk[..read]),
            }
        }
        let told = Arc::<AtomicU64>::default();
        let (mut reading, count) = (stream.try_clone().map_err(|error| error.to_string())?, told.clone());
        let thread = thread::spawn(move || {
            let mut filled = 0;
            while let Ok(read @ 1..) = reading.read(&mut chunk[filled..]) {
                filled += read;
                let events = memmem::find_iter(&chunk[..filled], EVENT);
                let (found, end) = events.fold((0, 0), |(found, _), at| (found + 1, at + EVENT.len()));
                count.fetch_add(found, Ordering::Relaxed);
                // The beginning of an event may be at the end of what came.
                let kept = end.max(filled.saturating_sub(EVENT.len() - 1));
                chunk.copy_within(kept..filled, 0);
                filled -= kept;
            }
        });
        Ok(Self { stream, told, thread })
    }

    fn stop(self) -> Outcome {
        self.stream.shutdown(std::net::Shutdown::Both).map_err(|error| error.to_string())?;
        self.thread.join().map_err(|_| "a reader has panicked".to_owned())
    }
}
