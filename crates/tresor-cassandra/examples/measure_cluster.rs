//! What a cluster gives without Tresor in between, and how fast the engine lists keys.
//!
//! `measure_cluster CONTACT KEYSPACE WHAT COUNT KEYS`: `get`, `set` and `compare` send the statements
//! of the engine through the bare driver, 50 at a time, on keys of 16 bytes and values of 32 like those
//! that redis-benchmark draws; `list` reads all keys in order through the engine. The keyspace was made
//! by a server. Prints how many were done a second. `docs/benchmarks.md` tells the rest.

use std::{
    env,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use scylla::{
    client::{session::Session, session_builder::SessionBuilder},
    statement::{
        Consistency, SerialConsistency,
        batch::{Batch, BatchType},
        prepared::PreparedStatement,
    },
};
use tresor::{
    clock::{Clock, SystemClock},
    engine::{Content, Engine, Order, Position, Scan},
};
use tresor_cassandra::Options;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Requests under way together.
const TOGETHER: u64 = 50;

/// Keys of a page.
const PAGE: usize = 8192;

const VALUE: &[u8] = b"0123456789abcdef0123456789abcdef";

fn main() -> Outcome {
    let words: Vec<String> = env::args().skip(1).collect();
    let [contact, keyspace, what, count, keys] = words.as_slice() else {
        return Err("measure_cluster CONTACT KEYSPACE get|set|compare|list COUNT KEYS".into());
    };
    let (count, keys) = (count.parse()?, keys.parse()?);
    let (done, seconds) = match what.as_str() {
        "list" => list(contact, keyspace)?,
        _ => tokio::runtime::Runtime::new()?.block_on(request(contact, keyspace, what, (count, keys)))?,
    };
    println!("{what}: {:.0} a second, {done} in {seconds:.3} s", done as f64 / seconds);
    Ok(())
}

/// Reads every key in order.
fn list(contact: &str, keyspace: &str) -> Outcome<(u64, f64)> {
    let clock = Arc::new(SystemClock::new());
    let options = Options {
        keyspace: keyspace.to_owned(),
        writes: tresor_cassandra::Writes::Eventual,
        ..Options::at(vec![contact.to_owned()])
    };
    let engine = tresor_cassandra::open(options, clock.clone())?;
    let mut scan = Scan::all(0, Order::Ascending, Content::Keys, PAGE);
    let (started, mut keys) = (Instant::now(), 0);
    loop {
        let page = engine.scan(&scan, clock.now_ms()).wait()?;
        keys += page.iter().count() as u64;
        match page.next {
            Some(next) => scan.position = next,
            None => return Ok((keys, started.elapsed().as_secs_f64())),
        }
        debug_assert!(!matches!(scan.position, Position::Start));
    }
}

/// What a request needs.
struct Bare {
    session: Session,
    read: PreparedStatement,
    set: PreparedStatement,
    insert: PreparedStatement,
    compare: PreparedStatement,
    clock: SystemClock,
    left: AtomicU64,
    keys: u64,
}

async fn request(
    contact: &str,
    keyspace: &str,
    what: &str,
    (count, keys): (u64, u64),
) -> Outcome<(u64, f64)> {
    let session = SessionBuilder::new().known_node(contact).tcp_nodelay(true).build().await?;
    let prepare = async |text: String, consistency: Consistency| -> Outcome<PreparedStatement> {
        let mut statement = session.prepare(text).await?;
        statement.set_consistency(consistency);
        statement.set_serial_consistency(Some(SerialConsistency::Serial));
        Ok(statement)
    };
    let row = format!("\"{keyspace}\".entry_0");
    let update = |using: &str| {
        format!(
            "UPDATE {row} USING {using} SET value = ?, kind = ?, version = ?, expires_at = ? \
             WHERE database = ? AND key = ? AND member = ?"
        )
    };
    let bare = Arc::new(Bare {
        read: prepare(
            format!("SELECT value, kind, version, expires_at FROM {row} WHERE database = ? AND key = ? AND member = ?"),
            Consistency::LocalQuorum,
        )
        .await?,
        set: prepare(update("TTL ? AND TIMESTAMP ?"), Consistency::LocalQuorum).await?,
        insert: prepare(
            format!(
                "INSERT INTO \"{keyspace}\".ordered_0 (bucket, key, member, kind, version, expires_at) \
                 VALUES (?, ?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?"
            ),
            Consistency::LocalQuorum,
        )
        .await?,
        compare: prepare(format!("{} IF version < ?", update("TTL ?")), Consistency::Quorum).await?,
        clock: SystemClock::new(),
        left: AtomicU64::new(count),
        keys,
        session,
    });
    let started = Instant::now();
    let clients = (0..TOGETHER).map(|number| tokio::spawn(client(bare.clone(), what.to_owned(), number)));
    for client in clients.collect::<Vec<_>>() {
        client.await??;
    }
    Ok((count, started.elapsed().as_secs_f64()))
}

/// Sends one request after another until none are left.
async fn client(bare: Arc<Bare>, what: String, number: u64) -> Outcome {
    let mut random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while bare.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        let drawn = random.wrapping_mul(0x2545_f491_4f6c_dd1d) % bare.keys;
        let key = format!("key:{drawn:012}").into_bytes();
        match what.as_str() {
            "get" => bare.get(&key).await?,
            "set" => bare.set(&key, drawn).await?,
            "compare" => bare.compare(&key, drawn).await?,
            unknown => return Err(format!("{unknown} is none of get, set, compare, list").into()),
        }
    }
    Ok(())
}

impl Bare {
    fn now_us(&self) -> i64 {
        self.clock.now_ms() as i64 * 1000
    }

    async fn get(&self, key: &[u8]) -> Outcome {
        let result = self.session.execute_unpaged(&self.read, (0_i8, key, &[] as &[u8])).await?;
        let rows = result.into_rows_result()?;
        rows.maybe_first_row::<(Option<Vec<u8>>, Option<i8>, Option<i64>, Option<i64>)>()?;
        Ok(())
    }

    /// The row and its entry in the index as one batch, as the engine writes them where the latest wins.
    async fn set(&self, key: &[u8], drawn: u64) -> Outcome {
        let now = self.now_us();
        let mut batch = Batch::new(BatchType::Logged);
        batch.set_consistency(Consistency::LocalQuorum);
        batch.append_statement(self.set.clone());
        batch.append_statement(self.insert.clone());
        let (member, nothing) = (&[] as &[u8], None::<i64>);
        let set = (0_i32, now, VALUE, 0_i8, now, nothing, 0_i8, key, member);
        let insert = ((drawn % 16) as i16, key, member, 0_i8, now, nothing, 0_i32, now);
        self.session.batch(&batch, (set, insert)).await?;
        Ok(())
    }

    /// The entry in the index and then the row, by compare-and-set, as the engine writes them otherwise.
    async fn compare(&self, key: &[u8], drawn: u64) -> Outcome {
        let now = self.now_us() / 16;
        let (member, nothing) = (&[] as &[u8], None::<i64>);
        let insert = ((drawn % 16) as i16, key, member, 0_i8, now, nothing, 0_i32, now);
        self.session.execute_unpaged(&self.insert, insert).await?;
        let compare = (0_i32, VALUE, 0_i8, now, nothing, 0_i8, key, member, now);
        self.session.execute_unpaged(&self.compare, compare).await?;
        Ok(())
    }
}
