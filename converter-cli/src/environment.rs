//! The variables of an environment, given and not read.

use std::collections::BTreeMap;
use std::fmt;

/// The variables of an environment. Debug prints their names only: some of the
/// values are secrets.
#[derive(Clone, Default)]
pub struct Environment(pub BTreeMap<String, String>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
