//! The request decoder against bytes that nobody sends on purpose: it never panics, and what it makes
//! of a stream does not depend on how the stream is cut.

use tresor_server::protocol::{Decoded, Decoder, ProtocolError, RequestBounds, Words};
use tresor_testkit::{
    random::{Random, seed},
    resp_client::encode,
};

const BOUNDS: RequestBounds = RequestBounds { words: 1000, word_bytes: 5000, authenticated: true };
const STRANGER: RequestBounds = RequestBounds { words: 3, word_bytes: 8, authenticated: false };

/// All requests of a stream that arrives in these pieces, and how it ends.
fn decode_pieces<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    bounds: RequestBounds,
) -> (Vec<Vec<Vec<u8>>>, Result<(), ProtocolError>) {
    let (mut decoder, mut input, mut requests) = (Decoder::default(), Vec::new(), Vec::new());
    let mut needed = 0;
    for piece in pieces {
        input.extend_from_slice(piece);
        if input.len() < needed {
            continue;
        }
        let mut at = 0;
        loop {
            let mut words = Words::new();
            match decoder.decode(&input[at..], &mut words, bounds) {
                Ok(Decoded::Array(bytes)) => {
                    requests.push(words.iter().map(|word| word.to_vec()).collect());
                    at += bytes;
                }
                Ok(Decoded::Inline(bytes, words)) => {
                    requests.push(words);
                    at += bytes;
                }
                Ok(Decoded::Nothing(bytes)) => at += bytes,
                Ok(Decoded::More(bytes)) => {
                    assert!(bytes > 0);
                    needed = input.len() - at + bytes;
                    break;
                }
                Err(error) => return (requests, Err(error)),
            }
        }
        input.drain(..at);
    }
    (requests, Ok(()))
}

fn whole(bytes: &[u8], bounds: RequestBounds) -> (Vec<Vec<Vec<u8>>>, Result<(), ProtocolError>) {
    decode_pieces(std::iter::once(bytes), bounds)
}

fn error_of(bytes: &[u8]) -> String {
    whole(bytes, BOUNDS).1.expect_err("it breaks the protocol").to_string()
}

#[test]
fn refusals_have_the_texts_of_redis() {
    assert_eq!(error_of(b"*3000000000\r\n"), "Protocol error: invalid multibulk length");
    assert_eq!(error_of(b"*abc\r\n"), "Protocol error: invalid multibulk length");
    assert_eq!(error_of(b"*\r\n"), "Protocol error: invalid multibulk length");
    assert_eq!(error_of(b"*01\r\n"), "Protocol error: invalid multibulk length");
    assert_eq!(error_of(b"*1\r\n$-1\r\n"), "Protocol error: invalid bulk length");
    assert_eq!(error_of(b"*1\r\n$99999999999999999999\r\n"), "Protocol error: invalid bulk length");
    assert_eq!(error_of(b"*1\r\n$2x\r\n"), "Protocol error: invalid bulk length");
    assert_eq!(error_of(b"*1\r\nx\r\n"), "Protocol error: expected '$', got 'x'");
    assert_eq!(error_of(b"*1\r\n*1\r\n"), "Protocol error: expected '$', got '*'");
    assert_eq!(error_of(b"set \"a\r\n"), "Protocol error: unbalanced quotes in request");
    assert_eq!(error_of(&[b'a'; 65 * 1024]), "Protocol error: too big inline request");
    let strange = |bytes: &[u8]| whole(bytes, STRANGER).1.expect_err("over the limit").to_string();
    assert_eq!(strange(b"*4\r\n"), "Protocol error: unauthenticated multibulk length");
    assert_eq!(strange(b"*1\r\n$9\r\n"), "Protocol error: unauthenticated bulk length");
    assert_eq!(strange(b"a b c d\n"), "Protocol error: unauthenticated multibulk length");
}

#[test]
fn a_giant_length_is_refused_at_its_line() {
    assert!(whole(b"*1\r\n$5001\r\n", BOUNDS).1.is_err());
    assert!(whole(b"*1001\r\n", BOUNDS).1.is_err());
}

#[test]
fn empty_requests_ask_for_nothing() {
    assert_eq!(whole(b"*0\r\n*-1\r\n\r\n  \r\n\n", BOUNDS), (Vec::new(), Ok(())));
}

/// Every announced need is honest: with one byte less there is no request.
#[test]
fn what_is_needed_is_never_too_much() {
    for words in [vec![vec![b'x'; 5000]], vec![b"a".to_vec(), Vec::new()], vec![b"key".to_vec(); 300]] {
        let bytes = encode(&words);
        let (mut decoder, mut have) = (Decoder::default(), 0);
        loop {
            let mut words = Words::new();
            match decoder.decode(&bytes[..have], &mut words, BOUNDS) {
                Ok(Decoded::More(more)) => have += more,
                Ok(Decoded::Array(length)) => break assert_eq!((length, have), (bytes.len(), bytes.len())),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Spoils what was seen already: a decoder that looked again would find it broken.
#[test]
fn a_long_request_is_looked_at_once() {
    let mut bytes = encode(&vec![b"word".to_vec(); 900]);
    let mut decoder = Decoder::default();
    for seen in (400..bytes.len()).step_by(97) {
        let decoded = decoder.decode(&bytes[..seen], &mut Words::new(), BOUNDS);
        assert!(matches!(decoded, Ok(Decoded::More(_))), "{decoded:?}");
        let header = b"\r\n$4\r\n";
        let last = bytes[6..seen - 20].windows(header.len()).rposition(|window| window == header);
        let at = 6 + last.expect("words were seen") + 2;
        bytes[at] = b'!';
    }
    let mut words = Words::new();
    assert_eq!(decoder.decode(&bytes, &mut words, BOUNDS), Ok(Decoded::Array(bytes.len())));
    assert_eq!(words.len(), 900);
    assert!(words.iter().all(|word| *word == b"word"));
}

#[test]
fn cuts_change_nothing() {
    let seed = seed("cuts_change_nothing");
    let mut random = Random::new(seed);
    for _ in 0..6_000 {
        let stream = stream(&mut random);
        let bounds = if random.one_in(3) { STRANGER } else { BOUNDS };
        let expected = whole(&stream, bounds);
        for longest in [1, 1 + random.index(40), 1 + random.index(2000)] {
            let mut rest = &stream[..];
            let pieces = std::iter::from_fn(|| {
                let (piece, after) = rest.split_at((1 + random.index(longest)).min(rest.len()));
                rest = after;
                (!piece.is_empty()).then_some(piece)
            });
            assert_eq!(decode_pieces(pieces, bounds), expected, "{}", stream.escape_ascii());
        }
    }
}

/// Requests, some of them spoilt, some of it noise.
fn stream(random: &mut Random) -> Vec<u8> {
    let mut stream = Vec::new();
    for _ in 0..1 + random.index(6) {
        let mut bytes = match random.below(8) {
            0 => {
                let length = random.index(30);
                random.bytes(length)
            }
            1 => random
                .choice(&[
                    &b"PING\r\n"[..],
                    b"set 'a b' \"c\\x00\"\n",
                    b"*0\r\n",
                    b"GET / HTTP/1.1\r\n",
                    b"\r\n",
                ])
                .to_vec(),
            2 => {
                let words = 17 + random.index(40);
                encode(&vec![b"word".to_vec(); words])
            }
            _ => {
                let words: Vec<_> = (0..random.index(5))
                    .map(|_| {
                        let length = random.index(12);
                        random.bytes(length)
                    })
                    .collect();
                encode(&words)
            }
        };
        if random.one_in(6) && !bytes.is_empty() {
            let at = random.index(bytes.len());
            match random.below(3) {
                0 => bytes[at] = *random.choice(b"*$\r\n-0129\"'\\ x"),
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, *random.choice(b"*$\r\n-0129\"'\\ x")),
            }
        }
        stream.extend(bytes);
    }
    stream
}
