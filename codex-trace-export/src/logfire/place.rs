//! One project of Logfire: where it is, and who it says it is.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::body::Body;
use crate::otlp::{self, Encoding};
use crate::request::{ClientOptions, Compression, Header, Method, Request, Response, shortened};
use crate::secret::Secret;
use crate::{Address, ConfigError, Probed, Route};

/// A project.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Where traces go.
    pub(super) url: Address,
    pub(super) encoding: Encoding,
    pub(super) compressions: &'static [Compression],
    pub(super) headers: Vec<Header>,
    pub(super) token: Option<Secret>,
    /// What the user calls the project.
    pub(super) called: Option<String>,
    /// The project that the token must be for.
    pub(super) expected: Option<String>,
    pub(super) client: ClientOptions,
}

/// What Logfire says of a token.
#[derive(Deserialize)]
struct Info {
    project_name: Option<String>,
    project_url: Option<String>,
}

/// Returns where the traces of a token go: to the region that it names, else to
/// the one that the user names.
pub(super) fn region_of(token: Option<&str>, said: Option<&str>) -> Address {
    let region = token.and_then(region_in).or(said).unwrap_or("us");
    let host = match region {
        "eu" => "logfire-eu.pydantic.dev",
        "stagingus" => "logfire-us.pydantic.info",
        "stagingeu" => "logfire-eu.pydantic.info",
        _ => "logfire-us.pydantic.dev",
    };
    Address::unchecked(&format!("https://{host}/v1/traces"))
}

/// Whether an address is of the hosted service.
pub(super) fn is_hosted(url: &Address) -> bool {
    let host = url.host();
    [".pydantic.dev", ".pydantic.info"].iter().any(|end| host.ends_with(end))
}

/// Reads `pylf_v1_eu_…`.
fn region_in(token: &str) -> Option<&str> {
    let (version, rest) = token.strip_prefix("pylf_v")?.split_once('_')?;
    let (region, _) = rest.split_once('_')?;
    let is_version = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
    let is_region = !region.is_empty() && region.bytes().all(|byte| byte.is_ascii_lowercase());
    (is_version && is_region).then_some(region)
}

impl Place {
    /// Returns what the ledger calls the project: by its name, else by a digest
    /// of the token.
    pub(super) fn destination(&self) -> String {
        let digest = |token: &Secret| {
            let digest = Sha256::digest(token.expose().as_bytes());
            format!("~{:08x}", u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]))
        };
        let project = self.called.clone().or_else(|| self.token.as_ref().map(digest));
        let project = project.map_or_else(String::new, |project| format!("#{project}"));
        format!("logfire {}{project}", self.url.place())
    }

    /// Whether it is the hosted service, which takes nothing old.
    pub(super) fn is_hosted(&self) -> bool {
        is_hosted(&self.url)
    }

    /// Whether any header lets us in.
    pub(super) fn has_access(&self) -> bool {
        self.headers.iter().any(|it| it.name.eq_ignore_ascii_case("authorization"))
    }

    /// Returns the route for traces.
    pub(super) fn route(&self) -> Route {
        Route {
            url: self.url.clone(),
            headers: self.headers.clone(),
            compressions: self.compressions,
            ..otlp::route_of(self.encoding)
        }
    }

    /// Asks which project the token is for.
    pub(super) fn ask_info(&self) -> Request {
        let base = self.url.expose();
        let base = base.split(['?', '#']).next().unwrap_or_default();
        let base = base.trim_end_matches('/').trim_end_matches("/traces");
        Request {
            method: Method::Get,
            url: Address::unchecked(&format!("{base}/info")),
            headers: self.headers.clone(),
            body: Body::default(),
        }
    }

    /// Checks that the token is for the project that the user names. A receiver
    /// of OTLP that is no Logfire does not know the question.
    ///
    /// # Errors
    ///
    /// If the token is refused, or for another project.
    pub(super) fn admit(&self, answer: &Response) -> Result<(), ConfigError> {
        match answer.status {
            401 | 403 => {
                Err(ConfigError::new(format!("the token is refused: {}", answer.reason()))
                    .hint("it must be a write token of the project; look at LOGFIRE_TOKEN"))
            }
            _ => match (&self.expected, info(answer).and_then(|info| info.project_name)) {
                (Some(expected), Some(name)) if *expected != name => {
                    Err(ConfigError::new(format!(
                        "the token is for the project `{}`, not for `{expected}`",
                        shortened(&name)
                    ))
                    .hint("name the project that the token is for, or take a token of the other"))
                }
                _ => Ok(()),
            },
        }
    }

    /// Reads the answer to the question of `doctor`.
    pub(super) fn probed(&self, answer: &Response) -> Probed {
        let named = |info: Info| Some(shortened(&info.project_url.or(info.project_name)?));
        match answer.status {
            200..300 => match info(answer) {
                Some(info) => Probed::Good(named(info).map(|name| format!("project {name}"))),
                None if self.is_hosted() => Probed::WrongPath,
                None => Probed::Good(None),
            },
            404 | 405 if !self.is_hosted() => {
                Probed::Good(Some("it does not know which project: no Logfire".to_owned()))
            }
            _ => Probed::from_status(answer),
        }
    }
}

fn info(answer: &Response) -> Option<Info> {
    let is_ok = (200..300).contains(&answer.status);
    is_ok.then(|| serde_json::from_slice(&answer.body).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After Logfire's own SDK: the regions, and what is none.
    #[test]
    fn a_token_names_its_region() {
        #[rustfmt::skip]
        let cases = [
            (Some("pylf_v1_us_abc"),        None,       "logfire-us.pydantic.dev"),
            (Some("pylf_v1_eu_abc"),        None,       "logfire-eu.pydantic.dev"),
            (Some("pylf_v12_stagingus_a"),  None,       "logfire-us.pydantic.info"),
            (Some("pylf_v1_stagingeu_abc"), None,       "logfire-eu.pydantic.info"),
            (Some("pylf_v1_eu_abc"),        Some("us"), "logfire-eu.pydantic.dev"),
            (Some("pylf_v1_local_abc"),     None,       "logfire-us.pydantic.dev"),
            (Some("pylf_vx_eu_abc"),        None,       "logfire-us.pydantic.dev"),
            (Some("abc"),                   Some("eu"), "logfire-eu.pydantic.dev"),
            (None,                          None,       "logfire-us.pydantic.dev"),
        ];
        for (token, said, host) in cases {
            let url = region_of(token, said);
            assert_eq!(url.expose(), format!("https://{host}/v1/traces"), "{token:?}");
        }
    }
}
