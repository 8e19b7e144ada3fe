//! The command line: one table from which parsing, help, completions and man pages are made.
//!
//! What clap cannot say once for all options is added here by rule, from the option's own name: its
//! environment variable, and its default as `Options::defaults` has it.

use std::{ffi::OsString, path::PathBuf};

use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{
    argv, bench, cassandra, check, client, completions, compress, copy, dump, load, man, prompt, serve,
};

/// A key-value database that speaks the Redis protocol and HTTP.
#[derive(Debug, Parser)]
#[command(name = "tresor", version, arg_required_else_help = true, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) subcommand: Chosen,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Chosen {
    /// Start the server
    Serve(Box<serve::Arguments>),
    /// Print the value of a key, byte for byte
    Get(client::get::Arguments),
    /// Set the value of a key
    Put(client::put::Arguments),
    /// Delete a key
    Delete(client::delete::Arguments),
    /// List the keys in order, one a line
    List(client::list::Arguments),
    /// Find entries by patterns and ranges of keys and values, or the nearest to a vector
    Find(Box<client::find::Arguments>),
    /// Define indexes of values and vectors, list them, drop one
    Index(client::index::Arguments),
    /// Type commands of the line protocol at a prompt, or run a script of them
    Client(prompt::Arguments),
    /// Ask a server whether it is ready
    Health(client::health::Arguments),
    /// Have a server read its encryption keys again and re-encrypt all values under the first
    RotateKeys(client::rotate_keys::Arguments),
    /// List a server's shards, add one, remove one, weigh them anew
    Shards(client::shards::Arguments),
    /// Examine the log and the snapshots of a stopped store, and repair them if asked to
    Check(check::Arguments),
    /// Write every entry as a line of JSON
    Dump(dump::Arguments),
    /// Read entries back that `tresor dump` has written
    Load(load::Arguments),
    /// Copy all entries of a stopped store to another, of whatever engines the two are
    Copy(copy::Arguments),
    /// Tell what compression would save in a stopped store
    Compress(compress::Arguments),
    /// Measure a server that speaks the Redis protocol
    Bench(bench::Arguments),
    /// Print a store's tables on a Cassandra cluster, or tell how the cluster is doing
    Cassandra(cassandra::Arguments),
    /// Print a completion script for a shell
    Completions(completions::Arguments),
    /// Print a man page, or write all of them to a directory
    Man(man::Arguments),
}

/// Options of every subcommand that talks to a server over HTTP.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServerOptions {
    /// The server's HTTP address
    #[arg(long, value_name = "URL", env = "TRESOR_SERVER", default_value = "http://127.0.0.1:8080")]
    pub(crate) server: String,
    #[command(flatten)]
    pub(crate) credentials: Credentials,
}

/// How a client proves who it is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Credentials {
    /// The server's password; better kept in a file or the environment, since other users of the
    /// machine can see command lines
    #[arg(long, value_name = "TEXT", env = "TRESOR_PASSWORD", hide_env_values = true)]
    pub(crate) password: Option<String>,
    /// File whose first line is the password
    #[arg(long, value_name = "FILE", env = "TRESOR_PASSWORD_FILE", conflicts_with = "password")]
    pub(crate) password_file: Option<PathBuf>,
}

/// Reads the command line. Help, versions and wrong usage come back as clap's error.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Arguments, clap::Error> {
    let matches = command().try_get_matches_from(argv::rewritten(words))?;
    Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut command()))
}

/// The whole command line as clap sees it.
pub(crate) fn command() -> clap::Command {
    let cassandra = |command: clap::Command| {
        command.mut_subcommand("schema", described).mut_subcommand("status", described)
    };
    Arguments::command().mut_subcommand("serve", described).mut_subcommand("cassandra", cassandra)
}

/// A subcommand that takes the server's options, with their defaults and environment variables.
fn described(command: clap::Command) -> clap::Command {
    let defaults = serve::defaults_in_words();
    command.mut_args(|arg| {
        let Some(name) = arg.get_long().map(str::to_owned) else { return arg };
        if matches!(name.as_str(), "help" | "check-config") {
            return arg;
        }
        let described = match defaults.get(&name) {
            Some(default) => with_default(arg, default),
            None => arg,
        };
        let variable = format!("TRESOR_{}", name.to_ascii_uppercase().replace('-', "_"));
        described.env(variable).hide_env_values(true)
    })
}

/// The option with its default named at the end of its help.
fn with_default(arg: Arg, default: &str) -> Arg {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    arg.help(format!("{help} [default: {default}]"))
}

#[cfg(test)]
mod tests {
    use super::{command, parse};

    #[test]
    fn the_table_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn an_unknown_option_suggests_the_nearest() {
        let error = parse(["tresor", "serve", "--prot", "1"].map(Into::into)).unwrap_err();
        assert!(error.to_string().contains("'--port'"), "{error}");
    }
}
