//! INFO's figures of the network are those of the bytes that went over it.

mod running;

use tresor_testkit::Reply;

#[test]
fn bytes_in_and_out_are_counted() {
    let server = running::server();
    let mut client = running::client(&server);
    let value = "v".repeat(100_000);
    client.command(&["SET", "key", &value]).expect("the server answers");
    client.command(&["GET", "key"]).expect("the server answers");
    let info = client.command(&["INFO", "stats"]).expect("the server answers");
    let figure = |name: &str| -> u64 {
        let line =
            info.text().expect("a text").lines().find_map(|line| line.strip_prefix(name)).expect("a figure");
        line.parse().expect("a number")
    };
    // What three short commands have around the value.
    let around = 200;
    for name in ["total_net_input_bytes:", "total_net_output_bytes:"] {
        let bytes = figure(name);
        assert!((100_000..100_000 + around).contains(&bytes), "{name}{bytes}");
    }
    assert_eq!(
        client.command(&["CONFIG", "RESETSTAT"]).expect("the server answers"),
        Reply::Simple("OK".into())
    );
    let info = client.command(&["INFO", "stats"]).expect("the server answers");
    assert!(!info.text().expect("a text").contains("total_net_input_bytes:100"));
}
