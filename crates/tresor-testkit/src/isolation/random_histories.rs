//! Random histories: short ones against a check that tries every order, long ones that are known to be
//! good, the same with one read changed, and lists against the crate `adya`.
//!
//! The rules by which edges are drawn and searches cut short are subtle; the comparison with a check
//! that has none of them is what keeps them honest, in both directions.

use std::{
    collections::BTreeMap,
    env,
    time::{Duration, Instant},
};

use adya::{Opts, Valid, Workload};

use super::{
    Finding, Operation, Outcome, Report, Transaction, check,
    known_histories::{all, append, insert, list, read, write},
};
use crate::random::{Random, seed};

/// What keys of all kinds hold; a register a single value.
type Store = BTreeMap<String, Vec<u64>>;

const KEYS: [&str; 3] = ["a", "b", "c"];

/// The kinds of keys that a history is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lists,
    Registers,
    Sets,
    ListsAndSets,
}

const KINDS: [Kind; 4] = [Kind::Lists, Kind::Registers, Kind::Sets, Kind::ListsAndSets];

/// An operation that writes `number`, or reads without an answer yet.
fn operation(random: &mut Random, kind: Kind, number: u64) -> Operation {
    let key = *random.choice(&KEYS);
    let kind = match kind {
        Kind::ListsAndSets if random.one_in(2) => Kind::Sets,
        Kind::ListsAndSets => Kind::Lists,
        other => other,
    };
    // Keys of different kinds are different keys.
    match (kind, random.one_in(2)) {
        (Kind::Registers, true) => write(&format!("r{key}"), number),
        (Kind::Registers, false) => read(&format!("r{key}"), None),
        (Kind::Sets, true) => insert(&format!("s{key}"), number),
        (Kind::Sets, false) => all(&format!("s{key}"), &[]),
        (_, true) => append(&format!("l{key}"), number),
        (_, false) => list(&format!("l{key}"), &[]),
    }
}

fn held(store: &Store, key: &str) -> Vec<u64> {
    store.get(key).cloned().unwrap_or_default()
}

/// Does an operation to a store: a write changes it, a read gets its answer.
fn apply(store: &mut Store, done: &mut Vec<(String, Vec<u64>)>, operation: &mut Operation) {
    match operation {
        Operation::Append { key, element: written } | Operation::Insert { key, member: written } => {
            done.push((key.clone(), held(store, key)));
            store.entry(key.clone()).or_default().push(*written);
        }
        Operation::Write { key, value } => {
            done.push((key.clone(), held(store, key)));
            store.insert(key.clone(), vec![*value]);
        }
        Operation::ReadList { key, elements: answer } | Operation::ReadSet { key, members: answer } => {
            *answer = held(store, key);
        }
        Operation::Read { key, value } => *value = held(store, key).first().copied(),
        Operation::Undo => {
            if let Some((key, before)) = done.pop() {
                store.insert(key, before);
            }
        }
        Operation::ReadBalances(_) => {}
    }
}

/// Does a whole transaction; whether its answers were the right ones already.
fn replay(store: &mut Store, transaction: &mut Transaction) -> bool {
    let before = transaction.operations.clone();
    let mut done = Vec::new();
    for operation in &mut transaction.operations {
        apply(store, &mut done, operation);
        if let Operation::ReadSet { members, .. } = operation {
            members.sort_unstable();
        }
    }
    transaction.operations == before
}

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

fn full(usual: u64) -> u64 {
    if env::var_os("TRESOR_FULL").is_some() { usual * 20 } else { usual }
}

/// How a serial history is made.
#[derive(Clone, Copy)]
struct Shape {
    kind: Kind,
    transactions: u64,
    /// How far a transaction reaches beyond the moment in which it happens; 0 leaves no doubt.
    reach: u64,
    /// Whether outcomes may be unknown.
    unknown: bool,
    /// Whether writes may be taken back.
    undo: bool,
    /// After how many transactions other keys are used.
    rotate: u64,
}

/// A history of transactions that happened one after another, each at once.
fn serial(random: &mut Random, shape: Shape) -> Vec<Transaction> {
    let mut store = Store::new();
    let mut number = 0;
    let mut history = Vec::new();
    for place in 0..shape.transactions {
        let moment = 1000 + place * 10;
        let outcome = match random.below(10) {
            0 => Outcome::Aborted,
            1 if shape.unknown => Outcome::Unknown,
            _ => Outcome::Committed,
        };
        let mut operations = Vec::new();
        for _ in 0..1 + random.below(4) {
            number += 1;
            operations.push(operation(random, shape.kind, number));
            if shape.undo && random.one_in(8) {
                operations.push(Operation::Undo);
            }
        }
        let generation = place / shape.rotate;
        if place % shape.rotate == 0 {
            store.clear();
        }
        operations.iter_mut().for_each(|operation| {
            if let Some(key) = key_of(operation) {
                *key = format!("{key}{generation}");
            }
        });
        let mut transaction = Transaction {
            process: place,
            began: ms(moment - random.below(shape.reach + 1)),
            ended: ms(moment + 1 + random.below(shape.reach + 1)),
            operations,
            outcome,
        };
        let before = store.clone();
        replay(&mut store, &mut transaction);
        let happened = outcome == Outcome::Committed || outcome == Outcome::Unknown && random.one_in(2);
        if !happened {
            store = before;
        }
        history.push(transaction);
    }
    // The checker is to depend on no order in which transactions were recorded.
    for place in (1..history.len()).rev() {
        history.swap(place, random.index(place + 1));
    }
    history
}

fn key_of(operation: &mut Operation) -> Option<&mut String> {
    match operation {
        Operation::Append { key, .. }
        | Operation::ReadList { key, .. }
        | Operation::Write { key, .. }
        | Operation::Read { key, .. }
        | Operation::Insert { key, .. }
        | Operation::ReadSet { key, .. } => Some(key),
        Operation::ReadBalances(_) | Operation::Undo => None,
    }
}

#[test]
fn what_happened_one_after_another_passes() {
    let mut random = Random::new(seed("serial_histories"));
    for round in 0..full(200) {
        let kind = KINDS[round as usize % KINDS.len()];
        let reach = random.below(80);
        let shape = Shape { kind, transactions: 120, reach, unknown: true, undo: true, rotate: 40 };
        check(&serial(&mut random, shape)).expect("it happened one after another");
    }
}

#[test]
fn a_long_history_is_checked_in_one_pass() {
    let mut random = Random::new(seed("long_history"));
    // Registers stay short, lists are copied whole by every read.
    for (kind, rotate) in
        [(Kind::Lists, 60), (Kind::Sets, 60), (Kind::Registers, 60), (Kind::Registers, 50_000)]
    {
        let transactions = 50_000;
        let shape = Shape { kind, transactions, reach: 60, unknown: true, undo: true, rotate };
        let history = serial(&mut random, shape);
        let started = Instant::now();
        let report: Report = check(&history).expect("it happened one after another");
        println!("{report} in {:?}", started.elapsed());
        assert_eq!(report.transactions as u64, transactions);
    }
}

/// Changes one thing that some committed transaction read. False if there is none to change.
fn corrupt(random: &mut Random, history: &mut [Transaction]) -> bool {
    let place = random.index(history.len());
    let transaction = &mut history[place];
    if transaction.outcome != Outcome::Committed || transaction.operations.is_empty() {
        return false;
    }
    let at = random.index(transaction.operations.len());
    match &mut transaction.operations[at] {
        Operation::ReadList { elements: answer, .. } | Operation::ReadSet { members: answer, .. } => {
            match random.below(4) {
                0 => answer.push(u64::MAX - 1),
                1 if !answer.is_empty() => answer.push(answer[0]),
                _ => return answer.pop().is_some(),
            }
            true
        }
        Operation::Read { value, .. } if random.one_in(3) => {
            *value = Some(u64::MAX - 1);
            true
        }
        Operation::Read { value, .. } => value.take().is_some(),
        _ => false,
    }
}

#[test]
fn one_changed_read_is_caught() {
    let mut random = Random::new(seed("corrupted_histories"));
    let mut caught = 0;
    while caught < full(400) {
        let kind = *random.choice(&KINDS);
        let shape = Shape { kind, transactions: 60, reach: 0, unknown: false, undo: true, rotate: 30 };
        let mut history = serial(&mut random, shape);
        if corrupt(&mut random, &mut history) {
            assert!(check(&history).is_err(), "not caught: {history:#?}");
            caught += 1;
        }
    }
}

#[test]
fn an_outcome_that_is_not_the_true_one_is_caught() {
    let mut random = Random::new(seed("swapped_outcomes"));
    let mut caught = 0;
    while caught < full(200) {
        let kind = *random.choice(&[Kind::Lists, Kind::Sets]);
        let shape = Shape { kind, transactions: 60, reach: 0, unknown: false, undo: true, rotate: 60 };
        let mut history = serial(&mut random, shape);
        let place = random.index(history.len());
        let written: Vec<u64> = history[place]
            .operations
            .iter()
            .filter_map(|operation| match operation {
                Operation::Append { element, .. } => Some(*element),
                Operation::Insert { member, .. } => Some(*member),
                _ => None,
            })
            .collect();
        let is_seen = history.iter().enumerate().any(|(other, transaction)| {
            other != place
                && transaction.outcome == Outcome::Committed
                && transaction.operations.iter().any(|operation| match operation {
                    Operation::ReadList { elements: answer, .. }
                    | Operation::ReadSet { members: answer, .. } => {
                        answer.iter().any(|read| written.contains(read))
                    }
                    _ => false,
                })
        });
        if history[place].outcome == Outcome::Committed && is_seen {
            history[place].outcome = Outcome::Aborted;
            assert!(check(&history).is_err(), "not caught: {history:#?}");
            caught += 1;
        }
    }
}

/// Transactions whose operations happen one by one among those of others, without any protection.
fn unprotected(random: &mut Random, kind: Kind, transactions: usize, unknown: bool) -> Vec<Transaction> {
    let mut store = Store::new();
    let mut number = 0;
    let mut history: Vec<Transaction> = (0..transactions)
        .map(|process| {
            let mut new = || {
                number += 1;
                operation(random, kind, number)
            };
            let operations = vec![new(), new()];
            let outcome = if unknown && number % 3 == 0 { Outcome::Unknown } else { Outcome::Committed };
            Transaction { process: process as u64, began: ms(0), ended: ms(0), operations, outcome }
        })
        .collect();
    let mut done = vec![0; transactions];
    for now in 0.. {
        let open: Vec<usize> =
            (0..transactions).filter(|each| done[*each] < history[*each].operations.len()).collect();
        if open.is_empty() {
            break;
        }
        // A few at a time, so that some end before others begin.
        let each = open[random.index(open.len().min(3))];
        let transaction = &mut history[each];
        if done[each] == 0 {
            transaction.began = ms(now);
        }
        apply(&mut store, &mut Vec::new(), &mut transaction.operations[done[each]]);
        transaction.ended = ms(now);
        done[each] += 1;
    }
    history
}

/// Whether some order explains everything: by trying every one.
fn has_order(store: &Store, left: &[Transaction]) -> bool {
    if left.iter().all(|transaction| transaction.outcome == Outcome::Unknown) {
        return true;
    }
    (0..left.len()).any(|place| {
        let next = &left[place];
        let late = left.iter().any(|other| other.outcome == Outcome::Committed && other.ended < next.began);
        if late {
            return false;
        }
        let (mut store, mut happened) = (store.clone(), next.clone());
        sort_sets(&mut happened);
        let rest = [&left[..place], &left[place + 1..]].concat();
        replay(&mut store, &mut happened) && has_order(&store, &rest)
    })
}

fn sort_sets(transaction: &mut Transaction) {
    for operation in &mut transaction.operations {
        if let Operation::ReadSet { members, .. } = operation {
            members.sort_unstable();
        }
    }
}

#[test]
fn short_histories_are_judged_as_by_trying_every_order() {
    let mut random = Random::new(seed("every_order"));
    let (mut good, mut bad) = (0, 0);
    for round in 0..full(6000) {
        let kind = KINDS[round as usize % KINDS.len()];
        let transactions = 2 + random.index(4);
        let unknown = random.one_in(2);
        let history = unprotected(&mut random, kind, transactions, unknown);
        let expected = has_order(&Store::new(), &history);
        let found = check(&history);
        assert!(!matches!(found, Err(Finding::Undecided(_))));
        assert_eq!(found.is_ok(), expected, "{found:?} of {history:#?}");
        if expected { good += 1 } else { bad += 1 }
    }
    println!("{good} have an order, {bad} have none");
    assert!(good > 500 && bad > 500, "both have to occur: {good} and {bad}");
}

/// A history of lists as `adya` reads it: a line for each beginning and end, in the order of time.
fn as_json_lines(history: &[Transaction]) -> String {
    let mut events = Vec::new();
    for (process, transaction) in history.iter().enumerate() {
        let word = match transaction.outcome {
            Outcome::Committed => "ok",
            Outcome::Aborted => "fail",
            Outcome::Unknown => "info",
        };
        let steps: Vec<_> = transaction
            .operations
            .iter()
            .filter_map(|operation| match operation {
                Operation::Append { key, element } => Some(serde_json::json!(["append", key, element])),
                Operation::ReadList { key, elements } => Some(serde_json::json!(["r", key, elements])),
                _ => None,
            })
            .collect();
        let line = |word| serde_json::json!({ "type": word, "process": process, "value": steps }).to_string();
        events.push((transaction.began, 0, line("invoke")));
        events.push((transaction.ended, 1, line(word)));
    }
    events.sort_by_key(|(at, end, _)| (*at, *end));
    events.into_iter().map(|(_, _, line)| line + "\n").collect()
}

/// Takes the last element from a read. Not more: `adya` accepts reads of what nobody wrote.
fn shorten(random: &mut Random, history: &mut [Transaction]) {
    let place = random.index(history.len());
    for operation in &mut history[place].operations {
        if let Operation::ReadList { elements, .. } = operation {
            elements.pop();
        }
    }
}

#[test]
fn lists_are_judged_as_by_adya() {
    let mut random = Random::new(seed("adya"));
    let (mut good, mut bad) = (0, 0);
    for round in 0..full(400) {
        let transactions = 3 + random.index(20);
        let mut history = if round % 2 == 0 {
            unprotected(&mut random, Kind::Lists, transactions.min(8), false)
        } else {
            // It knows no undo.
            let shape = Shape {
                kind: Kind::Lists,
                transactions: 40,
                reach: 60,
                unknown: false,
                undo: false,
                rotate: 20,
            };
            serial(&mut random, shape)
        };
        if random.one_in(2) {
            shorten(&mut random, &mut history);
        }
        let theirs = adya::History::from_json(&as_json_lines(&history)).expect("it is a history");
        let opts = Opts { models: vec!["strict-serializable".into()], ..Opts::default() };
        let theirs = adya::check(&theirs, Workload::ListAppend, &opts);
        let ours = check(&history);
        // It says nothing where there are no edges, but those of time.
        if theirs.valid != Valid::Unknown {
            let said = &theirs.anomaly_types;
            assert_eq!(ours.is_ok(), theirs.valid == Valid::True, "{ours:?}, adya: {said:?}");
            if ours.is_ok() { good += 1 } else { bad += 1 }
        }
    }
    println!("{good} are good, {bad} are not");
    assert!(good > 20 && bad > 20, "both have to occur: {good} and {bad}");
}
