//! Which loopback addresses a cluster has: 127.0.X.1 and on, so that clusters can be side by side.
//!
//! Every node of a cluster listens on the same port, as drivers expect, and so each needs an address of
//! its own. Linux has all of 127.0.0.0/8; elsewhere there is one node, or `ifconfig lo0 alias` first.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
};

/// Where every node serves CQL.
pub const CQL_PORT: u16 = 9042;

/// Where nodes talk to each other.
pub(super) const STORAGE_PORT: u16 = 7000;

/// Whoever listens here on a network's first address has the network; Cassandra never does.
const RESERVATION_PORT: u16 = 9041;

/// The X of 127.0.X.1, 127.0.X.2, 127.0.X.3; the default is 0.
#[derive(Debug, Default)]
pub struct Network {
    third: u8,
    _reservation: Option<TcpListener>,
}

impl Network {
    /// A network that the caller knows to be free.
    pub fn fixed(third: u8) -> Self {
        Self { third, _reservation: None }
    }

    /// A network that nobody uses, and that no other call gets as long as this one lives, in whatever
    /// process. Never 0, which a user's own nodes have, but where loopback has one address only.
    pub fn reserve() -> Result<Self, String> {
        let is_free = |third: &u8| Self::fixed(*third).check_free(1).is_ok();
        (1..=254)
            .chain([0])
            .filter(is_free)
            .find_map(|third| {
                let reservation =
                    TcpListener::bind((Ipv4Addr::new(127, 0, third, 1), RESERVATION_PORT)).ok()?;
                Some(Self { third, _reservation: Some(reservation) })
            })
            .ok_or_else(|| format!("no 127.0.X.1 has the ports {CQL_PORT} and {STORAGE_PORT} free"))
    }

    /// The address of a node; the first is 1.
    pub fn address(&self, node: usize) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, self.third, u8::try_from(node).unwrap_or(u8::MAX))
    }

    /// What a driver connects to: the address of a node with its port.
    pub fn contact_point(&self, node: usize) -> String {
        format!("{}:{CQL_PORT}", self.address(node))
    }

    /// An error when somebody else listens where a node is about to.
    pub(super) fn check_free(&self, node: usize) -> Result<(), String> {
        let address = self.address(node);
        for port in [CQL_PORT, STORAGE_PORT] {
            TcpListener::bind((address, port)).map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => format!("{address}:{port} is taken: stop who listens there"),
                io::ErrorKind::AddrNotAvailable => {
                    format!("this machine has no {address}: start one node, or ifconfig lo0 alias {address}")
                }
                _ => format!("{address}:{port}: {error}"),
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn addresses_follow_from_the_network() {
        assert_eq!(Network::default().contact_point(1), "127.0.0.1:9042");
        assert_eq!(Network::fixed(7).contact_point(3), "127.0.7.3:9042");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn nobody_gets_a_reserved_network() {
        let (one, other) = (Network::reserve().unwrap(), Network::reserve().unwrap());
        assert_ne!(one.address(1), other.address(1));
        assert_ne!(one.address(1), Network::default().address(1));
    }
}
