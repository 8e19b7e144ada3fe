//! Lists that are appended to: the workload that shows most.
//!
//! A list is text, `7,12,3,`: each element with a comma behind it, so that an append is one too.

use tresor_testkit::{
    Reply,
    isolation::{Begun, Operation},
    random::Random,
};

use crate::{
    client::{Client, Plain},
    door::{Door, Told, Trouble},
    queue::{Queue, Watched},
    resp::{Resp, values},
    run::Run,
};

/// One transaction.
pub(crate) fn act(client: &mut Client<'_>) {
    let run = client.run;
    let mut key = key_of(run);
    let is_resp = client.door().resp().is_some();
    match client.random.below(10) {
        0 => client.at_once(&mut |door, random, begun| {
            let key = key(random);
            read(door, &key, begun).map(drop)
        }),
        1 if is_resp => {
            client.at_once(&mut |door, random, begun| blind_append(door, run, &key(random), begun))
        }
        2 if is_resp => client.at_once(&mut |door, random, begun| {
            let keys: Vec<String> = (0..3).map(|_| key(random)).collect();
            read_together(resp(door), &keys, begun)
        }),
        3 | 4 if is_resp => client.at_once(&mut |door, random, begun| queued(resp(door), run, random, begun)),
        _ => client.with_locks(&mut |door, random, begun| {
            for _ in 0..1 + random.below(4) {
                step(door, random, (run, &mut key), begun)?;
            }
            Ok(())
        }),
    }
}

/// The same in waves: for a while plain commands alone, many sent ahead, then transactions among them. While
/// no transaction is open nobody looks at locks, so this is where everyone has to be told that one begins.
pub(crate) fn act_in_waves(client: &mut Client<'_>) {
    let run = client.run;
    let is_resp = client.door().resp().is_some();
    if is_resp && !client.random.one_in(3) {
        client.many_at_once(&mut |random| {
            let mut key = key_of(run);
            let commands = 20 + random.below(100);
            (0..commands).map(|_| plain(run, &key(random), random)).collect()
        });
    } else if run.is_high_water() {
        act(client);
    } else if is_resp {
        client.at_once(&mut |door, random, begun| queued(resp(door), run, random, begun));
    } else {
        client.at_once(&mut |door, random, begun| read(door, &key_of(run)(random), begun).map(drop));
    }
}

/// A plain command, and what it means.
fn plain(run: &Run, key: &str, random: &mut Random) -> Plain {
    if random.one_in(2) {
        return (vec!["GET".into(), key.into()], list(key, None));
    }
    let element = run.number();
    let words = vec!["APPEND".into(), key.into(), format!("{element},")];
    (words, Operation::Append { key: key.into(), element })
}

/// Takes the answer of a read from a reply.
pub(crate) fn answer(operation: &mut Operation, reply: &Reply) {
    if let Operation::ReadList { elements: read, .. } = operation {
        *read = elements(crate::resp::value(reply).as_deref());
    }
}

fn resp(door: &mut dyn Door) -> &mut Resp {
    door.resp().expect("only asked for where it is")
}

/// Chooses among the keys that are fought for now.
fn key_of(run: &Run) -> impl FnMut(&mut Random) -> String + use<'_> {
    let generation = run.generation();
    move |random| format!("list{generation}.{}", random.below(run.keys))
}

/// A step of a transaction with locks.
fn step(
    door: &mut dyn Door,
    random: &mut Random,
    (run, key): (&Run, &mut dyn FnMut(&mut Random) -> String),
    begun: &mut Begun,
) -> Told<()> {
    let key = key(random);
    match random.below(8) {
        0..4 => read(door, &key, begun).map(drop),
        4 if door.resp().is_some() => blind_append(door, run, &key, begun),
        _ => {
            append(door, run, &key, begun)?;
            if random.one_in(6) {
                door.rollback()?;
                begun.did(Operation::Undo);
                read(door, &key, begun)?;
            }
            Ok(())
        }
    }
}

fn elements(text: Option<&str>) -> Vec<u64> {
    let elements = text.unwrap_or_default().split_terminator(',');
    elements.map(|element| element.parse().unwrap_or_else(|_| panic!("not a list: {text:?}"))).collect()
}

fn list(key: &str, text: Option<&str>) -> Operation {
    Operation::ReadList { key: key.to_owned(), elements: elements(text) }
}

fn read(door: &mut dyn Door, key: &str, begun: &mut Begun) -> Told<String> {
    let text = door.get(key)?;
    begun.did(list(key, text.as_deref()));
    Ok(text.unwrap_or_default())
}

/// An append as most clients do it: read, and write with more.
fn append(door: &mut dyn Door, run: &Run, key: &str, begun: &mut Begun) -> Told<()> {
    let text = read(door, key, begun)?;
    let element = run.number();
    begun.did(Operation::Append { key: key.to_owned(), element });
    door.put(key, &format!("{text}{element},"))
}

fn blind_append(door: &mut dyn Door, run: &Run, key: &str, begun: &mut Begun) -> Told<()> {
    let element = run.number();
    begun.did(Operation::Append { key: key.to_owned(), element });
    resp(door).ask(&["APPEND", key, &format!("{element},")]).map(drop)
}

fn read_together(door: &mut Resp, keys: &[String], begun: &mut Begun) -> Told<()> {
    let words: Vec<&str> = ["MGET"].into_iter().chain(keys.iter().map(String::as_str)).collect();
    let texts = values(door.ask(&words)?);
    for (key, text) in keys.iter().zip(texts) {
        begun.did(list(key, text.as_deref()));
    }
    Ok(())
}

/// Reads and appends in EXEC: with the key watched from the read on, or blind.
fn queued(door: &mut Resp, run: &Run, random: &mut Random, begun: &mut Begun) -> Told<()> {
    let mut key = key_of(run);
    let mut queue = Queue::default();
    let mut watched = Vec::new();
    if random.one_in(2) {
        let key = key(random);
        let text = Watched::read(door, &key)?;
        watched.push(list(&key, text.as_deref()));
        let element = run.number();
        let appended = format!("{}{element},", text.unwrap_or_default());
        queue.push(&["SET", &key, &appended], Operation::Append { key: key.clone(), element });
    }
    for _ in 0..1 + random.below(3) {
        let key = key(random);
        if random.one_in(2) {
            queue.push(&["GET", &key], list(&key, None));
        } else {
            let element = run.number();
            queue.push(
                &["APPEND", &key, &format!("{element},")],
                Operation::Append { key: key.clone(), element },
            );
        }
    }
    match queue.execute(door, watched, random.one_in(40), (begun, &answer))? {
        true => Ok(()),
        false => Err(Trouble::Refused),
    }
}
