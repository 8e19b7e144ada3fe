//! Measures what compression and encryption cost and save, on JSON values of about 1 KB.
//!
//! `cargo run --release -p tresor --features zstd --example measure_layers [VALUES] [ROUNDS]` prints for
//! each layer the bytes kept for each byte given, and the median processor time of a get and a put through
//! the library, in interleaved rounds beside the memory engine alone.

use std::{env, fs, hint::black_box, sync::Arc};

use tresor::{
    Result,
    engine::{
        Batch, Change, Content, Engine, EntryRef, Expires, Guard, Isolation, KeyRef, Kind, Order, Scan,
        memory::{MemoryEngine, MemoryOptions},
    },
    layer::{Cipher, Compressed, CompressionOptions, Encrypted, EncryptionKeys, Method},
};
use tresor_testkit::{
    documents,
    own_cost::{median, next},
};

const CALLS: usize = 20_000;

/// A layer and what was measured of it.
pub(crate) struct Row {
    pub(crate) name: String,
    below: Arc<dyn Engine>,
    engine: Arc<dyn Engine>,
    pub(crate) ratio: f64,
    get_ns: Vec<f64>,
    put_ns: Vec<f64>,
}

impl Row {
    fn new(
        name: impl Into<String>,
        layer: impl Fn(Arc<dyn Engine>) -> Result<Arc<dyn Engine>>,
    ) -> Result<Self> {
        let below: Arc<dyn Engine> = MemoryEngine::volatile(&MemoryOptions::default())?;
        let engine = layer(below.clone())?;
        let (get_ns, put_ns) = (Vec::new(), Vec::new());
        Ok(Self { name: name.into(), below, engine, ratio: 1.0, get_ns, put_ns })
    }
}

/// Time that this thread has had a processor, so that other programs do not count.
fn processor_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    text.split(' ').next().and_then(|word| word.parse().ok()).expect("the first word is that time")
}

/// The memory engine alone, and under each layer.
pub(crate) fn measure(values: usize, rounds: usize) -> Result<Vec<Row>> {
    let mut random = 0x9e37_79b9_7f4a_7c15;
    let documents: Vec<String> = (0..values).map(|_| documents::order(&mut random)).collect();
    let mut rows = rows()?;
    for row in &mut rows {
        for (number, document) in documents.iter().enumerate() {
            put(&*row.engine, &number.to_be_bytes(), document.as_bytes())?;
        }
        let given: usize = documents.iter().map(String::len).sum();
        row.ratio = kept(&*row.below)? as f64 / given as f64;
    }
    for _ in 0..rounds {
        let order: Vec<usize> =
            (0..CALLS.min(values * 4)).map(|_| next(&mut random) as usize % values).collect();
        for row in &mut rows {
            let time = |call: &dyn Fn(usize) -> Result<()>| -> Result<f64> {
                let started_ns = processor_ns();
                for number in &order {
                    call(*number)?;
                }
                Ok((processor_ns() - started_ns) as f64 / order.len() as f64)
            };
            row.get_ns.push(time(&|number| get(&*row.engine, &number.to_be_bytes()))?);
            let put = |number: usize| put(&*row.engine, &number.to_be_bytes(), documents[number].as_bytes());
            row.put_ns.push(time(&put)?);
        }
    }
    Ok(rows)
}

fn rows() -> Result<Vec<Row>> {
    let mut rows = vec![Row::new("memory", Ok)?];
    for method in Method::ALL {
        let levels: &[Option<i32>] = match method {
            Method::Zstd => &[Some(1), None, Some(9)],
            Method::Zlib => &[Some(1), None],
            _ => &[None],
        };
        for level in levels {
            let name = level.map_or(format!("{method}"), |level| format!("{method} level {level}"));
            let options = CompressionOptions { level: *level, ..CompressionOptions::with(*method) };
            rows.push(Row::new(name, |below| Ok(Compressed::new(below, options)?))?);
        }
    }
    let keys = EncryptionKeys::parse(&"5e".repeat(32))?;
    for cipher in Cipher::ALL {
        rows.push(Row::new(cipher.name(), |below| Ok(Encrypted::new(below, &keys, cipher)?))?);
    }
    let both = |below| {
        let encrypted = Encrypted::new(below, &keys, Cipher::default())?;
        Ok(Compressed::new(encrypted, CompressionOptions::with(Method::Lz4))? as Arc<dyn Engine>)
    };
    rows.push(Row::new("lz4 and xchacha20-poly1305", both)?);
    Ok(rows)
}

fn put(engine: &dyn Engine, name: &[u8], value: &[u8]) -> Result<()> {
    let key = KeyRef::new(0, name);
    let change = Change::Put { key, guard: Guard::None, value, kind: Kind::Json, expires: Expires::Never };
    engine.write(Batch::blind(&[change]), 0).wait().map(drop)
}

fn get(engine: &dyn Engine, name: &[u8]) -> Result<()> {
    let mut copy = Vec::new();
    let mut visit = |_: usize, entry: Option<EntryRef<'_>>| {
        entry.iter().for_each(|entry| copy.extend_from_slice(entry.value.bytes()));
    };
    engine.read(&[KeyRef::new(0, name)], Isolation::Each, 0, &mut visit).wait()?;
    assert!(!black_box(copy).is_empty(), "every key is there");
    Ok(())
}

/// Bytes of all values as the engine below keeps them.
fn kept(below: &dyn Engine) -> Result<usize> {
    let mut scan = Scan::all(0, Order::Any, Content::Entries, 1000);
    let mut bytes = 0;
    loop {
        let page = below.scan(&scan, 0).wait()?;
        bytes += page.iter().map(|(_, entry)| entry.value.bytes().len()).sum::<usize>();
        match page.next {
            Some(next) => scan.position = next,
            None => return Ok(bytes),
        }
    }
}

#[allow(dead_code)] // The tests call `measure`.
fn main() -> Result<()> {
    let number = |position: usize, default: usize| {
        env::args().nth(position).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    println!("{:<28} {:>7} {:>9} {:>9}", "", "bytes", "get ns", "put ns");
    for row in measure(number(1, 20_000), number(2, 11))? {
        let (get, put) = (median(row.get_ns), median(row.put_ns));
        println!("{:<28} {:>7.3} {get:>9.0} {put:>9.0}", row.name, row.ratio);
    }
    Ok(())
}
