//! Where a password comes from: said outright, or the first line of a file.

use std::{fs, path::Path};

use crate::{
    arguments::Credentials,
    failure::{Failure, Outcome},
};

/// The password of a server or a client, if there is one. It is never empty.
pub(crate) fn from(said: Option<&str>, file: Option<&Path>) -> Outcome<Option<String>> {
    let (password, origin) = match (said, file) {
        (Some(_), Some(_)) => {
            return Err(Failure::usage(
                "--password and --password-file exclude each other: give one of them",
            ));
        }
        (None, None) => return Ok(None),
        (Some(password), None) => (password.to_owned(), "--password".to_owned()),
        (None, Some(path)) => {
            let text = fs::read_to_string(path).map_err(|error| {
                Failure::failed(format!("--password-file: cannot read {}: {error}", path.display()))
            })?;
            (text.lines().next().unwrap_or("").to_owned(), format!("--password-file {}", path.display()))
        }
    };
    if password.is_empty() {
        return Err(Failure::usage(format!("{origin}: the password is empty; give one, or leave it out")));
    }
    Ok(Some(password))
}

impl Credentials {
    /// The password to prove who we are with, if there is one.
    pub(crate) fn password(&self) -> Outcome<Option<String>> {
        from(self.password.as_deref(), self.password_file.as_deref())
    }
}
