//! Which addresses may be called. The rule names what is public and refuses the rest, so that a network
//! nobody thought of is refused too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), bits)
}

const fn v6(a: u16, b: u16, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), bits)
}

/// What is not on the public internet (the IANA registry of special-purpose addresses, RFC 6890).
const NOT_PUBLIC_V4: [Ipv4Net; 15] = [
    v4(0, 0, 0, 8),       // this network; connecting to 0.0.0.0 reaches the machine itself
    v4(10, 0, 0, 8),      // private
    v4(100, 64, 0, 10),   // shared by carriers
    v4(127, 0, 0, 8),     // loopback
    v4(169, 254, 0, 16),  // link-local; clouds answer here with credentials
    v4(172, 16, 0, 12),   // private
    v4(192, 0, 0, 24),    // protocol assignments
    v4(192, 0, 2, 24),    // documentation
    v4(192, 88, 99, 24),  // 6to4 relays
    v4(192, 168, 0, 16),  // private
    v4(198, 18, 0, 15),   // benchmarks
    v4(198, 51, 100, 24), // documentation
    v4(203, 0, 113, 24),  // documentation
    v4(224, 0, 0, 4),     // multicast
    v4(240, 0, 0, 4),     // reserved, broadcast
];

/// All that IPv6 has of public addresses so far.
const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 3);

/// What of it is not.
const NOT_PUBLIC_V6: [Ipv6Net; 4] = [
    v6(0x2001, 0, 23),      // protocol assignments: Teredo, benchmarks, ORCHID
    v6(0x2001, 0x0db8, 32), // documentation
    v6(0x2002, 0, 16),      // 6to4: an IPv4 address of anybody's choice within
    v6(0x3fff, 0, 20),      // documentation
];

/// An IPv4 address as a translator shows it to machines that have IPv6 alone (RFC 6052 §2.1).
const TRANSLATED: Ipv6Net = v6(0x0064, 0xff9b, 96);

/// Which addresses may be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    allowed: Vec<IpNet>,
    is_for_allowed_alone: bool,
}

impl Addresses {
    /// Public ones, and these networks: `10.0.0.0/8`, `fd00::/8`, or one address. `None` where one of them
    /// is none.
    pub fn and(allowed: &[String]) -> Option<Self> {
        let network = |text: &String| {
            text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
        };
        let allowed = allowed.iter().map(network).collect::<Option<_>>()?;
        Some(Self { allowed, is_for_allowed_alone: false })
    }

    /// The networks that were named, and no public address besides.
    pub fn only_allowed(&self) -> Self {
        Self { is_for_allowed_alone: true, ..self.clone() }
    }

    /// Whether a connection may be made to it.
    pub fn admit(&self, ip: IpAddr) -> bool {
        let ip = reached(ip);
        // Nobody is there by that name alone, whatever is allowed.
        if ip.is_unspecified() || ip.is_multicast() {
            return false;
        }
        self.allowed.iter().any(|network| network.contains(&ip))
            || (!self.is_for_allowed_alone && is_public(ip))
    }
}

/// Who is reached: some IPv6 addresses are an IPv4 address written otherwise.
fn reached(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) if TRANSLATED.contains(&v6) => {
            let [.., a, b, c, d] = v6.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        other => other,
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !NOT_PUBLIC_V4.iter().any(|network| network.contains(&ip)),
        IpAddr::V6(ip) => {
            GLOBAL_UNICAST.contains(&ip)
                && !NOT_PUBLIC_V6.iter().any(|network| network.contains(&ip))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn admits(allowed: &[&str], ip: &str) -> bool {
        let allowed: Vec<_> = allowed.iter().map(ToString::to_string).collect();
        Addresses::and(&allowed).unwrap().admit(ip.parse().unwrap())
    }

    #[test]
    fn public_addresses_are_called() {
        for ip in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2001:200::1",
            "3fff:1000::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert!(admits(&[], ip), "{ip}");
        }
    }

    #[test]
    fn what_is_not_public_is_refused_however_it_is_written() {
        for ip in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:0:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::10.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::1.1.1.1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!admits(&[], ip), "{ip}");
        }
    }

    #[test]
    fn what_the_deployment_allows_is_called_and_nothing_beside_it() {
        assert!(admits(&["10.1.0.0/16"], "10.1.2.3"));
        assert!(admits(&["10.1.0.0/16"], "::ffff:10.1.2.3"), "the same machine");
        assert!(admits(&["10.1.0.0/16"], "64:ff9b::10.1.2.3"), "the same machine");
        assert!(!admits(&["10.1.0.0/16"], "10.2.2.3"));
        assert!(!admits(&["10.1.0.0/16"], "fd00::1"));
        assert!(admits(&["127.0.0.1", "::1"], "::1"));
        assert!(!admits(&["127.0.0.1"], "127.0.0.2"));
        assert!(admits(&["10.1.0.0/16"], "1.1.1.1"), "public ones stay");
        for never in ["0.0.0.0", "224.0.0.1", "::", "ff02::1"] {
            assert!(!admits(&["0.0.0.0/0", "::/0"], never), "{never}");
        }
    }

    #[test]
    fn those_that_were_named_can_be_the_only_ones() {
        let only = Addresses::and(&["127.0.0.0/8".to_owned()]).unwrap().only_allowed();
        assert!(only.admit("127.0.0.1".parse().unwrap()));
        assert!(!only.admit("1.1.1.1".parse().unwrap()));
    }

    #[test]
    fn a_network_that_is_none_is_refused() {
        for bad in ["", "10", "10.0.0.0/33", "localhost", "10.0.0.0/8,", "::/129"] {
            assert_eq!(Addresses::and(&[bad.to_owned()]), None, "{bad}");
        }
    }

    /// The standard library's own words for an address, where it has them.
    fn is_refused_by_name(ip: Ipv4Addr) -> bool {
        ip.is_private()
            || ip.is_loopback()
            || ip.is_link_local()
            || ip.is_broadcast()
            || ip.is_documentation()
            || ip.is_unspecified()
            || ip.is_multicast()
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_judged_alike_in_all_its_spellings(bits: u32) {
            let none = Addresses::default();
            let ip = Ipv4Addr::from_bits(bits);
            let is_admitted = none.admit(IpAddr::V4(ip));
            prop_assert!(!(is_admitted && is_refused_by_name(ip)));
            prop_assert_eq!(is_admitted, none.admit(IpAddr::V6(ip.to_ipv6_mapped())));
            let translated = Ipv6Addr::from_bits((0x0064_ff9b_u128 << 96) | u128::from(bits));
            prop_assert_eq!(is_admitted, none.admit(IpAddr::V6(translated)));
            prop_assert!(!none.admit(IpAddr::V6(Ipv6Addr::from_bits(bits.into()))), "compatible");
        }

        #[test]
        fn an_ipv6_address_beyond_global_unicast_is_refused(bits: u128) {
            let ip = Ipv6Addr::from_bits(bits);
            let is_wrapped = ip.to_ipv4_mapped().is_some() || TRANSLATED.contains(&ip);
            if bits >> 125 != 1 && !is_wrapped {
                prop_assert!(!Addresses::default().admit(IpAddr::V6(ip)));
            }
        }

        #[test]
        fn allowing_a_network_never_takes_anything_away(bits: u32, net: u32, width in 0_u8..=32) {
            let network = format!("{}/{width}", Ipv4Addr::from_bits(net));
            let ip = IpAddr::V4(Ipv4Addr::from_bits(bits));
            let more = Addresses::and(&[network]).unwrap();
            prop_assert!(!Addresses::default().admit(ip) || more.admit(ip));
        }
    }
}
