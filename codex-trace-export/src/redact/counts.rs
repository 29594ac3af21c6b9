//! How often each rule has found something.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::redact::table::RULES;

/// How often each rule has put something in the place of what it found; one
/// count for all clones of a redactor.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    built_in: Arc<[AtomicU64]>,
    /// By the pattern of a user's own rule.
    user: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Default for Counts {
    fn default() -> Counts {
        let built_in = RULES.iter().map(|_| AtomicU64::new(0)).collect();
        Counts { built_in, user: Arc::default() }
    }
}

impl Counts {
    /// Counts what a built-in rule found.
    pub(super) fn add(&self, rule: usize) {
        self.built_in[rule].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts what a user's rule found.
    pub(super) fn add_user(&self, pattern: &str, n: u64) {
        let mut user = self.user.lock().unwrap_or_else(PoisonError::into_inner);
        *user.entry(format!("`{pattern}`")).or_default() += n;
    }

    /// Returns the counts that are not zero, by the name of the rule.
    pub(super) fn all(&self) -> BTreeMap<String, u64> {
        let user = self.user.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = user.clone();
        for (rule, n) in RULES.iter().zip(&*self.built_in) {
            let n = n.load(Ordering::Relaxed);
            if n > 0 {
                *all.entry(rule.name.to_owned()).or_default() += n;
            }
        }
        all
    }
}
