//! What can be changed while a database runs: the password, and whatever CONFIG SET accepts.

use parking_lot::RwLock;

/// Settings shared by all sessions.
#[derive(Default)]
pub struct Settings {
    password: RwLock<Option<String>>,
}

impl Settings {
    /// Whether clients have to authenticate.
    pub fn needs_password(&self) -> bool {
        self.password.read().is_some()
    }
}
