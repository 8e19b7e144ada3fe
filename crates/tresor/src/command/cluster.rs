//! CLUSTER, for clients that ask whether this is one.
//!
//! It is none: a single server holds all slots, and says so instead of refusing the question. Slots are Redis
//! Cluster's: CRC-16 (XMODEM) of the key, or of what stands between its first braces, modulo 16384
//! (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>).

use super::Args;
use crate::{error::Result, reply::ReplyWriter, session::Session};

const SLOTS: u16 = 16384;

const STATE: &str = "cluster_enabled:0\r\n\
cluster_state:ok\r\n\
cluster_slots_assigned:16384\r\n\
cluster_slots_ok:16384\r\n\
cluster_slots_pfail:0\r\n\
cluster_slots_fail:0\r\n\
cluster_known_nodes:1\r\n\
cluster_size:1\r\n\
cluster_current_epoch:0\r\n\
cluster_my_epoch:0\r\n";

pub(super) async fn info(_: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    reply.verbatim("txt", STATE);
    Ok(())
}

pub(super) async fn myid(session: &mut Session, _: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    reply.bulk(session.core().start.run_id.as_bytes());
    Ok(())
}

pub(super) async fn keyslot(_: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    reply.integer(i64::from(slot_of(args[2])));
    Ok(())
}

/// The slot of a key.
fn slot_of(key: &[u8]) -> u16 {
    crc16(hash_tag(key)) % SLOTS
}

/// What stands between the first brace and the next closing one; the whole key if that is nothing.
fn hash_tag(key: &[u8]) -> &[u8] {
    let tag = memchr::memchr(b'{', key).and_then(|open| {
        let behind = &key[open + 1..];
        memchr::memchr(b'}', behind).map(|close| &behind[..close])
    });
    tag.filter(|tag| !tag.is_empty()).unwrap_or(key)
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(
            sum ^ u16::from(*byte) << 8,
            |sum, _| {
                if sum & 0x8000 == 0 { sum << 1 } else { sum << 1 ^ 0x1021 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{crc16, slot_of};

    #[test]
    fn slots_are_those_of_redis_cluster() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot_of(b"foo"), 12182);
        assert_eq!(slot_of(b""), 0);
        // Only what stands in the first braces counts, if there is something.
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"user1000"));
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
        assert_ne!(slot_of(b"foo{}{bar}"), slot_of(b"bar"));
        assert_ne!(slot_of(b"foo{bar"), slot_of(b"bar"));
    }
}
