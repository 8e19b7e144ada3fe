//! The golden scripts through a socket, in both versions of the protocol: the whole way from bytes to
//! the engine and back, compared with the same text that a real redis-server is compared with.

mod running;

use tresor_testkit::script_runner::{Door, Shape, run_folder};

/// What of `@requires` the server has over the engine of these tests.
const HAS: [&str; 6] = ["tresor", "guards", "ordered", "batches", "counted", "volatile"];

fn through(shape: Shape) {
    run_folder("", |run| {
        let server = running::server();
        let mut client = running::client(&server);
        if shape == Shape::Resp3 {
            client.hello(3).expect("the server answers");
        }
        let name = format!("a socket, {shape:?}");
        let mut execute = |words: &[Vec<u8>]| client.command(words).expect("the server answers");
        run(Door { name: &name, shape, has: &HAS, execute: &mut execute, advance_ms: None });
    });
}

#[test]
fn scripts_hold_in_version_2() {
    through(Shape::Resp2);
}

#[test]
fn scripts_hold_in_version_3() {
    through(Shape::Resp3);
}
