//! DUMP and RESTORE between a real redis-server and ours, in both directions; and LCS against a plain model.

#![allow(clippy::unwrap_used)] // In the tests' own functions too: a panic is how a test fails.

use tresor::{Config, Database};
use tresor_testkit::{
    RedisServer, Reply, SessionDoor,
    random::{self, Random},
};

/// Values of every encoding that a payload has, with the neighbours of each change.
fn values(random: &mut Random) -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = [
        "",
        "0",
        "-1",
        "127",
        "128",
        "-128",
        "-129",
        "32767",
        "32768",
        "-32768",
        "-32769",
        "2147483647",
        "2147483648",
        "-2147483648",
        "-2147483649",
        "9223372036854775807",
        "01",
        "1.5",
        "two words",
        "\0\r\n\u{ff}",
    ]
    .map(|value| value.as_bytes().to_vec())
    .to_vec();
    for length in [20, 21, 63, 64, 300, 16_383, 16_384, 1 << 20] {
        values.push(random.bytes(length));
        values.push(vec![b'a'; length]);
        values.push(b"abcdefgh ".iter().copied().cycle().take(length).collect());
        // Copies of all lengths and distances, between bytes as they are.
        values.push((0..length).map(|_| b'a' + random.number().trailing_zeros() as u8 % 26).collect());
    }
    values
}

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

/// Takes values from one to the other and back to where they are compared.
fn carry(
    values: &[Vec<u8>],
    from: &mut dyn FnMut(&[Vec<u8>]) -> Reply,
    to: &mut dyn FnMut(&[Vec<u8>]) -> Reply,
) {
    for value in values {
        let shown = String::from_utf8_lossy(&value[..value.len().min(60)]).into_owned();
        from(&[b"SET".to_vec(), b"key".to_vec(), value.clone()]);
        let payload = from(&words("DUMP key")).bytes().expect("a payload").to_vec();
        let restore = |expiry: &str, options: &str| {
            let mut restore = words(&format!("RESTORE key {expiry}"));
            restore.push(payload.clone());
            restore.extend(words(options));
            restore
        };
        assert_eq!(to(&restore("0", "REPLACE")), Reply::Simple("OK".into()), "{shown}");
        assert_eq!(to(&words("GET key")).bytes(), Some(&value[..]), "{shown}");
        assert_eq!(to(&words("TTL key")), Reply::Integer(-1));
        assert_eq!(to(&restore("33177117420123", "ABSTTL REPLACE")), Reply::Simple("OK".into()), "{shown}");
        assert_eq!(to(&words("PEXPIRETIME key")), Reply::Integer(33_177_117_420_123));
        assert_eq!(to(&words("GET key")).bytes(), Some(&value[..]), "{shown}");
    }
}

#[test]
fn redis_restores_ours_and_we_restore_its() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let values = values(&mut Random::new(random::seed("payloads")));
    let database = Database::open(Config::memory()).unwrap();
    let (mut door, mut client) = (SessionDoor::new(&database), redis.resp());
    let mut ours = |words: &[Vec<u8>]| door.execute(words);
    let mut theirs = |words: &[Vec<u8>]| client.command(words).expect("redis-server answers");
    carry(&values, &mut ours, &mut theirs);
    carry(&values, &mut theirs, &mut ours);
    for without in ["no", "yes"] {
        theirs(&words(&format!("CONFIG SET rdbcompression {without}")));
        carry(&values, &mut theirs, &mut ours);
    }
}

/// A payload that was cut or changed on its way is refused, and nothing is stored. Cut and changed where Redis
/// has compressed, too.
#[test]
fn damaged_payloads_of_redis_are_refused() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let mut client = redis.resp();
    let database = Database::open(Config::memory()).unwrap();
    let mut door = SessionDoor::new(&database);
    for value in [&b"70000"[..], b"some words", &[b'a'; 300], &b"abc ".repeat(20)] {
        client.command(&[b"SET", &b"key"[..], value]).unwrap();
        let payload = client.command(&["DUMP", "key"]).unwrap().bytes().expect("a payload").to_vec();
        let cuts = (0..payload.len()).map(|length| payload[..length].to_vec());
        let changes = (0..payload.len() * 8).map(|bit| {
            let mut changed = payload.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            changed
        });
        for damaged in cuts.chain(changes) {
            let reply = door.execute(&[b"RESTORE".to_vec(), b"key".to_vec(), b"0".to_vec(), damaged]);
            assert_eq!(reply.error(), Some("ERR DUMP payload version or checksum are wrong"));
        }
        assert_eq!(door.execute(&words("EXISTS key")), Reply::Integer(0));
    }
}

#[test]
fn a_restored_value_is_raw_and_within_the_limit() {
    let database = Database::open(Config { max_value_bytes: 100, ..Config::memory() }).unwrap();
    let mut door = SessionDoor::new(&database);
    door.execute(&words("TRESOR.PUT json {} JSON"));
    let dumped = door.execute(&words("DUMP json")).bytes().expect("a payload").to_vec();
    let restore = |payload: Vec<u8>| [b"RESTORE".to_vec(), b"key".to_vec(), b"0".to_vec(), payload];
    assert_eq!(door.execute(&restore(dumped)), Reply::Simple("OK".into()));
    let page = door.execute(&words("TRESOR.SCAN 0")).to_string();
    assert!(page.contains("\"raw\"") && page.contains("\"json\""), "{page}");

    let larger = Database::open(Config::memory()).unwrap();
    let mut larger = SessionDoor::new(&larger);
    larger.execute(&words(&format!("SET key {}", "x".repeat(101))));
    let dumped = larger.execute(&words("DUMP key")).bytes().expect("a payload").to_vec();
    let [name, _, expiry, payload] = restore(dumped);
    let reply = door.execute(&[name, b"other".to_vec(), expiry, payload]);
    assert!(reply.error().unwrap().starts_with("ERR string exceeds maximum allowed size"), "{reply}");
}

/// The length by the definition: without the last of one, of the other, or with the same last of both.
fn longest(a: &[u8], b: &[u8]) -> usize {
    let mut above = vec![0; b.len() + 1];
    for x in a {
        let mut row = vec![0; b.len() + 1];
        for (j, y) in b.iter().enumerate() {
            row[j + 1] = if x == y { above[j] + 1 } else { row[j].max(above[j + 1]) };
        }
        above = row;
    }
    above[b.len()]
}

fn is_within(part: &[u8], whole: &[u8]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|byte| whole.any(|other| other == byte))
}

#[test]
fn the_longest_common_subsequence_is_common_and_longest() {
    let mut random = Random::new(random::seed("lcs"));
    let database = Database::open(Config::memory()).unwrap();
    let mut door = SessionDoor::new(&database);
    for _ in 0..500 {
        let letters = 1 + random.below(6);
        let mut text =
            || -> Vec<u8> { (0..random.index(200)).map(|_| b'a' + random.below(letters) as u8).collect() };
        let (a, b) = (text(), text());
        door.execute(&[b"MSET".to_vec(), b"a".to_vec(), a.clone(), b"b".to_vec(), b.clone()]);
        let length = longest(&a, &b);
        assert_eq!(door.execute(&words("LCS a b LEN")), Reply::Integer(length as i64));
        let common = door.execute(&words("LCS a b")).bytes().expect("a text").to_vec();
        assert!(common.len() == length && is_within(&common, &a) && is_within(&common, &b));
        let Reply::Map(told) = door.execute(&words("LCS a b IDX WITHMATCHLEN")) else { panic!("no map") };
        let Reply::Array(pieces) = &told[0].1 else { panic!("no pieces") };
        let mut joined = Vec::new();
        for piece in pieces.iter().rev() {
            let Reply::Array(parts) = piece else { panic!("no piece") };
            let range = |part: &Reply| match part {
                Reply::Array(ends) => {
                    ends[0].integer().unwrap() as usize..ends[1].integer().unwrap() as usize + 1
                }
                other => panic!("{other}"),
            };
            assert_eq!(a[range(&parts[0])], b[range(&parts[1])]);
            assert_eq!(parts[2], Reply::Integer(range(&parts[0]).len() as i64));
            joined.extend_from_slice(&a[range(&parts[0])]);
        }
        assert_eq!(joined, common);
    }
}

#[test]
fn a_table_over_the_limit_of_redis_is_refused() {
    let database = Database::open(Config::memory()).unwrap();
    let mut door = SessionDoor::new(&database);
    door.execute(&words("SETRANGE a 20000 x"));
    door.execute(&words("SETRANGE b 20000 x"));
    for options in ["", " LEN", " IDX"] {
        let reply = door.execute(&words(&format!("LCS a b{options}")));
        let message = "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len";
        assert_eq!(reply.error(), Some(message));
    }
    door.execute(&words("SETRANGE c 5000 x"));
    assert_eq!(door.execute(&words("LCS a c LEN")), Reply::Integer(5001));
}
