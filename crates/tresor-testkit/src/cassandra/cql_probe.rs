//! Whether something speaks CQL: the smallest question of its protocol, and the answer's header.
//!
//! No driver is needed for it, so that a test of the driver's side has something to be compared with.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long a node may take to accept and to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// OPTIONS in version 4: no flags, stream 0, opcode 5, an empty body.
const OPTIONS: [u8; 9] = [4, 0, 0, 0, 5, 0, 0, 0, 0];

/// The answer's first byte has the highest bit set; its opcode is SUPPORTED.
const ANSWER_IN_VERSION_4: u8 = 0x84;
const SUPPORTED: u8 = 6;

/// Whether a node serves CQL at an address like `127.0.0.1:9042`: it answers OPTIONS with SUPPORTED
/// within two seconds. A paused node accepts connections and does not answer.
pub fn answers(address: &str) -> bool {
    address.parse().is_ok_and(|address| asked(address).is_ok_and(|is_so| is_so))
}

fn asked(address: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(&OPTIONS)?;
    let mut header = [0; OPTIONS.len()];
    stream.read_exact(&mut header)?;
    Ok(header[0] == ANSWER_IN_VERSION_4 && header[4] == SUPPORTED)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use super::{OPTIONS, answers};

    fn answers_with(answer: &'static [u8]) -> bool {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let node = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = [0; OPTIONS.len()];
            stream.read_exact(&mut question).unwrap();
            stream.write_all(answer).unwrap();
        });
        let it_does = answers(&address);
        node.join().unwrap();
        it_does
    }

    #[test]
    fn only_supported_is_an_answer() {
        assert!(answers_with(&[0x84, 0, 0, 0, 6, 0, 0, 0, 2, 0, 0]));
        // ERROR, a question, half an answer, another protocol.
        assert!(!answers_with(&[0x84, 0, 0, 0, 0, 0, 0, 0, 0]));
        assert!(!answers_with(&OPTIONS));
        assert!(!answers_with(&[0x84, 0, 0, 0, 6]));
        assert!(!answers_with(b"-ERR unknown command\r\n"));
        assert!(!answers("127.0.0.1:1"));
        assert!(!answers("nowhere"));
    }
}
