//! The history of one key as events in order of time, with what each operation needs and does.
//!
//! What cannot matter is left out: operations that failed, and reads whose outcome is unknown. A call
//! and a return at the same time are taken for concurrent, so a coarse clock never accuses anybody.

use super::{
    history::{Operation, Outcome, Record},
    register::{ALWAYS, Step, Values},
};

/// Something that happened to the operation with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It began, and will return.
    Called(usize),
    /// It began, and nobody knows how it ends.
    Lost(usize),
    /// It was answered.
    Returned(usize),
}

/// The history of one key.
#[derive(Debug)]
pub(super) struct Timeline<'h> {
    /// What is checked, in order of their calls.
    pub(super) records: Vec<&'h Record>,
    /// The step of each of them.
    pub(super) steps: Vec<Step>,
    /// The place of the return of each of them, if it has one.
    pub(super) returns: Vec<usize>,
    pub(super) events: Vec<Event>,
    pub(super) values: Values<'h>,
}

impl<'h> Timeline<'h> {
    /// Puts the records of one key in order.
    pub(super) fn new(of_key: &[&'h Record]) -> Self {
        let mut records: Vec<&Record> = of_key.iter().copied().filter(|record| matters(record)).collect();
        records.sort_by_key(|record| record.called);
        let events = events(&records);
        let mut returns = vec![ALWAYS; records.len()];
        for (place, event) in events.iter().enumerate() {
            if let Event::Returned(operation) = event {
                returns[*operation] = place;
            }
        }
        let increments = records.iter().filter(|record| record.operation == Operation::Increment);
        let unknown_increments = increments.clone().filter(|record| record.outcome == Outcome::Unknown);
        let mut values = Values::new(increments.clone().count(), unknown_increments.count());
        let step = |(record, place): (&&'h Record, &usize)| match &record.outcome {
            Outcome::Answered(answer, _) => values.answered(&record.operation, answer, place + 1),
            Outcome::Failed | Outcome::Unknown => values.unanswered(&record.operation),
        };
        let steps = records.iter().zip(&returns).map(step).collect();
        Self { records, steps, returns, events, values }
    }
}

/// Whether the record says anything about what the key holds.
fn matters(record: &Record) -> bool {
    match record.outcome {
        Outcome::Answered(..) => true,
        Outcome::Failed => false,
        Outcome::Unknown => record.operation.writes(),
    }
}

fn events(records: &[&Record]) -> Vec<Event> {
    let mut timed = Vec::with_capacity(2 * records.len());
    for (operation, record) in records.iter().enumerate() {
        if let Outcome::Answered(_, at) = record.outcome {
            timed.push((record.called, false, Event::Called(operation)));
            timed.push((at, true, Event::Returned(operation)));
        } else {
            timed.push((record.called, false, Event::Lost(operation)));
        }
    }
    timed.sort_by_key(|(at, returned, _)| (*at, *returned));
    timed.into_iter().map(|(_, _, event)| event).collect()
}
