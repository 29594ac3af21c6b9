//! Repositories by name: the many ways to write a remote's address are one.

/// Returns the name of a repository: `github.com/owner/name`, whether the
/// address is a URL or `user@host:path`, without user, port and `.git`.
pub fn name(address: &str) -> String {
    let address = address.trim().trim_end_matches('/');
    let address = address.strip_suffix(".git").unwrap_or(address);
    let (place, is_url) = match address.split_once("://") {
        Some((_, rest)) => (rest, true),
        None => (address, false),
    };
    let host_end = place.find('/').unwrap_or(place.len());
    let place = match place[..host_end].rfind('@') {
        Some(at) => &place[at + 1..],
        None => place,
    };
    let (host, path) = match place.split_once(['/', ':']) {
        Some((host, path)) if !host.is_empty() => (host, path),
        _ => return place.to_owned(),
    };
    let path = match path.split_once('/') {
        Some((port, rest)) if is_url && port.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => path,
    };
    format!("{}/{}", host.to_ascii_lowercase(), path.trim_matches('/'))
}

/// Returns whether a repository is called `wanted`: an address, or the last
/// parts of its name; capitals do not matter.
pub fn is_called(address: &str, wanted: &str) -> bool {
    let name = name(address).to_lowercase();
    let wanted = wanted.to_lowercase();
    let is_end = |wanted: &str| {
        !wanted.is_empty()
            && name.strip_suffix(wanted).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    };
    is_end(wanted.trim_matches('/')) || is_end(&self::name(&wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_repository_has_one_name() {
        for address in [
            "git@github.com:owner/name.git",
            "https://github.com/owner/name",
            "https://user:key@GitHub.com/owner/name.git/",
            "ssh://git@github.com:22/owner/name.git",
        ] {
            assert_eq!(name(address), "github.com/owner/name", "{address}");
        }
        assert_eq!(name("/srv/git/name.git"), "/srv/git/name");
        assert_eq!(name(""), "");
    }

    #[test]
    fn the_end_of_the_name_is_enough() {
        let called = |wanted| is_called("git@github.com:owner/name.git", wanted);
        assert!(called("name") && called("Owner/Name") && called("github.com/owner/name"));
        assert!(called("https://github.com/owner/name.git"));
        assert!(!called("ame") && !called("owner") && !called(""));
    }
}
