//! Addresses of backends: what one must look like, and what of it is secret.

use std::fmt::{self, Write as _};

use codex_rollout::percent_decoded;
use sha2::{Digest, Sha256};

/// What stands for what is not shown.
const MASK: &str = "[set]";

/// The address of a server.
///
/// It may hold a name with a password, and keys in its path and its query. None
/// of them is ever shown: `Display` and `Debug` mask them.
#[derive(Clone, Eq)]
pub struct Address {
    text: String,
    /// Where the path ends that was given, and where the query begins: what is
    /// between them is ours, and no secret.
    given: (usize, usize),
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAddress {
    /// What is wrong, without what may be a password.
    pub message: String,
    /// What to do about it.
    pub hint: &'static str,
}

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for NoAddress {}

impl Address {
    /// Checks that a text is an address of the web.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn parse(text: &str) -> Result<Address, NoAddress> {
        let text = text.trim();
        let wrong = |what: &str| NoAddress {
            message: format!("`{}` {what}", shown(text)),
            hint: "give an address like https://HOST:4318",
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(wrong("is not an address: it begins with neither http:// nor https://"));
        };
        if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
            let scheme = if is_scheme(scheme) { scheme } else { "it" };
            return Err(wrong(&format!(
                "cannot be spoken to: `{scheme}` is neither http nor https"
            )));
        }
        let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if behind.contains('@') {
            // More likely the end of a password than a part of the path.
            return Err(NoAddress {
                hint: "write `/`, `?`, `#` and `@` of a password as `%2F`, `%3F`, `%23`, `%40`",
                ..wrong("is not an address: it has an `@` after its host")
            });
        }
        let host = authority.rsplit('@').next().unwrap_or_default();
        let (name, port) = match host.rsplit_once(':').filter(|_| !host.ends_with(']')) {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        };
        if name.is_empty() || rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(wrong("is not an address: it has no host"));
        }
        if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return Err(wrong("is not an address: its port is not a number up to 65535"));
        }
        Ok(Address::unchecked(text))
    }

    /// Takes a text for an address, to compare and to show.
    pub fn unchecked(text: &str) -> Address {
        let text = text.trim().to_owned();
        let path = text.find(['?', '#']).unwrap_or(text.len());
        let query = (path + 1).min(text.len());
        Address { text, given: (path, query) }
    }

    /// Returns all of it, for the wire alone.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Returns the address with a path behind its own, and before its query. The
    /// path may have a query, too.
    #[must_use]
    pub fn join(&self, path: &str) -> Address {
        let whole = self.text.split('#').next().unwrap_or_default();
        let (base, query) = whole.split_once('?').unwrap_or((whole, ""));
        let base = base.trim_end_matches('/');
        let between = match (query, path.contains('?')) {
            ("", _) => "",
            (_, true) => "&",
            (_, false) => "?",
        };
        let text = format!("{base}{path}{between}{query}");
        let given = (base.len(), text.len() - query.len());
        Address { text, given }
    }

    /// Whether the address without its query ends so, but for a slash.
    pub fn ends_with(&self, path: &str) -> bool {
        let end = self.text.find(['?', '#']).unwrap_or(self.text.len());
        self.text[..end].trim_end_matches('/').ends_with(path)
    }

    /// Whether two addresses are of one place: letter case of the host, the
    /// usual port and a slash at the end make no difference.
    pub fn is_same(&self, other: &Address) -> bool {
        self.normal() == other.normal()
    }

    fn normal(&self) -> String {
        let Some((scheme, rest)) = self.text.split_once("://") else { return self.text.clone() };
        let scheme = scheme.to_ascii_lowercase();
        let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority),
        };
        let host = host.to_ascii_lowercase();
        let usual = if scheme == "https" { ":443" } else { ":80" };
        let host = host.strip_suffix(usual).unwrap_or(&host);
        let login = login.map(|login| format!("{login}@")).unwrap_or_default();
        format!("{scheme}://{login}{host}{}", behind.trim_end_matches('/'))
    }

    /// Returns the host in small letters, without the port.
    pub fn host(&self) -> String {
        let normal = self.normal();
        let rest = normal.split_once("://").map_or(&*normal, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        match host.rsplit_once(':').filter(|_| !host.ends_with(']')) {
            Some((name, _)) => name.to_owned(),
            None => host.to_owned(),
        }
    }

    /// Returns the server alone: scheme, host and port.
    pub fn origin(&self) -> String {
        let (scheme, rest) = self.text.split_once("://").unwrap_or(("http", &self.text));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        format!("{scheme}://{host}")
    }

    /// Returns name and password, decoded, with the colon between them; for the
    /// wire alone.
    pub fn login(&self) -> Option<Vec<u8>> {
        let rest = self.text.split_once("://").map_or(&*self.text, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (login, _) = authority.rsplit_once('@')?;
        Some(percent_decoded(login.as_bytes()))
    }

    /// Returns the port, if it says one.
    pub fn port(&self) -> Option<u16> {
        let rest = self.text.split_once("://").map_or(&*self.text, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        host.rsplit_once(':').filter(|_| !host.ends_with(']'))?.1.parse().ok()
    }

    /// Returns what could be secret in it: name and password, values of the query,
    /// and the parts of the path that are no words.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        let (given, query) = (&self.text[..self.given.0], &self.text[self.given.1..]);
        let rest = given.split_once("://").map_or(given, |(_, rest)| rest);
        let (login, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        let of_path = path.split('/').filter(|segment| !is_plain(segment));
        let of_query = query.split(['&', '#']).map(|it| it.split_once('=').unwrap_or(("", it)).1);
        login.split(':').chain(of_path).chain(of_query).filter(|it| !it.is_empty()).collect()
    }

    /// Returns what the ledger calls the address: without name and password, and
    /// with digests in the place of what its query says and of what in its path
    /// could be a key, so that two keys are two places and none is written down.
    pub fn place(&self) -> String {
        place_name(&self.text)
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Address) -> bool {
        self.text == other.text
    }
}

/// Without what could be secret.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.text))
    }
}

/// Without what could be secret.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Shows a text that should be an address, and may be a mistyped one: nothing
/// before the last `@`, of the path only words, no values of a query, nothing of
/// a fragment.
pub fn shown(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
        _ => (None, text),
    };
    let (login, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => (true, rest),
        None => (false, rest),
    };
    let scheme = scheme.map(|scheme| format!("{scheme}://")).unwrap_or_default();
    let login = if login { format!("{MASK}@") } else { String::new() };
    let rest = rest.split('#').next().unwrap_or_default();
    format!("{scheme}{login}{}", rewritten(rest, |_| MASK.to_owned()))
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte))
}

/// The most letters of a word in a path, and the most digits, for it to be one.
const LONGEST_WORD: usize = 14;
const MOST_DIGITS: usize = 4;

/// Whether a part of a path is made of words, like `v1` or `public-api`: a key
/// has capitals, many digits, or no end.
fn is_plain(segment: &str) -> bool {
    let of_words =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    let words = segment.split(|c: char| !c.is_ascii_lowercase());
    segment.bytes().all(of_words)
        && segment.len() <= 3 * LONGEST_WORD
        && words.into_iter().all(|word| word.len() <= LONGEST_WORD)
        && segment.bytes().filter(u8::is_ascii_digit).count() <= MOST_DIGITS
}

/// Rewrites what could be secret behind the host of an address, up to a
/// fragment: parts of the path that are no words, values of the query, and what
/// in it is no pair.
fn rewritten(text: &str, value: impl Fn(&str) -> String) -> String {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let (path, query) = text.split_at(end);
    let (host, path) = path.split_at(path.find('/').unwrap_or(path.len()));
    let segment = |segment: &str| {
        let shown = is_plain(segment) || is_digest(segment) || segment == MASK;
        if shown { segment.to_owned() } else { value(segment) }
    };
    let path: Vec<String> = path.split('/').map(segment).collect();
    format!("{host}{}{}", path.join("/"), with_query(query, value))
}

/// Rewrites the values of a query, and what in it is no pair, up to a fragment.
fn with_query(text: &str, value: impl Fn(&str) -> String) -> String {
    let Some((before, query)) = text.split_once('?') else { return text.to_owned() };
    let (query, behind) = query.split_at(query.find('#').unwrap_or(query.len()));
    let pair = |pair: &str| match pair.split_once('=') {
        Some((name, text)) if !text.is_empty() => format!("{name}={}", value(text)),
        None if !pair.is_empty() => value(pair),
        _ => pair.to_owned(),
    };
    let query: Vec<String> = query.split('&').map(pair).collect();
    format!("{before}?{}{behind}", query.join("&"))
}

/// Percent-encodes all bytes that could mean something in an address: what is
/// left is letters and digits of ASCII and `-`, `.`, `_`, `~`.
pub fn percent_encoded(text: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(*byte));
            }
            _ => write!(encoded, "%{byte:02X}").expect("a string takes everything"),
        }
    }
    encoded
}

/// Returns the name of an address in the ledger, or of a text in it. What is one
/// already stays as it is.
pub fn place_name(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (rest, behind) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..end].rfind('@').map_or(0, |at| at + 1);
    let rest = format!("{}{}", one_loopback(&rest[host..end]), &rest[end..]);
    let digest = |value: &str| {
        if is_digest(value) {
            return value.to_owned();
        }
        let digest = Sha256::digest(value.as_bytes());
        format!("~{:08x}", u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]))
    };
    format!("{scheme}://{}{behind}", rewritten(&rest, digest))
}

/// Gives this machine one name, whichever of its three somebody used for it.
fn one_loopback(host: &str) -> String {
    let (name, port) = match host.rfind(':').filter(|_| !host.ends_with(']')) {
        Some(at) => host.split_at(at),
        None => (host, ""),
    };
    let same = name.eq_ignore_ascii_case("localhost") || name == "[::1]";
    format!("{}{port}", if same { "127.0.0.1" } else { name })
}

fn is_digest(value: &str) -> bool {
    let digits = value.strip_prefix('~').filter(|digits| digits.len() == 8);
    digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Takes what could be secret out of the addresses in a text for people: what
/// is before the last `@` of a word, what in a path is no word, and what a query
/// says.
pub fn without_secrets(text: &str) -> String {
    let word = |word: &str| {
        let Some(at) = word.find("://") else { return word.to_owned() };
        let scheme = word[..at].trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let (before, rest) = word.split_at(at - scheme.len());
        let end = rest.trim_end_matches(|c: char| "`'\")>],.;:".contains(c)).len();
        // What is masked already ends with a bracket of its own.
        let is_masked = rest[..end].ends_with("[set") && rest[end..].starts_with(']');
        let (address, behind) = rest.split_at(end + usize::from(is_masked));
        let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
        let (login, rest) = match rest.rsplit_once('@') {
            Some((_, rest)) => ("[set]@", rest),
            None => ("", rest),
        };
        let mask = |value: &str| if is_digest(value) { value.to_owned() } else { MASK.to_owned() };
        format!("{before}{scheme}://{login}{}{behind}", rewritten(rest, mask))
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
