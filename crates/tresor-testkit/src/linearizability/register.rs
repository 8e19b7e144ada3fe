//! The object that a key is, in the small words the search works with.
//!
//! An operation with its answer becomes a [`Step`]: what it needs of the state, and what it does to it.
//! A state names its value only as long as somebody may still look at exactly that value; after that
//! it is just some text or some number. Such states behave alike from there on, so taking them for one
//! loses nothing, and most writes whose outcome is unknown become the same write: they are counted
//! instead of tried one by one.

use std::collections::{BTreeMap, HashMap};

use super::history::{Answer, Operation, integer};
use crate::reply::quoted;

/// Looked at for as long as the history goes on.
pub(super) const ALWAYS: usize = usize::MAX;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    Absent,
    /// The canonical decimal text of a number. Only where a key is ever incremented.
    Number(i64),
    /// Any other text, by its number in [`Values`].
    Text(usize),
    /// A number that nobody will look at, nor what increments of unknown outcome make of it.
    AnyNumber,
    /// A text that is no number and that nobody will look at.
    AnyText,
}

/// What a step needs to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    Absent,
    Present,
    Is(State),
    /// Something else, or absence.
    IsNot(State),
    /// What an increment makes this number of.
    OneLessThan(i64),
    /// What an increment makes a number of.
    CanCount,
    /// What an increment refuses.
    CannotCount,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    Put(State),
    AddOne,
}

/// An operation with its answer, or without one if its outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) needs: Needs,
    pub(super) effect: Effect,
}

impl Needs {
    pub(super) fn hold(self, state: State) -> bool {
        match self {
            Self::Nothing => true,
            Self::Absent => state == State::Absent,
            Self::Present => state != State::Absent,
            Self::Is(expected) => state == expected,
            Self::IsNot(expected) => state != expected,
            Self::OneLessThan(number) => match state {
                State::Absent => number == 1,
                State::Number(held) => held.checked_add(1) == Some(number),
                _ => false,
            },
            Self::CanCount => match state {
                State::Absent | State::AnyNumber => true,
                State::Number(number) => number != i64::MAX,
                State::Text(_) | State::AnyText => false,
            },
            Self::CannotCount => !Self::CanCount.hold(state),
        }
    }
}

impl Step {
    /// The state after it, if it can be taken in this one.
    pub(super) fn apply(self, state: State) -> Option<State> {
        self.needs.hold(state).then(|| match (self.effect, state) {
            (Effect::None, state) => state,
            (Effect::Put(new), _) => new,
            (Effect::AddOne, State::Number(number)) => State::Number(number + 1),
            (Effect::AddOne, State::Absent) => State::Number(1),
            (Effect::AddOne, state) => state,
        })
    }

    /// Whether it writes whatever it finds.
    pub(super) fn is_blind(self) -> bool {
        self.needs == Needs::Nothing
    }

    /// Whether it changes nothing, whatever it finds.
    pub(super) fn is_idle(self) -> bool {
        self.effect == Effect::None
            || matches!(self, Self { needs: Needs::Is(from), effect: Effect::Put(to) } if from == to)
    }

    /// Whether a blind write right before it would leave no trace: it could be taken all the same, and
    /// the state after it would be the same.
    pub(super) fn hides_blind_writes(self) -> bool {
        matches!(self, Self { needs: Needs::Nothing | Needs::Present, effect: Effect::Put(_) })
    }
}

/// The values that occur in the history of one key, and until when somebody looks at them.
///
/// A place in the history is the number of its events that have passed.
#[derive(Debug, Default)]
pub(super) struct Values<'h> {
    texts: Vec<&'h [u8]>,
    indexes: HashMap<&'h [u8], usize>,
    texts_seen_until: Vec<usize>,
    texts_made_until: Vec<usize>,
    /// Whether any increment occurs; else nothing tells numbers from other texts.
    counts: bool,
    unknown_increments: i64,
    numbers_seen_until: BTreeMap<i64, usize>,
    numbers_made_until: BTreeMap<i64, usize>,
    /// Answers that were given before, with unknown increments in the account.
    remembered: HashMap<i64, usize>,
}

impl<'h> Values<'h> {
    /// No values yet; a key with increments tells numbers from other texts.
    pub(super) fn new(increments: usize, unknown_increments: usize) -> Self {
        let mut values = Self {
            counts: increments > 0,
            unknown_increments: i64::try_from(unknown_increments).unwrap_or(i64::MAX),
            ..Self::default()
        };
        if values.counts {
            // It cannot be incremented, unlike any other number.
            values.numbers_seen_until.insert(i64::MAX, ALWAYS);
        }
        values
    }

    /// The step of an operation with its answer; `until` is the place where it has returned.
    pub(super) fn answered(&mut self, operation: &'h Operation, answer: &'h Answer, until: usize) -> Step {
        let step = self.step(operation, Some(answer), until);
        self.make(step, until);
        step
    }

    /// The step of an operation that is applied, if it ever is.
    pub(super) fn unanswered(&mut self, operation: &'h Operation) -> Step {
        let step = self.step(operation, None, ALWAYS);
        self.make(step, ALWAYS);
        step
    }

    fn step(&mut self, operation: &'h Operation, answer: Option<&'h Answer>, until: usize) -> Step {
        let (needs, effect) = match (operation, answer) {
            (Operation::Get, Some(Answer::Value(None))) => (Needs::Absent, Effect::None),
            (Operation::Get, Some(Answer::Value(Some(value)))) => {
                (Needs::Is(self.looked_at(value, until)), Effect::None)
            }
            (Operation::Get, _) => (Needs::Nothing, Effect::None),
            (Operation::Set(value), _) => (Needs::Nothing, Effect::Put(self.state(value))),
            (Operation::SetIfAbsent(_), Some(Answer::Applied(false))) => (Needs::Present, Effect::None),
            (Operation::SetIfAbsent(value), _) => (Needs::Absent, Effect::Put(self.state(value))),
            (Operation::CompareAndSet { expected, .. }, Some(Answer::Applied(false))) => {
                (Needs::IsNot(self.looked_at(expected, until)), Effect::None)
            }
            (Operation::CompareAndSet { expected, new }, _) => {
                let (expected, new) = (self.looked_at(expected, until), self.state(new));
                // A write of the same value is a read.
                let effect = if new == expected { Effect::None } else { Effect::Put(new) };
                (Needs::Is(expected), effect)
            }
            (Operation::Increment, Some(Answer::Number(number))) => {
                if let Some(before) = number.checked_sub(1) {
                    self.look_at_number(before, until);
                }
                (Needs::OneLessThan(*number), Effect::Put(State::Number(*number)))
            }
            (Operation::Increment, Some(_)) => (Needs::CannotCount, Effect::None),
            (Operation::Increment, None) => (Needs::CanCount, Effect::AddOne),
            (Operation::Delete, Some(Answer::Applied(false))) => (Needs::Absent, Effect::None),
            (Operation::Delete, _) => (Needs::Present, Effect::Put(State::Absent)),
            (Operation::Expire, Some(Answer::Applied(true))) => (Needs::Present, Effect::None),
            (Operation::Expire, Some(_)) => (Needs::Absent, Effect::None),
            (Operation::Expire, None) => (Needs::Nothing, Effect::None),
        };
        Step { needs, effect }
    }

    /// The state of a value, by its name.
    fn state(&mut self, value: &'h [u8]) -> State {
        if self.counts
            && let Some(number) = integer(value)
        {
            return State::Number(number);
        }
        let next = self.texts.len();
        let index = *self.indexes.entry(value).or_insert(next);
        if index == next {
            self.texts.push(value);
            self.texts_seen_until.push(0);
            self.texts_made_until.push(0);
        }
        State::Text(index)
    }

    fn looked_at(&mut self, value: &'h [u8], until: usize) -> State {
        let state = self.state(value);
        match state {
            State::Text(index) => {
                let seen_until = &mut self.texts_seen_until[index];
                *seen_until = until.max(*seen_until);
            }
            State::Number(number) => self.look_at_number(number, until),
            _ => {}
        }
        state
    }

    /// Notes until when a step may bring its value about.
    fn make(&mut self, step: Step, until: usize) {
        let made_until = match step.effect {
            Effect::Put(State::Text(index)) => &mut self.texts_made_until[index],
            Effect::Put(State::Number(number)) => self.numbers_made_until.entry(number).or_default(),
            _ => return,
        };
        *made_until = until.max(*made_until);
    }

    fn look_at_number(&mut self, number: i64, until: usize) {
        let seen_until = self.numbers_seen_until.entry(number).or_default();
        *seen_until = until.max(*seen_until);
    }

    /// The state as it is from a place on: without its name if nobody looks at that any more.
    pub(super) fn settle(&mut self, state: State, place: usize) -> State {
        match state {
            State::Text(index) if self.texts_seen_until[index] <= place => State::AnyText,
            State::Number(number) if self.number_seen_until(number) <= place => State::AnyNumber,
            state => state,
        }
    }

    /// The same of a step. What it needs is looked at until it has returned, and so keeps its name.
    pub(super) fn settle_step(&mut self, step: Step, place: usize) -> Step {
        match step.effect {
            Effect::Put(state) => Step { effect: Effect::Put(self.settle(state, place)), ..step },
            Effect::None | Effect::AddOne => step,
        }
    }

    /// A number is looked at, too, when what all unknown increments together can make of it is.
    fn number_seen_until(&mut self, number: i64) -> usize {
        if let Some(until) = self.remembered.get(&number) {
            return *until;
        }
        let last = number.saturating_add(self.unknown_increments);
        let until = self.numbers_seen_until.range(number..=last).map(|(_, until)| *until).max().unwrap_or(0);
        self.remembered.insert(number, until);
        until
    }

    /// Whether a step can still be taken at a place or later, with the key in one of these states.
    pub(super) fn can_happen(
        &self,
        step: Step,
        place: usize,
        states: impl IntoIterator<Item = State>,
    ) -> bool {
        let mut states = states.into_iter();
        match step.needs {
            Needs::Is(State::Text(index)) => {
                self.texts_made_until[index] > place || states.any(|state| state == State::Text(index))
            }
            Needs::Is(State::Number(number)) => {
                // It may be made of a lower number, too, or of none.
                let near = number.saturating_sub(self.unknown_increments)..=number;
                near.contains(&0)
                    || self.numbers_made_until.range(near.clone()).any(|(_, until)| *until > place)
                    || states.any(|state| matches!(state, State::Number(held) if near.contains(&held)))
            }
            _ => true,
        }
    }

    /// The state in words.
    pub(super) fn describe(&self, state: State) -> String {
        match state {
            State::Absent => "absent".to_owned(),
            State::Number(number) => quoted(number.to_string().as_bytes()),
            State::Text(index) => quoted(self.texts[index]),
            State::AnyNumber => "a number that is not read later".to_owned(),
            State::AnyText => "a value that is not read later".to_owned(),
        }
    }
}
