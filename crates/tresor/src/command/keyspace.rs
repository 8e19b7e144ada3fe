//! Commands about a whole database: counting, listing, emptying it.
//!
//! Whatever walks the keys does so in pages and lets others run between them, while reading and while
//! writing the reply, so that KEYS over a million keys costs the clients beside it a page at a time.

use super::{Args, is, number, syntax_error};
use crate::{
    engine::{Change, Content, DATABASES, Order, Page, Position, Scan},
    error::{Error, ErrorKind, Result},
    reply::ReplyWriter,
    search::Glob,
    session::Session,
};

/// Keys read or written before others run.
const PAGE_KEYS: usize = 128;

/// Keys among which RANDOMKEY picks, behind a random place.
const RANDOM_PAGE_KEYS: usize = 16;

/// What a key takes in a reply beside its own bytes, mostly.
const BULK_BYTES: usize = 8;

/// What SCAN reads without COUNT.
const DEFAULT_COUNT: usize = 10;

pub(super) async fn dbsize(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let count = session.count(session.selected()).await?;
    reply.integer(count.keys as i64);
    Ok(())
}

fn check_flush_options(args: Args<'_>) -> Result<()> {
    match &args[1..] {
        [] => Ok(()),
        [how] if is(how, "ASYNC") || is(how, "SYNC") => Ok(()),
        _ => Err(syntax_error()),
    }
}

pub(super) async fn flushall(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    check_flush_options(args)?;
    let changes: Vec<_> = (0..DATABASES).map(|database| Change::Clear { database }).collect();
    session.write(&changes).await?;
    reply.ok();
    Ok(())
}

pub(super) async fn flushdb(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    check_flush_options(args)?;
    session.write(&[Change::Clear { database: session.selected() }]).await?;
    reply.ok();
    Ok(())
}

/// Swaps two databases for everyone at once; what costs nothing in an engine that only renames them.
pub(super) async fn swapdb(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let number = |word: &[u8], which: &str| {
        let number = number::parse_integer(word).and_then(|number| i32::try_from(number).ok());
        number.ok_or_else(|| Error::invalid(format!("invalid {which} DB index")))
    };
    let (first, second) = (number(args[1], "first")?, number(args[2], "second")?);
    let database = |number: i32| {
        let database = u8::try_from(number).ok().filter(|database| *database < DATABASES);
        database.ok_or_else(|| Error::invalid("DB index is out of range"))
    };
    let (first, second) = (database(first)?, database(second)?);
    let capabilities = session.engine().capabilities();
    if !capabilities.swap {
        let message = format!(
            "the {} engine cannot swap databases: use SELECT with another number instead",
            capabilities.name
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    session.write(&[Change::Swap { first, second }]).await?;
    reply.ok();
    Ok(())
}

/// Keys of one page, copied out of it.
#[derive(Default)]
struct Names {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Names {
    fn matching(page: &Page, glob: Option<&Glob>) -> Self {
        let mut names = Self::default();
        for (key, _) in page.iter() {
            if key.member.is_empty() && glob.is_none_or(|glob| glob.matches(key.key)) {
                names.bytes.extend_from_slice(key.key);
                names.ends.push(names.bytes.len());
            }
        }
        names
    }

    fn write(&self, reply: &mut ReplyWriter) {
        let mut start = 0;
        for end in &self.ends {
            reply.bulk(&self.bytes[start..*end]);
            start = *end;
        }
    }
}

/// Reads pages until `keys` keys were looked at or there are no more. The position to go on from
/// stands in `scan` afterwards; `false` says that there is none.
async fn gather(
    session: &mut Session,
    scan: &mut Scan<'_>,
    glob: Option<&Glob>,
    keys: usize,
) -> Result<(Vec<Names>, bool)> {
    let (mut gathered, mut seen) = (Vec::new(), 0_usize);
    loop {
        scan.limit = PAGE_KEYS.min(keys - seen);
        let mut page = session.scan(scan).await?;
        seen += page.len();
        let names = Names::matching(&page, glob);
        if !names.ends.is_empty() {
            gathered.push(names);
        }
        let Some(next) = page.next.take() else { return Ok((gathered, false)) };
        scan.position = next;
        if seen >= keys {
            return Ok((gathered, true));
        }
        session.breathe().await;
    }
}

async fn write(session: &mut Session, gathered: Vec<Names>, reply: &mut ReplyWriter) {
    // Growing step by step would copy a large reply, which takes long with nobody else's turn between.
    reply.reserve(gathered.iter().map(|names| names.bytes.len() + names.ends.len() * BULK_BYTES).sum());
    reply.array(gathered.iter().map(|names| names.ends.len()).sum());
    let mut written = 0;
    for names in gathered {
        names.write(reply);
        written += names.ends.len();
        if written >= PAGE_KEYS {
            written = 0;
            session.breathe().await;
        }
    }
}

fn selected(glob: &Glob) -> Option<&Glob> {
    Some(glob).filter(|glob| !glob.matches_everything())
}

pub(super) async fn keys(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let glob = Glob::new(args[1]);
    let mut scan = Scan::all(session.selected(), Order::Any, Content::Keys, PAGE_KEYS);
    let (gathered, _) = gather(session, &mut scan, selected(&glob), usize::MAX).await?;
    write(session, gathered, reply).await;
    Ok(())
}

pub(super) async fn scan(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let cursor = number::parse_unsigned(args[1]).ok_or_else(|| Error::invalid("invalid cursor"))?;
    let (mut glob, mut count, mut strings) = (None, DEFAULT_COUNT, true);
    let (pairs, rest) = args[2..].as_chunks::<2>();
    for [option, value] in pairs {
        if is(option, "COUNT") {
            let wanted = usize::try_from(number::integer(value)?).map_err(|_| syntax_error())?;
            count = Some(wanted).filter(|count| *count > 0).ok_or_else(syntax_error)?;
        } else if is(option, "MATCH") {
            glob = Some(Glob::new(value));
        } else if is(option, "TYPE") {
            strings = is(value, "string");
        } else {
            return Err(syntax_error());
        }
    }
    if !rest.is_empty() {
        return Err(syntax_error());
    }
    let mut scan = Scan::all(session.selected(), Order::Any, Content::Keys, count);
    if cursor != 0 {
        scan.position = Position::Cursor(cursor);
    }
    let (mut gathered, more) = gather(session, &mut scan, glob.as_ref().and_then(selected), count).await?;
    if !strings {
        gathered.clear();
    }
    let next = match (more, scan.position) {
        (true, Position::Cursor(next)) => next,
        (false, _) => 0,
        (true, _) => return Err(Error::new(ErrorKind::Unsupported, "this engine has no cursors")),
    };
    reply.array(2);
    reply.bulk(next.to_string().as_bytes());
    write(session, gathered, reply).await;
    Ok(())
}

/// Begins at a random place, so that it costs a page however many keys there are. A key behind a
/// wide gap comes up more often than others; Redis's choice is uneven in the same way.
pub(super) async fn randomkey(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let random = || {
        getrandom::u64().map_err(|error| {
            Error::new(ErrorKind::Internal, "the system gives no random numbers").caused_by(error)
        })
    };
    let (place, pick) = (random()?, random()? as usize);
    let mut scan = Scan::all(session.selected(), Order::Any, Content::Keys, RANDOM_PAGE_KEYS);
    for position in [Position::Anywhere(place), Position::Start] {
        scan.position = position;
        loop {
            let mut page = session.scan(&scan).await?;
            if !page.is_empty() {
                let key = page.iter().nth(pick % page.len());
                key.inspect(|(key, _)| reply.bulk(key.key));
                return Ok(());
            }
            let Some(next) = page.next.take() else { break };
            scan.position = next;
            session.breathe().await;
        }
    }
    reply.null();
    Ok(())
}
