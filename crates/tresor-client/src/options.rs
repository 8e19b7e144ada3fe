//! How to connect, and how long to wait.

use std::{fmt, time::Duration};

/// What a connection may be told beyond its address.
///
/// ```
/// use tresor_client::Options;
///
/// let options = Options { password: Some("hunter2".to_owned()), ..Options::default() };
/// assert!(!format!("{options:?}").contains("hunter2"));
/// ```
#[derive(Clone)]
pub struct Options {
    /// The server's password, sent before anything else. None by default.
    pub password: Option<String>,
    /// How long to wait for a connection, and for a line to be taken. 10 seconds by default.
    pub connect_timeout: Duration,
    /// How long to wait for an answer while not a byte of it comes; `None` waits for ever. 60 seconds by
    /// default, which is longer than a server lets a command wait for a lock.
    pub answer_timeout: Option<Duration>,
    /// The longest answer that is taken, in bytes; 512 MiB by default. A longer one is
    /// [`TooLarge`](crate::ErrorKind::TooLarge), and the connection is given up.
    pub max_answer_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            password: None,
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Some(Duration::from_secs(60)),
            max_answer_bytes: 512 << 20,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("connect_timeout", &self.connect_timeout)
            .field("answer_timeout", &self.answer_timeout)
            .field("max_answer_bytes", &self.max_answer_bytes)
            .finish()
    }
}
