//! A message, in the forms in which subscribers want it.
//!
//! A message to a thousand subscribers is made into bytes once for each version of the protocol, not once for
//! each of them.

use bytes::Bytes;

use crate::reply::RespWriter;

/// One message that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub channel: Bytes,
    /// What was published.
    pub payload: Bytes,
    /// The pattern that the subscriber has it by; `None` by the channel's name.
    pub pattern: Option<Bytes>,
}

/// A message on its way to subscribers of one name or pattern.
pub(crate) struct Posting<'a> {
    /// `message`, `pmessage` or `smessage`.
    kind: &'static str,
    pattern: Option<&'a Bytes>,
    channel: &'a [u8],
    payload: &'a [u8],
    resp2: Option<Bytes>,
    resp3: Option<Bytes>,
    owned: Option<Message>,
}

impl<'a> Posting<'a> {
    /// One to those who subscribed to the channel's name.
    pub(crate) fn new(kind: &'static str, channel: &'a [u8], payload: &'a [u8]) -> Self {
        Self { kind, pattern: None, channel, payload, resp2: None, resp3: None, owned: None }
    }

    /// The same to those who subscribed to a pattern.
    pub(crate) fn by(pattern: &'a Bytes, channel: &'a [u8], payload: &'a [u8]) -> Self {
        Self { pattern: Some(pattern), ..Self::new("pmessage", channel, payload) }
    }

    /// Bytes that are the same in both versions of the protocol, and no message: not for programs.
    pub(crate) fn of_bytes(bytes: Bytes) -> Self {
        Self { resp2: Some(bytes.clone()), resp3: Some(bytes), ..Self::new("", b"", b"") }
    }

    /// Its bytes in a version of the Redis protocol.
    #[inline]
    pub(super) fn frame(&mut self, protocol: u8) -> &Bytes {
        let frame = if protocol == 3 { &mut self.resp3 } else { &mut self.resp2 };
        frame.get_or_insert_with(|| {
            let mut writer = RespWriter::default();
            writer.set_protocol(protocol);
            let frame_bytes = self.channel.len() + self.payload.len();
            writer.output_mut().buffer().reserve_exact(frame_bytes + self.pattern.map_or(0, Bytes::len) + 64);
            writer.push(if self.pattern.is_some() { 4 } else { 3 });
            writer.bulk(self.kind.as_bytes());
            if let Some(pattern) = self.pattern {
                writer.bulk(pattern);
            }
            writer.bulk(self.channel);
            writer.bulk(self.payload);
            Bytes::from(std::mem::take(writer.output_mut().buffer()))
        })
    }

    /// It as a value.
    pub(super) fn message(&mut self) -> &Message {
        self.owned.get_or_insert_with(|| Message {
            channel: Bytes::copy_from_slice(self.channel),
            payload: Bytes::copy_from_slice(self.payload),
            pattern: self.pattern.cloned(),
        })
    }
}
