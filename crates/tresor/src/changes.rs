//! Several changes that a program wants applied together.
//!
//! The list owns its keys and values, so it can be built in one place and applied in another. All
//! guards are looked at before anything changes; then the changes apply in order, as one step that
//! nobody sees half of.

use std::time::Duration;

use crate::{
    call::effects,
    database::Database,
    engine::{Change, Effect, Guard},
    error::Result,
    put_options::{PutOptions, moment_after},
    value::Value,
};

/// A list of changes for [`Database::apply`].
#[derive(Clone, Debug, Default)]
pub struct Changes {
    list: Vec<(Vec<u8>, Step)>,
}

#[derive(Clone, Debug)]
enum Step {
    Put(Value, PutOptions),
    Expire(Option<Duration>),
    Delete(Guard),
    Check(Guard),
}

impl Changes {
    /// No changes yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn push(&mut self, key: impl AsRef<[u8]>, step: Step) -> &mut Self {
        self.list.push((key.as_ref().to_vec(), step));
        self
    }

    /// Puts a value under a key.
    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl Into<Value>) -> &mut Self {
        self.put_with(key, value, PutOptions::new())
    }

    /// Puts a value with an expiry, a guard, or both.
    pub fn put_with(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl Into<Value>,
        options: PutOptions,
    ) -> &mut Self {
        self.push(key, Step::Put(value.into(), options))
    }

    /// Removes a key.
    pub fn delete(&mut self, key: impl AsRef<[u8]>) -> &mut Self {
        self.push(key, Step::Delete(Guard::None))
    }

    /// Removes a key, if a guard holds.
    pub fn delete_if(&mut self, key: impl AsRef<[u8]>, guard: Guard) -> &mut Self {
        self.push(key, Step::Delete(guard))
    }

    /// Lets a key expire after a time.
    pub fn expire(&mut self, key: impl AsRef<[u8]>, time: Duration) -> &mut Self {
        self.push(key, Step::Expire(Some(time)))
    }

    /// Removes a key's expiry.
    pub fn persist(&mut self, key: impl AsRef<[u8]>) -> &mut Self {
        self.push(key, Step::Expire(None))
    }

    /// Changes nothing, but refuses the whole list unless a guard holds.
    pub fn check(&mut self, key: impl AsRef<[u8]>, guard: Guard) -> &mut Self {
        self.push(key, Step::Check(guard))
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl Database {
    /// Applies all changes as one step, or none; answers what each of them did. A guard that fails is
    /// the same error as in [`put_if`](Self::put_if), and names its key.
    pub fn apply(&self, changes: &Changes) -> Result<Vec<Effect>> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let now_ms = self.now_ms();
        let batch: Vec<Change<'_>> = changes
            .list
            .iter()
            .map(|(key, step)| self.change_of(key, step, now_ms))
            .collect::<Result<_>>()?;
        let outcome = self.attempt(&batch)?;
        self.durable(outcome.sequence)?;
        Ok(effects(&batch, outcome.applied)?.into_vec())
    }

    fn change_of<'a>(&self, key: &'a [u8], step: &'a Step, now_ms: u64) -> Result<Change<'a>> {
        let key = self.address(key)?;
        Ok(match step {
            Step::Put(value, options) => {
                self.check_size(key, value)?;
                Change::Put {
                    key,
                    guard: options.condition(),
                    value: value.as_bytes(),
                    kind: value.kind(),
                    expires: options.expires(now_ms)?,
                }
            }
            Step::Expire(time) => {
                let expires_at_ms = time.map(|time| moment_after(now_ms, time)).transpose()?;
                Change::Expire { key, guard: Guard::None, expires_at_ms }
            }
            Step::Delete(guard) => Change::Delete { key, guard: *guard },
            Step::Check(guard) => Change::Check { key, guard: *guard },
        })
    }
}
