//! Buffers that the connections of one worker take turns with.
//!
//! A connection has one only between reading and having answered, so ten thousand idle connections
//! hold none, and the few in use stay in the processor's cache. Invariant: the pool keeps a bounded
//! number of bounded buffers; what is over goes back to the allocator.

use std::cell::RefCell;

use crate::limits::{BATCH_OUTPUT_BYTES, POOLED_BUFFER_BYTES};

/// Buffers kept for later. Only connections that wait for the disk or for their client hold one for
/// longer than a moment, so few are in use at a time.
const KEPT: usize = 32;

/// Capacity up to which an output buffer is kept: a batch's output and the reply that went over.
const KEPT_OUTPUT_BYTES: usize = 2 * BATCH_OUTPUT_BYTES;

/// The buffers of one worker.
#[derive(Default)]
pub(crate) struct Buffers {
    inputs: RefCell<Vec<Box<[u8]>>>,
    outputs: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    /// A buffer of [`POOLED_BUFFER_BYTES`], with old bytes in it.
    #[inline]
    pub(crate) fn take_input(&self) -> Box<[u8]> {
        self.inputs.borrow_mut().pop().unwrap_or_else(|| vec![0; POOLED_BUFFER_BYTES].into_boxed_slice())
    }

    /// Gives a buffer back.
    #[inline]
    pub(crate) fn give_input(&self, buffer: Box<[u8]>) {
        let mut inputs = self.inputs.borrow_mut();
        if inputs.len() < KEPT {
            inputs.push(buffer);
        }
    }

    /// An empty buffer, most likely with room.
    #[inline]
    pub(crate) fn take_output(&self) -> Vec<u8> {
        self.outputs.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives a buffer back.
    #[inline]
    pub(crate) fn give_output(&self, mut buffer: Vec<u8>) {
        let mut outputs = self.outputs.borrow_mut();
        if buffer.capacity() <= KEPT_OUTPUT_BYTES && outputs.len() < KEPT {
            buffer.clear();
            outputs.push(buffer);
        }
    }
}
