//! Replies of commands as JSON, in the shapes that Upstash's REST interface has given them.
//!
//! They are those of version 2 of the Redis protocol: maps are flat arrays, doubles are text. A client that
//! sends `Upstash-Encoding: base64` gets every string in base64, but for the status OK; any other gets text as
//! text, and bytes that are no text as `{"base64":…}`, as everywhere in this server.

use base64::Engine as _;
use http::HeaderMap;
use tresor::{
    Kind,
    reply::{Reply, double_text},
};

use crate::json::{BASE64, ValuePieces, write_escaped};

/// How strings appear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Text,
    Base64,
}

impl Encoding {
    /// What the client asks for.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        match headers.get("upstash-encoding") {
            Some(value) if value.as_bytes().eq_ignore_ascii_case(b"base64") => Self::Base64,
            _ => Self::Text,
        }
    }
}

/// `{"result":…}` of a reply, or `{"error":…}`.
pub(super) fn write_outcome(out: &mut Vec<u8>, reply: &Reply, encoding: Encoding) {
    match reply {
        Reply::Error(text) => {
            out.extend_from_slice(b"{\"error\":\"");
            write_escaped(out, text.as_bytes());
            out.extend_from_slice(b"\"}");
        }
        reply => {
            out.extend_from_slice(b"{\"result\":");
            write(out, reply, encoding);
            out.push(b'}');
        }
    }
}

fn write(out: &mut Vec<u8>, reply: &Reply, encoding: Encoding) {
    match reply {
        Reply::Simple(text) if text == "OK" => out.extend_from_slice(b"\"OK\""),
        Reply::Simple(text) | Reply::Error(text) | Reply::BigNumber(text) | Reply::Verbatim(_, text) => {
            string(out, text.as_bytes(), encoding);
        }
        Reply::Double(number) => string(out, double_text(*number).as_bytes(), encoding),
        Reply::Bulk(bytes) => string(out, bytes, encoding),
        Reply::Integer(number) => integer(out, *number),
        Reply::Boolean(value) => integer(out, i64::from(*value)),
        Reply::Null => out.extend_from_slice(b"null"),
        Reply::Array(elements) | Reply::Set(elements) | Reply::Push(elements) => {
            list(out, elements.iter(), encoding);
        }
        Reply::Map(pairs) => list(out, pairs.iter().flat_map(|(key, value)| [key, value]), encoding),
    }
}

fn list<'a>(out: &mut Vec<u8>, elements: impl Iterator<Item = &'a Reply>, encoding: Encoding) {
    out.push(b'[');
    for (place, element) in elements.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(out, element, encoding);
    }
    out.push(b']');
}

fn integer(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn string(out: &mut Vec<u8>, bytes: &[u8], encoding: Encoding) {
    match encoding {
        Encoding::Text => ValuePieces::new(Kind::Raw, bytes).write_all(out),
        Encoding::Base64 => out.extend_from_slice(format!("\"{}\"", BASE64.encode(bytes)).as_bytes()),
    }
}

/// About how many bytes a reply holds.
pub(super) fn bytes(reply: &Reply) -> usize {
    const EACH: usize = 16;
    let all = |elements: &[Reply]| elements.iter().map(bytes).sum();
    EACH + match reply {
        Reply::Simple(text) | Reply::Error(text) | Reply::BigNumber(text) | Reply::Verbatim(_, text) => {
            text.len()
        }
        Reply::Bulk(value) => value.len(),
        Reply::Array(elements) | Reply::Set(elements) | Reply::Push(elements) => all(elements),
        Reply::Map(pairs) => pairs.iter().map(|(key, value)| bytes(key) + bytes(value)).sum(),
        Reply::Null | Reply::Integer(_) | Reply::Double(_) | Reply::Boolean(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tresor::reply::Reply;

    use super::{Encoding, write_outcome};

    fn shown(reply: &Reply, encoding: Encoding) -> String {
        let mut out = Vec::new();
        write_outcome(&mut out, reply, encoding);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_reply_has_its_shape() {
        let bulk = |text: &'static [u8]| Reply::Bulk(Bytes::from_static(text));
        for (reply, text, base64) in [
            (Reply::Simple("OK".into()), "\"OK\"", "\"OK\""),
            (Reply::Simple("PONG".into()), "\"PONG\"", "\"UE9ORw==\""),
            (bulk(b"OK"), "\"OK\"", "\"T0s=\""),
            (bulk(b"a\"\n"), r#""a\"\n""#, "\"YSIK\""),
            (bulk(b"\xff"), r#"{"base64":"/w=="}"#, "\"/w==\""),
            (bulk(b""), "\"\"", "\"\""),
            (Reply::Integer(i64::MIN), "-9223372036854775808", "-9223372036854775808"),
            (Reply::Null, "null", "null"),
            (Reply::Boolean(true), "1", "1"),
            (Reply::Double(0.5), "\"0.5\"", "\"MC41\""),
            (Reply::Array(vec![Reply::Null, Reply::Set(vec![])]), "[null,[]]", "[null,[]]"),
            (Reply::Map(vec![(bulk(b"a"), Reply::Integer(1))]), "[\"a\",1]", "[\"YQ==\",1]"),
        ] {
            assert_eq!(shown(&reply, Encoding::Text), format!("{{\"result\":{text}}}"));
            assert_eq!(shown(&reply, Encoding::Base64), format!("{{\"result\":{base64}}}"));
        }
        let error = Reply::Error("ERR \"x\"".into());
        for encoding in [Encoding::Text, Encoding::Base64] {
            assert_eq!(shown(&error, encoding), r#"{"error":"ERR \"x\""}"#);
        }
    }
}
