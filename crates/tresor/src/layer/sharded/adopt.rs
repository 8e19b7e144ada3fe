//! Entries from another store, each put as it is on the shard that owns it.
//!
//! Every shard's numbers are lifted, also where no entry goes: a key that is not among them may have had
//! one of those versions elsewhere.

use smallvec::SmallVec;

use super::{
    core::{Core, start},
    ring::hash_of_key,
    routes::Routes,
    write::way,
};
use crate::{
    engine::{Content, Page, Sequence},
    error::Result,
};

/// Puts entries as they are.
pub(super) async fn adopt(core: &Core, entries: &Page, above: Sequence, now_ms: u64) -> Result<Sequence> {
    let hashes: SmallVec<[u64; 16]> = entries.iter().map(|(key, _)| hash_of_key(key.key)).collect();
    let copying = |routes: &Routes| {
        let mut keys = entries.iter().zip(&hashes);
        routes.moving.is_some() && keys.any(|((key, _), hash)| routes.route(key.key, *hash).copying)
    };
    let (_held, routes) = way(core, &hashes, copying).await;
    let highest = entries.iter().map(|(_, entry)| entry.version).max().unwrap_or(0);
    let mut pages = Vec::new();
    for (number, member) in core.asked(&routes) {
        member.check()?;
        let mut page: Option<Page> = None;
        for ((key, entry), hash) in entries.iter().zip(&hashes) {
            if routes.route(key.key, *hash).owner == number {
                let key = routes.physical(key);
                let page = page.get_or_insert_with(|| Page::new(key.database));
                page.push(key.key, key.member, &entry, Content::Entries);
            }
        }
        pages.push((member, page.unwrap_or_default()));
    }
    let answers: Vec<_> = pages
        .iter()
        .map(|(member, page)| start(member.engine.adopt(page, above.max(highest), now_ms)))
        .collect();
    let mut sequence = 0;
    for (answer, (member, _)) in answers.into_iter().zip(&pages) {
        sequence = sequence.max(answer.await.map_err(|error| member.named(error))?);
    }
    Ok(sequence)
}
