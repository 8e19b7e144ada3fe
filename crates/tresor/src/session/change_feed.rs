//! The change feed of a client: begun and ended by a command, read by whoever serves the connection.

use super::Session;
use crate::{
    change_feed::{ChangeFeed, FeedOptions, FeedPage, FeedPosition},
    command::write_page,
    database::Database,
    error::Result,
    reply::ReplyWriter,
};

/// A feed that goes on beside the replies.
pub struct FollowedFeed {
    feed: ChangeFeed,
    /// The last page said that there is more already.
    more: bool,
}

impl FollowedFeed {
    /// The feed, and whether there is more to read already.
    pub fn parts(&mut self) -> (&mut ChangeFeed, bool) {
        (&mut self.feed, self.more)
    }

    /// Writes a page of it as pushes.
    pub fn write(&mut self, page: &FeedPage, reply: &mut ReplyWriter) {
        self.more = page.more;
        write_page(page, self.feed.tells_values(), reply);
    }
}

impl Session {
    /// The feed that goes on beside the replies, if there is one.
    #[inline]
    pub fn change_feed(&mut self) -> Option<&mut FollowedFeed> {
        self.feed.as_deref_mut()
    }

    /// Whether whoever serves it sends what answers no command.
    pub(crate) fn takes_pushes(&self) -> bool {
        self.bell.is_some() && !self.pinned
    }

    /// Tells what happens in the selected database from now on, or from a position; in place of what was told
    /// before. Where it begins.
    pub(crate) async fn begin_change_feed(&mut self, options: FeedOptions) -> Result<FeedPosition> {
        let database = Database { core: self.core.clone(), number: self.selected };
        let feed = database.begin_change_feed(&options).await?;
        let position = feed.position().await?;
        self.feed = Some(Box::new(FollowedFeed { feed, more: true }));
        Ok(position)
    }

    /// Tells no more.
    pub fn end_change_feed(&mut self) {
        self.feed = None;
    }
}
