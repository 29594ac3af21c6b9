//! What lets us in at a receiver of OTLP, and whose the data is there: of flags,
//! of `codex-trace.toml`, and of a product's own variables.

use base64::Engine as _;

use super::presets::{NeedsAccess, PLAIN, Part};
use crate::describe::Description;
use crate::options::common::{PASSWORD, USERNAME};
use crate::otlp::settings::headers_of;
use crate::request::Header;
use crate::secret::Secret;
use crate::{Address, ConfigError, Origin, Said, Settings, key};

/// What goes along with every request.
#[derive(Debug, Default)]
pub(super) struct Access {
    headers: Vec<Header>,
    /// Where each key was said.
    pub(super) origins: Vec<Origin>,
    /// The workspace, or whose key it is.
    pub(super) tenant: Option<String>,
    /// The project.
    pub(super) project: Option<String>,
}

impl Access {
    /// Puts the headers in the place of others of their names.
    pub(super) fn put(&self, headers: &mut Vec<Header>) {
        let is_ours = |it: &Header| self.headers.iter().any(|own| is_same_name(own, it));
        headers.retain(|header| !is_ours(header));
        headers.extend(self.headers.iter().cloned());
    }

    fn push(&mut self, header: Header) {
        self.headers.retain(|it| !is_same_name(it, &header));
        self.headers.push(header);
    }
}

fn is_same_name(one: &Header, other: &Header) -> bool {
    one.name.eq_ignore_ascii_case(&other.name)
}

/// Finds what lets us in.
pub(super) fn of(settings: &Settings, found: &mut Description) -> Result<Access, ConfigError> {
    let parts = settings.preset.map_or(PLAIN, |preset| preset.parts);
    let mut access =
        Access { project: project(settings)?.map(|said| said.value), ..Access::default() };
    for part in parts {
        match part {
            Part::Fixed(name, value) => access.push(Header::new(*name, *value)),
            Part::Key(name, before, vars) => {
                let own = settings.said_key();
                let said = own.or_else(|| Some(settings.place_var(vars)?.map(Secret::new)));
                if let Some(key) = said.map(key::clean).transpose()? {
                    let value = Secret::new(format!("{before}{}", key.value.expose()));
                    access.push(Header::secret(*name, value));
                    access.origins.push(key.from.clone());
                    found.secret("key", Some(key));
                }
            }
            Part::Login(users, passwords) => {
                if let Some((user, password)) = login(settings, users, passwords) {
                    let pair = format!("{}:{}", user.value, password.value.expose());
                    let pair = base64::prelude::BASE64_STANDARD.encode(pair);
                    access.push(Header::secret(
                        "Authorization",
                        Secret::new(format!("Basic {pair}")),
                    ));
                    access.origins.push(password.from.clone());
                    access.tenant = settings.preset.map(|_| user.value.clone());
                    found.text("username", Some(user));
                    found.take("password", Some(password), |_| "[set]".to_owned());
                }
            }
            Part::Workspace(name, vars) => {
                let said = settings.said_workspace().or_else(|| settings.place_var(vars));
                if let Some(workspace) = found.text("workspace", said) {
                    access.push(Header::new(*name, workspace.clone()));
                    access.tenant = Some(workspace);
                }
            }
            Part::Project(name) => {
                if let Some(project) = access.project.clone() {
                    access.push(Header::new(*name, project));
                }
            }
            Part::Pairs(name) => {
                let Some(said) = settings.place_var(&[name]) else { continue };
                for header in headers_of(name, &said.value)? {
                    let secret = Secret::new(header.wire_value());
                    let shown = Said::new(secret, said.from.clone());
                    found.secret(&format!("header {}", header.name), Some(shown));
                    access.push(header);
                }
                access.origins.push(said.from);
            }
        }
    }
    Ok(access)
}

/// Returns name and password: those of `codex-trace.toml`, or of variables.
fn login(
    settings: &Settings,
    users: &[&str],
    passwords: &[&str],
) -> Option<(Said<String>, Said<Secret>)> {
    if let Some((user, password)) = settings.access.login.clone() {
        let user = Said::new(user, settings.origin(USERNAME.name()));
        return Some((user, Said::new(password, settings.origin(PASSWORD.name()))));
    }
    let password = settings.place_var(passwords)?.map(Secret::new);
    settings.place_var(users).zip(Some(password))
}

/// Returns the project: of a flag, of `codex-trace.toml`, or of a product's own
/// variables.
pub(super) fn project(settings: &Settings) -> Result<Option<Said<String>>, ConfigError> {
    let said = settings.said_project();
    let Some(preset) = settings.preset else { return Ok(said) };
    let has_projects =
        !preset.project.is_empty() || preset.parts.iter().any(|it| matches!(it, Part::Project(_)));
    match said {
        Some(said) if !has_projects => Err(ConfigError::new(format!(
            "{} cannot be told a project (`{}`)",
            preset.product, said.from
        ))
        .hint("its keys belong to one project: use the keys of the project that you want")),
        said => Ok(said.or_else(|| settings.place_var(preset.project_vars))),
    }
}

/// Checks that a product that takes nothing without a key has one.
pub(super) fn check(settings: &Settings, to: &Said<Address>) -> Result<(), ConfigError> {
    let Some(preset) = settings.preset else { return Ok(()) };
    let is_needed = match preset.needs_access {
        NeedsAccess::No => false,
        NeedsAccess::AtItsMaker => to.from == Origin::default_value(),
        NeedsAccess::Always => true,
    };
    if !is_needed {
        return Ok(());
    }
    let vars = preset.access_vars();
    let takes_login = preset.parts.iter().any(|part| matches!(part, Part::Login(..)));
    let how = if takes_login {
        "`username` and `password = { env = \"NAME\" }`"
    } else {
        "`key = { env = \"NAME\" }`"
    };
    Err(ConfigError::new(format!("no key for {} is set", preset.product)).hint(format!(
        "set {}, or give it a table in codex-trace.toml with {how}",
        vars.join(" and ")
    )))
}
