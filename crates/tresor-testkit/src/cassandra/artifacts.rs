//! Cassandra's jars: resolved once through Maven, kept in a cache that all processes share.
//!
//! A cache that is there is whole: jars are fetched into a directory beside it, marked as complete, and
//! moved to their place in one step. Whoever fetches holds a lock file, so that two test processes
//! neither download twice nor see half of what the other has.

use std::{
    env, fs,
    fs::File,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
};

use crate::programs;

/// Names a directory with the jars instead of the cache in the home directory.
const LIBRARY: &str = "TRESOR_CASSANDRA_LIBRARY";

/// Stands in a directory that holds every jar.
const COMPLETE: &str = ".complete";

/// How much of Maven's output an error shows.
const SHOWN_LINES: usize = 20;

/// A directory with `org.apache.cassandra:cassandra-all` of one version and all it depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifacts {
    directory: PathBuf,
}

impl Artifacts {
    /// The jars of a version, from the cache or else through `mvn`, which takes a minute and a network.
    ///
    /// They lie in `$TRESOR_CASSANDRA_LIBRARY`, else in `$HOME/.cache/tresor/cassandra-<version>`. The
    /// error says what Maven or the file system said.
    pub fn fetch(version: &str) -> Result<Self, String> {
        let directory = directory(version)?;
        if is_complete(&directory, version)? {
            return Ok(Self { directory });
        }
        let parent = directory.parent().ok_or_else(|| format!("{LIBRARY} names no directory"))?;
        fs::create_dir_all(parent).map_err(|error| told(parent, &error))?;
        let lock_path = with_suffix(&directory, ".lock");
        let lock = File::create(&lock_path).map_err(|error| told(&lock_path, &error))?;
        lock.lock().map_err(|error| told(&lock_path, &error))?;
        // Somebody else may have fetched them while we waited for the lock.
        if !is_complete(&directory, version)? {
            fetch_into(&directory, version)?;
        }
        Ok(Self { directory })
    }

    /// Whether the jars of a version are there already, so that neither Maven nor a network is needed.
    pub fn cached(version: &str) -> bool {
        directory(version).is_ok_and(|directory| is_complete(&directory, version) == Ok(true))
    }

    /// Where the jars are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What follows `java -cp`.
    pub(super) fn class_path(&self) -> PathBuf {
        self.directory.join("jars/*")
    }
}

fn directory(version: &str) -> Result<PathBuf, String> {
    // It becomes a part of paths and of an XML file.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if version.is_empty() || version.starts_with('.') || !version.bytes().all(is_plain) {
        return Err(format!("{version:?} is no version of Cassandra: write one like {}", super::VERSION));
    }
    let path = match env::var_os(LIBRARY) {
        Some(path) => PathBuf::from(path),
        None => {
            let home = env::var_os("HOME").ok_or_else(|| format!("neither HOME nor {LIBRARY} is set"))?;
            PathBuf::from(home).join(".cache/tresor").join(format!("cassandra-{version}"))
        }
    };
    std::path::absolute(&path).map_err(|error| told(&path, &error))
}

/// Whether every jar is there; an error when the directory holds something else.
fn is_complete(directory: &Path, version: &str) -> Result<bool, String> {
    if !directory.join(COMPLETE).exists() {
        return Ok(false);
    }
    if directory.join("jars").join(format!("cassandra-all-{version}.jar")).exists() {
        return Ok(true);
    }
    Err(format!(
        "{} holds another version than {version}: unset {LIBRARY}, or remove it",
        directory.display()
    ))
}

fn fetch_into(directory: &Path, version: &str) -> Result<(), String> {
    let mvn = programs::find("mvn").ok_or("mvn is not installed (apt-get install maven)")?;
    let temporary = RemovedOnFailure(Some(with_suffix(directory, &format!(".{}", process::id()))));
    let own = temporary.path();
    // A leftover of a killed process that had our id.
    let _ = fs::remove_dir_all(own);
    fs::create_dir_all(own).map_err(|error| told(own, &error))?;
    let pom = own.join("pom.xml");
    fs::write(&pom, project(version)).map_err(|error| told(&pom, &error))?;
    let output = Command::new(mvn)
        .args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars"])
        .current_dir(own)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("mvn does not start: {error}"))?;
    if !output.status.success() {
        // Maven writes its errors to standard output.
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let tail = super::node::last_lines(&said, SHOWN_LINES);
        return Err(format!("mvn cannot fetch Cassandra {version}: {}\n{tail}", output.status));
    }
    let marker = own.join(COMPLETE);
    fs::write(&marker, version).map_err(|error| told(&marker, &error))?;
    fs::rename(own, directory).map_err(|error| {
        let shown = directory.display();
        format!(
            "cannot move the jars to {shown}: {error}; remove what is there, it holds no whole set of jars"
        )
    })?;
    temporary.keep();
    Ok(())
}

fn project(version: &str) -> String {
    format!(
        "\
<project xmlns=\"http://maven.apache.org/POM/4.0.0\">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId>
  <artifactId>cassandra</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.cassandra</groupId>
      <artifactId>cassandra-all</artifactId>
      <version>{version}</version>
    </dependency>
  </dependencies>
</project>
"
    )
}

/// A directory that goes away unless it was moved to its place.
struct RemovedOnFailure(Option<PathBuf>);

impl RemovedOnFailure {
    fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for RemovedOnFailure {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // What stays behind is in nobody's way.
            let _ = fs::remove_dir_all(path);
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn told(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{Artifacts, is_complete};
    use crate::TemporaryDirectory;

    #[test]
    fn a_version_cannot_lead_elsewhere() {
        for version in ["", "..", "../5", "5.0.8<", "5 0"] {
            assert!(Artifacts::fetch(version).is_err(), "{version}");
            assert!(!Artifacts::cached(version), "{version}");
        }
    }

    #[test]
    fn a_library_is_complete_with_its_marker_and_its_version() {
        let library = TemporaryDirectory::new("library");
        fs::create_dir(library.join("jars")).unwrap();
        fs::write(library.join("jars/cassandra-all-5.0.8.jar"), "").unwrap();
        let complete = |version| is_complete(Path::new(library.path()), version);
        assert_eq!(complete("5.0.8"), Ok(false));
        fs::write(library.join(".complete"), "").unwrap();
        assert_eq!(complete("5.0.8"), Ok(true));
        assert!(complete("5.0.7").is_err_and(|error| error.contains("another version")));
    }
}
