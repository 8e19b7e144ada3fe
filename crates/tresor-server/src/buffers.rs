//! Buffers that the connections of one worker take turns with.
//!
//! A connection has one only between reading and having answered, so ten thousand idle connections
//! hold none, and the few in use stay in the processor's cache. Invariant: the pool keeps a bounded
//! number of bounded buffers; what is over goes back to the allocator.

use std::{
    cell::{Cell, RefCell},
    ops::{Deref, DerefMut},
    rc::Rc,
    sync::Arc,
};

use tresor::engine::memory::{BufferShare, MemoryLimit};

use crate::limits::{BATCH_OUTPUT_BYTES, POOLED_BUFFER_BYTES};

/// Buffers kept for later. Only connections that wait for the disk or for their client hold one for
/// longer than a moment, so few are in use at a time.
const KEPT: usize = 32;

/// Capacity up to which an output buffer is kept: a batch's output and the reply that went over.
const KEPT_OUTPUT_BYTES: usize = 2 * BATCH_OUTPUT_BYTES;

/// How many input buffers there are, in the pool or out of it.
struct Inputs {
    count: Cell<usize>,
    share: BufferShare,
}

impl Inputs {
    fn set(&self, count: usize) {
        self.count.set(count);
        self.share.set(count * POOLED_BUFFER_BYTES);
    }
}

/// A buffer to read into, counted against the memory limit for as long as it is there.
pub(crate) struct InputBuffer {
    bytes: Box<[u8]>,
    inputs: Rc<Inputs>,
}

impl InputBuffer {
    fn new(inputs: &Rc<Inputs>) -> Self {
        inputs.set(inputs.count.get() + 1);
        Self { bytes: vec![0; POOLED_BUFFER_BYTES].into_boxed_slice(), inputs: inputs.clone() }
    }
}

impl Drop for InputBuffer {
    fn drop(&mut self) {
        self.inputs.set(self.inputs.count.get() - 1);
    }
}

impl Deref for InputBuffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for InputBuffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

/// The buffers of one worker.
pub(crate) struct Buffers {
    inputs: RefCell<Vec<InputBuffer>>,
    outputs: RefCell<Vec<Vec<u8>>>,
    all_inputs: Rc<Inputs>,
    pooled_outputs: BufferShare,
}

impl Buffers {
    /// No buffers yet, to be counted against a limit.
    pub(crate) fn new(limit: &Arc<MemoryLimit>) -> Self {
        let all_inputs = Inputs { count: Cell::new(0), share: BufferShare::new(limit.clone()) };
        Self {
            inputs: RefCell::default(),
            outputs: RefCell::default(),
            all_inputs: Rc::new(all_inputs),
            pooled_outputs: BufferShare::new(limit.clone()),
        }
    }

    /// Counts the output buffers in the pool: now and then, since they come and go with every batch.
    pub(crate) fn count_outputs(&self) {
        self.pooled_outputs.set(self.outputs.borrow().iter().map(Vec::capacity).sum());
    }

    /// A buffer of [`POOLED_BUFFER_BYTES`], with old bytes in it.
    #[inline]
    pub(crate) fn take_input(&self) -> InputBuffer {
        self.inputs.borrow_mut().pop().unwrap_or_else(|| InputBuffer::new(&self.all_inputs))
    }

    /// Gives a buffer back.
    #[inline]
    pub(crate) fn give_input(&self, buffer: InputBuffer) {
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
