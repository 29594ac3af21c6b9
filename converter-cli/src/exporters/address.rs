//! Addresses of backends: what one must look like, and what of it is secret.

use std::borrow::Cow;

use super::ConfigError;
use crate::secret::without_password;

/// Checks that an address is one of the web.
pub(super) fn web_address(url: &str) -> Result<String, ConfigError> {
    let url = url.trim();
    let wrong = |what: &str| {
        ConfigError::new(format!("`{}` {what}", without_password(url)))
            .hint("give an address like https://HOST:4318")
    };
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(wrong("is no address: it begins with neither http:// nor https://"));
    };
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return Err(wrong(&format!("cannot be spoken to: `{scheme}` is neither http nor https")));
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let (name, port) = match host.rsplit_once(':').filter(|_| !host.ends_with(']')) {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    if name.is_empty() || rest.contains(char::is_whitespace) {
        return Err(wrong("is no address: it has no host"));
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(wrong("is no address: its port is no number up to 65535"));
    }
    Ok(url.to_owned())
}

/// Takes name and password out of an address, for what is written down.
pub(super) fn without_login(url: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = url.split_once("://") else { return Cow::Borrowed(url) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => Cow::Owned(format!("{scheme}://{}", &rest[at + 1..])),
        None => Cow::Borrowed(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_web() {
        for good in
            ["http://h", " https://h:1/p?q ", "HTTP://[::1]:80/", "http://[::1]", "http://u:p@h:1"]
        {
            assert_eq!(web_address(good).unwrap(), good.trim());
        }
        for bad in [
            "",
            "h:1",
            "ftp://h",
            "http://",
            "http:///p",
            "http://h:x",
            "http://h:70000",
            "http://a b",
        ] {
            assert!(web_address(bad).is_err(), "{bad}");
        }
        let err = web_address("ftp://u:secret@h").unwrap_err();
        assert!(!err.message.contains("secret"), "{}", err.message);
        assert_eq!(without_login("http://u:p@h/x@y"), "http://h/x@y");
        assert_eq!(without_login("http://h/x@y"), "http://h/x@y");
    }
}
