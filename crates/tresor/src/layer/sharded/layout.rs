//! The file that says which shards there are and how far a move has come. Byte by byte: `docs/formats.md`.
//!
//! It is replaced as a whole and locked while the layer is open. What a move has passed, by the file, is
//! where the new ring says; so whoever moves keys has them durable there before the file says so, and
//! removes them where they were afterwards. Between the two places a crash may leave keys on both shards:
//! the file tells which counts, and `before` from where to look for what is left over.

use parking_lot::Mutex;

use super::{
    core::Core,
    intent::{take, take_byte, take_slice},
    member::{MAX_NAME_BYTES, check_weight},
    ring::{Placed, Ring},
    routes::Place,
};
use crate::{
    engine::json_file::place::{Failed, Place as File},
    error::{Error, ErrorKind, Result},
};

pub(super) const NAME: &str = "ring";

const MAGIC: &[u8; 8] = b"TRESORRN";
const FORMAT: u32 = 1;

/// A shard's place on the rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) name: String,
    /// On the ring as it is; 0 for none.
    pub(super) weight: u32,
    /// On the ring that the move leads to; the same without one.
    pub(super) next: u32,
    /// Of the engine, when last opened.
    pub(super) store_id: u64,
}

/// How far a move has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    /// Up to here nothing is left over where it was.
    pub(super) before: Place,
    /// Up to here keys are where the next ring says.
    pub(super) done: Place,
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The layer's own number, which its intents carry too.
    pub(super) layer: u64,
    /// Of the whole store, part of every ETag.
    pub(super) store_id: u64,
    pub(super) seats: Vec<Seat>,
    pub(super) moved: Option<Moved>,
}

impl Layout {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend(self.layer.to_le_bytes());
        bytes.extend(self.store_id.to_le_bytes());
        // A shard without any weight is open beside the others and has no part in this.
        let seats = || self.seats.iter().filter(|seat| seat.weight > 0 || seat.next > 0);
        bytes.extend((seats().count() as u32).to_le_bytes());
        for seat in seats() {
            bytes.push(seat.name.len() as u8);
            bytes.extend(seat.name.as_bytes());
            bytes.extend(seat.weight.to_le_bytes());
            bytes.extend(seat.next.to_le_bytes());
            bytes.extend(seat.store_id.to_le_bytes());
        }
        bytes.push(u8::from(self.moved.is_some()));
        if let Some(moved) = &self.moved {
            encode_place(&moved.before, &mut bytes);
            encode_place(&moved.done, &mut bytes);
        }
        let crc = crc32fast::hash(&bytes);
        bytes.extend(crc.to_le_bytes());
        bytes
    }

    /// What bytes say. [`Invalid`](ErrorKind::Invalid) for damaged ones.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let damaged = || Error::invalid("it is damaged; restore it from a copy");
        let (mut body, crc) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
        if body.get(..8) == Some(MAGIC)
            && let Some(format) = body.get(8..12)
            && format != FORMAT.to_le_bytes()
        {
            let message = format!("its format is not {FORMAT}, which this version reads; use the newer one");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
            return Err(damaged());
        }
        Self::parse(&mut body).filter(|_| body.is_empty()).ok_or_else(damaged)
    }

    fn parse(bytes: &mut &[u8]) -> Option<Self> {
        if take::<8>(bytes)? != MAGIC || u32::from_le_bytes(*take(bytes)?) != FORMAT {
            return None;
        }
        let layer = u64::from_le_bytes(*take(bytes)?);
        let store_id = u64::from_le_bytes(*take(bytes)?);
        let count = u32::from_le_bytes(*take(bytes)?);
        let mut seat = || {
            let length = usize::from(take_byte(bytes)?);
            let name = String::from_utf8(take_slice(bytes, length)?.to_vec()).ok()?;
            let weight = u32::from_le_bytes(*take(bytes)?);
            let next = u32::from_le_bytes(*take(bytes)?);
            let store_id = u64::from_le_bytes(*take(bytes)?);
            (length <= MAX_NAME_BYTES).then_some(Seat { name, weight, next, store_id })
        };
        let seats = (0..count).map(|_| seat()).collect::<Option<_>>()?;
        let moved = match take_byte(bytes)? {
            0 => None,
            1 => Some(Moved { before: decode_place(bytes)?, done: decode_place(bytes)? }),
            _ => return None,
        };
        Some(Self { layer, store_id, seats, moved })
    }
}

fn encode_place(place: &Place, bytes: &mut Vec<u8>) {
    match place {
        Place::Start => bytes.push(0),
        Place::Behind(key) => {
            bytes.push(1);
            bytes.extend((key.len() as u16).to_le_bytes());
            bytes.extend(key);
        }
        Place::End => bytes.push(2),
    }
}

fn decode_place(bytes: &mut &[u8]) -> Option<Place> {
    Some(match take_byte(bytes)? {
        0 => Place::Start,
        1 => {
            let length = usize::from(u16::from_le_bytes(*take(bytes)?));
            Place::Behind(take_slice(bytes, length)?.to_vec())
        }
        2 => Place::End,
        _ => return None,
    })
}

/// The layout in use, with the members that sit on its seats.
pub(super) struct Laid {
    pub(super) layout: Layout,
    /// The number of each seat's member.
    pub(super) numbers: Vec<u8>,
    /// None where nothing outlives the process.
    pub(super) file: Option<File>,
}

impl Laid {
    /// The ring of these weights.
    pub(super) fn ring(&self, weight: impl Fn(&Seat) -> u32) -> Ring {
        ring_of(&self.layout, &self.numbers, weight)
    }

    /// Has the file say so. [`Poisoned`](ErrorKind::Poisoned) when it may say either.
    pub(super) fn save(&mut self) -> Result<()> {
        let bytes = self.layout.encode();
        match self.file.as_mut().map(|file| file.save(&bytes)) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(Failed::Before(error))) => Err(error),
            Some(Err(Failed::Unsure(error))) => {
                let message = "the file of shards could not be replaced, and what is on disk is uncertain; \
                     see to the disk, then start again";
                Err(Error::new(ErrorKind::Poisoned, message).caused_by(error.to_string()))
            }
        }
    }

    /// The members that may have keys.
    pub(super) fn members(&self) -> Vec<u8> {
        let seats = self.layout.seats.iter().zip(&self.numbers);
        seats.filter(|(seat, _)| seat.weight > 0 || seat.next > 0).map(|(_, number)| *number).collect()
    }

    pub(super) fn seat(&mut self, name: &str) -> Option<&mut Seat> {
        self.layout.seats.iter_mut().find(|seat| seat.name == name)
    }

    /// The member of a shard that has no part in the rings.
    pub(super) fn waiting(&self, name: &str) -> Option<u8> {
        let mut seats = self.layout.seats.iter().zip(&self.numbers);
        let waiting = seats.find(|(seat, _)| seat.name == name && seat.weight == 0 && seat.next == 0);
        waiting.map(|(_, number)| *number)
    }

    /// Takes seats away from those who have no weight and are not wanted any more.
    pub(super) fn remove(&mut self, gone: impl Fn(&Seat) -> bool) {
        let numbers = std::mem::take(&mut self.numbers);
        let seats = std::mem::take(&mut self.layout.seats);
        (self.layout.seats, self.numbers) =
            seats.into_iter().zip(numbers).filter(|(seat, _)| !gone(seat)).unzip();
    }
}

/// The ring of a layout's shards with these weights.
pub(super) fn ring_of(layout: &Layout, numbers: &[u8], weight: impl Fn(&Seat) -> u32) -> Ring {
    let seats = layout.seats.iter().zip(numbers);
    let placed: Vec<Placed<'_>> = seats
        .map(|(seat, number)| Placed { number: *number, name: &seat.name, weight: weight(seat) })
        .collect();
    Ring::new(&placed)
}

/// Changes the layout and has the file say so; nothing has changed where that fails.
pub(super) fn change<T>(
    core: &Core,
    laid: &Mutex<Laid>,
    change: impl FnOnce(&mut Laid) -> Result<T>,
) -> Result<T> {
    let mut laid = laid.lock();
    let (layout, numbers) = (laid.layout.clone(), laid.numbers.clone());
    let outcome = change(&mut laid).and_then(|value| laid.save().map(|()| value));
    if outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Poisoned) {
        // Either ring may be the one that the next start finds.
        core.poison();
    }
    if outcome.is_err() {
        (laid.layout, laid.numbers) = (layout, numbers);
    }
    outcome
}

/// The weights after these changes; refuses a name that is not there, and a ring without shards.
pub(super) fn next_weights(layout: &mut Layout, weights: &[(&str, u32)]) -> Result<()> {
    if layout.moved.is_some() {
        let message = "keys are being moved already; wait until that is done, then ask again";
        return Err(Error::new(ErrorKind::Unavailable, message));
    }
    for (name, weight) in weights {
        if *weight > 0 {
            check_weight(name, *weight)?;
        }
        let seat = layout.seats.iter_mut().find(|seat| seat.name == *name);
        seat.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no shard {name}")))?.next =
            *weight;
    }
    if layout.seats.iter().all(|seat| seat.next == 0) {
        return Err(Error::invalid("the last shard cannot go; add another first"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(moved: Option<Moved>) -> Layout {
        let seat = |name: &str, weight, next| Seat { name: name.to_owned(), weight, next, store_id: 7 };
        Layout { layer: 1, store_id: 2, seats: vec![seat("a", 1, 1), seat("bee", 0, 3)], moved }
    }

    #[test]
    fn what_is_encoded_is_decoded_and_damage_is_found() {
        let moved = Moved { before: Place::Start, done: Place::Behind(b"key".to_vec()) };
        for layout in
            [layout(None), layout(Some(moved)), layout(Some(Moved { before: Place::End, done: Place::End }))]
        {
            let bytes = layout.encode();
            assert_eq!(Layout::decode(&bytes).expect("it is whole"), layout);
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1;
                Layout::decode(&damaged).expect_err("a bit is another");
                Layout::decode(&bytes[..at]).expect_err("it is cut");
            }
        }
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        let mut bytes = layout(None).encode();
        bytes[8] = 9;
        assert_eq!(Layout::decode(&bytes).expect_err("it is newer").kind(), ErrorKind::Unsupported);
    }
}
