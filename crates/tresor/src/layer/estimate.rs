//! What compression would save in a store, told from a sample.
//!
//! Random places of every database, in the proportion of their keys, up to a bounded number of entries
//! and bytes, or all of a store that has no more; each value is compressed by every method as it would be if it were written now, and read
//! back, and the CPU time of both is taken.

use super::{
    codec::{Codec, Coding},
    compressed::{Compression, CompressionOptions},
    methods::Method,
};
use crate::{
    clock::thread_cpu_ns,
    engine::{Content, DATABASES, Engine, KeyRef, Kind, Order, Page, Position, Scan},
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
    /// The method.
    pub method: Method,
    /// At which level; `None` for a method without levels.
    pub level: Option<i32>,
    /// Values that it would compress; it leaves the others as they are.
    pub compressed: u64,
    /// Bytes of all values of the sample then.
    pub bytes: u64,
    /// CPU time that compressing all of them took, those tried in vain included.
    pub write_ns: u64,
    /// CPU time that it took to have all of them back.
    pub read_ns: u64,
}

impl MethodEstimate {
    /// Nothing yet.
    fn new(method: Method, level: Option<i32>) -> Self {
        Self { method, level, compressed: 0, bytes: 0, write_ns: 0, read_ns: 0 }
    }

    /// Tries one value.
    fn add(&mut self, compression: &Compression, key: KeyRef<'_>, value: (&[u8], Kind)) -> Result<()> {
        let (mut packed, mut read) = (Vec::new(), Vec::new());
        let started_ns = thread_cpu_ns();
        let coding = compression.encode(key, value, &mut packed)?;
        let written_ns = thread_cpu_ns();
        self.write_ns += written_ns.saturating_sub(started_ns);
        let Coding::Into(kind) = coding else {
            self.bytes += value.0.len() as u64;
            return Ok(());
        };
        compression.decode(key, (&packed, kind), &mut read)?;
        self.read_ns += thread_cpu_ns().saturating_sub(written_ns);
        self.compressed += 1;
        self.bytes += packed.len() as u64;
        Ok(())
    }

    /// The bytes then for each byte now; 1 for an empty sample.
    pub fn ratio(&self, of: &Estimate) -> f64 {
        if of.bytes == 0 { 1.0 } else { self.bytes as f64 / of.bytes as f64 }
    }
}

/// Samples a store, given as the engine that shows its values as users see them. Of the options threshold,
/// limit and level are used, the level by the methods that have it. [`Invalid`](ErrorKind::Invalid) for a
/// level that no method has, and for a store whose values are packed, because they say nothing.
pub async fn estimate(engine: &dyn Engine, options: CompressionOptions, now_ms: u64) -> Result<Estimate> {
    let mut sample = Sample { estimate: Estimate::default(), methods: methods(options)? };
    let keys = engine.status().await?.keys;
    sample.estimate.keys = keys.iter().sum();
    for database in 0..DATABASES {
        let of_all = sample.estimate.keys.max(1);
        let count = keys[usize::from(database)];
        let share = (count * SAMPLED_ENTRIES).div_ceil(of_all);
        if share >= count {
            sample.whole(engine, database, now_ms).await?;
        } else {
            sample.places(engine, (database, share), now_ms).await?;
        }
    }
    sample.estimate.methods = sample.methods.into_iter().map(|(_, estimate)| estimate).collect();
    Ok(sample.estimate)
}

fn methods(options: CompressionOptions) -> Result<Vec<(Compression, MethodEstimate)>> {
    let has =
        |method: Method, wanted: i32| method.levels().is_some_and(|(levels, _)| levels.contains(&wanted));
    if let Some(level) = options.level.filter(|level| !Method::ALL.iter().any(|method| has(*method, *level)))
    {
        let message = format!("no method has the level {level}: zlib has 1 to 9, zstd has 1 to 22");
        return Err(Error::invalid(message));
    }
    let each = Method::ALL.iter().map(|&method| {
        let own = method.levels().map(|(_, own)| own);
        let level = options.level.filter(|level| has(method, *level)).or(own);
        let compression = Compression::new(CompressionOptions { method, level, ..options })?;
        Ok((compression, MethodEstimate::new(method, level)))
    });
    each.collect()
}

struct Sample {
    estimate: Estimate,
    methods: Vec<(Compression, MethodEstimate)>,
}

impl Sample {
    /// All of a database.
    async fn whole(&mut self, engine: &dyn Engine, database: u8, now_ms: u64) -> Result<()> {
        let mut scan = Scan::all(database, Order::Any, Content::Entries, PLACE_ENTRIES as usize);
        while self.estimate.bytes < SAMPLED_BYTES {
            let mut page = engine.scan(&scan, now_ms).await?;
            self.add(&page)?;
            let Some(next) = page.next.take() else { break };
            scan.position = next;
            yield_now().await;
        }
        Ok(())
    }

    /// Random places of a database.
    async fn places(&mut self, engine: &dyn Engine, (database, share): (u8, u64), now_ms: u64) -> Result<()> {
        for _ in 0..share.div_ceil(PLACE_ENTRIES) {
            if self.estimate.bytes >= SAMPLED_BYTES {
                return Ok(());
            }
            let place = getrandom::u64().map_err(|error| {
                Error::new(ErrorKind::Internal, "the system gives no random numbers").caused_by(error)
            })?;
            let mut scan = Scan::all(database, Order::Any, Content::Entries, PLACE_ENTRIES as usize);
            // A random place near the end shows few entries; a small share is best seen from the start.
            if share >= PLACE_ENTRIES {
                scan.position = Position::Anywhere(place);
            }
            self.add(&engine.scan(&scan, now_ms).await?)?;
            yield_now().await;
        }
        Ok(())
    }

    fn add(&mut self, page: &Page) -> Result<()> {
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
                estimate.add(compression, key, (value, entry.kind))?;
            }
        }
        Ok(())
    }
}
