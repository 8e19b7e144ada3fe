//! The client side of HTTP/1.1, as far as a load generator needs it: requests, and where answers end.
//!
//! Only answers of a known length are understood; anything but 200, 201 and 202 is an error, so that nobody
//! measures how fast a server refuses.

use memchr::memmem;

use crate::Outcome;

/// Appends `GET /keys/{key}`.
pub(super) fn append_get(buffer: &mut Vec<u8>, key: &str) {
    buffer.extend_from_slice(format!("GET /keys/{key} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
}

/// Appends `PUT /keys/{key}`.
pub(super) fn append_put(buffer: &mut Vec<u8>, key: &str, value: &str) {
    let length = value.len();
    let request =
        format!("PUT /keys/{key} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{value}");
    buffer.extend_from_slice(request.as_bytes());
}

/// The length of the answer at the start of `input`, when it is all there.
pub(super) fn answer_length(input: &[u8]) -> Outcome<Option<usize>> {
    let Some(end) = memmem::find(input, b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&input[..end]).map_err(|_| "a head that is not text".to_owned())?;
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !["200", "201", "202"].iter().any(|code| status.split(' ').nth(1) == Some(code)) {
        return Err(format!("the server answered {status}"));
    }
    let body = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .ok_or_else(|| format!("an answer of unknown length: {head}"))?;
    let length = end + 4 + body;
    Ok((length <= input.len()).then_some(length))
}

#[cfg(test)]
mod tests {
    use super::answer_length;

    #[test]
    fn an_answer_ends_with_its_body() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc";
        assert_eq!(answer_length(whole), Ok(Some(whole.len())));
        assert_eq!(answer_length(&whole[..whole.len() - 1]), Ok(None));
        assert!(answer_length(b"HTTP/1.1 404 Not Found\r\n\r\n").is_err());
    }
}
