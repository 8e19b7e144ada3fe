//! What goes on: charts, slow commands, clients, transactions; and a server that goes away.

use tresor_testkit::{RespClient, deadline};

use crate::{complains_of_nothing, open, photograph, set_all, started};

/// A few hundred commands, some of which find their key and some of which expire.
fn load(client: &mut RespClient) {
    let words = |text: &str| text.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
    let each =
        |number: u32| [format!("SET k{number} v PX 1"), format!("GET k{number}"), "GET absent".to_owned()];
    let commands: Vec<_> = (0..200).flat_map(each).map(|command| words(&command)).collect();
    client.pipeline(&commands).expect("the server answers");
}

#[test]
fn charts_move_while_load_runs() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    let mut page = open(&mut browser, &server);
    page.click("#tab-live");
    page.says("#charts", "no data");
    let points = "document.querySelectorAll('#charts .line-0')[0].getAttribute('points') ?? ''";
    let mut seen = Vec::new();
    deadline::wait_until("three different charts of operations", || {
        load(&mut client);
        let now = page.evaluate(points).to_string();
        if now.len() > 2 && !seen.contains(&now) {
            seen.push(now);
        }
        seen.len() >= 3
    });
    // Each chart says its present value in words, with a unit.
    deadline::wait_until("a value of every chart", || {
        load(&mut client);
        let values = page.evaluate("[...document.querySelectorAll('#charts figure')].map((each) => each.querySelector('dd').innerText)");
        let values: Vec<&str> =
            values.as_array().unwrap().iter().filter_map(|value| value.as_str()).collect();
        let units = [" /s", "s", "iB", " %", "s"];
        let is_said = |(value, unit): (&&str, &str)| {
            value.ends_with(unit) && value.starts_with(|c: char| c.is_ascii_digit())
        };
        values.len() == units.len() && values.iter().zip(units).all(is_said)
    });
    photograph(&mut page, "live");
    complains_of_nothing(page);
}

#[test]
fn slow_commands_clients_and_transactions_are_listed() {
    let Some((server, mut browser)) = started(&[]) else { return };
    let mut client = server.resp();
    client.command(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]).unwrap();
    client.command(&["CLIENT", "SETNAME", "worker-7"]).unwrap();
    client.command(&[b"SET".as_slice(), b"slow", b"<b>\xff"]).unwrap();
    let mut line = server.line();
    for command in ["BEGIN", "PUT house large 1"] {
        line.ask(command).unwrap();
    }
    let mut page = open(&mut browser, &server);
    page.click("#tab-server");
    page.says("#slow", r"SET slow <b>\xff");
    page.says("#clients", "worker-7");
    page.says("#transactions", "1");
    page.says("#shards-note", "not spread over shards");
    page.says("#indexes-note", "None is defined");
    let made = client.command(&["TRESOR.INDEX", "CREATE", "ages", "PREFIX", "user:", "FIELD", "/age"]);
    assert_eq!(made.unwrap().text(), Some("OK"));
    page.says("#indexes", "user:*");
    page.says("#indexes", "values as number");
    page.says("#indexes", "ready");
    photograph(&mut page, "server");
    complains_of_nothing(page);
}

#[test]
fn a_server_that_goes_away_is_told_of() {
    let Some((mut server, mut browser)) = started(&[]) else { return };
    set_all(&mut server.resp(), [("a".to_owned(), "1".to_owned())].into_iter());
    let mut page = open(&mut browser, &server);
    server.kill9();
    page.says("#state", "server does not answer");
    page.click("#keys li");
    page.says("#alert", "Look whether it runs");
    photograph(&mut page, "gone");
}

#[test]
fn a_limit_on_requests_makes_it_slower_and_no_more() {
    let Some((server, mut browser)) = started(&["--http-rate-limit", "1"]) else { return };
    set_all(&mut server.resp(), [("a".to_owned(), "1".to_owned())].into_iter());
    let mut page = open(&mut browser, &server);
    page.click("#keys li");
    page.wait("document.getElementById('value').value === '1'");
    page.says("#state", "live");
    complains_of_nothing(page);
}
