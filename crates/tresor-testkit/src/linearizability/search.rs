//! Goes through the history of one key and looks for an order of its operations that explains it.
//!
//! A valid history mostly has many such orders, so only a few ways are followed at first. When they
//! all end at some answer, a second search that lags behind decides whether that answer can be
//! explained at all: it follows every way, but lets operations of unknown outcome happen any number of
//! times, which makes the ways few. If even it ends there, that is the violation, and the shortest,
//! because what comes before was explained. Else the first search goes back, further each time, and
//! follows more ways, in the end all: then it is the one to find violations.
//!
//! Where no operation is open the ways differ only by what the key holds and by which unknown outcomes
//! are used up: there a history is cut by itself, and time and memory grow with its length.

use super::{
    configuration::MOST_OPEN,
    frontier::{Breadth, Frontier, Unknown},
    register::State,
    timeline::{Event, Timeline},
};

/// How many ways are followed at first.
const FIRST_WIDTH: usize = 128;

/// How many of them at first may differ by uses alone.
const FIRST_VARIANTS: usize = 1;

/// As many as there are.
const ALL_WAYS: Breadth = Breadth { width: usize::MAX, variants: usize::MAX };

/// How many times more ways are followed each time.
const WIDEN: usize = 4;

/// How many events the search goes back at first, and how many lie between places to go back to.
const FIRST_DISTANCE: usize = 64;

/// How many times further the search goes back each time.
const LENGTHEN: usize = 8;

/// What a search found.
#[derive(Debug)]
pub(super) enum Ending {
    /// An order explains every answer.
    Linearizable,
    /// No order explains what was answered up to the return of this operation.
    Violated {
        /// The operation that returned.
        operation: usize,
        /// What the key can have held before it happened.
        states: Vec<State>,
    },
    /// The limit was reached before the return of this operation was explained.
    Undecided {
        /// The operation that returned, or was one too many to be open.
        operation: usize,
    },
}

/// What a search took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Effort {
    /// Steps of the search.
    pub(super) steps: u64,
    /// The most ways that were followed at a time.
    pub(super) widest: usize,
}

/// A search under way.
struct Search<'t, 'h> {
    timeline: &'t mut Timeline<'h>,
    limit: u64,
    effort: Effort,
    first: Breadth,
    /// Follows only some ways.
    narrow: Position,
    /// Follows all ways, with operations of unknown outcome at will. Never ahead of the other.
    lagging: Position,
    /// Places where ways were left out, from before that was done; the first one ever is the first.
    left_out: Vec<Position>,
    /// The last answer that the ways followed did not explain.
    trouble: usize,
    /// How often the search went back from there.
    tries: u32,
}

/// How far a search has come.
#[derive(Clone)]
struct Position {
    place: usize,
    frontier: Frontier,
}

/// An operation whose answer was not explained, and what the key can have held before.
struct Unexplained {
    operation: usize,
    states: Vec<State>,
}

/// Searches, for at most about `limit` steps.
pub(super) fn search(timeline: &mut Timeline<'_>, limit: u64) -> (Ending, Effort) {
    search_from(timeline, limit, Breadth { width: FIRST_WIDTH, variants: FIRST_VARIANTS })
}

/// Searches with so much breadth at first.
pub(super) fn search_from(timeline: &mut Timeline<'_>, limit: u64, first: Breadth) -> (Ending, Effort) {
    let mut search = Search {
        timeline,
        limit,
        effort: Effort::default(),
        first,
        narrow: Position { place: 0, frontier: Frontier::new(Unknown::Once) },
        lagging: Position { place: 0, frontier: Frontier::new(Unknown::AtWill) },
        left_out: Vec::new(),
        trouble: 0,
        tries: 0,
    };
    let ending = search.run();
    (ending, search.effort)
}

impl Search<'_, '_> {
    fn run(&mut self) -> Ending {
        while self.narrow.place < self.timeline.events.len() {
            let breadth = if self.narrow.place > self.trouble { self.first } else { self.breadth() };
            let before = match self.advance(true, breadth) {
                Ok(None) => continue,
                Ok(Some(unexplained)) => unexplained,
                Err(ending) => return ending,
            };
            if self.left_out.is_empty() {
                return Ending::Violated { operation: before.operation, states: before.states };
            }
            match self.catch_up() {
                Ok(None) => self.go_back(),
                Ok(Some(Unexplained { operation, states })) => return Ending::Violated { operation, states },
                Err(ending) => return ending,
            }
        }
        Ending::Linearizable
    }

    /// The ways to follow at the present try.
    fn breadth(&self) -> Breadth {
        let more = WIDEN.saturating_pow(self.tries);
        let Breadth { width, variants } = self.first;
        Breadth { width: width.saturating_mul(more), variants: variants.saturating_mul(more) }
    }

    /// Brings the lagging search past the answer that the narrow one cannot explain.
    fn catch_up(&mut self) -> Result<Option<Unexplained>, Ending> {
        while self.lagging.place <= self.narrow.place {
            let unexplained = self.advance(false, ALL_WAYS)?;
            if unexplained.is_some() {
                return Ok(unexplained);
            }
        }
        Ok(None)
    }

    /// Goes back to where something was left out, and is to follow more ways from there.
    fn go_back(&mut self) {
        let from = self.narrow.place;
        self.tries = if from > self.trouble { 1 } else { self.tries + 1 };
        self.trouble = self.trouble.max(from);
        let distance = FIRST_DISTANCE.saturating_mul(LENGTHEN.saturating_pow(self.tries - 1));
        let far_enough = |position: &Position| from - position.place >= distance;
        let back = self.left_out.iter().rposition(far_enough).unwrap_or(0);
        // If something is left out there again it comes back to the list.
        self.left_out.truncate(back + 1);
        self.narrow = self.left_out.pop().expect("something was left out");
    }

    /// Passes one event in the narrow search or in the lagging one. Stays before an answer that is not
    /// explained.
    fn advance(&mut self, narrow: bool, breadth: Breadth) -> Result<Option<Unexplained>, Ending> {
        let position = if narrow { &mut self.narrow } else { &mut self.lagging };
        let place = position.place;
        let (steps, values) = (&self.timeline.steps, &mut self.timeline.values);
        let operation = match self.timeline.events[place] {
            Event::Called(operation) if position.frontier.open() == MOST_OPEN => {
                return Err(Ending::Undecided { operation });
            }
            Event::Called(operation) => {
                let step = values.settle_step(steps[operation], place);
                position.frontier.call(operation, step, self.timeline.returns[operation]);
                position.place += 1;
                return Ok(None);
            }
            Event::Lost(operation) => {
                position.frontier.lose(values.settle_step(steps[operation], place));
                position.place += 1;
                return Ok(None);
            }
            Event::Returned(operation) => operation,
        };
        let open_at = position.frontier.place_of(operation);
        let expansion = position.frontier.expand(open_at, place, breadth, values);
        self.effort.steps += expansion.steps;
        if self.effort.steps > self.limit {
            return Err(Ending::Undecided { operation });
        }
        if expansion.left_out && self.left_out.last().is_none_or(|last| place - last.place >= FIRST_DISTANCE)
        {
            self.left_out.push(position.clone());
        }
        if expansion.kept.is_empty() {
            return Ok(Some(Unexplained { operation, states: expansion.states }));
        }
        position.frontier.settle(expansion.kept, open_at, place + 1, values);
        position.place += 1;
        self.effort.widest = self.effort.widest.max(position.frontier.width());
        Ok(None)
    }
}
