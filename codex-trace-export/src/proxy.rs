//! The proxy on the way to a server, as the environment names it.
//!
//! As curl has it: the scheme of the address says which variable counts, and what
//! `NO_PROXY` names is reached directly. A proxy that cannot be used is an error:
//! to go around it would be to send where nobody wants it.

use std::net::IpAddr;

use crate::address::Address;
use crate::environment::Environment;
use crate::origin::Origin;
use crate::{ConfigError, Said};

/// Returns the proxy on the way to an address; `None` if there is none.
///
/// # Errors
///
/// If one is named that cannot be used.
pub fn proxy_for(env: &Environment, to: &Address) -> Result<Option<Said<Address>>, ConfigError> {
    let var = |name: &str| env.0.get(name).map(|value| value.trim());
    let (scheme, host, port) = parts(to);
    let names = match &*scheme {
        "https" => ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        _ => ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
    };
    let Some((name, text)) = names.iter().find_map(|name| Some((*name, var(name)?))) else {
        return Ok(None);
    };
    let except = ["no_proxy", "NO_PROXY"].into_iter().find_map(var).unwrap_or_default();
    // A variable that is set and empty says that there is none.
    if text.is_empty() || is_excepted(except, &host, port) {
        return Ok(None);
    }
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let proxy = Address::parse(&whole).map_err(|err| {
        ConfigError::new(format!("the proxy that `{name}` names cannot be used: {}", err.message))
            .hint(format!(
                "name one with http:// or https://, or put the server into NO_PROXY, or leave the variable out: `{name}= codex-trace …`"
            ))
    })?;
    Ok(Some(Said::new(proxy, Origin::variable(name))))
}

/// Returns scheme, host and port of an address, the first two in small letters.
fn parts(address: &Address) -> (String, String, u16) {
    let text = address.expose();
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let scheme = scheme.to_ascii_lowercase();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let port = authority.rsplit_once(':').filter(|_| !authority.ends_with(']'));
    let port = port.and_then(|(_, port)| port.parse().ok());
    let usual = if scheme == "https" { 443 } else { 80 };
    (scheme, bare(&address.host()).to_owned(), port.unwrap_or(usual))
}

/// Takes the brackets from an address of IPv6.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Whether `NO_PROXY` names a server: `*`, a host, a domain with everything in it,
/// an address or a range of addresses, each with a port or for all of them.
fn is_excepted(list: &str, host: &str, port: u16) -> bool {
    let entries = list.split(|c: char| c == ',' || c.is_whitespace());
    entries.filter(|entry| !entry.is_empty()).any(|entry| {
        let entry = entry.to_ascii_lowercase();
        if entry == "*" || names(&entry, host) {
            return true;
        }
        let Some((name, of)) = entry.rsplit_once(':') else { return false };
        of.parse() == Ok(port) && names(name, host)
    })
}

fn names(entry: &str, host: &str) -> bool {
    let entry = bare(entry);
    if let (Some((net, bits)), Ok(host)) = (entry.split_once('/'), host.parse()) {
        return net.parse().is_ok_and(|net| bits.parse().is_ok_and(|n| is_within(net, n, host)));
    }
    if let (Ok(entry), Ok(host)) = (entry.parse::<IpAddr>(), host.parse::<IpAddr>()) {
        return entry == host;
    }
    let domain = entry.trim_start_matches("*.").trim_start_matches('.').trim_end_matches('.');
    let host = host.trim_end_matches('.');
    let below = host.strip_suffix(domain).is_some_and(|front| front.ends_with('.'));
    !domain.is_empty() && (host == domain || below)
}

fn is_within(net: IpAddr, bits: u32, host: IpAddr) -> bool {
    let shifted = |bytes: u128, width: u32| bytes.checked_shr(width - bits).unwrap_or(0);
    match (net, host) {
        (IpAddr::V4(net), IpAddr::V4(host)) if bits <= 32 => {
            shifted(net.to_bits().into(), 32) == shifted(host.to_bits().into(), 32)
        }
        (IpAddr::V6(net), IpAddr::V6(host)) if bits <= 128 => {
            shifted(net.to_bits(), 128) == shifted(host.to_bits(), 128)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(vars: &[(&str, &str)], to: &str) -> Result<Option<String>, String> {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let proxy = proxy_for(&Environment(vars.collect()), &Address::unchecked(to));
        proxy.map(|it| it.map(|it| it.value.expose().to_owned())).map_err(|err| err.message)
    }

    #[test]
    fn the_scheme_of_the_address_says_which_variable_counts() {
        let both = [("HTTPS_PROXY", "http://s:1"), ("http_proxy", "p:2")];
        assert_eq!(way(&both, "https://h").unwrap().unwrap(), "http://s:1");
        assert_eq!(way(&both, "http://h").unwrap().unwrap(), "http://p:2");
        assert_eq!(way(&both[..1], "http://h"), Ok(None), "not in clear to that one");
        let all = [("ALL_PROXY", "http://a:3"), ("HTTP_PROXY", "")];
        assert_eq!(way(&all, "https://h").unwrap().unwrap(), "http://a:3");
        assert_eq!(way(&all, "http://h"), Ok(None), "set and empty");
        assert_eq!(way(&[], "http://h"), Ok(None));
    }

    #[test]
    fn what_no_proxy_names_is_reached_directly() {
        #[rustfmt::skip]
        let cases = [
            ("localhost, 127.0.0.1",  "http://127.0.0.1:4318", true),
            ("localhost 127.0.0.1",   "http://localhost",      true),
            ("127.0.0.0/8",           "http://127.9.9.9",      true),
            ("127.0.0.0/8",           "http://128.0.0.1",      false),
            ("fd00::/8",              "http://[fd12::1]:80",   true),
            ("::1",                   "http://[::1]",          true),
            ("[::1]:80",              "http://[::1]",          true),
            ("example.com",           "http://a.Example.com",  true),
            (".example.com",          "http://example.com",    true),
            ("*.example.com",         "http://b.example.com",  true),
            ("example.com",           "http://badexample.com", false),
            ("example.com:4318",      "http://example.com:4318", true),
            ("example.com:4318",      "http://example.com",    false),
            ("*",                     "http://anything",       true),
            ("",                      "http://h",              false),
            ("10.0.0.0/33, /, :, 1/", "http://10.0.0.1",       false),
            ("0.0.0.0/0",             "http://10.0.0.1",       true),
        ];
        for (list, to, direct) in cases {
            let vars = [("http_proxy", "http://p:1"), ("NO_PROXY", list)];
            assert_eq!(way(&vars, to).unwrap().is_none(), direct, "{list:?} {to}");
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_an_error_and_no_way_around() {
        for proxy in ["socks5://127.0.0.1:1", "foo://x", "http://u:se/cret@p:1", "http://"] {
            let err = way(&[("ALL_PROXY", proxy)], "https://h").unwrap_err();
            assert!(err.contains("`ALL_PROXY`") && !err.contains("cret"), "{err}");
        }
    }
}
