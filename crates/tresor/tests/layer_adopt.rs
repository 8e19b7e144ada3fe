//! Entries that move as they are go through a layer encoded, with version and expiry kept.

use std::sync::Arc;

use parking_lot::Mutex;
use tresor::{
    Result,
    engine::{
        Batch, Capabilities, Content, Edit, Engine, EntryRef, Eventual, Isolation, KeyRef, Kind, Outcome,
        Page, Scan, Seen, Sequence, Status, ValueRef, Visit,
    },
    layer::{
        Cipher, Codec, Coding, Compressed, CompressionOptions, Encrypted, Encryption, EncryptionKeys, Method,
    },
};
use tresor_testkit::ModelEngine;

/// A model that notes what it is to adopt.
#[derive(Default)]
struct Adopting {
    model: ModelEngine,
    adopted: Mutex<Option<(Page, Sequence)>>,
}

impl Engine for Adopting {
    fn capabilities(&self) -> Capabilities {
        self.model.capabilities()
    }

    fn read<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        isolation: Isolation,
        now_ms: u64,
        visit: &'a mut Visit<'a>,
    ) -> Eventual<'a, Seen> {
        self.model.read(keys, isolation, now_ms, visit)
    }

    fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
        self.model.scan(scan, now_ms)
    }

    fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
        self.model.write(batch, now_ms)
    }

    fn update<'a>(&'a self, key: KeyRef<'a>, now_ms: u64, edit: &'a mut Edit<'_>) -> Eventual<'a, Outcome> {
        self.model.update(key, now_ms, edit)
    }

    fn adopt<'a>(&'a self, entries: &'a Page, above: Sequence, _now_ms: u64) -> Eventual<'a, Sequence> {
        *self.adopted.lock() = Some((entries.clone(), above));
        Eventual::Now(Ok(above + 1))
    }

    fn durable(&self, upto: Sequence) -> Eventual<'_, ()> {
        self.model.durable(upto)
    }

    fn status(&self) -> Eventual<'_, Status> {
        self.model.status()
    }

    fn save(&self) -> Eventual<'_, ()> {
        self.model.save()
    }

    fn close(&self) -> Eventual<'_, ()> {
        self.model.close()
    }
}

#[test]
fn adopted_entries_are_encoded_and_keep_their_versions() -> Result<()> {
    let mut page = Page::new(3);
    let value = [b'v'; 2000];
    let entry = EntryRef {
        value: ValueRef::Inline(&value),
        kind: Kind::Json,
        version: 77,
        expires_at_ms: Some(5_000_000_000_000),
    };
    page.push(b"key", b"member", &entry, Content::Entries);

    let below = Arc::new(Adopting::default());
    let keys = EncryptionKeys::parse(&"5e".repeat(32))?;
    let encrypted = Encrypted::new(below.clone(), &keys, Cipher::default())?;
    let both = Compressed::new(encrypted, CompressionOptions::with(Method::Lz4))?;
    assert_eq!(both.adopt(&page, 1000, 0).wait()?, 1001);

    let (adopted, above) = below.adopted.lock().take().expect("it was asked to");
    let (name, kept) = adopted.iter().next().expect("one entry");
    assert_eq!((above, name), (1000, KeyRef { database: 3, key: b"key", member: b"member" }));
    assert_eq!((kept.kind, kept.version, kept.expires_at_ms), (Kind::Packed, 77, entry.expires_at_ms));
    let mut packed = Vec::new();
    let encryption = Encryption::new(&keys, Cipher::default());
    let coding = encryption.decode(name, (kept.value.bytes(), kept.kind), &mut packed)?;
    assert_eq!(coding, Coding::Into(Kind::Packed), "encryption has compression inside");
    assert!(packed.len() < 200);
    Ok(())
}
