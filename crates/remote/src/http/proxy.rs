//! Which proxy leads to a host, by the variables that are customary.
//!
//! As in Go, which kopia is written in: `HTTPS_PROXY` and `HTTP_PROXY` by the scheme that is wanted,
//! `NO_PROXY` a list of hosts, domains, addresses with or without a prefix length; names in small letters,
//! too. This machine itself is never asked by proxy.

use std::net::IpAddr;

use kopia_connection::Environment;
use kopia_storage::Failure;

use super::Origin;

/// Returns the URL of the proxy for a host, if there is one.
pub(super) fn proxy_for(origin: &Origin, environment: &Environment) -> Option<String> {
    let var = |upper: &str| environment.var(upper).or_else(|| environment.var(&upper.to_ascii_lowercase()));
    let name = if origin.is_secure() { "HTTPS_PROXY" } else { "HTTP_PROXY" };
    let proxy = var(name).or_else(|| var("ALL_PROXY"))?;
    let excepted = is_local(origin.host()) || var("NO_PROXY").is_some_and(|list| is_excepted(origin, list));
    (!excepted).then(|| if proxy.contains("://") { proxy.to_string() } else { format!("http://{proxy}") })
}

/// Makes the client's own form of a proxy's URL.
pub(super) fn parse(url: &str) -> Result<ureq::Proxy, Failure> {
    // The URL may hold a password, so it is not told.
    ureq::Proxy::new(url).map_err(|_| Failure::Unusable { what: "the proxy's URL cannot be used".into() })
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn is_excepted(origin: &Origin, list: &str) -> bool {
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| matches(origin, entry))
}

fn matches(origin: &Origin, entry: &str) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some(is_in) = network(origin.host(), entry) {
        return is_in;
    }
    let (entry, port) = match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, port.parse::<u16>().ok()),
        _ => (entry, None),
    };
    if port.is_some_and(|port| port != origin.port()) {
        return false;
    }
    let entry = entry.trim_start_matches('*').to_ascii_lowercase();
    let domain = entry.trim_start_matches('.');
    let host = origin.host();
    let below = host.strip_suffix(domain).is_some_and(|before| before.ends_with('.'));
    below || (host == domain && !entry.starts_with('.'))
}

/// Returns whether an address lies in a network such as `10.0.0.0/8`, or nothing if `entry` is none.
fn network(host: &str, entry: &str) -> Option<bool> {
    let (base, length) = entry.split_once('/')?;
    let (base, length): (IpAddr, u32) = (base.parse().ok()?, length.parse().ok()?);
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let Ok(host) = host.parse::<IpAddr>() else { return Some(false) };
    let ((host, host_bits), (base, base_bits)) = (bits(host), bits(base));
    let shift = 128_u32.saturating_sub(length);
    let same = host.checked_shr(shift).unwrap_or(0) == base.checked_shr(shift).unwrap_or(0);
    Some(host_bits == base_bits && length <= host_bits && same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(host: &str, variables: &[(&str, &str)]) -> Option<String> {
        let environment: Environment = variables.iter().copied().collect();
        proxy_for(&Origin::new(true, host).unwrap(), &environment)
    }

    #[test]
    fn the_scheme_chooses_the_variable() {
        assert_eq!(proxy("h", &[("HTTP_PROXY", "http://p")]), None);
        assert_eq!(proxy("h", &[("https_proxy", "p:3128")]).as_deref(), Some("http://p:3128"));
        assert_eq!(proxy("h", &[("ALL_PROXY", "socks5://p")]).as_deref(), Some("socks5://p"));
        assert_eq!(proxy("127.0.0.1:9000", &[("HTTPS_PROXY", "http://p")]), None);
    }

    #[test]
    fn exceptions_are_hosts_domains_and_networks() {
        for (host, list, excepted) in [
            ("a.example.com", "example.com", true),
            ("example.com", "example.com", true),
            ("example.com", ".example.com", false),
            ("badexample.com", "example.com", false),
            ("a.example.com", "x, *.example.com", true),
            ("h:9000", "h:9000", true),
            ("h:9001", "h:9000", false),
            ("10.1.2.3", "10.0.0.0/8", true),
            ("11.1.2.3", "10.0.0.0/8", false),
            ("h", "*", true),
            ("h", "", false),
        ] {
            let found = proxy(host, &[("HTTPS_PROXY", "http://p"), ("NO_PROXY", list)]);
            assert_eq!(found.is_none(), excepted, "{host} with {list}");
        }
    }
}
