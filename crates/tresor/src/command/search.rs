//! Finding and deleting by patterns, ranges and nearness: TRESOR.FIND and TRESOR.DELMATCH.
//!
//! What the words mean stands in `search/query.rs`; here they only become replies.

use super::Args;
use crate::{
    error::{Error, Result},
    reply::ReplyWriter,
    search::{Found, FoundPage, Plan, Request, SLICE_ENTRIES},
    session::Session,
};

fn request(args: Args<'_>) -> Result<Request> {
    Request::parse(args[1..].iter().copied())
}

pub(super) async fn find(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let request = request(args)?;
    if request.dry_run {
        return Err(Error::invalid("DRYRUN is for TRESOR.DELMATCH: finding changes nothing"));
    }
    let plan = request.explain.then(|| session.plan(&request.query)).transpose()?;
    let page = Box::pin(session.find(&request.query, request.cursor.as_deref())).await?;
    write(session, &page, plan, reply).await;
    Ok(())
}

async fn write(session: &mut Session, page: &FoundPage, plan: Option<Plan<'_>>, reply: &mut ReplyWriter) {
    reply.map(3 + usize::from(plan.is_some()));
    reply.bulk(b"cursor");
    match &page.cursor {
        Some(cursor) => reply.bulk(cursor.as_bytes()),
        None => reply.null(),
    }
    reply.bulk(b"skipped");
    reply.integer(page.skipped as i64);
    if let Some(plan) = plan {
        let facts = plan.facts();
        reply.bulk(b"plan");
        reply.map(facts.len());
        for (name, fact) in facts {
            reply.bulk(name.as_bytes());
            reply.bulk(fact.as_bytes());
        }
    }
    reply.bulk(b"entries");
    reply.array(page.entries.len());
    for (number, slice) in page.entries.chunks(SLICE_ENTRIES).enumerate() {
        // Not after the last: a reply that is whole goes out with its neighbours.
        if number > 0 {
            session.breathe().await;
        }
        slice.iter().for_each(|found| write_found(found, reply));
    }
}

/// The key; or the key with its distance, its value, or both.
fn write_found(found: &Found, reply: &mut ReplyWriter) {
    let more = usize::from(found.distance.is_some()) + usize::from(found.value.is_some());
    if more > 0 {
        reply.array(1 + more);
    }
    reply.bulk(&found.key);
    if let Some(distance) = found.distance {
        reply.double(distance);
    }
    if let Some((value, _)) = &found.value {
        reply.bulk(value);
    }
}

pub(super) async fn delmatch(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let request = request(args)?;
    if request.cursor.is_some() || request.explain {
        return Err(Error::invalid(
            "TRESOR.DELMATCH takes no CURSOR and no EXPLAIN: it deletes all that matches",
        ));
    }
    let removed = Box::pin(session.remove_found(&request.query, request.dry_run)).await?;
    reply.integer(if request.dry_run { removed.matched } else { removed.deleted } as i64);
    Ok(())
}
