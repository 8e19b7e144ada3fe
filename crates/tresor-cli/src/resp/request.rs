//! Requests: arrays of bulk strings.

/// Adds a request made of `words` to `buffer`.
pub(crate) fn append(buffer: &mut Vec<u8>, words: &[&[u8]]) {
    head(buffer, b'*', words.len());
    for word in words {
        head(buffer, b'$', word.len());
        buffer.extend_from_slice(word);
        buffer.extend_from_slice(b"\r\n");
    }
}

fn head(buffer: &mut Vec<u8>, sign: u8, length: usize) {
    buffer.push(sign);
    buffer.extend_from_slice(length.to_string().as_bytes());
    buffer.extend_from_slice(b"\r\n");
}
