//! What the service is asked, and what its answers mean.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::address::percent_encoded;
use crate::body::Body;
use crate::braintrust::Braintrust;
use crate::braintrust::config::{Place, Target};
use crate::braintrust::there::There;
use crate::braintrust::wire::{self, Log};
use crate::request::{Header, Method, Request, Response};
use crate::secret::Secret;
use crate::{Address, ConfigError, Inquiry, Learned, Probed, Question, Route};

/// Where the hosted service takes rows, as long as nobody has been asked.
const API: &str = "https://api.braintrust.dev";

/// The largest request that is ever made, whatever a server says, in bytes.
const MOST_BYTES: usize = 64 << 20;

/// The smallest that makes sense.
const LEAST_BYTES: usize = 64 << 10;

/// What is known of the server.
#[derive(Clone, Debug)]
pub(super) struct Known {
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
        Request { method: Method::Get, url, headers: self.headers(), body: Body::default() }
    }

    pub(super) fn post(&self, url: Address, body: &Value) -> Request {
        let mut headers = self.headers();
        headers.push(Header::new("Content-Type", "application/json"));
        Request { method: Method::Post, url, headers, body: body.to_string().into_bytes().into() }
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
                format!("/v1/project?limit=1&project_name={}", percent_encoded(name.as_bytes()))
            }
            Target::ProjectId(id) => format!("/v1/project/{}", percent_encoded(id.as_bytes())),
            Target::Experiment(id) => format!("/v1/experiment/{}", percent_encoded(id.as_bytes())),
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

/// What the service is asked before anything is sent to it.
pub(super) struct Asking {
    known: Braintrust,
    about: About,
}

/// What a question is about.
#[derive(Clone, Copy, Debug)]
enum About {
    /// Where the API is.
    Login,
    /// The project, by its name.
    Project,
    /// How large a request may be.
    Limits,
    /// What is there already.
    There,
}

impl Asking {
    /// Asks the first question, knowing nothing.
    pub(super) fn begin(exporter: &Braintrust) -> Question {
        let known = Known::of(&exporter.place);
        let known = Braintrust { known, ..exporter.clone() };
        let has_api = known.place.api.is_some();
        let asking = Box::new(Asking { known, about: About::Login });
        if has_api {
            return asking.ask_for_place();
        }
        let request = asking.known.place.ask_login();
        asking.question(About::Login, request)
    }

    fn question(mut self: Box<Self>, about: About, request: Request) -> Question {
        self.about = about;
        Question { request, inquiry: self }
    }

    /// Asks for the project if its id is not known, else for the limits.
    fn ask_for_place(self: Box<Self>) -> Question {
        let Braintrust { place, known, .. } = &self.known;
        let Target::ProjectName(name) = &place.target else { return self.ask_limits() };
        let request = place.ask_project(&known.api, name);
        self.question(About::Project, request)
    }

    fn ask_limits(self: Box<Self>) -> Question {
        let request = self.known.place.ask_limits(&self.known.known.api);
        self.question(About::Limits, request)
    }

    fn ask_what_is_there(mut self: Box<Self>, answer: Option<&Response>) -> Learned {
        let Braintrust { place, known: Known { api, log, there, .. }, .. } = &mut self.known;
        match there.next_question(place, api, log, answer) {
            Some(request) => Learned::More(self.question(About::There, request)),
            None => Learned::All(Box::new(self.known)),
        }
    }
}

impl Inquiry for Asking {
    fn learn(mut self: Box<Self>, answer: &Response) -> Result<Learned, ConfigError> {
        let Braintrust { place, known, contract, .. } = &mut self.known;
        Ok(match self.about {
            About::Login => {
                known.api = place.api_of(answer)?;
                Learned::More(self.ask_for_place())
            }
            About::Project => {
                let id = project_in(answer).ok_or_else(|| refused("the project", answer))?;
                known.log = Log::Project(id);
                Learned::More(self.ask_limits())
            }
            About::Limits => {
                known.max_bytes = limit_in(answer)?;
                contract.routes = place.routes(known);
                self.ask_what_is_there(None)
            }
            About::There => self.ask_what_is_there(Some(answer)),
        })
    }
}

impl Place {
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
        let org = match (&self.org, login.org_info.as_slice()) {
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
        if is_safe(&self.app) && !is_safe(&api) {
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
