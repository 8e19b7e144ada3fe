//! The order of layers: the one place that decides which stands on which.
//!
//! From outside: cache, engine. A cache keeps what readers get, so it stands outermost.

use std::sync::Arc;

use super::cached::Cached;
use crate::{config::Config, engine::Engine, error::Result};

/// Puts the layers that a configuration asks for on an engine.
pub(crate) fn over(engine: Arc<dyn Engine>, config: &Config) -> Result<Arc<dyn Engine>> {
    let mut engine = engine;
    if let Some(capacity) = config.cache {
        engine = Arc::new(Cached::new(engine, capacity)?);
    }
    Ok(engine)
}
