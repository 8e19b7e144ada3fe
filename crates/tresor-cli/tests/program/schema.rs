//! `tresor cassandra schema`: the CQL for those who make a store's tables by hand.

use tresor_testkit::tresor_program;

fn schema(arguments: &[&str]) -> Vec<String> {
    let own = ["cassandra", "schema", "--engine", "cassandra", "--cassandra-contact", "127.0.0.1:1"];
    let finished = tresor_program::run(&[&own, arguments].concat(), b"");
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    finished.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn a_schema_has_all_tables_as_they_are_asked_for() {
    let all =
        schema(&["--cassandra-keyspace", "k", "--cassandra-datacenter", "d", "--cassandra-replication", "2"]);
    assert_eq!(all.len(), 2 + 16 * 2);
    assert!(all.iter().all(|statement| statement.starts_with("CREATE ") && statement.ends_with(';')));
    assert!(all[0].contains(r#"KEYSPACE IF NOT EXISTS "k" "#) && all[0].contains("'d': 2}"), "{}", all[0]);
    assert!(!all.iter().any(|statement| statement.contains("transactional_mode")));

    let unordered = schema(&["--cassandra-order", "off", "--transactions"]);
    assert_eq!(unordered.len(), 2 + 16);
    let taking_part = unordered.iter().filter(|statement| statement.contains("transactional_mode = 'full'"));
    assert_eq!(taking_part.count(), 16);
}
