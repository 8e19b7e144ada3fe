//! The golden scripts of keys and values, through `/kv` and through `/keys`.

use tresor_testkit::kv_script::run_all;

use crate::{
    kv_requests::{keys, kv},
    running::server,
};

#[test]
fn scripts_through_kv() {
    run_all("HTTP /kv", |run| {
        let server = server();
        let mut client = server.client();
        run(&mut |request| kv(&mut client, request));
    });
}

#[test]
fn scripts_through_keys() {
    run_all("HTTP /keys", |run| {
        let server = server();
        let mut client = server.client();
        run(&mut |request| keys(&mut client, request));
    });
}
