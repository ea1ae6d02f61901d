//! Network addresses: `inet`, `cidr`, `macaddr`.
//!
//! Input: texts. Output: as the server writes them, keys in the server's order, answers about them. Left out: arithmetic with addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Arguments, Failure, Given, Native};

pub(super) const FUNCTIONS: &[(&str, Native)] =
    &[("pg_network_part", Native::Text(part)), ("pg_network_test", Native::Truth(test))];

/// An address and the length of its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    length: u8,
}

fn invalid(text: &str, ty: &str) -> Failure {
    Failure::raised("22P02", format!("invalid input syntax for type {ty}: \"{text}\""))
}

impl Network {
    fn parse(text: &str, ty: &str) -> Result<Network, Failure> {
        let (bare, length) = match text.split_once('/') {
            Some((bare, length)) => {
                let plain = (1..=3).contains(&length.len()) && length.bytes().all(|b| b.is_ascii_digit());
                (bare, Some(length.parse::<u8>().ok().filter(|_| plain).ok_or_else(|| invalid(text, ty))?))
            }
            None => (text, None),
        };
        let address = if bare.contains(':') {
            IpAddr::V6(bare.parse().map_err(|_| invalid(text, ty))?)
        } else {
            let parts: Vec<&str> = bare.split('.').collect();
            let octet = |part: &&str| {
                let plain = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
                part.parse::<u8>().ok().filter(|_| plain).ok_or_else(|| invalid(text, ty))
            };
            let given = parts.iter().map(octet).collect::<Result<Vec<u8>, Failure>>()?;
            if given.len() > 4 {
                return Err(invalid(text, ty));
            }
            if given.len() < 4 && length.is_none() {
                return Err(if ty == "inet" {
                    invalid(text, ty)
                } else {
                    Failure::refused(format!("the network {text}"))
                });
            }
            if length.is_some_and(|length| usize::from(length) > given.len() * 8 && given.len() < 4) {
                return Err(Failure::refused(format!("the network {text}")));
            }
            let mut octets = [0; 4];
            octets[..given.len()].copy_from_slice(&given);
            IpAddr::V4(Ipv4Addr::from(octets))
        };
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let length = length.unwrap_or(widest);
        if length > widest {
            return Err(invalid(text, ty));
        }
        Ok(Network { address, length })
    }

    fn width(&self) -> u8 {
        if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// The address as a number, its first bit the highest.
    fn bits(&self) -> u128 {
        match self.address {
            IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
            IpAddr::V6(address) => u128::from(address),
        }
    }

    fn masked(&self, length: u8) -> u128 {
        if length == 0 { 0 } else { self.bits() & (u128::MAX << (128 - u32::from(length))) }
    }

    fn of_bits(&self, bits: u128, length: u8) -> Network {
        let address = match self.address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from((bits >> 96) as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(bits)),
        };
        Network { address, length }
    }

    /// As the server writes an `inet`; a `cidr` always says how long it is.
    fn shown(&self, ty: &str) -> String {
        match self.length == self.width() && ty == "inet" {
            true => self.address.to_string(),
            false => format!("{}/{}", self.address, self.length),
        }
    }
}

pub(super) fn read(text: &str, ty: &str) -> Result<String, Failure> {
    let network = Network::parse(text, ty)?;
    if ty == "cidr" && network.masked(network.length) != network.bits() {
        return Err(Failure::raised("22P02", format!("invalid cidr value: \"{text}\"")));
    }
    Ok(network.shown(ty))
}

/// The family, the network's bits, its length, the whole address.
pub(super) fn key(text: &str) -> Result<String, Failure> {
    let network = Network::parse(text, "inet")?;
    let family = if network.address.is_ipv4() { 4 } else { 6 };
    Ok(format!("{family}{:032x}{:03}{:032x}", network.masked(network.length), network.length, network.bits()))
}

/// `08:00:2b:01:02:03` and its other notations.
pub(super) fn read_hardware(text: &str) -> Result<String, Failure> {
    let bad = || invalid(text, "macaddr");
    let trimmed = text.trim();
    let mark = trimmed.chars().find(|c| !c.is_ascii_hexdigit());
    let sizes: &[usize] = match mark {
        None => &[12],
        Some(':') | Some('-') if trimmed.split(['-', ':']).count() == 6 => &[2, 2, 2, 2, 2, 2],
        Some(':') | Some('-') => &[6, 6],
        Some('.') => &[4, 4, 4],
        _ => return Err(bad()),
    };
    let parts: Vec<&str> = match mark {
        None => vec![trimmed],
        Some(mark) => trimmed.split(mark).collect(),
    };
    let suits = parts.len() == sizes.len()
        && parts
            .iter()
            .zip(sizes)
            .all(|(part, size)| part.len() == *size && part.bytes().all(|b| b.is_ascii_hexdigit()));
    if !suits {
        return Err(if parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit())) {
            Failure::refused(format!("the hardware address {text}"))
        } else {
            bad()
        });
    }
    let digits: String = parts.concat().to_ascii_lowercase();
    let pairs: Vec<&str> = (0..6).map(|at| &digits[2 * at..2 * at + 2]).collect();
    Ok(pairs.join(":"))
}

/// `pg_network_part(function, address)`
fn part(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(what), Some(text)] = arguments else { return Ok(None) };
    let network = Network::parse(text, "inet")?;
    let all = |length: u8| if length == 0 { 0 } else { u128::MAX << (128 - u32::from(length)) };
    let width = network.width();
    let within = all(width);
    Ok(Some(match *what {
        "host" => network.address.to_string(),
        "text" => format!("{}/{}", network.address, network.length),
        "family" => if width == 32 { "4" } else { "6" }.to_owned(),
        "masklen" => network.length.to_string(),
        "network" => network.of_bits(network.masked(network.length), network.length).shown("cidr"),
        "broadcast" => network.of_bits(network.bits() | (within & !all(network.length)), network.length).shown("inet"),
        "netmask" => network.of_bits(all(network.length), width).shown("inet"),
        "hostmask" => network.of_bits(within & !all(network.length), width).shown("inet"),
        _ => return Err(Failure::refused(format!("{what}() of an address"))),
    }))
}

/// `pg_network_test(operator, left, right)`
fn test(arguments: &Arguments<'_>) -> Given<bool> {
    let [Some(operator), Some(left), Some(right)] = arguments else { return Ok(None) };
    let (left, right) = (Network::parse(left, "inet")?, Network::parse(right, "inet")?);
    if left.address.is_ipv4() != right.address.is_ipv4() {
        return Ok(Some(false));
    }
    let same = |length: u8| left.masked(length) == right.masked(length);
    Ok(Some(match *operator {
        "<<" => left.length > right.length && same(right.length),
        "<<=" => left.length >= right.length && same(right.length),
        ">>" => left.length < right.length && same(left.length),
        ">>=" => left.length <= right.length && same(left.length),
        "&&" => same(left.length.min(right.length)),
        _ => return Err(Failure::refused(format!("the operator {operator} of addresses"))),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let check = |text: &str, ty: &str, expected: &str| {
            let shown = read(text, ty).unwrap_or_else(|failure| failure.to_string());
            assert!(shown == expected || shown.starts_with(&format!("PG|{expected}|")), "{text}: {shown}");
        };
        check("192.168.1.1", "inet", "192.168.1.1");
        check("192.168.1.1/32", "inet", "192.168.1.1");
        check("192.168.1/24", "inet", "192.168.1.0/24");
        check("10.0.0.0/8", "cidr", "10.0.0.0/8");
        check("10.0.0.1/8", "cidr", "22P02");
        check("::1", "inet", "::1");
        check("1.2.3.256", "inet", "22P02");
        assert_eq!(read_hardware("08002b:010203").as_deref(), Ok("08:00:2b:01:02:03"));
    }
}
