//! How many requests a second an address may send: `--http-rate-limit`.
//!
//! A bucket an address, kept as the one moment at which it is full again; it holds what a second allows. The
//! table is bounded: full buckets are forgotten, since they are as good as new ones, and addresses for which
//! there is no room share a bucket. Machines with IPv6 have a whole network each, so its prefix counts.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use http::{StatusCode, header};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::problem::Problem;

/// Addresses with a bucket of their own.
const MAX_ADDRESSES: usize = 65_536;

/// What a bucket holds, as time.
const BURST: Duration = Duration::from_secs(1);

/// The buckets of all addresses.
pub(super) struct RateLimit {
    /// What a request takes out of its bucket.
    cost: Duration,
    buckets: Mutex<Buckets>,
    refused: AtomicU64,
}

#[derive(Default)]
struct Buckets {
    full_at: HashMap<IpAddr, Instant>,
    /// The bucket of those for whom there is no room.
    others: Option<Instant>,
    /// When full ones were forgotten last.
    forgotten_at: Option<Instant>,
}

impl RateLimit {
    /// A limit that nobody has used yet.
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        let cost = BURST / per_second.get();
        Self { cost, buckets: Mutex::default(), refused: AtomicU64::new(0) }
    }

    /// Lets a request of an address through.
    ///
    /// # Errors
    /// 429 for one too many.
    pub(super) fn admit(&self, address: IpAddr, now: Instant) -> Result<(), Problem> {
        if self.take(address, now) {
            return Ok(());
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        let detail = "this address asks more often than --http-rate-limit allows: wait a moment";
        Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).with(header::RETRY_AFTER, "1"))
    }

    /// Requests that were refused.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn take(&self, address: IpAddr, now: Instant) -> bool {
        let mut buckets = self.buckets.lock();
        let bucket = buckets.of(network_of(address), now);
        let full_at = (*bucket).max(now) + self.cost;
        let is_enough = full_at <= now + BURST;
        if is_enough {
            *bucket = full_at;
        }
        is_enough
    }
}

impl Buckets {
    fn of(&mut self, address: IpAddr, now: Instant) -> &mut Instant {
        if self.full_at.len() >= MAX_ADDRESSES && !self.full_at.contains_key(&address) {
            // Looking through all of them is for once a second: within less, few have become full.
            if self.forgotten_at.is_none_or(|moment| now >= moment + BURST) {
                self.forgotten_at = Some(now);
                self.full_at.retain(|_, full_at| *full_at > now);
            }
            if self.full_at.len() >= MAX_ADDRESSES {
                return self.others.get_or_insert(now);
            }
        }
        self.full_at.entry(address).or_insert(now)
    }
}

/// What has one bucket: an address of IPv4, a network of 64 bits of IPv6.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{IpAddr, Ipv4Addr},
        num::NonZeroU32,
        time::Duration,
    };

    use tokio::time::Instant;

    use super::{MAX_ADDRESSES, RateLimit};

    fn limit(per_second: u32) -> RateLimit {
        RateLimit::new(NonZeroU32::new(per_second).unwrap())
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_second_allows_as_many_as_the_limit_says_at_once_or_spread() {
        let (limit, start) = (limit(4), Instant::now());
        let take = |ms: u64| limit.take(address("10.0.0.1"), start + Duration::from_millis(ms));
        for ms in [0, 0, 0, 0] {
            assert!(take(ms));
        }
        for (ms, is_enough) in [
            (0, false),
            (249, false),
            (250, true),
            (250, false),
            (1000, true),
            (1000, true),
            (1000, true),
            (1000, false),
        ] {
            assert_eq!(take(ms), is_enough, "{ms}");
        }
        let later = |_: &i32| take(60_000);
        assert_eq!((0..20).filter(later).count(), 4, "what was not used is not saved up");
    }

    #[test]
    fn each_address_has_a_bucket_and_a_network_of_ipv6_one() {
        let (limit, now) = (limit(1), Instant::now());
        for (text, is_enough) in [
            ("10.0.0.1", true),
            ("10.0.0.2", true),
            ("10.0.0.1", false),
            ("::ffff:10.0.0.2", false),
            ("2001:db8::1", true),
            ("2001:db8::2", false),
            ("2001:db8:0:1::2", true),
        ] {
            assert_eq!(limit.take(address(text), now), is_enough, "{text}");
        }
    }

    #[test]
    fn the_table_is_bounded_and_forgets_who_is_as_good_as_new() {
        let (limit, now) = (limit(1), Instant::now());
        let nth = |number: usize| IpAddr::from(Ipv4Addr::from_bits(number as u32));
        assert!((0..MAX_ADDRESSES).all(|number| limit.take(nth(number), now)));
        // Two that come too late have one bucket.
        assert!(limit.take(address("192.0.2.1"), now));
        assert!(!limit.take(address("192.0.2.2"), now));
        assert_eq!(limit.buckets.lock().full_at.len(), MAX_ADDRESSES);
        let later = now + Duration::from_secs(2);
        assert!(limit.take(address("192.0.2.1"), later));
        assert!(limit.take(address("192.0.2.2"), later));
        assert_eq!(limit.buckets.lock().full_at.len(), 2);
    }
}
