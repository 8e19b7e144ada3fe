//! `--http-rate-limit`: 429 for one too many, counted, and never for health.

use std::num::NonZeroU32;

use tresor_server::HttpLimits;

use crate::running::Setup;

#[test]
fn one_request_too_many_is_429_until_some_time_has_passed() {
    let requests_per_second = NonZeroU32::new(1);
    let limits = HttpLimits { requests_per_second, ..HttpLimits::default() };
    let server = Setup { limits, ..Setup::default() }.start();
    let mut client = server.client();
    // However slow this machine is: of many at once some are too many, and later ones are not.
    let mut statuses = Vec::new();
    tresor_testkit::deadline::wait_until("some to be refused and others not", || {
        let answer = client.request("GET", "/keys/k", &[], b"");
        match answer.status {
            429 => assert_eq!(answer.header("retry-after"), "1"),
            status => assert_eq!(status, 404),
        }
        assert_eq!(client.request("GET", "/livez", &[], b"").status, 200);
        assert_eq!(client.request("GET", "/readyz", &[], b"").status, 200);
        statuses.push(answer.status);
        statuses.contains(&429) && statuses.iter().filter(|status| **status == 404).count() > 1
    });
    assert_eq!(statuses[0], 404);
    let refused = statuses.iter().filter(|status| **status == 429).count();
    tresor_testkit::deadline::wait_until("the figures to be answered", || {
        let page = client.request("GET", "/metrics", &[], b"");
        let line = |line: &&str| line.starts_with("tresor_http_rate_limited_total ");
        let counted = page.text().lines().find(line).map(|line| line.rsplit_once(' ').unwrap().1.to_owned());
        page.status == 200 && counted.is_some_and(|counted| counted.parse::<usize>().unwrap() >= refused)
    });
}

#[test]
fn nobody_is_refused_without_a_limit() {
    let server = crate::running::server();
    let mut client = server.client();
    assert!((0..300).all(|_| client.request("GET", "/keys/k", &[], b"").status == 404));
}
