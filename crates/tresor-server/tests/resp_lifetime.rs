//! A server's beginning and end: ports, in-flight commands at shutdown, engines that answer later.

mod running;

use std::{sync::Arc, thread};

use running::{client, config, server, server_over, server_with};
use tresor::{Config, Database, ErrorKind, shutdown::Saving};
use tresor_server::{Ending, Server, ServerConfig};
use tresor_testkit::{LaterEngine, ModelEngine, Reply, RespClient, resp_client::encode};

#[test]
fn a_port_in_use_is_an_error_that_names_the_option() {
    let server = server();
    let port = server.addresses().resp[0].port();
    let database = Database::over(Arc::new(ModelEngine::new()), Config::memory()).unwrap();
    let taken = ServerConfig { resp_port: Some(port), ..config() };
    let Err(error) = Server::start(database, taken) else { panic!("two servers listen on {port}") };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let text = error.to_string();
    assert!(text.contains("--resp-port") && text.contains("is in use"), "{text}");
    assert_eq!(client(&server).command(&["PING"]).unwrap(), Reply::Simple("PONG".into()));
}

#[test]
fn port_0_is_the_same_on_every_address() {
    let bind = vec!["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()];
    let server = server_with(ServerConfig { bind, ..config() });
    let addresses = &server.addresses().resp;
    assert_eq!(addresses.len(), 2);
    assert_eq!(addresses[0].port(), addresses[1].port());
    for address in addresses {
        let mut client = RespClient::connect_to(address).unwrap();
        assert_eq!(client.command(&["PING"]).unwrap(), Reply::Simple("PONG".into()));
    }
}

#[test]
fn shutting_down_answers_what_was_begun_and_frees_everything() {
    let engine = Arc::new(LaterEngine::new(Arc::new(ModelEngine::new())));
    let server = server_over(engine.clone(), config());
    let address = server.addresses().resp[0];
    let mut idle = client(&server);
    assert_eq!(idle.command(&["PING"]).unwrap(), Reply::Simple("PONG".into()));
    let mut busy = client(&server);
    busy.send(&encode(&["SET", "k", "v"]).repeat(5_000)).unwrap();
    // The first reply shows that the pipeline has been begun.
    assert_eq!(busy.reply().unwrap(), Reply::Simple("OK".into()));
    let ending = thread::spawn(move || server.shutdown());
    let answered = 1 + std::iter::from_fn(|| busy.reply().ok())
        .inspect(|reply| assert_eq!(*reply, Reply::Simple("OK".into())))
        .count();
    assert!(answered <= 5_000);
    assert_eq!(idle.until_closed().unwrap(), b"");
    ending.join().unwrap();
    assert!(RespClient::connect_to(address).is_err(), "somebody still listens");
    assert_eq!(Arc::strong_count(&engine), 1, "somebody still holds the database");
}

#[test]
fn a_stopper_wakes_whoever_waits() {
    let server = server();
    let stopper = server.stopper();
    let stopping = thread::spawn(move || stopper.stop());
    assert!(matches!(*server.wait(), Ending::Asked(Saving::AsConfigured)));
    stopping.join().unwrap();
    server.shutdown();
}

#[test]
fn an_engine_that_answers_later_gives_the_same_replies() {
    let server = server_over(Arc::new(LaterEngine::new(Arc::new(ModelEngine::new()))), config());
    let mut client = client(&server);
    let mut requests = Vec::new();
    for number in 0..300 {
        let (key, value) = (format!("k{}", number % 7), number.to_string());
        requests.push(vec![b"SET".to_vec(), key.clone().into_bytes(), value.into_bytes()]);
        requests.extend((0..number % 5).map(|_| vec![b"GET".to_vec(), key.clone().into_bytes()]));
        if number % 50 == 49 {
            requests.push(vec![b"FLUSHALL".to_vec()]);
        }
    }
    let replies = client.pipeline(&requests).unwrap();
    let mut latest = Vec::new();
    for (request, reply) in requests.iter().zip(replies) {
        match request.len() {
            3 => {
                latest.clone_from(&request[2]);
                assert_eq!(reply, Reply::Simple("OK".into()));
            }
            2 => assert_eq!(reply, Reply::Bulk(latest.clone())),
            _ => assert_eq!(reply, Reply::Simple("OK".into())),
        }
    }
}
