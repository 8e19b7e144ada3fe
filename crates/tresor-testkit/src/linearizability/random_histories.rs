//! Random histories: short ones against a check that tries every order, long ones that are known to
//! be linearizable, the same with one answer changed, and those of real threads.
//!
//! The rules by which the search drops ways are subtle; the comparison with the plain check is what
//! keeps them honest, in verdict and in the point of failure.

use std::{
    collections::HashMap,
    env, mem, thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    Answer, Finding, History, Operation, Outcome, Record, Report, check,
    frontier::Breadth,
    search::{Ending, search_from},
    timeline::Timeline,
};
use crate::random::{Random, seed};

/// How histories are made.
#[derive(Clone, Copy)]
struct Shape {
    clients: u64,
    operations: u64,
    /// One operation in so many has an unknown outcome.
    unknown_one_in: u64,
    /// Whether most values occur once.
    unique: bool,
    /// How long a client pauses at most, where an operation takes 1000 at most.
    pause: u64,
}

const LENGTH: u64 = 1000;

fn value(random: &mut Random, unique: bool) -> Vec<u8> {
    let text = match random.below(4) {
        0 => random.below(4).to_string(),
        _ if unique => random.below(1 << 40).to_string(),
        _ => random.choice(&["a", "b", "1", "2"]).to_string(),
    };
    text.into_bytes()
}

fn operation(random: &mut Random, unique: bool, likely: &Option<Vec<u8>>) -> Operation {
    match random.below(20) {
        0..5 => Operation::Get,
        5..10 => Operation::Set(value(random, unique)),
        10..12 => Operation::SetIfAbsent(value(random, unique)),
        12..15 => {
            let guess = if random.one_in(4) { None } else { likely.clone() };
            let expected = guess.unwrap_or_else(|| value(random, unique));
            Operation::CompareAndSet { expected, new: value(random, unique) }
        }
        15..17 => Operation::Increment,
        17..19 => Operation::Delete,
        _ => Operation::Expire,
    }
}

/// A linearizable history of one key: each operation takes effect at a moment within its interval, one
/// of unknown outcome at any later moment or never.
fn linearizable(random: &mut Random, shape: Shape) -> Vec<Record> {
    let mut planned = Vec::new();
    for client in 0..shape.clients {
        let mut now = random.below(LENGTH);
        for _ in 0..shape.operations / shape.clients {
            let (called, returned) = (now, now + random.below(LENGTH));
            let unknown = random.one_in(shape.unknown_one_in);
            let moment = match (unknown, random.below(3)) {
                (false, _) => Some(called + random.below(returned - called + 1)),
                (true, 0) => None,
                (true, 1) => Some(returned + random.below(2 * LENGTH)),
                (true, _) => Some(returned + random.below(LENGTH * shape.operations)),
            };
            planned.push((moment, client, called, (!unknown).then_some(returned)));
            now = returned + 1 + random.below(shape.pause);
        }
    }
    planned.sort();
    let mut held = None;
    let record = |(moment, client, called, returned): (Option<u64>, u64, u64, Option<u64>)| {
        let operation = operation(random, shape.unique, &held);
        let answer = moment.map(|_| operation.apply(&mut held));
        let outcome = match (returned, answer) {
            (Some(returned), Some(answer)) => Outcome::Answered(answer, Duration::from_micros(returned)),
            _ => Outcome::Unknown,
        };
        let called = Duration::from_micros(called);
        Record { client, key: b"k".to_vec(), operation, called, outcome }
    };
    planned.into_iter().map(record).collect()
}

/// Gives one answered operation another answer; `false` if there is none that was answered.
fn mutate(random: &mut Random, records: &mut [Record]) -> bool {
    let answered: Vec<usize> = (0..records.len())
        .filter(|index| match &records[*index].outcome {
            Outcome::Answered(answer, _) => *answer != Answer::Done,
            _ => false,
        })
        .collect();
    if answered.is_empty() {
        return false;
    }
    let index = *random.choice(&answered);
    let other = records[random.index(records.len())].operation.clone();
    let Outcome::Answered(answer, _) = &mut records[index].outcome else { return false };
    let new = match answer {
        Answer::Applied(applied) => Answer::Applied(!*applied),
        Answer::Number(number) => Answer::Number(*number + 1 - 2 * random.below(2) as i64),
        Answer::NotAnInteger => Answer::Number(random.below(5) as i64),
        Answer::Value(_) | Answer::Done => match other {
            Operation::Set(value) | Operation::SetIfAbsent(value) => Answer::Value(Some(value)),
            _ => Answer::Value(None),
        },
    };
    mem::replace(answer, new.clone()) != new
}

fn history(records: &[Record]) -> History {
    let history = History::new();
    for record in records {
        history.add(record.clone());
    }
    history
}

/// Whether an order explains the answers given up to `until`: the plain search, for few operations.
fn explained(records: &[Record], until: Duration) -> bool {
    let records: Vec<&Record> =
        records.iter().filter(|record| record.called <= until && record.outcome != Outcome::Failed).collect();
    let must = records.iter().enumerate().filter(|(_, record)| returned(record) <= until);
    let must: u32 = must.map(|(index, _)| 1 << index).sum();
    explained_from(&records, must, 0, &None)
}

fn returned(record: &Record) -> Duration {
    match record.outcome {
        Outcome::Answered(_, at) => at,
        _ => Duration::MAX,
    }
}

fn explained_from(records: &[&Record], must: u32, done: u32, held: &Option<Vec<u8>>) -> bool {
    if must & !done == 0 {
        return true;
    }
    let waiting = |index: &usize| done & (1 << index) == 0;
    let first_return = (0..records.len()).filter(waiting).map(|index| returned(records[index])).min();
    (0..records.len()).filter(waiting).any(|index| {
        let record = records[index];
        let mut after = held.clone();
        let given = record.operation.apply(&mut after);
        let right = match &record.outcome {
            Outcome::Answered(answer, _) => *answer == given,
            _ => true,
        };
        let in_time = first_return.is_none_or(|first| record.called <= first);
        right && in_time && explained_from(records, must, done | (1 << index), &after)
    })
}

/// How many times as many rounds as usual.
fn rounds(usual: usize) -> usize {
    if env::var_os("TRESOR_FULL").is_some() { usual * 20 } else { usual }
}

#[test]
fn short_histories_are_judged_as_by_trying_every_order() {
    let mut random = Random::new(seed("short_histories_are_judged_as_by_trying_every_order"));
    let (mut linearizable_ones, all) = (0, rounds(20_000));
    for _ in 0..all {
        let operations = 2 + random.below(7);
        let clients = 1 + random.below(operations.min(5));
        let shape =
            Shape { clients, operations, unknown_one_in: 2 + random.below(6), unique: false, pause: LENGTH };
        let mut records = linearizable(&mut random, shape);
        for _ in 0..random.below(4) {
            mutate(&mut random, &mut records);
        }
        let expected = explained(&records, Duration::MAX - Duration::from_nanos(1));
        let show = || records.iter().map(|record| format!("{record}\n")).collect::<String>();
        let found = check(&history(&records));
        match found {
            Ok(_) => assert!(expected, "taken for linearizable:\n{}", show()),
            Err(Finding::Violation(violation)) => {
                assert!(!expected, "taken for a violation: {violation}\n{}", show());
                let at = returned(&violation.answered);
                assert!(!explained(&records, at), "not yet a violation: {violation}\n{}", show());
                let shorter = at.checked_sub(Duration::from_nanos(1));
                let holds = shorter.is_none_or(|before| explained(&records, before));
                assert!(holds, "a violation before: {violation}\n{}", show());
            }
            Err(undecided) => panic!("{undecided}\n{}", show()),
        }
        linearizable_ones += usize::from(expected);
    }
    assert!((all / 5..all * 9 / 10).contains(&linearizable_ones), "{linearizable_ones} of {all}");
}

/// At whose return a search ends that begins with so much breadth; `None` if it does not.
fn failure(records: &[Record], first: Breadth) -> Option<usize> {
    let of_key: Vec<&Record> = records.iter().collect();
    match search_from(&mut Timeline::new(&of_key), u64::MAX, first).0 {
        Ending::Linearizable => None,
        Ending::Violated { operation, .. } => Some(operation),
        Ending::Undecided { .. } => panic!("there was no limit"),
    }
}

#[test]
fn few_ways_at_first_end_as_all_ways_do() {
    let mut random = Random::new(seed("few_ways_at_first_end_as_all_ways_do"));
    let (few, all) = (Breadth { width: 1, variants: 1 }, Breadth { width: usize::MAX, variants: usize::MAX });
    let mut failures = 0;
    for _ in 0..rounds(300) {
        let shape =
            Shape { clients: 5, operations: 60, unknown_one_in: 10, unique: false, pause: LENGTH / 4 };
        let mut records = linearizable(&mut random, shape);
        for _ in 0..random.below(3) {
            mutate(&mut random, &mut records);
        }
        let found = failure(&records, all);
        assert_eq!(failure(&records, few), found);
        failures += usize::from(found.is_some());
    }
    assert!(failures > 0);
}

#[test]
fn widened_histories_hold_and_most_changed_answers_do_not() {
    let mut random = Random::new(seed("widened_histories_hold_and_most_changed_answers_do_not"));
    for (clients, pause, at_least) in [(1, 1, 75), (4, 3 * LENGTH, 65), (8, 10 * LENGTH, 65), (8, LENGTH, 40)]
    {
        let (mut caught, mut changed) = (0, 0);
        for _ in 0..rounds(100) {
            let shape = Shape { clients, operations: 400, unknown_one_in: 100, unique: true, pause };
            let mut records = linearizable(&mut random, shape);
            check(&history(&records)).expect("it was made linearizable");
            if mutate(&mut random, &mut records) {
                changed += 1;
                caught += usize::from(matches!(check(&history(&records)), Err(Finding::Violation(_))));
            }
        }
        println!("{clients} clients with pauses of {pause}: {caught} of {changed} were found");
        assert!(caught * 100 >= changed * at_least, "{clients} clients: only {caught} of {changed}");
    }
}

#[test]
fn long_histories_of_many_clients_are_checked() {
    let mut random = Random::new(seed("long_histories_of_many_clients_are_checked"));
    for (clients, unknown_one_in) in [(4, 50), (16, 1000), (16, 100)] {
        for unique in [false, true] {
            let shape = Shape { clients, operations: 5000, unknown_one_in, unique, pause: LENGTH / 10 };
            let history = history(&linearizable(&mut random, shape));
            let started = Instant::now();
            let report = check(&history).expect("it was made linearizable");
            print!("{clients} clients, {:?}: {report}", started.elapsed());
            let end = Duration::from_secs(3600);
            let answer = Answer::Value(Some(b"never written".to_vec()));
            let outcome = Outcome::Answered(answer, end + Duration::from_secs(1));
            let (key, operation) = (b"k".to_vec(), Operation::Get);
            let impossible = Record { client: 99, key, operation, called: end, outcome };
            history.add(impossible.clone());
            let started = Instant::now();
            match check(&history) {
                Err(Finding::Violation(violation)) => assert_eq!(violation.answered, impossible),
                other => panic!("a violation was to be found, not {other:?}"),
            }
            println!("{clients} clients, {:?}: a violation at the end", started.elapsed());
        }
    }
}

/// A map whose calls are sometimes lost on the way there or back.
struct Map(Mutex<HashMap<Vec<u8>, Vec<u8>>>);

impl Map {
    fn apply(&self, key: &[u8], operation: &Operation) -> Answer {
        let mut map = self.0.lock();
        let mut value = map.remove(key);
        let answer = operation.apply(&mut value);
        if let Some(value) = value {
            map.insert(key.to_vec(), value);
        }
        answer
    }
}

fn client(map: &Map, history: &History, client: u64, operations: u64, mut random: Random) {
    let mut late: Option<(Vec<u8>, Operation)> = None;
    let mut likely = None;
    for number in 0..operations {
        let key = [b'a' + random.below(5) as u8];
        let mut operation = operation(&mut random, true, &likely);
        if let Operation::Set(value) = &mut operation
            && random.one_in(2)
        {
            *value = format!("{client}:{number}").into_bytes();
        }
        let call = history.begin(client, key, operation.clone());
        if random.one_in(4) {
            thread::yield_now();
        }
        match random.below(300) {
            0 => call.unknown(),
            1 => {
                map.apply(&key, &operation);
                call.unknown();
            }
            2 => {
                late = Some((key.to_vec(), operation));
                call.unknown();
            }
            3 => call.failed(),
            _ => {
                let answer = map.apply(&key, &operation);
                if random.one_in(8) {
                    thread::yield_now();
                }
                if let Answer::Value(value) = &answer {
                    likely.clone_from(value);
                }
                call.ok(answer);
            }
        }
        if random.one_in(20)
            && let Some((key, operation)) = late.take()
        {
            map.apply(&key, &operation);
        }
    }
}

/// Runs clients against a map and checks what they saw.
fn run(clients: u64, operations: u64, seed: u64) -> Result<Report, Finding> {
    let (map, history) = (Map(Mutex::default()), History::new());
    thread::scope(|scope| {
        for number in 0..clients {
            let (map, history) = (&map, history.clone());
            let random = Random::new(seed.wrapping_add(number));
            scope.spawn(move || client(map, &history, number, operations / clients, random));
        }
    });
    check(&history)
}

#[test]
fn threads_on_a_map_under_a_lock_are_linearizable() {
    let seed = seed("threads_on_a_map_under_a_lock_are_linearizable");
    let started = Instant::now();
    let report = run(8, 50_000, seed).expect("a map under a lock is linearizable");
    print!("{:?}:\n{report}", started.elapsed());
    assert!(report.operations() > 49_000 && report.unknown() > 100, "{report}");
}
