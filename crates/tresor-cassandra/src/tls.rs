//! Encrypted connections to the cluster, where authorities are named that its nodes have to prove.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tresor::{Error, Result};

use crate::options::Options;

/// What the driver needs; `None` for plain connections.
pub(crate) fn context(options: &Options) -> Result<Option<Arc<ClientConfig>>> {
    let Some(path) = &options.tls_authorities else { return Ok(None) };
    let failed = |error: String| {
        let message = format!("--cassandra-tls-ca {}: give a PEM file of certificates", path.display());
        Error::invalid(message).caused_by(error)
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))? {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(failed("it has none".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?;
    Ok(Some(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}
