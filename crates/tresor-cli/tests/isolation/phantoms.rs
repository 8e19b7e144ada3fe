//! Sets of keys that are asked for as a whole: nobody may slip in what another one's question covers.
//!
//! A set is all keys that begin alike. Each transaction asks for one or two and adds a key of its own to
//! one of them; doors that cannot list keys in a transaction add keys alone.

use tresor_testkit::{
    Reply,
    isolation::{Begun, Operation},
    random::Random,
};

use crate::{
    client::Client,
    door::{Door, Told, Trouble},
    queue::Queue,
    resp::{Resp, values},
    run::Run,
};

/// One transaction.
pub(crate) fn act(client: &mut Client<'_>) {
    let run = client.run;
    let generation = run.generation();
    let set = move |random: &mut Random| format!("set{generation}.{}-", random.below(run.keys));
    let is_resp = client.door().resp().is_some();
    match client.random.below(8) {
        0 => client.at_once(&mut |door, random, begun| insert(door, run, &set(random), begun)),
        1 if is_resp => {
            client.at_once(&mut |door, random, begun| queued(resp(door), (run, &set), random, begun))
        }
        _ => client.with_locks(&mut |door, random, begun| {
            for _ in 0..1 + random.below(2) {
                let set = set(random);
                read(door, random, &set, begun)?;
            }
            if !random.one_in(5) {
                insert(door, run, &set(random), begun)?;
                if random.one_in(6) {
                    door.rollback()?;
                    begun.did(Operation::Undo);
                }
            }
            Ok(())
        }),
    }
}

fn resp(door: &mut dyn Door) -> &mut Resp {
    door.resp().expect("only asked for where it is")
}

fn members(set: &str, keys: Vec<String>) -> Operation {
    let member = |key: String| {
        let number = key.strip_prefix(set).and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("no key of {set}: {key}"))
    };
    Operation::ReadSet { key: set.to_owned(), members: keys.into_iter().map(member).collect() }
}

fn read(door: &mut dyn Door, random: &mut Random, set: &str, begun: &mut Begun) -> Told<()> {
    let by_pages = random.one_in(3);
    let keys = match door.resp() {
        Some(door) if by_pages => Some(scanned(door, set)),
        _ => door.keys(set),
    };
    if let Some(keys) = keys {
        begun.did(members(set, keys?));
    }
    Ok(())
}

/// All keys that begin so, page by page.
fn scanned(door: &mut Resp, set: &str) -> Told<Vec<String>> {
    let (mut cursor, mut keys) = ("0".to_owned(), Vec::new());
    loop {
        let reply = door.ask(&["SCAN", &cursor, "MATCH", &format!("{set}*"), "COUNT", "200"])?;
        let Reply::Array(parts) = reply else { panic!("not a page: {reply}") };
        let [next, page] =
            <[Reply; 2]>::try_from(parts).unwrap_or_else(|parts| panic!("not a page: {parts:?}"));
        keys.extend(values(page).into_iter().flatten());
        cursor = crate::resp::value(&next).unwrap_or_default();
        if cursor == "0" {
            // A key may come twice while others come and go; in a transaction none does.
            return Ok(keys);
        }
    }
}

fn insert(door: &mut dyn Door, run: &Run, set: &str, begun: &mut Begun) -> Told<()> {
    let member = run.number();
    begun.did(Operation::Insert { key: set.to_owned(), member });
    door.put(&format!("{set}{member}"), "here")
}

/// A question and an answer to it in EXEC.
fn queued(
    door: &mut Resp,
    (run, set): (&Run, &dyn Fn(&mut Random) -> String),
    random: &mut Random,
    begun: &mut Begun,
) -> Told<()> {
    let mut queue = Queue::default();
    let (asked, own, member) = (set(random), set(random), run.number());
    queue.push(&["KEYS", &format!("{asked}*")], members(&asked, Vec::new()));
    queue.push(&["SET", &format!("{own}{member}"), "here"], Operation::Insert { key: own.clone(), member });
    let answer = |operation: &mut Operation, reply: &Reply| {
        if let Operation::ReadSet { key, .. } = operation {
            *operation = members(&key.clone(), values(reply.clone()).into_iter().flatten().collect());
        }
    };
    match queue.execute(door, Vec::new(), random.one_in(40), (begun, &answer))? {
        true => Ok(()),
        false => Err(Trouble::Refused),
    }
}
