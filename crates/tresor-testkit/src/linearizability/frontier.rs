//! All ways in which a history may have gone up to one moment.
//!
//! Between events nothing is decided. Only when an operation returns, and has not happened yet, it is
//! made to happen, with whatever other open operations have to go before it (Lowe's just-in-time
//! linearization). Three rules keep the ways few, each dropping only ways that another one covers:
//! a read happens in the first state that suits it; a blind write may have happened unseen as soon as
//! another write was made after its call; of two open operations that do the same, the one that
//! returns first happens first. Operations of unknown outcome that do the same are one class with a
//! count, and whoever used fewer of them covers who used more.

use super::{
    configuration::{Configuration, Distinct, Places},
    register::{ALWAYS, Effect, Needs, State, Step, Values},
};

/// How many more configurations a single return may look at than it may keep.
const LOOK_FACTOR: usize = 8;

/// Steps that a comparison is worth: one for this many.
const COMPARISONS_A_STEP: u64 = 16;

/// An operation that has been called and will return.
#[derive(Clone, Copy, Debug)]
struct Open {
    operation: usize,
    step: Step,
    returns: usize,
    /// Those that do the same and return earlier.
    twins: Places,
}

/// Operations of unknown outcome that do the same.
#[derive(Clone, Copy, Debug)]
struct Class {
    step: Step,
    /// How many have been called, less those that have happened in every configuration.
    called: u32,
    /// Open operations that do the same and will return.
    twins: Places,
}

/// How often an operation of unknown outcome may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// At most once, as it is.
    Once,
    /// Any number of times: what cannot be explained so cannot be explained at all.
    AtWill,
}

/// How many ways are followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Breadth {
    /// About so many in all.
    pub(super) width: usize,
    /// So many that differ only by the operations of unknown outcome that they used.
    pub(super) variants: usize,
}

/// The configurations possible at one moment.
#[derive(Clone, Debug)]
pub(super) struct Frontier {
    unknown: Unknown,
    configurations: Vec<Configuration>,
    open: Vec<Option<Open>>,
    /// Those among the open that change nothing.
    reads: Places,
    /// Those among the open that write whatever they find.
    blind: Places,
    classes: Vec<Class>,
}

/// What became of the configurations when an operation returned.
#[derive(Debug)]
pub(super) struct Expansion {
    /// Those in which it has happened.
    pub(super) kept: Vec<Configuration>,
    /// Whether there may be more.
    pub(super) left_out: bool,
    /// What the key can have held before it happened.
    pub(super) states: Vec<State>,
    /// The work this took.
    pub(super) steps: u64,
}

/// What matters to all configurations while they are expanded.
struct Goal {
    place: usize,
    returning: usize,
    /// The open operations that change something, those that return first in front.
    order: Vec<usize>,
    /// Numbers that an open operation or a class asks for.
    wanted: Vec<i64>,
    /// Numbers that an open operation must not find.
    unwanted: Vec<State>,
}

fn bit(place: usize) -> Places {
    1 << place
}

impl Frontier {
    /// The beginning: an absent key and nothing open.
    pub(super) fn new(unknown: Unknown) -> Self {
        let configurations = vec![Configuration::new()];
        Self { unknown, configurations, open: Vec::new(), reads: 0, blind: 0, classes: Vec::new() }
    }

    /// How many ways there are.
    pub(super) fn width(&self) -> usize {
        self.configurations.len()
    }

    /// How many operations are open that will return.
    pub(super) fn open(&self) -> usize {
        self.open.iter().flatten().count()
    }

    /// An operation was called that will return.
    pub(super) fn call(&mut self, operation: usize, step: Step, returns: usize) {
        let free = self.open.iter().position(Option::is_none).unwrap_or_else(|| {
            self.open.push(None);
            self.open.len() - 1
        });
        if step.effect == Effect::None {
            self.reads |= bit(free);
            for configuration in &mut self.configurations {
                if step.needs.hold(configuration.state) {
                    configuration.done |= bit(free);
                }
            }
        } else if step.is_blind() {
            self.blind |= bit(free);
        }
        self.open[free] = Some(Open { operation, step, returns, twins: 0 });
        self.find_twins();
    }

    /// An operation was called of which nobody knows whether it happens.
    pub(super) fn lose(&mut self, step: Step) {
        if step.is_idle() {
            return;
        }
        match self.classes.iter_mut().find(|class| class.step == step) {
            Some(class) => class.called += 1,
            None => {
                self.classes.push(Class { step, called: 1, twins: 0 });
                self.find_twins();
            }
        }
    }

    /// Where an operation is open.
    pub(super) fn place_of(&self, operation: usize) -> usize {
        let is_it = |open: &Option<Open>| open.is_some_and(|open| open.operation == operation);
        self.open.iter().position(is_it).expect("what returns was called")
    }

    /// Takes over what [`Self::expand`] found, removes the operation that returned, and forgets what
    /// nobody looks at from `place` on.
    pub(super) fn settle(
        &mut self,
        kept: Vec<Configuration>,
        returned: usize,
        place: usize,
        values: &mut Values<'_>,
    ) {
        self.configurations = kept;
        self.open[returned] = None;
        self.reads &= !bit(returned);
        self.blind &= !bit(returned);
        for open in self.open.iter_mut().flatten() {
            open.step = values.settle_step(open.step, place);
        }
        for configuration in &mut self.configurations {
            configuration.state = values.settle(configuration.state, place);
        }
        self.settle_classes(place, values);
        self.write_off();
        if self.configurations.len() > 1 {
            let mut distinct = Distinct::new(self.reads, usize::MAX);
            for configuration in self.configurations.drain(..) {
                distinct.insert(configuration);
            }
            self.configurations = distinct.into_vec();
            self.configurations.sort_by_key(Configuration::uses);
        }
        self.find_twins();
    }

    /// Removes classes that can no longer happen, and makes one of those that have come to do the same.
    fn settle_classes(&mut self, place: usize, values: &mut Values<'_>) {
        let mut changed = false;
        for at in (0..self.classes.len()).rev() {
            let step = self.classes[at].step;
            let states = self.configurations.iter().map(|configuration| configuration.state);
            if !values.can_happen(step, place, states) {
                self.remove_class(at);
                continue;
            }
            let settled = values.settle_step(step, place);
            changed |= settled != step;
            self.classes[at].step = settled;
        }
        if changed {
            self.merge_classes();
        }
    }

    fn merge_classes(&mut self) {
        let mut at = 0;
        while at < self.classes.len() {
            let step = self.classes[at].step;
            match self.classes[..at].iter().position(|class| class.step == step) {
                Some(same) => {
                    self.classes[same].called += self.classes[at].called;
                    for configuration in &mut self.configurations {
                        let used = configuration.used(at);
                        if used > 0 {
                            configuration.use_up(same, i64::from(used));
                        }
                    }
                    self.remove_class(at);
                }
                None => at += 1,
            }
        }
    }

    /// Takes off the account what has happened in every configuration.
    fn write_off(&mut self) {
        if self.configurations.iter().all(|configuration| configuration.used.is_empty()) {
            return;
        }
        for at in (0..self.classes.len()).rev() {
            let uses = self.configurations.iter().map(|configuration| configuration.used(at));
            let in_all = uses.min().unwrap_or(0);
            if in_all > 0 {
                self.classes[at].called -= in_all;
                for configuration in &mut self.configurations {
                    configuration.use_up(at, -i64::from(in_all));
                }
            }
            if self.classes[at].called == 0 {
                self.remove_class(at);
            }
        }
    }

    /// Removes a class; the last one takes its index.
    fn remove_class(&mut self, at: usize) {
        let last = self.classes.len() - 1;
        self.classes.swap_remove(at);
        for configuration in &mut self.configurations {
            configuration.use_up(at, -i64::from(configuration.used(at)));
            let moved = configuration.used(last);
            if moved > 0 && last != at {
                configuration.use_up(last, -i64::from(moved));
                configuration.use_up(at, i64::from(moved));
            }
        }
    }

    fn find_twins(&mut self) {
        let alike = |step: Step, before: usize| -> Places {
            let twin = |open: &Open| open.step == step && open.returns < before;
            let places = self.open.iter().enumerate();
            places.filter(|(_, open)| open.as_ref().is_some_and(twin)).map(|(place, _)| bit(place)).sum()
        };
        let open = self
            .open
            .iter()
            .map(|open| open.map(|open| Open { twins: alike(open.step, open.returns), ..open }));
        let open = open.collect();
        let classes = self.classes.iter().map(|class| Class { twins: alike(class.step, ALWAYS), ..*class });
        self.classes = classes.collect();
        self.open = open;
    }

    /// Lets the open operation at a place happen in every configuration, in all ways that may matter
    /// later, or as many as `breadth` says.
    pub(super) fn expand(
        &self,
        returning: usize,
        place: usize,
        breadth: Breadth,
        values: &mut Values<'_>,
    ) -> Expansion {
        let goal = self.goal(returning, place);
        let back = bit(returning);
        let mut kept = Distinct::new(self.reads & !back, breadth.variants);
        let mut seen = Distinct::new(self.reads, breadth.variants);
        // Which of those seen are to be looked at, and whether a blind write has just made their state.
        let mut queue = Vec::new();
        for configuration in &self.configurations {
            if (configuration.done | configuration.may) & back != 0 {
                kept.insert(without(configuration.clone(), back));
            }
            // What may have happened unseen can still happen for all to see, but only now.
            if configuration.done & back == 0
                && let Some(index) = seen.insert(configuration.clone())
            {
                queue.push((index, false));
            }
        }
        let (mut steps, mut at, mut left_out) = (1, 0, false);
        let mut next = Vec::new();
        while at < queue.len() {
            let (index, fresh) = queue[at];
            at += 1;
            let Some(configuration) = seen.get(index) else { continue };
            if kept.len() >= breadth.width || seen.len() >= breadth.width.saturating_mul(LOOK_FACTOR) {
                left_out = true;
                break;
            }
            steps += self.successors(&goal, configuration, fresh, values, &mut next);
            for (configuration, happened, fresh) in next.drain(..) {
                if happened {
                    kept.insert(without(configuration, back));
                } else if let Some(index) = seen.insert(configuration) {
                    queue.push((index, fresh));
                }
            }
        }
        left_out |= kept.left_out() || seen.left_out();
        steps += (kept.compared() + seen.compared()) / COMPARISONS_A_STEP;
        Expansion { states: seen.states(), kept: kept.into_vec(), left_out, steps }
    }

    fn goal(&self, returning: usize, place: usize) -> Goal {
        let returns = |place: &usize| self.open[*place].map_or(ALWAYS, |open| open.returns);
        let mut order: Vec<usize> = (0..self.open.len())
            .filter(|place| self.open[*place].is_some() && self.reads & bit(*place) == 0)
            .collect();
        order.sort_by_key(returns);
        let open = self.open.iter().flatten().map(|open| open.step.needs);
        let needs = open.chain(self.classes.iter().map(|class| class.step.needs));
        let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
        for needs in needs {
            match needs {
                Needs::Is(State::Number(number)) => wanted.push(number),
                Needs::OneLessThan(number) => wanted.extend(number.checked_sub(1)),
                Needs::CannotCount => wanted.push(i64::MAX),
                Needs::IsNot(state) => unwanted.push(state),
                _ => {}
            }
        }
        Goal { place, returning, order, wanted, unwanted }
    }

    /// Adds what can happen next in a configuration: the configuration after it, whether the returning
    /// operation has happened with that, and whether a blind write was last. Returns the steps tried.
    fn successors(
        &self,
        goal: &Goal,
        from: &Configuration,
        fresh: bool,
        values: &mut Values<'_>,
        to: &mut Vec<(Configuration, bool, bool)>,
    ) -> u64 {
        let mut tried = 0;
        for place in &goal.order {
            let open = self.open[*place].as_ref().expect("the order names open operations");
            // If one of two alike may have happened unseen, both write blindly: either hides the other.
            let rivals = open.twins & !from.done;
            // A write that nobody sees before the next one: as if it had happened unseen.
            let unseen = fresh && open.step.is_blind();
            if from.done & bit(*place) != 0 || rivals != 0 || unseen {
                continue;
            }
            tried += 1;
            if let Some((mut after, fresh)) = self.take(goal, open.step, from, values) {
                after.done |= bit(*place);
                after.may &= !bit(*place);
                let happened = after.done & bit(goal.returning) != 0;
                to.push((after, happened, fresh));
            }
        }
        for (index, class) in self.classes.iter().enumerate() {
            let unseen = fresh && class.step.is_blind();
            let left = class.called - from.used(index);
            if left == 0 || class.twins & !from.done != 0 || unseen {
                continue;
            }
            if class.step.effect == Effect::AddOne && !goal.wants_more_than(from.state, left) {
                continue;
            }
            tried += 1;
            if let Some((mut after, fresh)) = self.take(goal, class.step, from, values) {
                if self.unknown == Unknown::Once {
                    after.use_up(index, 1);
                }
                let happened = after.done & bit(goal.returning) != 0;
                to.push((after, happened, fresh));
            }
        }
        tried
    }

    /// Takes a step, and lets the reads happen that the state after it suits.
    fn take(
        &self,
        goal: &Goal,
        step: Step,
        from: &Configuration,
        values: &mut Values<'_>,
    ) -> Option<(Configuration, bool)> {
        let state = values.settle(step.apply(from.state)?, goal.place);
        let mut after = Configuration { state, ..from.clone() };
        if step.hides_blind_writes() {
            after.may |= self.blind & !after.done;
        }
        let mut waiting = self.reads & !after.done;
        while waiting != 0 {
            let place = waiting.trailing_zeros() as usize;
            waiting &= waiting - 1;
            if self.open[place].is_some_and(|open| open.step.needs.hold(state)) {
                after.done |= bit(place);
            }
        }
        let fresh = step.is_blind() && after.done == from.done;
        Some((after, fresh))
    }
}

impl Goal {
    /// Whether adding one to the state can be of use now, when it can be done `most` times in all.
    /// Later it still can be done.
    fn wants_more_than(&self, state: State, most: u32) -> bool {
        match state {
            State::Number(number) => {
                let within_reach =
                    |wanted: &i64| *wanted > number && *wanted <= number.saturating_add(i64::from(most));
                self.wanted.iter().any(within_reach) || self.unwanted.contains(&state)
            }
            State::AnyNumber => false,
            _ => true,
        }
    }
}

/// The configuration without an operation that has returned.
fn without(configuration: Configuration, returned: Places) -> Configuration {
    Configuration {
        done: configuration.done & !returned,
        may: configuration.may & !returned,
        ..configuration
    }
}
