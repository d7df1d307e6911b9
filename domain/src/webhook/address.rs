//! Which addresses a tenant's URL may lead to: only those of the public internet.
//!
//! From the IANA registries of special-purpose addresses (RFC 6890 and its updates). An IPv6 address that carries an IPv4
//! address (mapped, compatible, NAT64, 6to4, Teredo) is refused as a whole: a translator may lead anywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why the address must not be called; none for an address of the public internet.
pub fn refusal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => refusal_v4(v4),
        IpAddr::V6(v6) => refusal_v6(v6),
    }
}

fn refusal_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = address.octets();
    Some(match (a, b, c) {
        (0, ..) => "this network",
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => "private",
        (100, 64..=127, _) => "shared by carriers (CGNAT)",
        (127, ..) => "loopback",
        (169, 254, _) => "link-local, where clouds keep their metadata",
        (192, 0, 0) => "protocol assignments",
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => "documentation",
        (192, 88, 99) => "6to4 relays",
        (198, 18..=19, _) => "benchmarks",
        (224..=239, ..) => "multicast",
        (240..=255, ..) => "reserved",
        _ => return None,
    })
}

fn refusal_v6(address: Ipv6Addr) -> Option<&'static str> {
    let [a, b, c, ..] = address.segments();
    let carries_v4 = address.segments()[..5].iter().all(|part| *part == 0);
    Some(match (a, b, c) {
        _ if address.is_unspecified() => "unspecified",
        _ if address.is_loopback() => "loopback",
        _ if carries_v4 => "an IPv4 address in IPv6 form",
        (0x64, 0xff9b, _) => "NAT64",
        (0x2001, 0xdb8, _) | (0x3fff, 0..=0xfff, _) => "documentation",
        (0x2001, 0, _) => "Teredo",
        (0x2001, 0..=0x1ff, _) => "protocol assignments",
        (0x2002, ..) => "6to4",
        (0xfc00..=0xfdff, ..) => "private",
        (0xfe80..=0xfebf, ..) => "link-local",
        (0xfec0..=0xfeff, ..) => "site-local",
        (0xff00..=0xffff, ..) => "multicast",
        // Only 2000::/3 is handed out for the public internet.
        (0x2000..=0x3fff, ..) => return None,
        _ => "reserved",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_may_be_called() {
        let refused = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
        ];
        for text in refused {
            let address: IpAddr = text.parse().expect(text);
            assert!(refusal(address).is_some(), "{text}");
        }
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450::1",
        ] {
            let address: IpAddr = text.parse().expect(text);
            assert_eq!(refusal(address), None, "{text}");
        }
    }
}
