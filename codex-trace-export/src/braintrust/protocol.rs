//! What the service is asked, and what its answers mean.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::braintrust::Braintrust;
use crate::braintrust::config::{Place, Target};
use crate::braintrust::there::There;
use crate::braintrust::wire::{self, Log};
use crate::request::{Header, Method, Request, Response};
use crate::secret::Secret;
use crate::{Address, ConfigError, Preflight, Probed, Route};

/// Where the hosted service takes rows, as long as nobody has been asked.
const API: &str = "https://api.braintrust.dev";

/// The largest request that is ever made, whatever a server says, in bytes.
const MOST_BYTES: usize = 64 << 20;

/// The smallest that makes sense.
const LEAST_BYTES: usize = 64 << 10;

/// What was asked last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Asked {
    #[default]
    Nothing,
    Login,
    Project,
    Limits,
    There,
}

/// What is known of the server.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) asked: Asked,
    pub(super) api: Address,
    pub(super) log: Log,
    /// How large a request may be, in bytes.
    pub(super) max_bytes: usize,
    /// What is there already.
    pub(super) there: There,
}

impl Known {
    /// Returns what is known before anything was asked.
    pub(super) fn of(place: &Place) -> Known {
        let log = match &place.target {
            // Its name stands for it until its id is known.
            Target::ProjectName(it) | Target::ProjectId(it) => Log::Project(it.clone()),
            Target::Experiment(id) => Log::Experiment(id.clone()),
        };
        Known {
            asked: Asked::Nothing,
            api: place.api.clone().unwrap_or_else(|| Address::unchecked(API)),
            log,
            max_bytes: wire::MAX_BYTES,
            there: There::default(),
        }
    }
}

impl Place {
    /// Returns the headers that say who we are.
    fn headers(&self) -> Vec<Header> {
        let key = self.key.expose();
        let mut headers =
            vec![Header::secret("Authorization", Secret::new(format!("Bearer {key}")))];
        headers.extend(self.org.as_ref().map(|org| Header::new("x-bt-org-name", org.clone())));
        headers
    }

    fn get(&self, url: Address) -> Request {
        Request { method: Method::Get, url, headers: self.headers(), body: Vec::new() }
    }

    pub(super) fn post(&self, url: Address, body: &Value) -> Request {
        let mut headers = self.headers();
        headers.push(Header::new("Content-Type", "application/json"));
        Request { method: Method::Post, url, headers, body: body.to_string().into_bytes() }
    }

    pub(super) fn ask_login(&self) -> Request {
        self.post(self.app.join("/api/apikey/login"), &json!({}))
    }

    /// Asks for a project; makes it, if there is none of the name.
    fn ask_project(&self, api: &Address, name: &str) -> Request {
        let mut body = json!({ "name": name });
        if let Some(org) = &self.org {
            body["org_name"] = json!(org);
        }
        self.post(api.join("/v1/project"), &body)
    }

    /// Asks for a project, and makes none.
    pub(super) fn look_for_project(&self, api: &Address) -> Request {
        let query = match &self.target {
            Target::ProjectName(name) => {
                format!("/v1/project?limit=1&project_name={}", escaped(name))
            }
            Target::ProjectId(id) => format!("/v1/project/{}", escaped(id)),
            Target::Experiment(id) => format!("/v1/experiment/{}", escaped(id)),
        };
        self.get(api.join(&query))
    }

    /// Reads the answer to that.
    pub(super) fn found_project(&self, answer: &Response) -> Probed {
        let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let Some(body) = body.filter(Value::is_object) else { return Probed::WrongPath };
        match &self.target {
            Target::ProjectName(name) if body["objects"].as_array().is_some_and(Vec::is_empty) => {
                Probed::Good(Some(format!("the project `{name}` will be made")))
            }
            _ => Probed::Good(None),
        }
    }

    pub(super) fn ask_limits(&self, api: &Address) -> Request {
        self.get(api.join("/version"))
    }

    /// Returns the routes: one for rows that are new, one for those that are
    /// there and may hold more than we know.
    pub(super) fn routes(&self, known: &Known) -> Vec<Route> {
        let route = |name, merge| Route {
            name,
            method: Method::Post,
            url: known.api.join("/logs3"),
            headers: self.headers(),
            content_type: "application/json".into(),
            framing: wire::framing(&known.log, merge),
            compressions: &[],
            limits: wire::limits(known.max_bytes),
            in_order: false,
            tells_sizes: false,
        };
        vec![route("rows", false), route("merges", true)]
    }
}

impl Braintrust {
    /// Takes in the answer to the last question, and asks the next one.
    pub(super) fn next_question(
        &mut self,
        answer: Option<&Response>,
    ) -> Result<Preflight, ConfigError> {
        match (answer, self.known.asked) {
            (None, _) | (_, Asked::Nothing) => {
                self.known = Known::of(&self.place);
                if self.place.api.is_none() {
                    return Ok(self.ask(Asked::Login, self.place.ask_login()));
                }
            }
            (Some(answer), Asked::Login) => self.known.api = self.api_of(answer)?,
            (Some(answer), Asked::Project) => {
                let id = project_in(answer).ok_or_else(|| refused("the project", answer))?;
                self.known.log = Log::Project(id);
                return Ok(self.ask(Asked::Limits, self.place.ask_limits(&self.known.api)));
            }
            (Some(answer), Asked::Limits) => {
                self.known.max_bytes = limit_in(answer)?;
                self.contract.routes = self.place.routes(&self.known);
                return Ok(self.ask_what_is_there(None));
            }
            (Some(answer), Asked::There) => return Ok(self.ask_what_is_there(Some(answer))),
        }
        if let Target::ProjectName(name) = &self.place.target {
            let request = self.place.ask_project(&self.known.api, name);
            return Ok(self.ask(Asked::Project, request));
        }
        Ok(self.ask(Asked::Limits, self.place.ask_limits(&self.known.api)))
    }

    fn ask_what_is_there(&mut self, answer: Option<&Response>) -> Preflight {
        let Known { api, log, there, .. } = &mut self.known;
        match there.next_question(&self.place, api, log, answer) {
            Some(request) => self.ask(Asked::There, request),
            None => Preflight::Ready,
        }
    }

    fn ask(&mut self, what: Asked, request: Request) -> Preflight {
        self.known.asked = what;
        Preflight::Ask(request)
    }

    /// Reads the answer to a login, for `doctor`.
    pub(super) fn probed_login(&self, answer: &Response) -> Probed {
        match self.api_of(answer) {
            Ok(api) => Probed::Good(Some(format!("the API is at {}", api.place()))),
            Err(_) => Probed::Failed,
        }
    }

    /// Reads where the organisation's rows are taken.
    fn api_of(&self, answer: &Response) -> Result<Address, ConfigError> {
        if answer.status != 200 {
            return Err(refused("the key", answer));
        }
        let login: Login =
            serde_json::from_slice(&answer.body).map_err(|_| refused("the key", answer))?;
        let names = || {
            let names = login.org_info.iter().map(|org| format!("`{}`", org.name));
            names.collect::<Vec<_>>().join(", ")
        };
        let org = match (&self.place.org, login.org_info.as_slice()) {
            (Some(name), orgs) => orgs.iter().find(|org| org.name == *name).ok_or_else(|| {
                ConfigError::new(format!("the key is not for the organisation `{name}`"))
                    .hint(format!("it is for {}", names()))
            })?,
            (None, [org]) => org,
            (None, _) => {
                return Err(ConfigError::new(format!(
                    "the key is for several organisations: {}",
                    names()
                ))
                .hint("set `BRAINTRUST_ORG_NAME`"));
            }
        };
        let url = org.api_url.as_deref().filter(|url| !url.is_empty()).unwrap_or(API);
        let api = Address::parse(url)?;
        // Who lets us in over a safe way does not send the key over another one.
        let is_safe =
            |address: &Address| address.expose().to_ascii_lowercase().starts_with("https:");
        if is_safe(&self.place.app) && !is_safe(&api) {
            return Err(ConfigError::new(format!(
                "the service names an address without TLS: {api}"
            )));
        }
        Ok(Address::unchecked(api.expose().trim_end_matches('/')))
    }
}

fn refused(what: &str, answer: &Response) -> ConfigError {
    let hint = match answer.status {
        401 | 403 => "look at `BRAINTRUST_API_KEY` and `BRAINTRUST_ORG_NAME`",
        _ => {
            "look at `BRAINTRUST_API_URL`: it is the address of the API, like https://api.braintrust.dev"
        }
    };
    ConfigError::new(format!("Braintrust refuses {what}: {}", answer.reason())).hint(hint)
}

#[derive(Deserialize)]
struct Login {
    #[serde(default)]
    org_info: Vec<Org>,
}

#[derive(Deserialize)]
struct Org {
    name: String,
    api_url: Option<String>,
}

/// Returns the id in the answer to the question for a project.
fn project_in(answer: &Response) -> Option<String> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let id = body.get("id").or_else(|| body.pointer("/project/id"))?.as_str()?;
    Some(id.to_owned()).filter(|id| (200..300).contains(&answer.status) && !id.is_empty())
}

/// Returns how large a request may be. Older servers do not say.
fn limit_in(answer: &Response) -> Result<usize, ConfigError> {
    if matches!(answer.status, 401 | 403) || answer.is_page() {
        return Err(refused("the question for its limits", answer));
    }
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let bytes = body.as_ref().and_then(|body| body.get("logs3_payload_max_bytes")?.as_u64());
    let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(wire::MAX_BYTES);
    Ok(bytes.clamp(LEAST_BYTES, MOST_BYTES))
}

/// Percent-encodes what stands for something else in an address.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
