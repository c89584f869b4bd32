//! Which addresses a target may have.
//!
//! A route is a tenant's wish, and the gateway stands where tenants do not: beside databases, buses and metadata services.
//! Names are judged by what they resolve to at the moment of connecting, so that none can change its mind in between.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpStream;

/// How far connections go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Everywhere,
    /// Not to loopback, link-local, private and other addresses that mean this machine or its surroundings.
    Public,
}

impl Reach {
    /// Connects to the first address of a host that is within reach and answers.
    pub async fn connect(self, host: &str, port: u16) -> io::Result<TcpStream> {
        let found = tokio::net::lookup_host((host, port)).await?;
        let admitted: Vec<SocketAddr> = found.filter(|address| self.admits(address.ip())).collect();
        if admitted.is_empty() {
            let text = "it has no address that targets may have (`gateway.apis.private_backends`)";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        TcpStream::connect(admitted.as_slice()).await
    }

    fn admits(self, address: IpAddr) -> bool {
        match (self, address.to_canonical()) {
            (Reach::Everywhere, _) => true,
            (Reach::Public, IpAddr::V4(address)) => is_public_v4(address),
            (Reach::Public, IpAddr::V6(address)) => is_public_v6(address),
        }
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let reserved = a == 0 || a >= 240;
    let near = address.is_loopback() || address.is_private() || address.is_link_local();
    !(near || shared || reserved || address.is_multicast())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // A translated address leads to the one inside it.
    if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    let near = address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local();
    !(near || address.is_unspecified() || address.is_multicast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_here_is_not_public() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::10.0.0.1",
        ] {
            let address = address.parse().unwrap();
            assert!(!Reach::Public.admits(address), "{address}");
            assert!(Reach::Everywhere.admits(address), "{address}");
        }
        for address in [
            "9.9.9.9",
            "172.32.0.1",
            "100.128.0.1",
            "2001:db8::1",
            "64:ff9b::9.9.9.9",
        ] {
            assert!(Reach::Public.admits(address.parse().unwrap()), "{address}");
        }
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_resolves_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost"] {
            assert!(Reach::Everywhere.connect(host, port).await.is_ok(), "{host}");
            let error = Reach::Public.connect(host, port).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{host}");
        }
    }
}
