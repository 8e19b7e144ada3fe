//! A client of Tresor's line protocol: for programs that talk to a server and hold no database.
//!
//! [`Client`] blocks, on the standard library's sockets alone; `AsyncClient`, behind the feature `async`,
//! does the same on tokio. Both send lines and take one JSON object a line back; what a line looks like
//! and what an answer means is said once for both, without I/O.
//!
//! ```no_run
//! use tresor_client::{Client, ErrorKind};
//!
//! # fn main() -> tresor_client::Result<()> {
//! let mut client = Client::connect("127.0.0.1:7379")?;
//! client.put("name", "Alice")?;
//! assert_eq!(client.get("name")?.expect("just written"), "Alice");
//!
//! let transaction = client.begin()?;
//! client.put_in(transaction, "house", "large")?;
//! client.put_in(transaction, "house", "small")?;
//! client.rollback(transaction)?;                        // house is large again
//! client.commit(transaction)?;
//! assert_eq!(client.commit(transaction).map_err(|error| error.kind()), Err(ErrorKind::UnknownTransaction));
//!
//! let answer = client.send_command("GET house")?;       // any line, its answer as JSON
//! assert_eq!(answer["value"], "large");
//! client.disconnect()
//! # }
//! ```
//!
//! # The API on one page
//!
//! | for | there is |
//! |---|---|
//! | connecting | [`Client::connect`], [`Client::connect_with`], [`Options`], [`Client::disconnect`] |
//! | entries | [`put`](Client::put), [`get`](Client::get), [`delete`](Client::delete), [`Value`] |
//! | transactions | [`begin`](Client::begin), [`put_in`](Client::put_in), [`get_in`](Client::get_in), [`delete_in`](Client::delete_in), [`delete_written`](Client::delete_written), [`rollback`](Client::rollback), [`abort`](Client::abort), [`commit`](Client::commit), [`commit_all`](Client::commit_all), [`TransactionId`] |
//! | all there is | [`show_all`](Client::show_all), [`Contents`] |
//! | any line | [`send_command`](Client::send_command), [`send_line`](Client::send_line), [`send_all`](Client::send_all), [`quoted`] |
//! | the rest | [`ping`](Client::ping), [`select`](Client::select), [`authenticate`](Client::authenticate) |
//! | what went wrong | [`Error`], [`ErrorKind`], [`Result`] |

mod answer;
#[cfg(feature = "async")]
mod async_client;
mod batches;
mod calls;
mod client;
mod connection;
mod error;
mod options;
mod quoting;
mod request;
mod transaction;
mod value;

#[cfg(feature = "async")]
pub use async_client::AsyncClient;
pub use client::Client;
pub use error::{Error, ErrorKind, Result};
pub use options::Options;
pub use quoting::quoted;
pub use transaction::{Contents, OpenTransaction, TransactionId, Undone};
pub use value::Value;

/// The blocks of the page are compiled as doc tests.
#[cfg(all(doctest, feature = "async"))]
#[doc = include_str!("../../../docs/client.md")]
struct Page;
