//! What surrounds a run, given and not read: variables, and the small files that
//! configure live plugins.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The variables of an environment. Debug prints their names only: some of the
/// values are secrets.
#[derive(Clone, Default)]
pub struct Environment(pub BTreeMap<String, String>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Small files of text, by their path.
pub trait Files: Send + Sync + fmt::Debug {
    /// Reads one; `None` if nothing is there.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is no file, or too large for a configuration.
    fn small_text(&self, path: &Path) -> io::Result<Option<String>>;

    /// Whether one is there.
    fn is_file(&self, path: &Path) -> bool;

    /// Whether two paths lead to one directory.
    fn is_same_dir(&self, one: &Path, other: &Path) -> bool;

    /// Says why one is no good place for a key, if others may read it.
    fn exposed(&self, path: &Path) -> Option<String>;
}

/// Files that are given; all others are not there.
impl Files for BTreeMap<PathBuf, String> {
    fn small_text(&self, path: &Path) -> io::Result<Option<String>> {
        Ok(self.get(path).cloned())
    }

    fn is_file(&self, path: &Path) -> bool {
        self.contains_key(path)
    }

    fn is_same_dir(&self, one: &Path, other: &Path) -> bool {
        one == other
    }

    fn exposed(&self, _path: &Path) -> Option<String> {
        None
    }
}

/// The files that a backend may look at. None are there unless somebody says so.
#[derive(Clone, Debug)]
pub struct ConfigFiles(Arc<dyn Files>);

impl ConfigFiles {
    /// Takes files.
    pub fn new(files: impl Files + 'static) -> ConfigFiles {
        ConfigFiles(Arc::new(files))
    }
}

impl Default for ConfigFiles {
    fn default() -> ConfigFiles {
        ConfigFiles::new(BTreeMap::new())
    }
}

impl std::ops::Deref for ConfigFiles {
    type Target = dyn Files;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}
