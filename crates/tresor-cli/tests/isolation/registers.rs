//! Registers with values that occur once, written in transactions and by plain commands beside them.

use tresor_testkit::{
    Reply,
    isolation::{Begun, Operation},
    random::Random,
};

use crate::{
    client::Client,
    door::{Door, Told, Trouble},
    queue::{Queue, Watched},
    resp::{Resp, values},
    run::Run,
};

/// One transaction.
pub(crate) fn act(client: &mut Client<'_>) {
    let run = client.run;
    let generation = run.generation();
    let key = move |random: &mut Random| format!("register{generation}.{}", random.below(run.keys));
    let is_resp = client.door().resp().is_some();
    match client.random.below(10) {
        0 => client.at_once(&mut |door, random, begun| read(door, &key(random), begun)),
        1 => client.at_once(&mut |door, random, begun| write(door, run, &key(random), begun)),
        2 if is_resp => client.at_once(&mut |door, random, begun| {
            let keys: Vec<String> = (0..3).map(|_| key(random)).collect();
            together(resp(door), &keys, (run, random), begun)
        }),
        3 | 4 if is_resp => {
            client.at_once(&mut |door, random, begun| queued(resp(door), (run, &key), random, begun));
        }
        2..4 => client.at_once(&mut |door, random, begun| batch(door, (run, &key), random, begun)),
        _ => client.with_locks(&mut |door, random, begun| {
            for _ in 0..1 + random.below(4) {
                let key = key(random);
                match random.below(6) {
                    0..3 => read(door, &key, begun)?,
                    3 => {
                        read(door, &key, begun)?;
                        write(door, run, &key, begun)?;
                    }
                    4 => write(door, run, &key, begun)?,
                    _ => {
                        write(door, run, &key, begun)?;
                        door.rollback()?;
                        begun.did(Operation::Undo);
                    }
                }
            }
            Ok(())
        }),
    }
}

fn resp(door: &mut dyn Door) -> &mut Resp {
    door.resp().expect("only asked for where it is")
}

fn number(text: Option<String>) -> Option<u64> {
    text.map(|text| text.parse().unwrap_or_else(|_| panic!("not a register's value: {text}")))
}

fn read(door: &mut dyn Door, key: &str, begun: &mut Begun) -> Told<()> {
    let value = number(door.get(key)?);
    begun.did(Operation::Read { key: key.to_owned(), value });
    Ok(())
}

fn write(door: &mut dyn Door, run: &Run, key: &str, begun: &mut Begun) -> Told<()> {
    let value = run.number();
    begun.did(Operation::Write { key: key.to_owned(), value });
    door.put(key, &value.to_string())
}

/// MGET or MSET.
fn together(
    door: &mut Resp,
    keys: &[String],
    (run, random): (&Run, &mut Random),
    begun: &mut Begun,
) -> Told<()> {
    if random.one_in(2) {
        let words: Vec<&str> = ["MGET"].into_iter().chain(keys.iter().map(String::as_str)).collect();
        for (key, text) in keys.iter().zip(values(door.ask(&words)?)) {
            begun.did(Operation::Read { key: key.clone(), value: number(text) });
        }
        return Ok(());
    }
    let mut words = vec!["MSET".to_owned()];
    for key in keys {
        let value = run.number();
        begun.did(Operation::Write { key: key.clone(), value });
        words.extend([key.clone(), value.to_string()]);
    }
    door.ask(&words).map(drop)
}

/// A batch over HTTP; a single write where there are none.
fn batch(
    door: &mut dyn Door,
    (run, key): (&Run, &dyn Fn(&mut Random) -> String),
    random: &mut Random,
    begun: &mut Begun,
) -> Told<()> {
    let reads: Vec<String> = (0..1 + random.below(3)).map(|_| key(random)).collect();
    let written: Vec<(String, u64)> = (0..random.below(3)).map(|_| (key(random), run.number())).collect();
    let of_writes = written.iter().map(|(key, value)| Operation::Write { key: key.clone(), value: *value });
    let of_writes: Vec<Operation> = of_writes.collect();
    begun.instead(of_writes.clone());
    let writes: Vec<_> = written.iter().map(|(key, value)| (key.clone(), value.to_string())).collect();
    let Some(told) = door.batch(&reads, &writes) else {
        begun.instead(Vec::new());
        return write(door, run, &reads[0], begun);
    };
    let values = told?.into_iter().map(number);
    let of_reads = reads.into_iter().zip(values).map(|(key, value)| Operation::Read { key, value });
    begun.instead(of_reads.chain(of_writes).collect());
    Ok(())
}

fn queued(
    door: &mut Resp,
    (run, key): (&Run, &dyn Fn(&mut Random) -> String),
    random: &mut Random,
    begun: &mut Begun,
) -> Told<()> {
    let (mut queue, mut watched) = (Queue::default(), Vec::new());
    if random.one_in(2) {
        let key = key(random);
        let value = number(Watched::read(door, &key)?);
        watched.push(Operation::Read { key, value });
    }
    for _ in 0..1 + random.below(4) {
        let key = key(random);
        if random.one_in(2) {
            queue.push(&["GET", &key], Operation::Read { key: key.clone(), value: None });
        } else {
            let value = run.number();
            queue.push(&["SET", &key, &value.to_string()], Operation::Write { key: key.clone(), value });
        }
    }
    let answer = |operation: &mut Operation, reply: &Reply| {
        if let Operation::Read { value, .. } = operation {
            *value = number(crate::resp::value(reply));
        }
    };
    match queue.execute(door, watched, random.one_in(40), (begun, &answer))? {
        true => Ok(()),
        false => Err(Trouble::Refused),
    }
}
