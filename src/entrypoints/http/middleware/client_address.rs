//! The address of the client, through trusted proxies; for limits on failed logins and for logs.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};

use crate::config::Network;

/// The request extension with the client's address; `None` without a network connection (in-process tests).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub Option<IpAddr>);

/// The peer, or, as long as that is a trusted proxy, the last address that it vouches for in `X-Forwarded-For`.
/// Reading from the right is what makes a forged header worthless.
pub(super) fn of(request: &Request, trusted: &[Network]) -> ClientAddress {
    let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() else {
        return ClientAddress(None);
    };
    let mut address = peer.ip().to_canonical();
    if trusted.is_empty() {
        return ClientAddress(Some(address));
    }
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let values = request.headers().get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    for hop in hops.into_iter().rev() {
        if !is_trusted(address) {
            break;
        }
        let Ok(next) = hop.parse::<IpAddr>() else { break };
        address = next.to_canonical();
    }
    ClientAddress(Some(address))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::body::Body;

    use super::*;

    fn seen(peer: &str, forwarded: &str) -> String {
        let mut request = Request::get("/").header("x-forwarded-for", forwarded).body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        of(&request, &["10.0.0.0/8".parse().unwrap()]).0.unwrap().to_string()
    }

    #[test]
    fn only_trusted_proxies_speak_for_their_clients() {
        assert_eq!(seen("10.0.0.1", "203.0.113.9"), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", "1.2.3.4, 203.0.113.9, 10.0.0.2"), "203.0.113.9", "a forged first hop is ignored");
        assert_eq!(seen("203.0.113.7", "1.2.3.4"), "203.0.113.7", "a stranger is not believed");
        assert_eq!(seen("10.0.0.1", "nonsense"), "10.0.0.1");
    }
}
