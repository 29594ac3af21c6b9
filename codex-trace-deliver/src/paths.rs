//! Paths compared by what they lead to.

use std::path::Path;

/// Whether two paths lead to one directory.
pub fn is_same_dir(one: &Path, other: &Path) -> bool {
    let real = |dir: &Path| {
        let real = std::fs::canonicalize(dir).or_else(|_| std::path::absolute(dir));
        real.unwrap_or_else(|_| dir.to_owned())
    };
    one == other || real(one) == real(other)
}
