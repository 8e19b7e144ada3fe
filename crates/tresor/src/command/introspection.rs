//! COMMAND and the HELP of containers: what the catalog says, in the shapes that Redis's clients read.

use super::{Args, argument, is, lookup, syntax_error};
use crate::{
    command::{CATALOG, Flag, Row},
    error::{Error, Result},
    reply::ReplyWriter,
    search::Glob,
    session::Session,
};

/// Flags as Redis names them; those that it does not know are not told.
const FLAG_NAMES: [(Flag, &str); 8] = [
    (Flag::Write, "write"),
    (Flag::Readonly, "readonly"),
    (Flag::Denyoom, "denyoom"),
    (Flag::Admin, "admin"),
    (Flag::Fast, "fast"),
    (Flag::NoAuth, "no_auth"),
    (Flag::NoMulti, "no_multi"),
    (Flag::PubSub, "pubsub"),
];

fn commands() -> impl Iterator<Item = &'static Row> {
    CATALOG.iter().filter(|row| !row.has(Flag::Subcommand))
}

/// The row of a name as COMMAND takes it: a subcommand's with a bar.
pub(super) fn find(name: &[u8]) -> Option<&'static Row> {
    match name.iter().position(|byte| *byte == b'|') {
        None => lookup(name),
        Some(bar) => lookup(&name[..bar])?.find_subcommand(&name[bar + 1..]),
    }
}

/// Redis's ACL categories, in its order; they follow from what the row says.
fn categories(row: &Row) -> Vec<&'static str> {
    // WAIT is among the generic commands, but is about the connection that waits.
    let waits = row.name == "wait";
    let generic = row.group == "generic" && !waits;
    [
        (generic || row.has(Flag::AllGates) || row.name == "dbsize", "@keyspace"),
        (row.has(Flag::Readonly), "@read"),
        (row.has(Flag::Write), "@write"),
        (row.group == "string", "@string"),
        (row.group == "bitmap", "@bitmap"),
        (row.has(Flag::Admin), "@admin"),
        (row.has(Flag::PubSub), "@pubsub"),
        (row.has(Flag::Fast), "@fast"),
        (!row.has(Flag::Fast), "@slow"),
        (row.has(Flag::Dangerous), "@dangerous"),
        (row.group == "connection" || waits, "@connection"),
    ]
    .into_iter()
    .filter_map(|(belongs, category)| belongs.then_some(category))
    .collect()
}

fn text(reply: &mut ReplyWriter, name: &str, value: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(value.as_bytes());
}

fn number(reply: &mut ReplyWriter, name: &str, value: i32) {
    reply.bulk(name.as_bytes());
    reply.integer(i64::from(value));
}

fn words(reply: &mut ReplyWriter, words: &[&str]) {
    reply.set(words.len());
    words.iter().for_each(|word| reply.simple(word));
}

fn describe(row: &Row, reply: &mut ReplyWriter) {
    let flags: Vec<_> = FLAG_NAMES.iter().filter(|(flag, _)| row.has(*flag)).map(|(_, name)| *name).collect();
    let subcommands: Vec<_> = row.subcommands().collect();
    reply.array(10);
    reply.bulk(row.name.as_bytes());
    reply.integer(i64::from(row.arity));
    words(reply, &flags);
    for place in [row.keys.first, row.keys.last, row.keys.step] {
        reply.integer(i64::from(place));
    }
    words(reply, &categories(row));
    reply.set(0); // Tips for proxies.
    describe_keys(row, reply);
    match subcommands.len() {
        0 => reply.set(0),
        some => reply.array(some),
    }
    subcommands.into_iter().for_each(|row| describe(row, reply));
}

fn describe_keys(row: &Row, reply: &mut ReplyWriter) {
    if row.keys.first == 0 {
        return reply.set(0);
    }
    reply.set(1);
    reply.map(3);
    reply.bulk(b"flags");
    words(reply, if row.has(Flag::Write) { &["RW", "access", "update"] } else { &["RO", "access"] });
    reply.bulk(b"begin_search");
    reply.map(2);
    text(reply, "type", "index");
    reply.bulk(b"spec");
    reply.map(1);
    number(reply, "index", row.keys.first);
    reply.bulk(b"find_keys");
    reply.map(2);
    text(reply, "type", "range");
    reply.bulk(b"spec");
    reply.map(3);
    number(reply, "lastkey", if row.keys.last < 0 { row.keys.last } else { row.keys.last - row.keys.first });
    number(reply, "keystep", row.keys.step);
    number(reply, "limit", 0);
}

pub(super) async fn command(_: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    reply.array(commands().count());
    commands().for_each(|row| describe(row, reply));
    Ok(())
}

pub(super) async fn count(_: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    reply.integer(commands().count() as i64);
    Ok(())
}

pub(super) async fn info(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    if args.len() == 2 {
        return command(session, args, reply).await;
    }
    reply.array(args.len() - 2);
    for name in &args[2..] {
        match find(name) {
            Some(row) => describe(row, reply),
            None => reply.null(),
        }
    }
    Ok(())
}

pub(super) async fn docs(_: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let rows: Vec<_> = match &args[2..] {
        [] => commands().collect(),
        names => names.iter().filter_map(|name| find(name)).collect(),
    };
    reply.map(rows.len());
    rows.into_iter().for_each(|row| document(row, reply));
    Ok(())
}

fn document(row: &Row, reply: &mut ReplyWriter) {
    let subcommands: Vec<_> = row.subcommands().collect();
    reply.bulk(row.name.as_bytes());
    reply.map(5 + usize::from(argument::has_any(row)) + usize::from(!subcommands.is_empty()));
    text(reply, "summary", row.summary);
    text(reply, "since", row.since);
    text(reply, "group", row.group);
    if argument::has_any(row) {
        reply.bulk(b"arguments");
        argument::tell_all(row, reply);
    }
    text(reply, "syntax", row.syntax);
    text(reply, "reply", row.reply);
    if !subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(subcommands.len());
        subcommands.into_iter().for_each(|row| document(row, reply));
    }
}

pub(super) async fn list(_: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let mut rows: Vec<_> = commands().collect();
    match &args[2..] {
        [] => {}
        [by, kind, value] if is(by, "FILTERBY") => {
            if is(kind, "PATTERN") {
                let glob = Glob::ignoring_case(value);
                rows.retain(|row| glob.matches(row.name.as_bytes()));
            } else if is(kind, "ACLCAT") {
                rows.retain(|row| categories(row).iter().any(|category| is(value, &category[1..])));
            } else if is(kind, "MODULE") {
                rows.clear();
            } else {
                return Err(syntax_error());
            }
        }
        _ => return Err(syntax_error()),
    }
    reply.array(rows.len());
    rows.iter().for_each(|row| reply.bulk(row.name.as_bytes()));
    Ok(())
}

pub(super) async fn getkeys(_: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let request = &args[2..];
    let mut row = lookup(request[0]).ok_or_else(|| Error::invalid("Invalid command specified"))?;
    if let Some(subcommand) = request.get(1).and_then(|word| row.find_subcommand(word)) {
        row = subcommand;
    }
    if row.keys.first == 0 {
        return Err(Error::invalid("The command has no key arguments"));
    }
    if !row.takes(request.len()) {
        return Err(Error::invalid("Invalid number of arguments specified for command"));
    }
    let places: Vec<_> = row.keys.places(request.len()).collect();
    reply.array(places.len());
    places.iter().for_each(|place| reply.bulk(request[*place]));
    Ok(())
}

pub(super) async fn help(_: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let Some(container) = lookup(args[0]) else { return Err(syntax_error()) };
    let name = container.name.to_ascii_uppercase();
    let mut lines = vec![format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")];
    for row in container.subcommands() {
        let subcommand = row.subcommand().map_or(row.name, |(_, subcommand)| subcommand);
        lines.push(format!("{} {}", subcommand.to_ascii_uppercase(), row.syntax).trim_end().to_owned());
        lines.push(format!("    {}", row.summary));
    }
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.simple(line));
    Ok(())
}
