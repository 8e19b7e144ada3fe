//! Row `rebalance`: a fourth shard is added to three while clients read and write at a fixed rate.
//!
//! Each connection has keys of its own, so it knows what every GET has to answer: the last value that it
//! set itself, or what the fill left there. An answer that is another counts as lost or stale.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    rc::Rc,
    time::Duration,
};

use serde_json::Value;

use super::{
    super::{
        figure::{Bar, Figure},
        fill::{Expiry, Random, fill, key},
        launch::{Server, free_port},
        load::{Drive, Lane, Pace, Protocol, drive},
        redis_benchmark::VALUE,
        resp::append,
        setup::Setup,
    },
    cpu::thousands,
    layers::start_shards,
};
use crate::Outcome;

/// Connections that read and write.
const CLIENTS: u64 = 10;

/// A move that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// Between two looks at how far the move is.
const LOOKS: Duration = Duration::from_millis(200);

/// What a run of the clients showed.
#[derive(Default)]
struct Seen {
    wrong: Cell<u64>,
    reads: Cell<u64>,
}

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let (keys, rate) = (setup.size(1_000_000, 50_000), setup.size(20_000, 5_000));
    let http = free_port()?;
    let (server, _directory) = start_shards(setup, 3, &["--port", &http.to_string()])?;
    fill(server.port, 0..keys, Expiry::Never)?;
    let seen = Rc::new(Seen::default());
    let quiet = Duration::from_millis(setup.size(10_000, 500));
    let mut lanes = clients(&server, (keys, rate), &seen)?;
    let before = drive(&mut lanes, &mut |elapsed| elapsed >= quiet)?;
    let (during, status) = drive_beside_move(http, lanes)?;
    let number = |name: &str| status["move"][name].as_u64().ok_or_else(|| format!("no {name} in {status}"));
    let moved = number("keys")?;
    let found = server.client()?.number(&["DBSIZE"])?;
    if found != keys {
        return Err(format!("{found} of {keys} keys are there after the move"));
    }
    let beside = format!("{} keys, {} commands/s", thousands(keys), thousands(rate));
    let told =
        format!("moved in {:.1} s, {} a second", during.elapsed.as_secs_f64(), number("keys_per_second")?);
    Ok(vec![
        Figure::new(format!("a 4th shard, {beside}: lost or stale reads"), "", vec![seen.wrong.get() as f64])
            .bar(Bar::AtMost(0.0))
            .also(format!("of {} reads", seen.reads.get())),
        Figure::new(
            "keys moved to the 4th shard, of a hundred",
            "%",
            vec![moved as f64 * 100.0 / keys as f64],
        )
        .bar(Bar::Between(23.0, 27.0))
        .also(told),
        Figure::new("p99 of these commands while keys move", "µs", vec![during.microseconds(0, 0.99)])
            .against("before", vec![before.microseconds(0, 0.99)])
            .bar(Bar::RatioAtMost(3.0)),
    ])
}

fn clients(server: &Server, (keys, rate): (u64, u64), seen: &Rc<Seen>) -> Outcome<Vec<Lane>> {
    let interval = Duration::from_nanos(1_000_000_000 * CLIENTS / rate);
    (0..CLIENTS)
        .map(|number| {
            let first = interval * number as u32 / CLIENTS as u32;
            client(server.port, Pace::Every { interval, first }, (number, keys), seen.clone())
        })
        .collect()
}

/// A connection that sets and gets keys of its own, and looks at the answers.
fn client(port: u16, pace: Pace, (number, keys): (u64, u64), seen: Rc<Seen>) -> Outcome<Lane> {
    let mut random = Random::new(number);
    let mut values: HashMap<u64, u64> = HashMap::new();
    let mut count = 0;
    // What the answers under way have to be, in order.
    let expected: Rc<RefCell<VecDeque<Vec<u8>>>> = Rc::default();
    let expecting = expected.clone();
    let requests = Box::new(move |request: &mut Vec<u8>| {
        let own = random.below(keys / CLIENTS) * CLIENTS + number;
        let name = key(own);
        if random.below(2) == 0 {
            count += 1;
            values.insert(own, count);
            append(request, &[b"SET", name.as_bytes(), format!("{count:032}").as_bytes()]);
            expecting.borrow_mut().push_back(b"+OK\r\n".to_vec());
        } else {
            append(request, &[b"GET", name.as_bytes()]);
            let value = values.get(&own).map_or_else(|| VALUE.to_owned(), |count| format!("{count:032}"));
            expecting.borrow_mut().push_back(format!("$32\r\n{value}\r\n").into_bytes());
        }
        true
    });
    let heed = Box::new(move |reply: &[u8]| {
        let expected = expected.borrow_mut().pop_front().ok_or("a reply that nobody asked for")?;
        seen.reads.set(seen.reads.get() + u64::from(expected[0] == b'$'));
        seen.wrong.set(seen.wrong.get() + u64::from(expected != reply));
        Ok(())
    });
    Ok(Lane::connect(port, Protocol::Resp, pace, requests)?.heeding(heed))
}

/// Adds the shard and drives the clients until its keys are there; the last status of the shards.
fn drive_beside_move(http: u16, mut lanes: Vec<Lane>) -> Outcome<(Drive, Value)> {
    let body = r#"{"name":"d","engine":"memory"}"#;
    let add = format!(
        "POST /v1/shards HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut first = Some(add);
    let requests = Box::new(move |request: &mut Vec<u8>| {
        let look = || "GET /v1/shards HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned();
        request.extend_from_slice(first.take().unwrap_or_else(look).as_bytes());
        true
    });
    let status = Rc::new(RefCell::new(Value::Null));
    let latest = status.clone();
    let heed = Box::new(move |reply: &[u8]| {
        let body = reply.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4);
        *latest.borrow_mut() =
            serde_json::from_slice(&reply[body..]).map_err(|error| format!("/v1/shards: {error}"))?;
        Ok(())
    });
    let pace = Pace::Every { interval: LOOKS, first: LOOKS };
    lanes.push(Lane::connect(http, Protocol::Http, pace, requests)?.in_group(1).heeding(heed));
    let mut finished = false;
    let drive = drive(&mut lanes, &mut |elapsed| {
        let status = status.borrow();
        let weight = status["shards"][3]["weight"].as_u64();
        finished = weight == Some(1) && status["move"]["moving"] == Value::Bool(false);
        finished || elapsed > PATIENCE
    })?;
    if finished { Ok((drive, status.take())) } else { Err("the move does not end".to_owned()) }
}
