//! What a session's changes are told of: the way to the engine while somebody wants to hear of events.
//!
//! What was done to which key follows from the changes and their effects; a command adds no more than a
//! wording. Inside a transaction events are kept with it, and told when, and only if, it is committed.

use std::sync::Arc;

use super::Session;
use crate::{
    database::Core,
    engine::{Applied, Batch, Change, Edit, Effect, EntryRef, KeyRef, Outcome, Sequence, Version},
    error::Result,
    publish::{Done, Event, Place, Told, Wording},
    transaction::Transaction,
};

/// Keys that are being changed; whoever tells of them later waits for this to end.
struct Changing {
    core: Arc<Core>,
    places: Vec<Place>,
    told: Vec<Told>,
}

impl Changing {
    fn begin<'a>(core: &Arc<Core>, keys: impl Iterator<Item = KeyRef<'a>>) -> Self {
        Self { core: core.clone(), places: core.notifications.begin(keys), told: Vec::new() }
    }
}

impl Drop for Changing {
    fn drop(&mut self) {
        self.core.notifications.finish(&self.places, std::mem::take(&mut self.told));
    }
}

/// Events of a transaction from which on no more is kept that has changed nothing; what changes something is
/// bounded by the bytes that it writes.
const KEPT: usize = 1 << 16;

/// An event of a transaction, with the number of steps that there were by then.
pub(crate) struct Kept {
    pub(crate) steps: usize,
    pub(crate) told: Told,
}

impl Session {
    /// Says what the next change of this command is told of as.
    #[inline]
    pub(crate) fn told_as(&mut self, wording: Wording) {
        self.wording = wording;
    }

    /// Says that somebody wanted to read a key that was not there.
    #[inline]
    pub(crate) fn missed(&mut self, key: KeyRef<'_>, sequence: Sequence) {
        let notifications = &self.core.notifications;
        if notifications.are_on() && notifications.tell(Event::KeyMiss) && self.wording.misses() {
            self.tell(vec![self.event(Event::KeyMiss, key, (0, sequence))]);
        }
    }

    fn event(&self, event: Event, key: KeyRef<'_>, (number, sequence): (Version, Sequence)) -> Told {
        Told { event, database: key.database, key: key.key.into(), number, sequence }
    }

    /// Tells of what changed nothing, or keeps it for the end of a transaction.
    #[cold]
    fn tell(&mut self, told: Vec<Told>) {
        match &self.scope {
            Some(transaction) if transaction.with(|state| state.events.len() >= KEPT) => {}
            Some(transaction) => keep(transaction, told),
            None => {
                self.published = true;
                self.core.notifications.finish(&[], told);
            }
        }
    }

    /// Writes a batch and tells of what it did.
    #[cold]
    pub(super) async fn write_told(&mut self, batch: Batch<'_>) -> Result<Outcome> {
        let (wording, scope) = (std::mem::take(&mut self.wording), self.scope.clone());
        let keys = batch.changes.iter().filter_map(Change::key);
        let mut changing = scope.is_none().then(|| Changing::begin(&self.core, keys));
        let outcome = self.write_quietly(Batch::of(batch.changes)).await?;
        let Applied::Whole(effects) = &outcome.applied else { return Ok(outcome) };
        let mut told = Vec::new();
        for (change, effect) in batch.changes.iter().zip(effects) {
            if let Some(key) = change.key() {
                let done = Done::by(change);
                self.gather(&mut told, (wording, done), key, (*effect, outcome.sequence));
            }
        }
        if wording == Wording::Rename && told.len() > 1 {
            // The new entry is there before the old one goes.
            told.sort_by_key(|told| told.event != Event::New);
        }
        match (&mut changing, &scope) {
            (Some(changing), _) => (changing.told, self.published) = (told, true),
            (None, Some(transaction)) => keep(transaction, told),
            (None, None) => {}
        }
        Ok(outcome)
    }

    /// Edits an entry and tells of what that did.
    #[cold]
    pub(super) async fn update_told(&mut self, key: KeyRef<'_>, edit: &mut Edit<'_>) -> Result<Outcome> {
        let (wording, scope) = (std::mem::take(&mut self.wording), self.scope.clone());
        let mut changing = scope.is_none().then(|| Changing::begin(&self.core, std::iter::once(key)));
        let mut done = Done::Nothing;
        let outcome = self
            .update_quietly(key, &mut |entry: Option<EntryRef<'_>>| {
                let expires = entry.is_some_and(|entry| entry.expires_at_ms.is_some());
                let edited = edit(entry)?;
                done = Done::edited(&edited, expires);
                Ok(edited)
            })
            .await?;
        let mut told = Vec::new();
        if let Some(effect) = outcome.effect() {
            self.gather(&mut told, (wording, done), key, (effect, outcome.sequence));
        }
        match (&mut changing, &scope) {
            (Some(changing), _) => (changing.told, self.published) = (told, true),
            (None, Some(transaction)) => keep(transaction, told),
            (None, None) => {}
        }
        Ok(outcome)
    }

    fn gather(
        &self,
        told: &mut Vec<Told>,
        (wording, done): (Wording, Done),
        key: KeyRef<'_>,
        (effect, sequence): (Effect, Sequence),
    ) {
        wording.events(done, effect.existed, |event| {
            if self.core.notifications.tell(event) {
                told.push(self.event(event, key, (effect.version, sequence)));
            }
        });
    }

    /// Applies what a transaction has written and tells of all that happened in it, if anything did.
    pub(super) async fn write_whole(
        &mut self,
        changes: &[Change<'_>],
        events: &mut Vec<Kept>,
    ) -> Result<Outcome> {
        if !self.core.notifications.are_on() {
            return self.core.engine.write(Batch::blind(changes), self.now_ms).await;
        }
        let core = self.core.clone();
        let mut changing = Changing::begin(&core, changes.iter().filter_map(Change::key));
        let outcome = core.engine.write(Batch::of(changes), self.now_ms).await?;
        if let Applied::Whole(effects) = &outcome.applied {
            let numbers: Vec<_> = changes.iter().map(Change::key).zip(effects).collect();
            let number = |told: &Told| {
                let key = Some(KeyRef::new(told.database, &told.key));
                numbers.iter().rev().find(|(changed, _)| *changed == key).map(|(_, effect)| effect.version)
            };
            changing.told = events.drain(..).map(|kept| kept.told).collect();
            for told in &mut changing.told {
                told.number = number(told).unwrap_or(outcome.sequence);
                told.sequence = told.sequence.max(outcome.sequence);
            }
            self.published = true;
        }
        Ok(outcome)
    }

    /// Tells of what happened in a transaction that has written nothing.
    pub(super) fn tell_kept(&mut self, events: Vec<Kept>) {
        if !events.is_empty() {
            self.published = true;
            self.core.notifications.finish(&[], events.into_iter().map(|kept| kept.told).collect());
        }
    }
}

fn keep(transaction: &Transaction, told: Vec<Told>) {
    transaction.with(|state| {
        let steps = state.overlay.steps();
        state.events.extend(told.into_iter().map(|told| Kept { steps, told }));
    });
}
