//! Nodes that are away: errors that say so in time, and service again without anybody's help.

use std::time::{Duration, Instant};

use tresor_testkit::{RespClient, Server, cassandra, deadline::wait_until};

use crate::{is_full, server};

/// How long a request may take at most.
const TIMEOUT_MS: u64 = 1000;

/// What a command may take: its own time, the cluster's, and a slow machine's.
const PATIENCE: Duration = Duration::from_secs(15);

fn text(client: &mut RespClient, words: &[&str]) -> String {
    let asked = Instant::now();
    let reply = client.command(words).expect("the server answers");
    assert!(asked.elapsed() < PATIENCE, "{words:?} took {:?}", asked.elapsed());
    reply.error().or(reply.text()).unwrap_or_default().to_owned()
}

fn ready(server: &Server) -> (u16, String) {
    match ureq::get(server.url("/readyz")).config().http_status_as_error(false).build().call() {
        Ok(mut answer) => {
            let text = answer.body_mut().read_to_string().expect("the reason is text");
            (answer.status().as_u16(), text)
        }
        Err(error) => panic!("/readyz does not answer: {error}"),
    }
}

#[test]
fn without_a_quorum_commands_fail_in_time_and_later_work_again() {
    let (nodes, down) = if is_full() { (3, vec![2, 3]) } else { (1, vec![1]) };
    let Some(mut cluster) = cassandra::shared_alone(nodes) else { return };
    let timeout = TIMEOUT_MS.to_string();
    let server = server(&cluster, "outage", &["--cassandra-timeout-ms", &timeout]);
    let mut client = server.resp();
    assert_eq!(text(&mut client, &["SET", "key", "before"]), "OK");
    assert_eq!(ready(&server).0, 200);
    for way in ["killed", "paused"] {
        for node in &down {
            match way {
                "killed" => cluster.kill(*node),
                _ => cluster.pause(*node),
            }
        }
        // What is sent to a node that cannot be asked has certainly not happened; what is sent to one
        // that does not answer may have.
        let written = text(&mut client, &["SET", "key", "during"]);
        assert!(
            written.starts_with("ERR unavailable: ") || written.starts_with("UNKNOWN outcome: "),
            "{written}"
        );
        let read = text(&mut client, &["GET", "key"]);
        assert!(read.starts_with("ERR unavailable: "), "{way}: {read}");
        assert_eq!(text(&mut client, &["PING"]), "PONG");
        let (status, reason) = ready(&server);
        assert_eq!(status, 503, "{reason}");
        assert!(reason.contains("cluster") || reason.contains("node"), "{reason}");
        for node in &down {
            match way {
                "killed" => cluster.restart(*node).expect("a killed node comes back"),
                _ => cluster.resume(*node),
            }
        }
        wait_until("service again", || text(&mut client, &["SET", "key", way]) == "OK");
        assert_eq!(text(&mut client, &["GET", "key"]), way);
        wait_until("the server to be ready", || ready(&server).0 == 200);
    }
}
