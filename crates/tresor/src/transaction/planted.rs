//! Faults that tests plant, to see that whoever checks isolation finds them.
//!
//! Without the feature `planted-faults`, which only tests switch on, [`planted`] is the constant `false` and
//! nothing of this is in the program.

/// What to do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// A transaction frees its locks after each command.
    UnlockingEarly = 1,
    /// A plain read shows what a transaction has not committed.
    ReadingUncommitted,
    /// A commit leaves out the last of several writes.
    LosingAWrite,
    /// A plain write asks for no lock.
    IgnoringLocks,
    /// A scan in a transaction locks nothing.
    NoPhantomProtection,
    /// The flag that transactions are open is raised without taking the gates.
    NoGate,
}

#[cfg(feature = "planted-faults")]
static PLANTED: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Plants a fault in this process, or removes it.
#[cfg(feature = "planted-faults")]
pub fn plant(fault: Option<Fault>) {
    PLANTED.store(fault.map_or(0, |fault| fault as u8), std::sync::atomic::Ordering::SeqCst);
}

/// Whether this one is planted.
#[cfg(feature = "planted-faults")]
pub(crate) fn planted(fault: Fault) -> bool {
    PLANTED.load(std::sync::atomic::Ordering::Relaxed) == fault as u8
}

#[cfg(not(feature = "planted-faults"))]
pub(crate) const fn planted(_: Fault) -> bool {
    false
}
