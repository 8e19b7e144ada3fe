//! `tresor cassandra status` beside a server on the same store.

use tresor_testkit::{cassandra, tresor_program};

use crate::server;

#[test]
fn status_tells_of_the_store_and_its_nodes() {
    let Some(cluster) = cassandra::shared(1) else { return };
    let _server = server(&cluster, "status", &["--cassandra-order", "off"]);
    let contact = cluster.contact_points().join(",");
    let status = |arguments: &[&str]| {
        let own = [
            "cassandra",
            "status",
            "--engine",
            "cassandra",
            "--cassandra-contact",
            &contact,
            "--cassandra-keyspace",
            "status",
        ];
        tresor_program::run(&[&own, arguments].concat(), b"")
    };
    let finished = status(&["--cassandra-order", "off"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(
        lines[0],
        "keyspace status: writes linearizable, order off, batches over several keys refused; it answers"
    );
    assert_eq!(lines[1], format!("node {contact} in datacenter1: connected"));
    assert!(lines[2].starts_with("this clock is ") && lines.len() == 3, "{lines:?}");

    let finished = status(&[]);
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("was made with --cassandra-order off"), "{}", finished.stderr);
}
