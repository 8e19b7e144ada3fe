//! What compression would save in a store, told from a sample.
//!
//! Random places of every database, in the proportion of their keys, up to a bounded number of entries
//! and bytes; each value is compressed by every method as it would be if it were written now.

use super::{
    codec::{Codec, Coding},
    compressed::{Compression, CompressionOptions},
    methods::Method,
};
use crate::{
    engine::{Content, DATABASES, Engine, Kind, Order, Page, Position, Scan},
    error::{Error, ErrorKind, Result},
    yield_now::yield_now,
};

/// Entries that are looked at, about.
const SAMPLED_ENTRIES: u64 = 4096;

/// Bytes after which no further entries are.
const SAMPLED_BYTES: u64 = 64 * 1024 * 1024;

/// Entries from one place.
const PLACE_ENTRIES: u64 = 64;

/// A sample of a store, and what each method would make of it.
#[derive(Clone, Debug, Default)]
pub struct Estimate {
    /// Keys of the store.
    pub keys: u64,
    /// Values in the sample.
    pub values: u64,
    /// Their bytes as they are.
    pub bytes: u64,
    /// What the methods of this build would make of them.
    pub methods: Vec<MethodEstimate>,
}

/// What one method would make of the sample.
#[derive(Clone, Debug)]
pub struct MethodEstimate {
    /// The method, at its own level.
    pub method: Method,
    /// Values that it would compress; it leaves the others as they are.
    pub compressed: u64,
    /// Bytes of all values of the sample then.
    pub bytes: u64,
}

impl MethodEstimate {
    /// The bytes then for each byte now; 1 for an empty sample.
    pub fn ratio(&self, of: &Estimate) -> f64 {
        if of.bytes == 0 { 1.0 } else { self.bytes as f64 / of.bytes as f64 }
    }
}

/// Samples a store, given as the engine that shows its values as users see them. Of the options threshold
/// and limit are used. [`Invalid`](ErrorKind::Invalid) for a store whose values are packed, because they
/// say nothing.
pub async fn estimate(engine: &dyn Engine, options: CompressionOptions, now_ms: u64) -> Result<Estimate> {
    let methods = Method::ALL.iter().map(|method| {
        let options = CompressionOptions { method: *method, level: None, ..options };
        let estimate = MethodEstimate { method: *method, compressed: 0, bytes: 0 };
        Ok((Compression::new(options)?, estimate))
    });
    let mut sample = Sample { estimate: Estimate::default(), methods: methods.collect::<Result<_>>()? };
    let keys = engine.status().await?.keys;
    sample.estimate.keys = keys.iter().sum();
    for database in 0..DATABASES {
        let of_all = sample.estimate.keys.max(1);
        let share = (keys[usize::from(database)] * SAMPLED_ENTRIES).div_ceil(of_all);
        sample.database(engine, (database, share), now_ms).await?;
    }
    sample.estimate.methods = sample.methods.into_iter().map(|(_, estimate)| estimate).collect();
    Ok(sample.estimate)
}

struct Sample {
    estimate: Estimate,
    methods: Vec<(Compression, MethodEstimate)>,
}

impl Sample {
    async fn database(
        &mut self,
        engine: &dyn Engine,
        (database, share): (u8, u64),
        now_ms: u64,
    ) -> Result<()> {
        for _ in 0..share.div_ceil(PLACE_ENTRIES) {
            if self.estimate.bytes >= SAMPLED_BYTES {
                return Ok(());
            }
            let place = getrandom::u64().map_err(|error| {
                Error::new(ErrorKind::Internal, "the system gives no random numbers").caused_by(error)
            })?;
            let mut scan = Scan::all(database, Order::Any, Content::Entries, PLACE_ENTRIES as usize);
            // A random place near the end shows few entries; a small store is best seen from its start.
            if share >= PLACE_ENTRIES {
                scan.position = Position::Anywhere(place);
            }
            self.add(&engine.scan(&scan, now_ms).await?)?;
            yield_now().await;
        }
        Ok(())
    }

    fn add(&mut self, page: &Page) -> Result<()> {
        let mut packed = Vec::new();
        for (key, entry) in page.iter() {
            if entry.kind == Kind::Packed {
                return Err(Error::invalid(
                    "the values are compressed or encrypted: estimate above that layer",
                ));
            }
            let value = entry.value.bytes();
            self.estimate.values += 1;
            self.estimate.bytes += value.len() as u64;
            for (compression, estimate) in &mut self.methods {
                packed.clear();
                match compression.encode(key, (value, entry.kind), &mut packed)? {
                    Coding::AsItIs => estimate.bytes += value.len() as u64,
                    Coding::Into(_) => {
                        estimate.compressed += 1;
                        estimate.bytes += packed.len() as u64;
                    }
                }
            }
        }
        Ok(())
    }
}
