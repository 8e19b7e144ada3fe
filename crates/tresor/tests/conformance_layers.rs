//! The conformance suite on compression and encryption, each alone, both together, and above an engine
//! that answers later.

use std::sync::Arc;

use tresor::{
    clock::Clock,
    engine::{
        Engine,
        memory::{MemoryEngine, MemoryOptions},
    },
    layer::{Cipher, Compressed, CompressionOptions, Encrypted, EncryptionKeys, Method},
};
use tresor_testkit::{LaterEngine, ManualClock, conformance::Case, conformance_tests};

fn memory(clock: &Arc<ManualClock>) -> Arc<dyn Engine> {
    let clock: Arc<dyn Clock> = clock.clone();
    MemoryEngine::volatile_at(&MemoryOptions::default(), clock).expect("a volatile engine opens")
}

/// Compressed from the first byte on, so that the suite's small values are tried too.
fn compressed(inner: Arc<dyn Engine>, method: Method) -> Arc<dyn Engine> {
    let options = CompressionOptions { threshold_bytes: 0, ..CompressionOptions::with(method) };
    Compressed::new(inner, options).expect("this build has the method")
}

fn encrypted(inner: Arc<dyn Engine>, cipher: Cipher) -> Arc<dyn Engine> {
    let keys = EncryptionKeys::parse(&"5e".repeat(32)).expect("that is a key");
    Encrypted::new(inner, &keys, cipher).expect("an empty store can be encrypted")
}

macro_rules! suites {
    ($($name:ident: $clock:ident => $engine:expr;)+) => {
        $(mod $name {
            use super::*;

            fn with(case: Case) {
                case(&|$clock| $engine);
            }

            conformance_tests!(with);
        })+
    };
}

suites! {
    no_method: clock => compressed(memory(clock), Method::None);
    zlib: clock => compressed(memory(clock), Method::Zlib);
    lz4: clock => compressed(memory(clock), Method::Lz4);
    zstd: clock => compressed(memory(clock), Method::Zstd);
    xchacha20_poly1305: clock => encrypted(memory(clock), Cipher::XChaCha20Poly1305);
    aes_256_gcm: clock => encrypted(memory(clock), Cipher::Aes256Gcm);
    compressed_and_encrypted: clock =>
        compressed(encrypted(memory(clock), Cipher::default()), Method::Lz4);
    compressed_later: clock => {
        let options = CompressionOptions {
            threshold_bytes: 0,
            max_value_bytes: 4 << 20,
            ..CompressionOptions::with(Method::Zstd)
        };
        Compressed::new(Arc::new(LaterEngine::new(memory(clock))), options).expect("this build has zstd")
    };
    encrypted_later: clock => encrypted(Arc::new(LaterEngine::new(memory(clock))), Cipher::default());
}
