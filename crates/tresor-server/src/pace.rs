//! When a reader of changes is given its next page.
//!
//! Under many writes a page for each would wake reader and writer as often. So a reader that has read everything
//! rests for a moment before it waits for more: what happens in that moment is one page.

use std::time::Duration;

use tokio::{task::yield_now, time::sleep};
use tresor::{ChangeFeed, FeedPage, Result};

/// How long a reader that has read everything rests.
const REST: Duration = Duration::from_millis(10);

/// The next page. To be dropped at any time: what was not answered was not told.
pub(crate) async fn paced_page(feed: &mut ChangeFeed, more: bool) -> Result<FeedPage> {
    if more {
        yield_now().await;
    } else {
        sleep(REST).await;
    }
    feed.page(true).await
}
