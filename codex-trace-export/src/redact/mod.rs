//! Takes secrets out of text, in whatever form the text is: decoded, the raw
//! text of a JSON string, or a whole JSON value. JSON stays JSON.
//!
//! A vectorised scan finds the places where a secret could begin; a rule then
//! looks at each of them. Text without such places costs that scan and stays
//! borrowed. Escapes are met in three ways: separators may be written as
//! escapes (`\n`, `\"`), a match neither begins nor ends within one, and text
//! that spells plain characters as `\u002d` is spelled out first.

mod armor;
mod assignment;
mod counts;
mod escape;
mod rules;
mod scan;
mod secret;
mod table;
mod user;
mod value;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use codex_rollout::into_text;

use crate::redact::counts::Counts;
use crate::redact::scan::{Hit, Scanner};

pub use user::UserRule;

/// What stands for a secret, as in LangSmith's plugin.
pub const PLACEHOLDER: &str = "[SECRET_DETECTED]";

/// What stands for what a user's own rule finds, unless it says otherwise.
pub const USER_PLACEHOLDER: &str = "[redacted]";

/// Finds secrets and puts placeholders in their place.
#[derive(Clone, Debug)]
pub struct Redactor {
    scanner: Arc<Scanner>,
    user: Vec<UserRule>,
    counts: Counts,
}

/// A rules file: `[[rule]]` tables.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    #[serde(default)]
    rule: Vec<RulesFileEntry>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFileEntry {
    pattern: String,
    replace: Option<String>,
}

/// A rule of a user's that cannot be used: which, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError(String);

impl RuleError {
    fn new(message: String) -> RuleError {
        RuleError(message)
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RuleError {}

impl Default for Redactor {
    fn default() -> Redactor {
        Redactor { scanner: Arc::new(Scanner::new()), user: Vec::new(), counts: Counts::default() }
    }
}

impl Redactor {
    /// Adds a rule as given on the command line: `REGEX` or `REGEX=>REPLACEMENT`.
    ///
    /// The regex is run on all text, decoded and undecoded alike, and costs
    /// accordingly.
    ///
    /// # Errors
    ///
    /// If the regex cannot be read, or matches nothing at all.
    pub fn add(&mut self, rule: &str) -> Result<(), RuleError> {
        let (pattern, replacement) = match rule.rsplit_once("=>") {
            Some((pattern, replacement)) => (pattern, Some(replacement)),
            None => (rule, None),
        };
        self.add_rule(pattern, replacement)
    }

    /// Adds the rules of a TOML file of `[[rule]]` tables with `pattern` and,
    /// if wanted, `replace`.
    ///
    /// # Errors
    ///
    /// If the text is not that.
    pub fn add_file(&mut self, text: &str) -> Result<(), RuleError> {
        let file: RulesFile = toml::from_str(text)
            .map_err(|err| RuleError::new(format!("cannot read the redaction rules: {err}")))?;
        for rule in file.rule {
            self.add_rule(&rule.pattern, rule.replace.as_deref())?;
        }
        Ok(())
    }

    fn add_rule(&mut self, pattern: &str, replacement: Option<&str>) -> Result<(), RuleError> {
        self.user.push(UserRule::new(pattern, replacement)?);
        Ok(())
    }

    /// Returns this redactor with further rules.
    #[must_use]
    pub fn with(&self, rules: &[UserRule]) -> Redactor {
        let user = self.user.iter().chain(rules).cloned().collect();
        Redactor { scanner: Arc::clone(&self.scanner), user, counts: self.counts.clone() }
    }

    /// Returns this redactor with counts of its own.
    #[must_use]
    pub fn counting_anew(&self) -> Redactor {
        Redactor { counts: Counts::default(), ..self.clone() }
    }

    /// Returns how often each rule has found something, by its name, in all that
    /// this redactor and its clones have looked at.
    pub fn found(&self) -> BTreeMap<String, u64> {
        self.counts.all()
    }

    /// Redacts decoded text.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.bytes(text.as_bytes(), Form::Decoded) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(bytes) => Cow::Owned(into_text(bytes)),
        }
    }

    /// Redacts raw JSON text: a whole value, or several values one after the
    /// other.
    pub fn json<'t>(&self, raw: &'t [u8]) -> Cow<'t, [u8]> {
        self.bytes(raw, Form::Json)
    }

    /// Redacts what is between the quotes of a JSON string.
    pub fn json_text<'t>(&self, raw: &'t [u8]) -> Cow<'t, [u8]> {
        self.bytes(raw, Form::JsonText)
    }

    fn bytes<'t>(&self, text: &'t [u8], form: Form) -> Cow<'t, [u8]> {
        let mut redacted = self.built_in(text, form != Form::Decoded);
        for rule in &self.user {
            let mut n = 0;
            if let Cow::Owned(changed) = rule.apply(&redacted, form, &mut n) {
                redacted = Cow::Owned(changed);
                self.counts.add_user(rule.pattern(), n);
            }
        }
        redacted
    }

    fn built_in<'t>(&self, text: &'t [u8], json: bool) -> Cow<'t, [u8]> {
        match self.pass(text, json, json) {
            Pass::Clean => Cow::Borrowed(text),
            Pass::Redacted(redacted) => Cow::Owned(redacted),
            // If there is nothing to redact the text stays as it was. What is
            // left of such escapes stands for quotes and backslashes.
            Pass::Escapes => match self.pass(&escape::spell_out(text), json, false) {
                Pass::Redacted(redacted) => Cow::Owned(redacted),
                Pass::Clean | Pass::Escapes => Cow::Borrowed(text),
            },
        }
    }

    /// Looks at every hit; gives up at an escaped plain character if `escapes`.
    fn pass(&self, text: &[u8], json: bool, escapes: bool) -> Pass {
        let mut out = Vec::new();
        let mut copied = 0;
        let mut at = 0;
        let mut found = Vec::new();
        let mut by = Vec::new();
        let mut hits = self.scanner.hits(text);
        while let Some((start, hit)) = hits.next(at) {
            at = start + 1;
            let rule = match hit {
                Hit::Rule(rule) => rule,
                Hit::Escape if escapes && escape::is_escaped(text, start) => return Pass::Escapes,
                Hit::Escape => continue,
            };
            rules::find(rule, text, start, json, &mut found);
            for secret in found.drain(..) {
                // The name of one secret may stand in another.
                if secret.place.start < copied {
                    continue;
                }
                out.extend_from_slice(&text[copied..secret.place.start]);
                secret.write_placeholder(&mut out);
                by.push(rule);
                copied = secret.place.end;
                at = at.max(secret.place.end);
            }
        }
        if copied == 0 {
            return Pass::Clean;
        }
        out.extend_from_slice(&text[copied..]);
        for rule in by {
            self.counts.add(rule);
        }
        Pass::Redacted(out)
    }
}

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As it is.
    Decoded,
    /// As between the quotes of a JSON string.
    JsonText,
    /// As JSON values.
    Json,
}

/// What came of one pass over a text.
enum Pass {
    Clean,
    Redacted(Vec<u8>),
    Escapes,
}

#[cfg(test)]
mod tests;
