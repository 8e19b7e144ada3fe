//! `kill -9` of a store over shards: under load, between the parts of an MSET, and while keys move to a shard
//! that was added over HTTP.

use std::{
    fs,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use serde_json::Value;
use tresor_testkit::{
    RespClient, Server, TemporaryDirectory, deadline,
    random::{Random, seed},
    tresor_program,
};

use crate::{SHARDED, Trial, fill, writer};

/// A file that names three shards of as many engines.
pub(crate) fn configuration(directory: &TemporaryDirectory) -> String {
    let place = |name: &str| directory.join(name).display().to_string();
    let shard = |(engine, path, weight): (&str, &str, u32)| {
        let path = place(path);
        format!(
            "[[shard]]\nname = \"{engine}\"\nengine = \"{engine}\"\nstore-path = \"{path}\"\nweight = {weight}\n"
        )
    };
    // The JSON file is saved as a whole with every write: it has the fewest.
    let tables = [("disk", "disk", 4), ("sqlite", "store.db", 4), ("json", "store.json", 1)].map(shard);
    let file = place("tresor.toml");
    let text = format!("store-path = \"{}\"\n{}", place("layer"), tables.concat());
    fs::write(&file, text).expect("the temporary directory takes a file");
    file
}

#[test]
fn kill_9_under_load_loses_nothing_acknowledged_on_shards() {
    Trial::new(SHARDED, "always", seed("kill_nine_shards")).kill_rounds(20);
}

/// What `/v1/shards` says.
fn status(server: &Server) -> Value {
    let mut answer = ureq::get(server.url("/v1/shards")).call().expect("the server answers");
    let text = answer.body_mut().read_to_string().expect("the answer ends");
    serde_json::from_str(&text).expect("it is JSON")
}

/// Kills the server when so many keys of the move have moved, while clients write.
fn kill_while_moving(trial: &mut Trial, server: &mut Server, keys: u64) {
    let acknowledged = AtomicU64::new(0);
    thread::scope(|scope| {
        for account in &mut trial.accounts {
            let random = Random::new(trial.random.number());
            let (connection, acknowledged) = (server.resp(), &acknowledged);
            scope.spawn(move || writer::run(connection, account, (random, false), acknowledged));
        }
        deadline::wait_until("keys to move and clients to write", || {
            let moving = &status(server)["move"];
            let moved = moving["keys"].as_u64().expect("a number");
            assert!(
                moving["moving"] == true,
                "it ended after {moved} keys: nothing was killed in its middle"
            );
            moved >= keys && acknowledged.load(Ordering::Relaxed) >= 10
        });
        server.kill9();
    });
    println!("killed while moving, {} writes acknowledged", acknowledged.into_inner());
}

#[test]
fn a_move_to_an_added_shard_goes_on_after_kill_9() {
    const BALLAST: usize = 12_000;
    let mut trial = Trial::new(SHARDED, "always", seed("kill_nine_move"));
    let mut server = trial.start();
    fill(&server, BALLAST);
    let url = server.url("");
    let add = ["shards", "add", "added", "--engine", "disk", "--weight", "9", "--no-wait", "--server", &url];
    let added = tresor_program::run(&add, b"");
    assert_eq!(added.code, Some(0), "{added:?}");
    for round in 0..3 {
        kill_while_moving(&mut trial, &mut server, 600);
        server = trial.start();
        let found = status(&server);
        let last = &found["shards"][3];
        assert_eq!(
            (last["name"].as_str(), last["next_weight"].as_u64()),
            (Some("added"), Some(9)),
            "{found}"
        );
        assert_eq!(found["move"]["moving"], true, "round {round}: {found}");
        trial.accounts.iter_mut().for_each(|account| {
            account.settle(&server);
        });
    }
    deadline::wait_until("the move to end", || status(&server)["move"]["moving"] == false);
    let found = status(&server);
    assert_eq!(found["shards"][3]["weight"], 9, "{found}");
    trial.accounts.iter_mut().for_each(|account| assert_eq!(account.settle(&server), 0));
    let names: Vec<Vec<Vec<u8>>> = (0..BALLAST)
        .map(|number| vec![b"STRLEN".to_vec(), format!("ballast{number}").into_bytes()])
        .collect();
    let lengths = server.resp().pipeline(&names).expect("the server answers");
    assert!(lengths.iter().all(|length| length.integer() == Some(100)), "ballast is missing");
    assert!(server.terminate().success());
}

const MSET_CLIENTS: u64 = 4;
const MSET_KEYS: u64 = 8;

fn mset_name(client: u64, number: u64) -> String {
    format!("several{client}:{number}")
}

/// Sets all keys of a client to one number after the other, in one step each; the last that was answered.
fn set_until_gone(mut connection: RespClient, client: u64, from: u64, answered: &AtomicU64) -> u64 {
    let mut last = from;
    loop {
        let value = (last + 1).to_string();
        let mut words = vec!["MSET".to_owned()];
        words.extend((0..MSET_KEYS).flat_map(|number| [mset_name(client, number), value.clone()]));
        match connection.command(&words) {
            Ok(reply) => assert_eq!(reply.text(), Some("OK")),
            Err(_) => return last,
        }
        last += 1;
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn an_mset_over_shards_is_whole_or_not_at_all_after_kill_9() {
    let mut trial = Trial::new(SHARDED, "always", seed("kill_nine_mset"));
    let mut server = trial.start();
    let lasts = Mutex::new([0_u64; MSET_CLIENTS as usize]);
    for round in 0..10 {
        let answered = AtomicU64::new(0);
        let after = 1 + trial.random.below(60);
        thread::scope(|scope| {
            for client in 0..MSET_CLIENTS {
                let (connection, answered, lasts) = (server.resp(), &answered, &lasts);
                let from = lasts.lock().expect("nobody panics with it")[client as usize];
                scope.spawn(move || {
                    let last = set_until_gone(connection, client, from, answered);
                    lasts.lock().expect("nobody panics with it")[client as usize] = last;
                });
            }
            deadline::wait_until("batches", || answered.load(Ordering::Relaxed) >= after);
            server.kill9();
        });
        server = trial.start();
        for client in 0..MSET_CLIENTS {
            let words: Vec<String> = std::iter::once("MGET".to_owned())
                .chain((0..MSET_KEYS).map(|n| mset_name(client, n)))
                .collect();
            let found = server.resp().command(&words).expect("the server answers");
            let values: Vec<u64> = found
                .elements()
                .expect("a list")
                .iter()
                .map(|item| item.text().map_or(0, |text| text.parse().expect("a number")))
                .collect();
            assert!(
                values.windows(2).all(|two| two[0] == two[1]),
                "round {round}: half of a batch: {values:?}"
            );
            let last = &mut lasts.lock().expect("nobody panics with it")[client as usize];
            assert!(
                values[0] == *last || values[0] == *last + 1,
                "round {round}: {} after {last}",
                values[0]
            );
            *last = values[0];
        }
    }
}
