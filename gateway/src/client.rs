//! How a client reached us: its address, the name it used, and what proxies say about it.
//!
//! Forwarding headers are believed only when the connection comes from a configured proxy; from anybody else they are
//! replaced, so that no backend takes a forged address for a real one.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use hyper::HeaderMap;
use hyper::header::{HOST, HeaderName, HeaderValue};
use hyper::http::request::Parts;

use crate::apis::target::Scheme;

pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
pub const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
pub const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The proxies that are believed.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Vec<Network>);

/// `address/bits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

/// A text that is neither an address nor a network.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no address of a proxy; write one as in `10.0.0.7`, or a network as in `10.0.0.0/8`")]
pub struct BadNetwork(String);

/// What is known of a request's sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    pub scheme: Scheme,
    /// Name and port that the client used; empty when it named none.
    pub host: String,
    /// Addresses from the client to our last proxy, as `X-Forwarded-For` lists them.
    pub path: String,
}

impl Proxies {
    /// Errors: [`BadNetwork`] for the first text that is none.
    pub fn new(networks: &[String]) -> Result<Proxies, BadNetwork> {
        networks
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_, _>>()
            .map(Proxies)
    }

    fn trust(&self, peer: IpAddr) -> bool {
        self.0.iter().any(|network| network.holds(peer.to_canonical()))
    }

    /// Who sent a request that came in over `scheme`.
    pub fn client(&self, peer: SocketAddr, head: &Parts, scheme: Scheme) -> Client {
        let peer = peer.ip().to_canonical();
        let named = head.uri.authority().map(|authority| authority.as_str());
        let host = named.or_else(|| first(&head.headers, &HOST)).unwrap_or_default();
        if !self.trust(peer) {
            return Client {
                scheme,
                host: host.to_owned(),
                path: peer.to_string(),
            };
        }
        let told = first(&head.headers, &FORWARDED_PROTO).map(str::to_ascii_lowercase);
        let scheme = match told.as_deref() {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            Some(_) | None => scheme,
        };
        let before: Vec<&str> = head
            .headers
            .get_all(FORWARDED_FOR)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .collect();
        let path = before
            .into_iter()
            .map(str::to_owned)
            .chain([peer.to_string()])
            .collect::<Vec<_>>()
            .join(", ");
        Client {
            scheme,
            host: first(&head.headers, &FORWARDED_HOST).unwrap_or(host).to_owned(),
            path,
        }
    }
}

impl Client {
    /// `scheme://host` as the client used it; none when it named no host.
    pub fn origin(&self) -> Option<String> {
        let usable = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        let named = !self.host.is_empty() && self.host.chars().all(usable);
        named.then(|| format!("{}://{}", self.scheme.as_str(), self.host))
    }

    /// Replaces the forwarding headers by what is known.
    pub fn tell(&self, headers: &mut HeaderMap) {
        for name in [FORWARDED, REAL_IP, FORWARDED_PORT] {
            headers.remove(name);
        }
        let known = [
            (FORWARDED_FOR, self.path.as_str()),
            (FORWARDED_HOST, self.host.as_str()),
            (FORWARDED_PROTO, self.scheme.as_str()),
        ];
        for (name, value) in known {
            match HeaderValue::from_str(value) {
                Ok(value) if !value.is_empty() => drop(headers.insert(name, value)),
                Ok(_) | Err(_) => drop(headers.remove(name)),
            }
        }
    }
}

/// The first of a header's comma-separated values.
fn first<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?.split(',').next()?.trim();
    (!value.is_empty()).then_some(value)
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Network, BadNetwork> {
        let bad = || BadNetwork(text.to_owned());
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| bad()))?;
        if bits > most {
            return Err(bad());
        }
        Ok(Network { address, bits })
    }
}

impl Network {
    fn holds(&self, other: IpAddr) -> bool {
        let (ours, theirs, length) = match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        let shift = length - u32::from(self.bits);
        ours.checked_shr(shift).unwrap_or(0) == theirs.checked_shr(shift).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> Parts {
        let mut request = hyper::Request::builder().uri("/api/t/x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    const FORGED: &[(&str, &str)] = &[
        ("host", "gw:3233"),
        ("x-forwarded-for", "1.2.3.4, 5.6.7.8"),
        ("x-forwarded-host", "example.org"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=1.2.3.4"),
    ];

    #[test]
    fn only_proxies_are_believed() {
        let proxies = Proxies::new(&["10.0.0.0/8".into(), "::1".into()]).unwrap();
        let client = |peer: &str| proxies.client(peer.parse().unwrap(), &head(FORGED), Scheme::Http);
        for peer in ["10.9.9.9:1", "[::1]:1", "[::ffff:10.0.0.1]:1"] {
            let known = client(peer);
            assert_eq!(known.origin().as_deref(), Some("https://example.org"), "{peer}");
            assert!(known.path.starts_with("1.2.3.4, 5.6.7.8, "), "{peer}");
        }
        for peer in ["11.0.0.1:1", "[::2]:1"] {
            let known = client(peer);
            assert_eq!(known.origin().as_deref(), Some("http://gw:3233"), "{peer}");
            let mut headers = head(FORGED).headers;
            known.tell(&mut headers);
            assert_eq!(headers["x-forwarded-host"], "gw:3233");
            assert_eq!(headers["x-forwarded-for"], known.path.as_str());
            assert!(!known.path.contains("1.2.3.4") && headers.get("forwarded").is_none());
        }
    }

    #[test]
    fn networks() {
        for text in ["", "x", "1.2.3.4/33", "::/129", "1.2.3.4/-1", "1.2.3/8"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.holds("9.9.9.9".parse().unwrap()) && !all.holds("::1".parse().unwrap()));
    }

    #[test]
    fn a_name_that_cannot_stand_in_a_url_is_none() {
        let proxies = Proxies::default();
        let client = proxies.client("1.1.1.1:1".parse().unwrap(), &head(&[("host", "a/b")]), Scheme::Http);
        assert_eq!(client.origin(), None);
    }
}
