//! The change feed: what happens to the entries, page by page, from wherever one was.

use std::time::Duration;

use tresor::{ChangeKind, Config, Database, FeedOptions, Result};

pub(crate) fn main() -> Result<()> {
    let store = Database::open(Config::memory())?;
    let mut feed = store.change_feed(&FeedOptions::new().prefix("user:").values())?;
    store.put("user:ada", 36)?;
    store.put("order:1", 12.5)?;
    store.delete("user:ada")?;

    let page = feed.next_page(Duration::from_secs(1))?;
    for change in &page.changes {
        println!("{} {} {}", change.sequence, change.kind.name(), String::from_utf8_lossy(&change.key));
    }
    assert_eq!(page.changes.len(), 2);
    assert_eq!(page.changes[1].kind, ChangeKind::Delete);

    // A position is all that has to be kept to go on later, in another process too where the store has a path.
    let position = page.position.to_string();
    store.put("user:bob", 17)?;
    let mut later = store.change_feed(&FeedOptions::new().since(position.parse()?))?;
    let page = later.next_page(Duration::ZERO)?;
    assert_eq!(page.changes[0].key, b"user:bob");

    // What is gone is told as a gap: then the entries have to be read anew.
    assert!(page.gap.is_none());
    store.close()
}
