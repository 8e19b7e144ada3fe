//! A cluster that wants a user and a password, over encrypted connections, and grants only some rights.

use std::{path::PathBuf, sync::Arc};

use scylla::client::session_builder::SessionBuilder;
use tresor::{
    Error, ErrorKind,
    clock::SystemClock,
    engine::{Batch, Change, Engine, Expires, Guard, KeyRef, Kind},
};
use tresor_cassandra::{CassandraEngine, Options};
use tresor_testkit::{
    TemporaryDirectory,
    cassandra::{self, Cluster, Network},
    deadline::wait_for,
};

fn open(
    cluster: &Cluster,
    (user, password): (&str, &str),
    tls: Option<PathBuf>,
) -> Result<Arc<CassandraEngine>, Error> {
    let options = Options {
        keyspace: "secured".to_owned(),
        credentials: Some((user.to_owned(), password.to_owned())),
        tls_authorities: tls,
        ..Options::at(cluster.contact_points())
    };
    tresor_cassandra::open(options, Arc::new(SystemClock::new()))
}

fn put(engine: &CassandraEngine) -> Result<(), Error> {
    let change = Change::Put {
        key: KeyRef::new(0, b"key"),
        guard: Guard::None,
        value: b"value",
        kind: Kind::Raw,
        expires: Expires::Never,
    };
    engine.write(Batch::of(&[change]), 0).wait().map(drop)
}

/// Says something to the cluster as its first user.
fn say(cluster: &Cluster, statements: &[&str]) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(async {
        let builder = SessionBuilder::new().known_nodes(cluster.contact_points());
        let session = builder.user("cassandra", "cassandra").build().await.expect("the user is known");
        for statement in statements {
            session
                .query_unpaged(*statement, ())
                .await
                .unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    });
}

#[test]
fn users_passwords_authorities_and_rights_are_respected() {
    if !cassandra::require(cassandra::VERSION) {
        return;
    }
    let directory = TemporaryDirectory::new("cassandra-secured");
    let options = cassandra::Options {
        network: Network::reserve().expect("a free network"),
        secured: true,
        ..cassandra::Options::default()
    };
    let cluster = Cluster::start_with(1, directory.path(), options).expect("a node starts");
    let (first, authorities) = (("cassandra", "cassandra"), Some(cluster.authorities()));
    // The first user is made a moment after the node serves.
    let engine = wait_for("the first user", || open(&cluster, first, authorities.clone()).ok());
    put(&engine).expect("everything is granted");

    let wrong = open(&cluster, ("cassandra", "wrong"), authorities.clone()).err().expect("a wrong password");
    assert_eq!(wrong.kind(), ErrorKind::Unauthorized, "{wrong}");
    assert!(wrong.to_string().contains("--cassandra-user"), "{wrong}");
    let without = Options { keyspace: "secured".to_owned(), ..Options::at(cluster.contact_points()) };
    let without = tresor_cassandra::open(without, Arc::new(SystemClock::new())).err().expect("no user");
    assert_eq!(without.kind(), ErrorKind::Unauthorized, "{without}");

    let stranger = directory.join("stranger.pem");
    std::fs::write(&stranger, STRANGER).expect("the directory takes a file");
    let refused = open(&cluster, first, Some(stranger)).err().expect("another authority");
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    let missing = open(&cluster, first, Some(directory.join("nowhere.pem"))).err().expect("no such file");
    assert!(missing.to_string().contains("--cassandra-tls-ca"), "{missing}");

    say(
        &cluster,
        &[
            "CREATE ROLE reader WITH PASSWORD = 'reader' AND LOGIN = true",
            "GRANT SELECT ON KEYSPACE secured TO reader",
        ],
    );
    let reader = open(&cluster, ("reader", "reader"), authorities).expect("nothing has to be made any more");
    let refused = put(&reader).expect_err("it may only read");
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    let flush = [Change::Clear { database: 0 }];
    let refused = reader.write(Batch::of(&flush), 0).wait().expect_err("it may not truncate");
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    reader
        .read(&[KeyRef::new(0, b"key")], tresor::engine::Isolation::Each, 0, &mut |_, entry| {
            assert!(entry.is_some(), "nothing was removed");
        })
        .wait()
        .expect("it may read");
}

/// The certificate of somebody else, whose key nobody has.
const STRANGER: &str = "\
-----BEGIN CERTIFICATE-----
MIIBPzCB5aADAgECAggWgHvr2u+bITAKBggqhkjOPQQDAjATMREwDwYDVQQDEwhz
dHJhbmdlcjAgFw0yNjExMjExNTU2MDdaGA8yMTI2MTAyODE1NTYwN1owEzERMA8G
A1UEAxMIc3RyYW5nZXIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATyESEsCJvD
GTAOO/EdURupW7ptlauTWmy8bCzSovE8j/qU3VLuuWl14N8MKrJA9cXn4z0xeuKJ
+bDNVhfe3PBjoyEwHzAdBgNVHQ4EFgQUKwQJjGT3unfFAuw5+A5lRhaKQAUwCgYI
KoZIzj0EAwIDSQAwRgIhALBwz3MykkO3CW2+57eSZv8Zg4IRXjy9XMG/cj2f+6j5
AiEA1NcjfS4bDULE4E2MuiXxFgkuZ1Wve8gawkCZKajwPD4=
-----END CERTIFICATE-----
";
