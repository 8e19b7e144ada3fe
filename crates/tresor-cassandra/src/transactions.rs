//! Rows of several partitions as one, on a cluster whose Cassandra has Accord.
//!
//! A transaction reads every row, writes all of them if each still has the version that the plan was
//! made for, and answers the versions it saw, which tell whether it wrote. It takes no time to live; see
//! `sweep.rs`. The form of the statements: CEP-15 of Apache Cassandra. How many rows there are and which
//! of them are new decides the words, so they are put together when needed, and prepared once.

use std::fmt::Write as _;

use scylla::value::{CqlValue, Row as Answer};
use tresor::{Error, ErrorKind, Result};

use crate::{
    change::Rows,
    cluster::unreadable,
    failure::Intent,
    row::{Address, Row},
    schema::quoted,
    store::Store,
};

/// Rows of one transaction. Four times as many work on a quiet node, but one such statement fills a
/// node's cache, and all others are lost to it.
const MOST_ROWS: usize = 256;

/// Reads rows as of one moment.
pub(crate) async fn read(store: &Store, addresses: &[Address]) -> Result<Vec<Row>> {
    check_number(addresses.len())?;
    let mut all = addresses.to_vec();
    all.push(elsewhere(&addresses[0]));
    let mut words = Words::new(store, &all, "value, kind, version, expires_at").await?;
    words.answer(&["value", "kind", "version", "expires_at"]);
    let columns = words.execute(Intent::Harmless).await?;
    Ok(columns.chunks(4).take(addresses.len()).map(row).collect())
}

/// A row of another partition. What reads a single one is not ordered among the writes, but looks at its
/// rows one by one when those before it are done (Accord's ephemeral reads), and may see half of the next.
fn elsewhere(address: &Address) -> Address {
    let mut key = address.key.to_vec();
    match key.first_mut() {
        Some(byte) => *byte ^= 1,
        None => key.push(0),
    }
    Address { key: key.into(), ..address.clone() }
}

/// Sets rows if their versions are those that were read.
pub(crate) async fn set(store: &Store, read: &Rows, rows: &Rows) -> Result<bool> {
    check_number(read.len())?;
    let addresses: Vec<Address> = read.iter().map(|(address, _)| address.clone()).collect();
    let mut words = Words::new(store, &addresses, "version").await?;
    words.answer(&["version"]);
    words.condition(read);
    for ((address, row), (_, before)) in rows.iter().zip(read) {
        if row.version != before.version {
            words.update(address, row);
        }
    }
    words.text.push_str("END IF\n");
    let seen = words.execute(Intent::Change).await?;
    let same = |(seen, (_, before)): (&Option<CqlValue>, &(Address, Row))| version(seen) == before.version;
    Ok(seen.iter().zip(read).all(same))
}

fn check_number(rows: usize) -> Result<()> {
    if rows <= MOST_ROWS {
        return Ok(());
    }
    let message =
        format!("{rows} keys are more than one transaction of Cassandra takes: give at most {MOST_ROWS}");
    Err(Error::new(ErrorKind::TooLarge, message))
}

/// The words of a transaction that are being put together.
struct Words<'s> {
    store: &'s Store,
    text: String,
    values: Vec<Option<CqlValue>>,
    rows: usize,
}

impl<'s> Words<'s> {
    /// Begins with what is read.
    async fn new(store: &'s Store, addresses: &[Address], columns: &str) -> Result<Self> {
        let mut words =
            Self { store, text: "BEGIN TRANSACTION\n".to_owned(), values: Vec::new(), rows: addresses.len() };
        for (index, address) in addresses.iter().enumerate() {
            // A database that nobody has written to has no table to ask.
            store.made(address.database).await?;
            let table = words.table(address);
            words.say(format_args!("LET r{index} = (SELECT {columns} FROM {table} "));
            words.at(address);
            words.text.push_str(");\n");
        }
        Ok(words)
    }

    fn say(&mut self, words: std::fmt::Arguments<'_>) {
        self.text.write_fmt(words).expect("a string takes every text");
    }

    fn table(&self, address: &Address) -> String {
        format!("{}.entry_{}", quoted(&self.store.options.keyspace), address.database)
    }

    fn at(&mut self, address: &Address) {
        self.text.push_str("WHERE database = ? AND key = ? AND member = ?");
        self.values.extend([
            Some(CqlValue::TinyInt(address.database as i8)),
            Some(CqlValue::Blob(address.key.to_vec())),
            Some(CqlValue::Blob(address.member.to_vec())),
        ]);
    }

    /// What is answered of each row.
    fn answer(&mut self, columns: &[&str]) {
        let all: Vec<String> = (0..self.rows)
            .flat_map(|index| columns.iter().map(move |column| format!("r{index}.{column}")))
            .collect();
        self.say(format_args!("SELECT {};\n", all.join(", ")));
    }

    fn condition(&mut self, read: &Rows) {
        let mut all = Vec::with_capacity(read.len());
        for (index, (_, row)) in read.iter().enumerate() {
            if row.version == 0 {
                all.push(format!("r{index}.version IS NULL"));
            } else {
                all.push(format!("r{index}.version = ?"));
                self.values.push(Some(CqlValue::BigInt(row.version as i64)));
            }
        }
        self.say(format_args!("IF {} THEN\n", all.join(" AND ")));
    }

    fn update(&mut self, address: &Address, row: &Row) {
        let table = self.table(address);
        self.say(format_args!("UPDATE {table} SET value = ?, kind = ?, version = ?, expires_at = ? "));
        self.values.extend([
            row.value.as_ref().map(|value| CqlValue::Blob(value.to_vec())),
            row.value.as_ref().map(|_| CqlValue::TinyInt(row.kind as i8)),
            Some(CqlValue::BigInt(row.version as i64)),
            row.expires_at_ms.map(|at| CqlValue::BigInt(at as i64)),
        ]);
        self.at(address);
        self.text.push_str(";\n");
    }

    /// The columns of the one row that it answers.
    async fn execute(mut self, intent: Intent) -> Result<Vec<Option<CqlValue>>> {
        self.text.push_str("COMMIT TRANSACTION");
        let statement = self.store.prepared.of(&self.store.cluster, self.text).await?;
        let rows = self.store.cluster.rows(&statement, self.values, intent).await?;
        Ok(rows.first_row::<Answer>().map_err(unreadable)?.columns)
    }
}

fn row(columns: &[Option<CqlValue>]) -> Row {
    let [value, kind, version, expires_at] = columns else { return Row::default() };
    let value = match value {
        Some(CqlValue::Blob(bytes)) => Some(bytes.clone().into()),
        _ => None,
    };
    let kind = match kind {
        Some(CqlValue::TinyInt(kind)) => Some(*kind),
        _ => None,
    };
    Row::from_columns((value, kind, number(version), number(expires_at)))
}

fn version(column: &Option<CqlValue>) -> tresor::engine::Version {
    number(column).unwrap_or_default() as tresor::engine::Version
}

fn number(column: &Option<CqlValue>) -> Option<i64> {
    match column {
        Some(CqlValue::BigInt(number)) => Some(*number),
        _ => None,
    }
}
