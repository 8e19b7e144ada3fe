//! A store as one readable file that is saved after each write. Takes the file's path.

use std::{env, fs, path::Path};

use tresor::{Config, Database, Result};

/// Writes, and shows what stands in the file after each write.
pub(crate) fn run(path: &Path) -> Result<String> {
    let store = Database::open(Config::json_file(path))?;
    store.put("name", "Alice")?;
    store.put("visits", 1)?;
    // The call has returned, so the file has it: another program may read it now.
    let text = fs::read_to_string(path).unwrap_or_default();
    store.close()?;
    Ok(text)
}

#[allow(dead_code)] // The tests call `run` with a file of theirs.
fn main() -> Result<()> {
    let path = env::args_os().nth(1).map_or_else(|| env::temp_dir().join("tresor.json"), Into::into);
    println!("{}:\n{}", path.display(), run(&path)?);
    Ok(())
}
