//! What can be asked of a server's shards: which there are, one more, one fewer, other weights, and a trial.
//!
//! One change is prepared at a time, and one trial; whoever comes meanwhile is sent away, so no thread waits
//! behind another. A shard that is added is remembered before it can have keys, and forgotten after it has
//! none. Engines that were opened once stay open until the end: a shard that comes back finds its own.

use std::{collections::BTreeMap, fmt, sync::Arc};

use parking_lot::Mutex;
use tresor::{
    Config, Database, Error, ErrorKind, Result,
    clock::Clock,
    engine::Engine,
    files::SystemFiles,
    layer::sharded::{Move, Shard, Sharded, ring::MAX_WEIGHT},
};

use super::{ReadShards, ShardChoice, added_shards::AddedShards};
use crate::assemble::EngineChoice;

/// A change of the shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShardChange {
    /// One more: that of this name in the configuration file, or one in the layer's own directory.
    Add {
        /// What it is called.
        name: String,
        /// Where its data lives; needed unless the configuration file says so.
        engine: Option<EngineChoice>,
        /// Its weight; that of the configuration file, or 1.
        weight: Option<u32>,
    },
    /// One fewer.
    Remove {
        /// What it is called.
        name: String,
    },
    /// Other weights by name; without any, all as they are configured.
    Rebalance {
        /// What they are called, and what they are to weigh.
        weights: BTreeMap<String, u32>,
    },
}

/// Why a change was not begun.
#[derive(Debug)]
pub enum Refusal {
    /// Another one is going on.
    Busy(&'static str),
    /// It cannot be done.
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

const MOVING: &str = "keys are being moved already: wait until that is done, then ask again";
const PREPARING: &str = "another change of the shards is being prepared: ask again";
const TRYING: &str = "another change of the shards is being tried out: ask again";

/// The shards of a running server.
pub struct ShardControl {
    database: Database,
    sharded: Arc<Sharded>,
    clock: Arc<dyn Clock>,
    configured: ReadShards,
    state: Mutex<State>,
    trying: Mutex<()>,
}

struct State {
    added: AddedShards,
    /// Every store that was a shard in this run.
    opened: Vec<(ShardChoice, Arc<dyn Engine>)>,
}

/// A change with everything found out.
struct Resolved {
    weights: Vec<(String, u32)>,
    /// The shard that comes, and whether only the layer's directory will know it.
    comes: Option<(ShardChoice, bool)>,
}

impl ShardControl {
    /// Opens a store over the shards of the configuration and those that were added since.
    ///
    /// # Errors
    /// What opening them answers, and [`Invalid`](ErrorKind::Invalid) for a shard that was added and is
    /// configured as another store now.
    pub fn open(
        config: &Config,
        (shards, configured): (&[ShardChoice], ReadShards),
        clock: Arc<dyn Clock>,
    ) -> Result<(Database, Self)> {
        let directory = config.store_path.as_deref();
        let mut added = AddedShards::read(Arc::new(SystemFiles), directory)?;
        let choices = with_added(shards, &added)?;
        let described =
            choices.iter().map(|choice| choice.described(config, &clock)).collect::<Result<_>>()?;
        let config = Config { shards: described, ..config.clone() };
        let database = Database::open_with_clock(config, clock.clone())?;
        let sharded = database.shards().cloned().ok_or_else(no_shards)?;
        let is_configured = |name: &str| shards.iter().any(|shard| shard.name == name);
        for listed in sharded.list() {
            if listed.weight == 0 && listed.next_weight == 0 && !is_configured(&listed.name) {
                // It was removed, or the server stopped before it was added.
                sharded.remove(&listed.name)?;
            }
        }
        added.retain(|name| !is_configured(name) && sharded.list().iter().any(|shard| shard.name == name))?;
        warn(&sharded, &choices);
        let opened = choices.into_iter();
        let opened = opened.filter_map(|choice| sharded.engine(&choice.name).map(|engine| (choice, engine)));
        let state = Mutex::new(State { added, opened: opened.collect() });
        let trying = Mutex::default();
        Ok((database.clone(), Self { database, sharded, clock, configured, state, trying }))
    }

    /// The shards themselves.
    pub fn sharded(&self) -> &Arc<Sharded> {
        &self.sharded
    }

    /// Begins a change; the keys move in the background from then on.
    ///
    /// # Errors
    /// [`Busy`](Refusal::Busy) while another one is going on, else as [`Sharded::add`],
    /// [`remove`](Sharded::remove) and [`rebalance`](Sharded::rebalance), and what opening a store answers.
    pub fn begin(&self, change: &ShardChange) -> Result<(), Refusal> {
        let mut state = self.state.try_lock().ok_or(Refusal::Busy(PREPARING))?;
        if self.sharded.progress().moving {
            return Err(Refusal::Busy(MOVING));
        }
        self.forget_removed(&mut state)?;
        let resolved = self.resolve(&state, change)?;
        match (change, resolved.comes) {
            (_, Some((choice, only_here))) => self.add(&mut state, &choice, only_here)?,
            (ShardChange::Remove { name }, None) => self.sharded.remove(name)?,
            (_, None) => self.sharded.rebalance(&named(&resolved.weights))?,
        }
        self.forget_removed(&mut state)?;
        Ok(())
    }

    /// What a change would move, for as long as it is asked to go on. Looks at all entries, changes nothing.
    ///
    /// # Errors
    /// As [`begin`](Self::begin), as far as this can be told without opening anything.
    pub fn try_out(&self, change: &ShardChange, go_on: &dyn Fn() -> bool) -> Result<Vec<Move>, Refusal> {
        let _trying = self.trying.try_lock().ok_or(Refusal::Busy(TRYING))?;
        if self.sharded.progress().moving {
            return Err(Refusal::Busy(MOVING));
        }
        let resolved = {
            let state = self.state.try_lock().ok_or(Refusal::Busy(PREPARING))?;
            self.resolve(&state, change)?
        };
        Ok(self.sharded.try_out_while(&named(&resolved.weights), go_on)?)
    }

    /// Has the next start not look for shards that have gone.
    ///
    /// # Errors
    /// The layer's directory cannot be written; the next start forgets them then.
    pub fn forget(&self) -> Result<()> {
        self.forget_removed(&mut self.state.lock())
    }

    fn forget_removed(&self, state: &mut State) -> Result<()> {
        let listed = self.sharded.list();
        state.added.retain(|name| listed.iter().any(|shard| shard.name == name))
    }

    fn resolve(&self, state: &State, change: &ShardChange) -> Result<Resolved> {
        match change {
            ShardChange::Add { name, engine, weight } => {
                let (choice, only_here) = self.chosen(name, *engine, *weight)?;
                let weights = vec![(name.clone(), choice.weight)];
                Ok(Resolved { weights, comes: Some((choice, only_here)) })
            }
            ShardChange::Remove { name } => {
                self.check_known(name)?;
                Ok(Resolved { weights: vec![(name.clone(), 0)], comes: None })
            }
            ShardChange::Rebalance { weights } if weights.is_empty() => {
                Ok(Resolved { weights: self.configured_weights(state)?, comes: None })
            }
            ShardChange::Rebalance { weights } => {
                weights.keys().try_for_each(|name| self.check_known(name))?;
                let weights = weights.iter().map(|(name, weight)| (name.clone(), *weight)).collect();
                Ok(Resolved { weights, comes: None })
            }
        }
    }

    /// The store that is meant by a new shard's name, and whether the configuration file does not know it.
    fn chosen(
        &self,
        name: &str,
        engine: Option<EngineChoice>,
        weight: Option<u32>,
    ) -> Result<(ShardChoice, bool)> {
        if self.sharded.list().iter().any(|shard| shard.name == name) {
            let message =
                format!("there is a shard {name} already; `tresor shards rebalance` weighs it anew");
            return Err(Error::new(ErrorKind::Exists, message));
        }
        if let Some(weight) = weight.filter(|weight| !(1..=MAX_WEIGHT).contains(weight)) {
            // Before a store is made that would not become a shard.
            let message = format!("shard {name}: its weight is {weight}; it takes 1 to {MAX_WEIGHT}");
            return Err(Error::invalid(message));
        }
        if let Some(configured) = (self.configured)()?.into_iter().find(|shard| shard.name == name) {
            if let Some(engine) = engine.filter(|engine| *engine != configured.engine) {
                let message = format!(
                    "shard {name}: the configuration file says engine {}, not {engine}; leave the engine out",
                    configured.engine
                );
                return Err(Error::invalid(message));
            }
            return Ok((ShardChoice { weight: weight.unwrap_or(configured.weight), ..configured }, false));
        }
        let engine = engine.ok_or_else(|| {
            Error::invalid(format!(
                "the configuration file has no [[shard]] of the name {name}: name it there, or say its engine"
            ))
        })?;
        let directory = self.database.config().store_path.as_deref();
        Ok((ShardChoice::within(directory, name, engine, weight.unwrap_or(1))?, true))
    }

    fn check_known(&self, name: &str) -> Result<()> {
        match self.sharded.list().iter().any(|shard| shard.name == name) {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::NotFound, format!("there is no shard {name}"))),
        }
    }

    /// What the shards that there are weigh by the configuration; those that it does not know stay as they are.
    fn configured_weights(&self, state: &State) -> Result<Vec<(String, u32)>> {
        let choices = with_added(&(self.configured)()?, &state.added)?;
        let listed = self.sharded.list();
        let known = choices.into_iter().filter(|choice| listed.iter().any(|shard| shard.name == choice.name));
        Ok(known.map(|choice| (choice.name, choice.weight)).collect())
    }

    fn add(&self, state: &mut State, choice: &ShardChoice, only_here: bool) -> Result<()> {
        let known = state.opened.iter().find(|(opened, _)| opened.is_same_store(choice));
        let engine = match known {
            Some((_, engine)) => engine.clone(),
            None => {
                let shard = choice.described(self.database.config(), &self.clock)?;
                let engine = self.database.open_shard(&shard)?.engine;
                state.opened.push((choice.clone(), engine.clone()));
                engine
            }
        };
        if only_here {
            state.added.remember(choice)?;
        }
        let begun = self.sharded.add(Shard { name: choice.name.clone(), weight: choice.weight, engine });
        if begun.is_err() {
            // Where this fails too, the next start drops what has no keys.
            let _ = self.forget_removed(state);
        }
        begun
    }
}

impl fmt::Debug for ShardControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.sharded.list()).finish()
    }
}

fn named(weights: &[(String, u32)]) -> Vec<(&str, u32)> {
    weights.iter().map(|(name, weight)| (name.as_str(), *weight)).collect()
}

fn no_shards() -> Error {
    Error::new(ErrorKind::Unsupported, "this store is not spread over shards")
}

/// The shards of a configuration, and those that were added while a server ran.
fn with_added(shards: &[ShardChoice], added: &AddedShards) -> Result<Vec<ShardChoice>> {
    let mut all = shards.to_vec();
    for choice in added.choices()? {
        match shards.iter().find(|shard| shard.name == choice.name) {
            None => all.push(choice),
            Some(shard) if is_same_place(shard, &choice) => {}
            Some(_) => {
                let path = choice.store_path.unwrap_or_default();
                let message = format!(
                    "shard {} was added while the server ran and lies in {}, as {}; the configuration file names \
                     another store for it",
                    choice.name,
                    path.display(),
                    choice.engine
                );
                return Err(Error::invalid(message));
            }
        }
    }
    Ok(all)
}

fn is_same_place(one: &ShardChoice, other: &ShardChoice) -> bool {
    let absolute = |choice: &ShardChoice| choice.store_path.as_deref().map(std::path::absolute)?.ok();
    one.engine == other.engine && absolute(one) == absolute(other)
}

/// Tells of weights that are not those of the configuration: keys went by them, so a start leaves them alone.
fn warn(sharded: &Sharded, choices: &[ShardChoice]) {
    for listed in sharded.list() {
        let Some(choice) = choices.iter().find(|choice| choice.name == listed.name) else { continue };
        let (name, weight) = (&listed.name, listed.next_weight);
        if weight == 0 && listed.weight == 0 {
            tracing::warn!(
                "shard {name} has no keys and gets none: `tresor shards rebalance` gives it its weight"
            );
        } else if weight != choice.weight {
            tracing::warn!(
                "shard {name} weighs {weight}, and {} in the configuration: `tresor shards rebalance` makes it so",
                choice.weight
            );
        }
    }
}
