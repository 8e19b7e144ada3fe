//! Keys and certificates of a cluster that is secured: one for all its nodes, signed by itself.
//!
//! Made by the `keytool` that comes with Java, once for a cluster's directory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{MOST_NODES, Network};

/// What opens the key store; nothing but its format asks for it.
pub(super) const STORE_PASSWORD: &str = "cassandra";

/// The nodes' key store.
pub(super) fn key_store(directory: &Path) -> PathBuf {
    directory.join("keys.p12")
}

/// Who signed the nodes' certificates, in PEM.
pub(super) fn authorities(directory: &Path) -> PathBuf {
    directory.join("authorities.pem")
}

/// Makes both, for nodes at these addresses, if they are not there.
pub(super) fn make(java: &Path, directory: &Path, network: &Network) -> Result<(), String> {
    let (store, certificate) = (key_store(directory), authorities(directory));
    if certificate.exists() {
        return Ok(());
    }
    // What an earlier start left half done.
    if store.exists() {
        fs::remove_file(&store).map_err(|error| format!("{}: {error}", store.display()))?;
    }
    let names: Vec<String> = (1..=MOST_NODES).map(|node| format!("ip:{}", network.address(node))).collect();
    let names = format!("san={}", names.join(","));
    let words =
        ["-genkeypair", "-alias", "node", "-keyalg", "EC", "-dname", "CN=tresor test", "-ext", &names];
    keytool(java, &words, &store)?;
    let file = certificate.to_str().ok_or("the directory's name is no text")?;
    keytool(java, &["-exportcert", "-rfc", "-alias", "node", "-file", file], &store)
}

fn keytool(java: &Path, words: &[&str], store: &Path) -> Result<(), String> {
    let output = Command::new(java.with_file_name("keytool"))
        .args(words)
        .arg("-keystore")
        .arg(store)
        .args(["-storetype", "PKCS12", "-storepass", STORE_PASSWORD])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("keytool does not start: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("keytool {}: {}", words[0], String::from_utf8_lossy(&output.stdout).trim())),
    }
}
