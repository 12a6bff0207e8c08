//! IP addresses and networks.

use std::net::IpAddr;

pub(super) fn parse_ip(text: &str) -> Option<IpAddr> {
    let ip: IpAddr = text.parse().ok()?;
    // Addresses of one family written as the other are not taken.
    match ip {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => None,
        ip => Some(ip),
    }
}

/// Why a text is no address, as Go's netip says it.
pub(super) fn why_no_ip(text: &str) -> String {
    match text.parse::<IpAddr>() {
        Ok(_) => return format!("IPv4-mapped IPv6 address {text:?} is not allowed"),
        Err(_)
            if text
                .split_once('%')
                .is_some_and(|(ip, _)| ip.parse::<std::net::Ipv6Addr>().is_ok()) =>
        {
            return format!("IP address {text:?} with zone value is not allowed");
        }
        Err(_) => {}
    }
    format!(
        "IP Address {text:?} parse error during conversion from string: {}",
        go_error(text)
    )
}

/// Why a text is no network, as Go's netip says it.
pub(super) fn why_no_cidr(text: &str) -> String {
    const WHAT: &str = "network address parse error during conversion from string";
    let why = match text.split_once('/') {
        None => "no '/'".to_owned(),
        Some((ip, bits)) => match ip.parse::<IpAddr>() {
            Err(_) if ip.contains('%') => "IPv6 zones cannot be present in a prefix".to_owned(),
            Err(_) => go_error(ip),
            Ok(_)
                if bits.is_empty()
                    || !bits.bytes().all(|c| c.is_ascii_digit())
                    || bits.len() > 1 && bits.starts_with('0') =>
            {
                format!("bad bits after slash: {bits:?}")
            }
            Ok(of)
                if bits
                    .parse::<u8>()
                    .is_ok_and(|n| n <= if of.is_ipv4() { 32 } else { 128 }) =>
            {
                return format!("{WHAT}: IPv4-mapped IPv6 address {text:?} is not allowed");
            }
            Ok(_) => "prefix length out of range".to_owned(),
        },
    };
    format!("{WHAT}: {WHAT}: netip.ParsePrefix({text:?}): {why}")
}

/// The first thing wrong with an address.
fn go_error(text: &str) -> String {
    let told = |why: &str| format!("ParseAddr({text:?}): {why}");
    let first = text.find(['.', ':', '%']).map(|at| &text[at..=at]);
    if first != Some(".") {
        return told("unable to parse IP");
    }
    let mut fields = 0;
    let (mut value, mut digits) = (0_u32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '0'..='9' => {
                if digits == 1 && value == 0 {
                    return told("IPv4 field has octet with leading zero");
                }
                value = value * 10 + u32::from(c) - u32::from('0');
                digits += 1;
                if value > 255 {
                    return told("IPv4 field has value >255");
                }
            }
            '.' if digits == 0 || at + 1 == text.len() => {
                return told(&format!(
                    "IPv4 field must have at least one digit (at {:?})",
                    &text[at..]
                ));
            }
            '.' if fields == 3 => return told("IPv4 address too long"),
            '.' => {
                fields += 1;
                (value, digits) = (0, 0);
            }
            _ => return told(&format!("unexpected character (at {:?})", &text[at..])),
        }
    }
    told("IPv4 address too short")
}

pub(super) fn parse_cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, bits) = text.split_once('/')?;
    let ip = parse_ip(ip)?;
    let bits: u8 = bits
        .bytes()
        .all(|c| c.is_ascii_digit())
        .then(|| bits.parse().ok())??;
    (bits <= if ip.is_ipv4() { 32 } else { 128 }).then_some((ip, bits))
}

pub(super) fn mask(ip: &IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(v) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4((v.to_bits() & mask).into())
        }
        IpAddr::V6(v) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6((v.to_bits() & mask).into())
        }
    }
}

pub(super) fn within(net: &IpAddr, bits: u8, ip: &IpAddr) -> bool {
    net.is_ipv4() == ip.is_ipv4() && mask(net, bits) == mask(ip, bits)
}

pub(super) fn link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(v) => v.is_link_local(),
        IpAddr::V6(v) => v.is_unicast_link_local(),
    }
}
