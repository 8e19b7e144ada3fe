//! The async client: what differs from the blocking one is I/O, so that is what is looked at.

use std::{future::Future, time::Duration};

use tokio::net::TcpListener;
use tresor_client::{AsyncClient, ErrorKind, Options};

use crate::{address, kind_of, server};

pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(future)
}

#[test]
fn a_session_of_two_transactions() {
    let server = server(&[]);
    wait(async {
        let mut client = AsyncClient::connect(&address(&server)).await.unwrap();
        let first = client.begin().await.unwrap();
        client.put_in(first, "nameofkey", "value999").await.unwrap();
        assert_eq!(client.get_in(first, "nameofkey").await.unwrap().unwrap(), "value999");
        let second = client.begin().await.unwrap();
        client.put_in(second, "house", "large").await.unwrap();
        client.put_in(second, "house", "small").await.unwrap();
        assert_eq!(client.rollback(second).await.unwrap().value.unwrap(), "large");
        assert_eq!(client.delete_written(second).await.unwrap(), 1);
        assert_eq!(client.commit_all().await.unwrap(), 2);
        let contents = client.show_all().await.unwrap();
        assert_eq!(contents.entries.keys().collect::<Vec<_>>(), [b"nameofkey"]);
        client.disconnect().await.unwrap();
    });
}

#[test]
fn lines_go_ahead_of_their_answers() {
    let server = server(&[]);
    wait(async {
        let mut client = AsyncClient::connect(&address(&server)).await.unwrap();
        let long = "x".repeat(3 << 20);
        client.put("long", &long).await.unwrap();
        let lines: Vec<String> = (0..3000).map(|number| format!("PUT key{number} {number}")).collect();
        assert!(client.send_all(&lines).await.unwrap().iter().all(|answer| answer["status"] == "Ok"));
        let answers = client.send_all(&["GET key2999", "GET long", "NOSUCHCOMMAND"]).await.unwrap();
        assert_eq!(answers[0]["value"], "2999");
        assert_eq!(answers[1]["value"], long);
        assert_eq!(answers[2]["status"], "Error");
    });
}

#[test]
fn passwords_bounds_and_lost_servers_are_as_in_the_blocking_client() {
    let mut server = server(&["--password", "hunter2"]);
    let address = address(&server);
    wait(async {
        let wrong = Options { password: Some("wrong".to_owned()), ..Options::default() };
        let refused = AsyncClient::connect_with(&address, &wrong).await;
        assert_eq!(kind_of(refused), ErrorKind::Unauthorized);
        let options =
            Options { password: Some("hunter2".to_owned()), max_answer_bytes: 200, ..Options::default() };
        let mut client = AsyncClient::connect_with(&address, &options).await.unwrap();
        client.put("k", "x".repeat(1000)).await.unwrap();
        assert_eq!(kind_of(client.get("k").await), ErrorKind::TooLarge);
        assert_eq!(kind_of(client.ping().await), ErrorKind::Unavailable);
        let mut client = AsyncClient::connect_with(&address, &options).await.unwrap();
        server.kill9();
        assert_eq!(kind_of(client.ping().await), ErrorKind::UnknownOutcome);
        assert_eq!(kind_of(AsyncClient::connect_with(&address, &options).await), ErrorKind::Unavailable);
    });
}

#[test]
fn a_call_that_was_dropped_leaves_the_connection_of_no_use() {
    // Nobody answers here, so the call cannot end before it is dropped.
    wait(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut client = AsyncClient::connect(&address).await.unwrap();
        assert!(is_pending_once(client.ping()).await);
        assert_eq!(kind_of(client.ping().await), ErrorKind::Unavailable);

        let options = Options { answer_timeout: Some(Duration::from_millis(20)), ..Options::default() };
        let mut client = AsyncClient::connect_with(&address, &options).await.unwrap();
        let error = client.ping().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownOutcome);
        assert!(error.to_string().contains("time to wait"), "{error}");
    });
}

/// Polls a future once and drops it.
async fn is_pending_once(future: impl Future) -> bool {
    let mut future = Box::pin(future);
    std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending())).await
}
