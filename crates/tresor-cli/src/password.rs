//! Where a password comes from: said outright, or the first line of a file.

use std::{fs, path::Path};

use crate::{
    arguments::Credentials,
    failure::{Failure, Outcome},
};

/// The password of a server or a client, if there is one. It is never empty.
pub(crate) fn from(said: Option<&str>, file: Option<&Path>) -> Outcome<Option<String>> {
    match (said, file) {
        (Some(_), Some(_)) => {
            Err(Failure::usage("--password and --password-file exclude each other: give one of them"))
        }
        (None, None) => Ok(None),
        (Some(password), None) => some(password, "--password").map(Some),
        (None, Some(path)) => in_file("--password-file", path).map(Some),
    }
}

/// The first line of the file that an option names.
pub(crate) fn in_file(option: &str, path: &Path) -> Outcome<String> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::failed(format!("{option}: cannot read {}: {error}", path.display())))?;
    some(text.lines().next().unwrap_or(""), &format!("{option} {}", path.display()))
}

fn some(password: &str, origin: &str) -> Outcome<String> {
    if password.is_empty() {
        return Err(Failure::usage(format!("{origin}: the password is empty; give one, or leave it out")));
    }
    Ok(password.to_owned())
}

impl Credentials {
    /// The password to prove who we are with, if there is one.
    pub(crate) fn password(&self) -> Outcome<Option<String>> {
        from(self.password.as_deref(), self.password_file.as_deref())
    }
}
