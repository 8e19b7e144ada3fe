//! A line of a gigabyte is refused without being kept. Alone in its process, whose memory it measures.

mod running;

use std::fs;

use running::{config, line_client};
use tresor::{Config, Database};
use tresor_server::{Limits, Server, ServerConfig};

const MIB: u64 = 1 << 20;

/// The most memory that this process has ever had in use.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the system says what a process uses");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it says the peak");
    1024 * line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
}

#[test]
fn a_gigabyte_without_a_line_end_costs_no_memory() {
    let max_value_bytes = 1 << 20;
    let database = Config { workers: 2, max_value_bytes, ..Config::memory() };
    let server_config = ServerConfig { limits: Limits::for_values(max_value_bytes), ..config() };
    let server = Server::start(Database::open(database).expect("memory opens"), server_config)
        .expect("a free port can be bound");
    let mut client = line_client(&server);
    assert_eq!(client.ask("PUT k v").expect("it answers")["status"], "Ok");
    let piece = vec![b'x'; 1 << 20];
    let before = peak_bytes();
    client.send("PUT k \"").expect("the server reads");
    for _ in 0..1024 {
        client.send(&piece).expect("the server reads");
    }
    client.send("\"\nGET k\n").expect("the server reads");
    assert_eq!(client.answer().expect("it answers")["code"], "TooLarge");
    assert_eq!(client.answer().expect("it answers")["value"], "v");
    let grown = peak_bytes() - before;
    assert!(grown < 64 * MIB, "it took {} MiB", grown / MIB);
}
