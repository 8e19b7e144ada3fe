//! Publish and subscribe: messages to whoever listens now, kept for nobody.
//!
//! A [`Hub`] knows which names have which subscribers; a subscriber is an [`Outbox`], a bounded queue that its
//! owner empties. Invariant: who publishes never waits for who listens. An outbox that its owner does not
//! empty is dropped by [`OutputLimit`], and the messages in it with it. Why it is made like this:
//! `docs/decisions/0020-publish-subscribe.md`.

mod bell;
mod channels;
mod event;
mod hub;
mod in_order;
mod message;
mod monitors;
mod notifications;
mod outbox;
mod output_limit;
mod patterns;
mod subscription;
mod told;
mod wording;

pub use bell::Bell;
pub use event::{Event, EventClasses};
pub use hub::Hub;
pub(crate) use hub::Names;
pub(crate) use in_order::Place;
pub use message::Message;
pub(crate) use message::Posting;
pub(crate) use monitors::line as monitor_line;
pub(crate) use notifications::Notifications;
pub use outbox::Outbox;
pub(crate) use output_limit::parse as parse_output_limit;
pub use output_limit::{OutputLimit, OutputLimits};
pub use subscription::Subscription;
pub(crate) use told::Told;
pub(crate) use wording::{Done, Wording};
