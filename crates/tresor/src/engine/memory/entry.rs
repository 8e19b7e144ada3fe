//! An entry in one allocation, and the table slot that points to it. The library's only `unsafe` code.
//!
//! A short entry (key and value under 64 bytes, no member) has a head of 8 bytes, any other 16: with
//! 16-byte keys and 32-byte values an entry is 56 bytes, which is what a million keys in little memory
//! need (figures: `docs/benchmarks.md`). Layout, in order:
//!
//! ```text
//! head      u64   version 48 bits | flags 4 | key bytes 6 | value bytes 6     (lengths: short form)
//!                                           | packed 1                        (long form)
//! lengths   u64   value bytes u32 | key bytes u16 | member bytes u16          (long form only)
//! expires   u64   Unix milliseconds                                          (flag EXPIRES only)
//! shared    Bytes a reference-counted value                                  (flag SHARED only)
//! key, member, value (unless SHARED), without padding
//! ```
//!
//! Invariant, on which every block below rests: an [`Entry`] owns one live allocation whose first bytes
//! are a head written by [`Entry::new`], and neither flags nor lengths change while it lives, so the
//! offsets computed from them are those it was allocated with. Nothing else has its pointer.
#![allow(unsafe_code)]

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    marker::PhantomData,
    mem::{self, ManuallyDrop, align_of, size_of},
    ops::{Deref, DerefMut},
    ptr::{self, NonNull},
    slice,
};

use bytes::Bytes;

use crate::engine::{EntryRef, Kind, SHARED_VALUE_BYTES, ValueRef, Version};

const LONG: u64 = 1 << 48;
const EXPIRES: u64 = 1 << 49;
const JSON: u64 = 1 << 50;
const SHARED: u64 = 1 << 51;
/// Of the long form alone: in the short one this bit belongs to a length.
const PACKED: u64 = 1 << 52;
const VERSION_MASK: u64 = (1 << 48) - 1;
const SHORT_LIMIT: usize = 64;

/// What an entry is made from.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) key: &'a [u8],
    pub(super) member: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) kind: Kind,
    pub(super) version: Version,
    pub(super) expires_at_ms: Option<u64>,
}

/// Where the parts of an entry lie.
#[derive(Clone, Copy)]
struct Shape {
    flags: u64,
    key_bytes: usize,
    member_bytes: usize,
    value_bytes: usize,
}

impl Shape {
    fn of(parts: &Parts<'_>) -> Self {
        let (key_bytes, member_bytes, value_bytes) = (parts.key.len(), parts.member.len(), parts.value.len());
        let mut flags = 0;
        if key_bytes >= SHORT_LIMIT || value_bytes >= SHORT_LIMIT || member_bytes > 0 {
            flags |= LONG;
        }
        if parts.kind == Kind::Packed {
            flags |= LONG | PACKED;
        }
        if parts.expires_at_ms.is_some() {
            flags |= EXPIRES;
        }
        if parts.kind == Kind::Json {
            flags |= JSON;
        }
        if value_bytes > SHARED_VALUE_BYTES {
            flags |= SHARED;
        }
        Self { flags, key_bytes, member_bytes, value_bytes }
    }

    #[inline]
    fn expires_at(&self) -> usize {
        if self.flags & LONG == 0 { 8 } else { 16 }
    }

    #[inline]
    fn shared_at(&self) -> usize {
        self.expires_at() + if self.flags & EXPIRES == 0 { 0 } else { 8 }
    }

    #[inline]
    fn key_at(&self) -> usize {
        self.shared_at() + if self.flags & SHARED == 0 { 0 } else { size_of::<Bytes>() }
    }

    #[inline]
    fn value_at(&self) -> usize {
        self.key_at() + self.key_bytes + self.member_bytes
    }

    #[inline]
    fn size(&self) -> usize {
        self.value_at() + if self.flags & SHARED == 0 { self.value_bytes } else { 0 }
    }

    fn layout(&self) -> Layout {
        Layout::from_size_align(self.size(), align_of::<u64>())
            .expect("an entry is far below isize::MAX bytes")
    }
}

/// One key with everything stored under it.
pub(crate) struct Entry(NonNull<u8>);

// SAFETY: an entry owns its bytes alone, and the one thing in it that is not plain bytes, `Bytes`, is
// Send and Sync. Shared access only reads.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

impl Entry {
    /// Allocates an entry. Key at most 65,535 bytes, member likewise, value below 4 GiB.
    pub(super) fn new(parts: &Parts<'_>) -> Self {
        Self::holding(parts, || Bytes::copy_from_slice(parts.value))
    }

    /// The copy of an entry that is elsewhere, under a key of these limits: a shared value stays shared.
    pub(crate) fn copy(key: &[u8], member: &[u8], entry: &EntryRef<'_>) -> Self {
        let parts = Parts {
            key,
            member,
            value: entry.value.bytes(),
            kind: entry.kind,
            version: entry.version,
            expires_at_ms: entry.expires_at_ms,
        };
        Self::holding(&parts, || entry.value.to_bytes())
    }

    /// Allocates an entry; `shared` gives its value, where that is of a size to be shared.
    fn holding(parts: &Parts<'_>, shared: impl FnOnce() -> Bytes) -> Self {
        let shape = Shape::of(parts);
        let shared = (shape.flags & SHARED != 0).then(shared);
        assert!(shape.key_bytes <= u16::MAX as usize && shape.member_bytes <= u16::MAX as usize);
        assert!(u32::try_from(shape.value_bytes).is_ok());
        let layout = shape.layout();
        // SAFETY: the layout's size is at least 8.
        let Some(start) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        let mut head = (parts.version & VERSION_MASK) | shape.flags;
        // SAFETY: every offset written below lies in the allocation of `shape.size()` bytes, because
        // `shape` counted the same parts; words are at multiples of 8 from an 8-aligned start, which
        // is also the alignment of `Bytes`; the slices are other allocations than the new one.
        unsafe {
            if shape.flags & LONG == 0 {
                head |= (shape.key_bytes as u64) << 52 | (shape.value_bytes as u64) << 58;
            } else {
                let lengths = shape.value_bytes as u64
                    | (shape.key_bytes as u64) << 32
                    | (shape.member_bytes as u64) << 48;
                start.add(8).cast::<u64>().write(lengths);
            }
            start.cast::<u64>().write(head);
            if let Some(expires_at_ms) = parts.expires_at_ms {
                start.add(shape.expires_at()).cast::<u64>().write(expires_at_ms);
            }
            let key_at = start.add(shape.key_at());
            ptr::copy_nonoverlapping(parts.key.as_ptr(), key_at.as_ptr(), shape.key_bytes);
            let member_at = key_at.add(shape.key_bytes);
            ptr::copy_nonoverlapping(parts.member.as_ptr(), member_at.as_ptr(), shape.member_bytes);
            match shared {
                Some(shared) => start.add(shape.shared_at()).cast::<Bytes>().write(shared),
                None => {
                    let value_at = start.add(shape.value_at());
                    ptr::copy_nonoverlapping(parts.value.as_ptr(), value_at.as_ptr(), shape.value_bytes);
                }
            }
        }
        Self(start)
    }

    /// The entry to read.
    #[inline]
    pub(crate) fn view(&self) -> EntryView<'_> {
        EntryView(self.0, PhantomData)
    }

    /// Asks the processor to fetch the first two cache lines: most entries lie across both.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch(self.0.as_ptr());
        prefetch(self.0.as_ptr().wrapping_add(64));
    }

    #[inline]
    fn shape(&self) -> Shape {
        self.view().shape()
    }

    /// Writes another value, version and expiry over this entry, if they take the same room: the
    /// common case of a counter or a cached object written again. False: nothing was changed.
    #[inline]
    pub(super) fn overwrite(&mut self, parts: &Parts<'_>) -> bool {
        let shape = self.shape();
        let wanted = Shape::of(parts);
        if wanted.flags != shape.flags || wanted.value_bytes != shape.value_bytes || shape.flags & SHARED != 0
        {
            return false;
        }
        self.set_version(parts.version);
        // SAFETY: flags and length are the same, so both places lie where `new` put them; `&mut self`
        // says that nobody reads them meanwhile, and the new value is not part of this entry.
        unsafe {
            if let Some(expires_at_ms) = parts.expires_at_ms {
                self.0.add(shape.expires_at()).cast::<u64>().write(expires_at_ms);
            }
            let value_at = self.0.add(shape.value_at());
            ptr::copy_nonoverlapping(parts.value.as_ptr(), value_at.as_ptr(), shape.value_bytes);
        }
        true
    }

    /// Writes bytes over a part of the value where it lies. False, and nothing is changed, if they reach
    /// beyond its end, or if somebody still reads a shared one: he goes on seeing it as it was.
    pub(super) fn write_over(&mut self, offset: usize, bytes: &[u8]) -> bool {
        let shape = self.shape();
        let end = offset + bytes.len();
        if end > shape.value_bytes {
            return false;
        }
        if shape.flags & SHARED == 0 {
            // SAFETY: as `bytes`, and `&mut self` says that nobody else looks at them.
            let value = unsafe {
                slice::from_raw_parts_mut(self.0.add(shape.value_at()).as_ptr(), shape.value_bytes)
            };
            value[offset..end].copy_from_slice(bytes);
            return true;
        }
        // SAFETY: with the flag set, `holding` has written a `Bytes` at that offset, and `&mut self` says
        // that nobody else looks at it.
        let shared = unsafe { self.0.add(shape.shared_at()).cast::<Bytes>().as_mut() };
        match mem::take(shared).try_into_mut() {
            Ok(mut value) => {
                value[offset..end].copy_from_slice(bytes);
                *shared = value.freeze();
                true
            }
            Err(value) => {
                *shared = value;
                false
            }
        }
    }

    #[inline]
    pub(super) fn set_version(&mut self, version: Version) {
        let head = (self.view().head() & !VERSION_MASK) | (version & VERSION_MASK);
        // SAFETY: the head is the first word; flags and lengths in it stay the same.
        unsafe { self.0.cast::<u64>().write(head) }
    }

    /// Sets the expiry of an entry that has one; false for one that has none.
    pub(super) fn set_expiry(&mut self, expires_at_ms: u64) -> bool {
        let shape = self.shape();
        if shape.flags & EXPIRES == 0 {
            return false;
        }
        // SAFETY: with the flag set, the expiry is at that offset.
        unsafe { self.0.add(shape.expires_at()).cast::<u64>().write(expires_at_ms) };
        true
    }
}

/// An entry seen by reference, for as long as its slot is borrowed.
#[derive(Clone, Copy)]
pub(crate) struct EntryView<'a>(NonNull<u8>, PhantomData<&'a Entry>);

impl<'a> EntryView<'a> {
    #[inline]
    fn head(self) -> u64 {
        // SAFETY: every entry begins with its head.
        unsafe { self.0.cast::<u64>().read() }
    }

    #[inline]
    fn shape(self) -> Shape {
        let head = self.head();
        let mut flags = head & (LONG | EXPIRES | JSON | SHARED);
        if flags & LONG == 0 {
            return Shape {
                flags,
                key_bytes: (head >> 52) as usize & 63,
                member_bytes: 0,
                value_bytes: (head >> 58) as usize,
            };
        }
        flags |= head & PACKED;
        // SAFETY: the long form has its lengths at offset 8.
        let lengths = unsafe { self.0.add(8).cast::<u64>().read() };
        Shape {
            flags,
            key_bytes: (lengths >> 32) as usize & 0xffff,
            member_bytes: (lengths >> 48) as usize,
            value_bytes: lengths as u32 as usize,
        }
    }

    #[inline]
    fn bytes(self, at: usize, length: usize) -> &'a [u8] {
        // SAFETY: callers pass offsets and lengths of `self.shape()`, which lie in the allocation and
        // were initialised by `new`; the borrow 'a keeps it alive and unchanged.
        unsafe { slice::from_raw_parts(self.0.add(at).as_ptr(), length) }
    }

    /// Whether this is the entry of a key and member.
    #[inline]
    pub(crate) fn is(self, key: &[u8], member: &[u8]) -> bool {
        let shape = self.shape();
        shape.key_bytes == key.len()
            && shape.member_bytes == member.len()
            && self.bytes(shape.key_at(), key.len()) == key
            && (member.is_empty() || self.bytes(shape.key_at() + key.len(), member.len()) == member)
    }

    /// The key and the member.
    #[inline]
    pub(super) fn name(self) -> (&'a [u8], &'a [u8]) {
        let shape = self.shape();
        self.bytes(shape.key_at(), shape.key_bytes + shape.member_bytes).split_at(shape.key_bytes)
    }

    #[inline]
    pub(super) fn version(self) -> Version {
        self.head() & VERSION_MASK
    }

    #[inline]
    pub(super) fn expires_at_ms(self) -> Option<u64> {
        self.expiry_of(&self.shape())
    }

    #[inline]
    fn expiry_of(self, shape: &Shape) -> Option<u64> {
        // SAFETY: with the flag set, `new` wrote the expiry at that offset, which is a multiple of 8.
        (shape.flags & EXPIRES != 0).then(|| unsafe { self.0.add(shape.expires_at()).cast::<u64>().read() })
    }

    /// Whether it counts as absent at `now_ms`.
    #[inline]
    pub(crate) fn is_expired(self, now_ms: u64) -> bool {
        self.head() & EXPIRES != 0
            && self.expires_at_ms().is_some_and(|expires_at_ms| expires_at_ms <= now_ms)
    }

    /// What readers see.
    #[inline]
    pub(crate) fn read(self) -> EntryRef<'a> {
        let shape = self.shape();
        let value = if shape.flags & SHARED == 0 {
            ValueRef::Inline(self.bytes(shape.value_at(), shape.value_bytes))
        } else {
            // SAFETY: with the flag set, `new` wrote a `Bytes` at that offset; only `drop` takes it out.
            ValueRef::Shared(unsafe { self.0.add(shape.shared_at()).cast::<Bytes>().as_ref() })
        };
        EntryRef {
            value,
            kind: match shape.flags & (JSON | PACKED) {
                0 => Kind::Raw,
                JSON => Kind::Json,
                _ => Kind::Packed,
            },
            version: self.version(),
            expires_at_ms: self.expiry_of(&shape),
        }
    }

    /// Bytes that it holds, a shared value included.
    #[inline]
    pub(crate) fn size(self) -> usize {
        let shape = self.shape();
        shape.size().next_multiple_of(8) + if shape.flags & SHARED == 0 { 0 } else { shape.value_bytes }
    }
}

impl Drop for Entry {
    #[inline]
    fn drop(&mut self) {
        let shape = self.shape();
        // SAFETY: the allocation was made with the layout of the same shape, and is not used again;
        // a shared value is dropped exactly once, here.
        unsafe {
            if shape.flags & SHARED != 0 {
                self.0.add(shape.shared_at()).cast::<Bytes>().drop_in_place();
            }
            dealloc(self.0.as_ptr(), shape.layout());
        }
    }
}

/// One place of a table: empty, a tombstone, or an owned entry with 8 bits of its hash and 8 bits of
/// access history in the pointer's unused upper bits.
pub(super) struct Slot(*mut u8);

// SAFETY: a slot is an `Entry` or nothing, and `Entry` is Send and Sync.
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

const POINTER_BITS: u32 = 48;
const POINTER_MASK: usize = (1 << POINTER_BITS) - 1;
const TOMBSTONE: usize = 1;

impl Slot {
    pub(super) const EMPTY: Self = Self(ptr::null_mut());

    /// A slot that owns an entry.
    pub(super) fn full(entry: Entry, tag: u8, access: u8) -> Self {
        let pointer = entry.0.as_ptr();
        mem::forget(entry);
        assert!(pointer.addr() <= POINTER_MASK, "user-space addresses have at most 48 bits");
        let marks = usize::from(tag) << 56 | usize::from(access) << 48;
        Self(pointer.map_addr(|address| address | marks))
    }

    /// A slot whose entry was removed, in a group that others may have probed past.
    pub(super) fn tombstone() -> Self {
        Self(ptr::without_provenance_mut(TOMBSTONE))
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_null()
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.0.addr() > TOMBSTONE
    }

    /// Whether it is full and its entry's hash has this tag.
    #[inline]
    pub(super) fn has_tag(&self, tag: u8) -> bool {
        self.0.addr() >> 56 == usize::from(tag) && self.is_full()
    }

    #[inline]
    pub(super) fn access(&self) -> u8 {
        (self.0.addr() >> 48) as u8
    }

    #[inline]
    pub(super) fn set_access(&mut self, access: u8) {
        self.0 = self.0.map_addr(|address| address & !(0xff << 48) | usize::from(access) << 48);
    }

    #[inline]
    fn pointer(&self) -> *mut u8 {
        self.0.map_addr(|address| address & POINTER_MASK)
    }

    /// The entry, if there is one, to read.
    #[inline]
    pub(super) fn entry(&self) -> Option<EntryView<'_>> {
        if !self.is_full() {
            return None;
        }
        NonNull::new(self.pointer()).map(|start| EntryView(start, PhantomData))
    }

    /// The entry, if there is one, to change in place.
    #[inline]
    pub(super) fn entry_mut(&mut self) -> Option<EntryMut<'_>> {
        if !self.is_full() {
            return None;
        }
        let start = NonNull::new(self.pointer())?;
        Some(EntryMut(ManuallyDrop::new(Entry(start)), PhantomData))
    }

    /// Asks the processor to fetch the entry's first two cache lines: most entries lie across both.
    #[inline]
    pub(super) fn prefetch(&self) {
        if self.is_full() {
            prefetch(self.pointer());
            prefetch(self.pointer().wrapping_add(64));
        }
    }

    /// Takes the entry out and leaves `instead`.
    pub(super) fn take(&mut self, instead: Self) -> Option<Entry> {
        let taken = mem::replace(self, instead);
        let pointer = taken.is_full().then(|| taken.pointer());
        mem::forget(taken);
        pointer.and_then(NonNull::new).map(Entry)
    }
}

impl Drop for Slot {
    #[inline]
    fn drop(&mut self) {
        drop(self.take(Self::EMPTY));
    }
}

/// Asks the processor to fetch the cache line at an address that will be read soon.
#[inline]
pub(crate) fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint: it reads nothing and faults on no address.
        unsafe { _mm_prefetch(address.cast(), _MM_HINT_T0) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// A slot's entry, borrowed for changing it; the slot goes on owning it.
pub(super) struct EntryMut<'a>(ManuallyDrop<Entry>, PhantomData<&'a mut Slot>);

impl Deref for EntryMut<'_> {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.0
    }
}

impl DerefMut for EntryMut<'_> {
    fn deref_mut(&mut self) -> &mut Entry {
        &mut self.0
    }
}
