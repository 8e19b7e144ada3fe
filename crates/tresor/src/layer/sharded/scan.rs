//! Scans: the shards' pages merged by key, whatever order was asked for.
//!
//! Where a key lies may change while a scan goes on, what it is called does not: a scan by key sees each
//! entry once wherever it has moved to. From each shard only what it owns is taken, so copies on their way
//! are not seen. A merged page ends where the first shard's page ends that has more behind it.

use std::{cmp::Ordering, ops::Bound};

use super::core::{Core, start};
use crate::{
    engine::{Content, Count, EntryRef, Eventual, KeyRef, Order, PAGE_BYTES, Page, Position, Scan},
    error::{Error, Result},
};

/// Keys of a page when they are counted.
const COUNTED: usize = 4096;

/// One page.
pub(super) fn scan<'a>(core: &'a Core, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
    start(async move {
        let _inside = Inside::enter(core).await;
        match scan.order {
            Order::Ascending | Order::Descending => by_key(core, scan, now_ms).await,
            Order::Any => any(core, scan, now_ms).await,
        }
    })
}

/// How many keys a database has, by looking at all of them.
pub(super) async fn count(core: &Core, database: u8, now_ms: u64) -> Result<Count> {
    let mut all = Scan::all(database, Order::Ascending, Content::Keys, COUNTED);
    let mut count = Count::default();
    loop {
        let page = scan(core, &all, now_ms).await?;
        count.keys += page.len() as u64;
        count.unsure += page.iter().filter(|(_, entry)| entry.expires_at_ms.is_some()).count() as u64;
        count.sequence = count.sequence.max(page.sequence);
        match page.next {
            Some(next) => all.position = next,
            None => return Ok(count),
        }
    }
}

/// A scan that is going on; nothing is removed where it may still look.
struct Inside<'a>(&'a Core);

impl<'a> Inside<'a> {
    async fn enter(core: &'a Core) -> Self {
        core.scans.enter(0).await;
        Self(core)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.scans.leave(0);
    }
}

async fn any(core: &Core, scan: &Scan<'_>, now_ms: u64) -> Result<Page> {
    let mut merged = Scan {
        order: Order::Ascending,
        lower: Bound::Unbounded,
        upper: Bound::Unbounded,
        position: Position::Start,
        ..scan.clone()
    };
    let first;
    match scan.position {
        Position::Start => {}
        Position::Cursor(cursor) => merged.position = core.cursors.place(cursor)?,
        Position::Anywhere(number) => {
            first = anywhere(core, scan, number, now_ms).await?;
            let Some(first) = &first else { return Ok(Page::new(scan.database)) };
            merged.lower = Bound::Included(first);
        }
        Position::Behind { .. } => {
            return Err(Error::invalid("an unordered scan goes on from a cursor, not from behind a key"));
        }
    }
    let mut page = by_key(core, &merged, now_ms).await?;
    if let Some(Position::Behind { key, member }) = &page.next {
        page.next = Some(core.cursors.give(key, member)?);
    }
    Ok(page)
}

/// A key that this number picks: the number's shard, and there the place that it stands for.
async fn anywhere(core: &Core, scan: &Scan<'_>, number: u64, now_ms: u64) -> Result<Option<Vec<u8>>> {
    let routes = core.routes.load_full();
    // Not the bits that pick the place: shards would then favour some.
    let picked = routes.ring.owner(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let member = core.member(picked);
    member.check()?;
    let database = routes.mapping[usize::from(scan.database)];
    let asked =
        Scan { database, content: Content::Keys, position: Position::Anywhere(number), ..scan.clone() };
    let page = member.engine.scan(&asked, now_ms).await.map_err(|error| member.named(error))?;
    let own = page.iter().find(|(key, _)| routes.owner(key.key) == picked);
    Ok(own.map(|(key, _)| key.key.to_vec()))
}

async fn by_key(core: &Core, scan: &Scan<'_>, now_ms: u64) -> Result<Page> {
    let routes = core.routes.load_full();
    let members = core.asked(&routes);
    let database = routes.mapping[usize::from(scan.database)];
    let limit = scan.limit.max(1);
    let share = limit.div_ceil(members.len());
    let mut position = scan.position.clone();
    loop {
        let asked = Scan { database, limit: share, position: position.clone(), ..scan.clone() };
        let mut answers = Vec::with_capacity(members.len());
        for (_, member) in &members {
            member.check()?;
            answers.push(start(member.engine.scan(&asked, now_ms)));
        }
        let mut pages = Vec::with_capacity(members.len());
        for (answer, (number, member)) in answers.into_iter().zip(&members) {
            pages.push((*number, answer.await.map_err(|error| member.named(error))?));
        }
        let mut merge = Merge::of(&pages, scan, limit);
        merge.run(|number, key| routes.owner(key) == number);
        let Merge { mut page, next, .. } = merge;
        match next {
            // Nothing here was its shard's own: look further.
            Some(next) if page.is_empty() => position = next,
            next => {
                page.next = next;
                return Ok(page);
            }
        }
    }
}

/// Several pages becoming one.
struct Merge<'p> {
    order: Order,
    content: Content,
    limit: usize,
    heads: Vec<Head<'p>>,
    page: Page,
    next: Option<Position>,
}

type Row<'p> = (KeyRef<'p>, EntryRef<'p>);
type Address<'p> = (&'p [u8], &'p [u8]);

struct Head<'p> {
    number: u8,
    rows: Box<dyn Iterator<Item = Row<'p>> + Send + 'p>,
    row: Option<Row<'p>>,
    /// Where the shard's next page begins.
    more: Option<Address<'p>>,
}

impl<'p> Merge<'p> {
    fn of(pages: &'p [(u8, Page)], scan: &Scan<'_>, limit: usize) -> Self {
        let mut page = Page::new(scan.database);
        page.sequence = pages.iter().map(|(_, page)| page.sequence).max().unwrap_or(0);
        let head = |(number, page): &'p (u8, Page)| {
            let mut rows: Box<dyn Iterator<Item = Row<'p>> + Send + 'p> = Box::new(page.iter());
            let row = rows.next();
            let more = page.next.as_ref().and_then(|next| match next {
                Position::Behind { key, member } => Some((key.as_slice(), member.as_slice())),
                _ => None,
            });
            Head { number: *number, rows, row, more }
        };
        let heads = pages.iter().map(head).collect();
        Self { order: scan.order, content: scan.content, limit, heads, page, next: None }
    }

    /// Takes what is its shard's own, until the page is full or a shard would have to be asked again.
    fn run(&mut self, own: impl Fn(u8, &[u8]) -> bool) {
        let mut last = None;
        loop {
            let order = self.order;
            let ends = self.heads.iter().filter(|head| head.row.is_none()).filter_map(|head| head.more);
            let end = ends.min_by(|one, other| compare(order, *one, *other));
            let rows =
                self.heads.iter().enumerate().filter_map(|(at, head)| Some((at, address(head.row?.0))));
            let first = rows.min_by(|one, other| compare(order, one.1, other.1));
            let within = |address| end.is_none_or(|end| compare(order, address, end).is_le());
            let Some((at, address)) = first.filter(|(_, address)| within(*address)) else {
                self.next = end.map(behind);
                return;
            };
            if self.page.len() >= self.limit || self.page.bytes() >= PAGE_BYTES {
                self.next = last.map(behind);
                return;
            }
            let head = &mut self.heads[at];
            let Some((key, entry)) = head.row.take() else { return };
            head.row = head.rows.next();
            if own(head.number, key.key) {
                self.page.push(key.key, key.member, &entry, self.content);
            }
            last = Some(address);
        }
    }
}

fn address(key: KeyRef<'_>) -> Address<'_> {
    (key.key, key.member)
}

fn behind((key, member): Address<'_>) -> Position {
    Position::Behind { key: key.to_vec(), member: member.to_vec() }
}

fn compare(order: Order, one: Address<'_>, other: Address<'_>) -> Ordering {
    if order == Order::Descending { other.cmp(&one) } else { one.cmp(&other) }
}
