//! Indexes: TRESOR.INDEX.
//!
//! What they are made of and what they are for stands in `index/`; here words become definitions, and figures replies.

use super::Args;
use crate::{
    error::{Error, Result},
    index::{Fact, IndexDefinition},
    reply::ReplyWriter,
    session::Session,
};

pub(super) async fn create(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let definition = IndexDefinition::parse(&name(args[2])?, session.selected(), &args[3..])?;
    Box::pin(session.create_index(definition)).await?;
    reply.ok();
    Ok(())
}

pub(super) async fn drop_index(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    session.drop_index(&name(args[2])?)?;
    reply.ok();
    Ok(())
}

pub(super) async fn list(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let indexes = session.indexes();
    reply.array(indexes.len());
    for index in &indexes {
        let facts = index.facts();
        reply.map(facts.len());
        for (name, fact) in facts {
            reply.bulk(name.as_bytes());
            match fact {
                Fact::Text(text) => reply.bulk(&text),
                Fact::Number(number) => reply.integer(number as i64),
            }
        }
    }
    Ok(())
}

fn name(word: &[u8]) -> Result<String> {
    String::from_utf8(word.to_vec()).map_err(|_| Error::invalid("an index is named in ASCII"))
}
