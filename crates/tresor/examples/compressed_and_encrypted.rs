//! A store on disk whose values are compressed and encrypted, and a key that is replaced. Takes a directory.

use std::{env, path::Path, sync::Arc};

use tresor::{
    Config, Database, Result,
    clock::{Clock, SystemClock},
    engine::{
        Engine,
        memory::{MemoryEngine, MemoryOptions},
    },
    files::SystemFiles,
    layer::{Cipher, Compressed, CompressionOptions, Encrypted, EncryptionKeys, Method},
    oplog::LogOptions,
};

// Of course a program reads its keys from a file of mode 0600: `EncryptionKeys::from_file`.
const OLD: &str = "8c1b0a6f2d4e57a39f60c2b1d8e7354a6b9c0d1e2f30415263748596a7b8c9d0";
const NEW: &str = "00f1e2d3c4b5a69788796a5b4c3d2e1f0a1b2c3d4e5f60718293a4b5c6d7e8f9";

/// Writes under one key, goes over to another, and reads with that alone.
pub(crate) fn run(directory: &Path) -> Result<u64> {
    let encrypted = open(directory, OLD)?;
    let store = over(encrypted.clone())?;
    let text = "All work and no play makes Jack a dull boy. ".repeat(100);
    store.put("novel", &text)?;
    encrypted.rotate(&EncryptionKeys::parse(&format!("{NEW}\n{OLD}"))?)?;
    let walk = encrypted.reencrypt(SystemClock::new().now_ms()).wait()?;
    println!("{} values are under the new key now, {} are not", walk.rewritten, walk.left);
    store.close()?;

    let store = over(open(directory, NEW)?)?;
    assert_eq!(store.read("novel")?, text.as_str());
    store.close()?;
    Ok(walk.rewritten)
}

/// The engine under both layers is any: here the one in memory with its log on disk.
fn open(directory: &Path, keys: &str) -> Result<Arc<Encrypted>> {
    let seams = (Arc::new(SystemFiles) as Arc<_>, Arc::new(SystemClock::new()) as Arc<_>);
    let (memory, _) = MemoryEngine::open(&MemoryOptions::default(), seams, directory, LogOptions::default())?;
    Encrypted::new(memory, &EncryptionKeys::parse(keys)?, Cipher::XChaCha20Poly1305)
}

fn over(encrypted: Arc<dyn Engine>) -> Result<Database> {
    // What is encrypted no longer shrinks: compression stands above.
    let compressed = Compressed::new(encrypted, CompressionOptions::with(Method::Lz4))?;
    Database::over(compressed, Config::memory())
}

#[allow(dead_code)] // The tests call `run` with a directory of theirs.
fn main() -> Result<()> {
    let directory =
        env::args_os().nth(1).map_or_else(|| env::temp_dir().join("tresor-encrypted"), Into::into);
    run(&directory)?;
    Ok(())
}
