//! Where rows go and what lets us in: flags and `codex-trace.toml`, then the
//! variables of Braintrust, then what `bt` and the older plugin are set up with.

use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::braintrust::layer::{self, Layer, Route};
use crate::braintrust::options::{CA_CERT, INPUT, INPUT_BYTES};
use crate::braintrust::rows::Form;
use crate::choice::Choice;
use crate::client::{SaidClient, TimeUnit};
use crate::describe::Description;
use crate::key;
use crate::options::common;
use crate::origin::NamedPlaces;
use crate::otlp::LlmInput;
use crate::request::ClientOptions;
use crate::secret::Secret;
use crate::{Address, ConfigError, Remark, Said, Settings};

/// Where the hosted service lets people in.
const APP: &str = "https://www.braintrust.dev";

/// The project of those who name none, as the vendor's tracers have it.
const PROJECT: &str = "codex";

/// The most that one model call is given unless told otherwise, in bytes.
const MAX_INPUT: usize = 16 << 20;

/// What was found.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) place: Place,
    pub(super) form: Form,
    pub(super) client: ClientOptions,
    pub(super) remarks: Vec<Remark>,
}

/// A place to upload to.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Where rows are taken; where nobody says, the service is asked.
    pub(super) api: Option<Address>,
    /// Where people are let in.
    pub(super) app: Address,
    pub(super) key: Secret,
    pub(super) org: Option<String>,
    pub(super) target: Target,
    pub(super) parent: Option<Parent>,
}

/// What rows become part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A project's logs, by the project's name: made if there is none.
    ProjectName(String),
    /// A project's logs, by the project's id.
    ProjectId(String),
    /// An experiment, by its id.
    Experiment(String),
}

/// A span that sessions hang under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) span_id: String,
    pub(super) root_span_id: String,
}

impl Target {
    fn shown(&self) -> String {
        match self {
            Target::ProjectName(name) => name.clone(),
            Target::ProjectId(id) => format!("id {id}"),
            Target::Experiment(id) => format!("experiment {id}"),
        }
    }
}

impl Place {
    /// Returns what the ledger calls it.
    pub(super) fn name(&self) -> String {
        let server = self.api.as_ref().unwrap_or(&self.app).place();
        let org = self.org.as_ref().map_or_else(String::new, |org| format!(" {org}"));
        let below = self.parent.as_ref().map(|it| format!(" below {}", it.span_id));
        format!("braintrust {server}{org}#{}{}", self.target.shown(), below.unwrap_or_default())
    }
}

impl Config {
    /// Reads everything, and notes what there is.
    ///
    /// # Errors
    ///
    /// If something that was said cannot be meant, or nothing lets us in.
    pub(super) fn read(
        settings: &Settings,
        found: &mut Description,
    ) -> Result<Config, ConfigError> {
        // What is no pair of key and value is an error; the layers take the rest.
        settings.metadata()?;
        let layers = layer::read(settings, found);
        let form = form(settings, &layers, found);
        let client = client(settings, found)?;
        let place = place(settings, &layers, found)?;
        let project = match &place.target {
            Target::ProjectName(name) => Some(name.clone()),
            _ => None,
        };
        let form = Form { project, ..form };
        Ok(Config { place, form, client, remarks: std::mem::take(&mut found.remarks) })
    }
}

/// Returns the strongest of what several layers say.
fn strongest<T: Clone>(
    layers: &[Layer],
    of: impl Fn(&Layer) -> Option<&Said<T>>,
) -> Option<Said<T>> {
    layers.iter().find_map(of).cloned()
}

fn place(
    settings: &Settings,
    layers: &[Layer],
    found: &mut Description,
) -> Result<Place, ConfigError> {
    let mut named = NamedPlaces::default();
    for layer in layers {
        named.push(layer.api.clone().or_else(|| layer.app.clone()));
    }
    let api = strongest(layers, |layer| layer.api.as_ref());
    let app = strongest(layers, |layer| layer.app.as_ref());
    let app = app.unwrap_or_else(|| Said::by_default(APP.to_owned()));
    let to = api.clone().unwrap_or_else(|| app.clone());
    let show = |url: &String| Address::unchecked(url).to_string();
    found.take("api url", api.clone(), show);
    if api.is_none() {
        found.take("app url", Some(app.clone()), show);
    }
    let org = found.text("organisation", strongest(layers, |layer| layer.org.as_ref()));
    let route = strongest(layers, |layer| layer.route.as_ref());
    let route = route.unwrap_or_else(|| {
        let project = Target::ProjectName(PROJECT.to_owned());
        Said::by_default(Route { target: project, parent: None })
    });
    let route = found.take("project", Some(route), |route| {
        let below = route.parent.as_ref().map(|it| format!(", below span {}", it.span_id));
        format!("{}{}", route.target.shown(), below.unwrap_or_default())
    });
    let Route { target, parent } = route.expect("it was there");
    let key = strongest(layers, |layer| layer.key.as_ref()).map(key::clean).transpose()?;
    let key = key.ok_or_else(|| no_key(settings, found))?;
    let from = key.from.clone();
    let key = found.secret("key", Some(key)).expect("it was there");
    let address = |said: &Said<String>| {
        let address = Address::parse(&said.value)?;
        Ok::<_, ConfigError>(Address::unchecked(address.expose().trim_end_matches('/')))
    };
    let place = Place {
        api: api.as_ref().map(address).transpose()?,
        app: address(&app)?,
        key,
        org,
        target,
        parent,
    };
    // Last, so that all else is found.
    named.admit(&from, &to.map(|url| Address::unchecked(&url)))?;
    Ok(place)
}

fn no_key(settings: &Settings, found: &Description) -> ConfigError {
    let mut what = vec!["there is no API key"];
    what.extend(found.problems.iter().map(String::as_str));
    ConfigError::new(what.join("; ")).hint(if settings.own_place {
        "say where it is: `key = { env = \"NAME\" }` in the table of codex-trace.toml that names the endpoint"
    } else {
        "set `BRAINTRUST_API_KEY`, or log in with `bt login`"
    })
}

/// Returns how sessions become rows.
fn form(settings: &Settings, layers: &[Layer], found: &mut Description) -> Form {
    let user = found.text("user", settings.get(&common::USER));
    let mut form = Form {
        user_is_said: user.is_some(),
        llm_input: LlmInput::Full,
        input_bytes: MAX_INPUT,
        // Who uploads a home of somebody else's did not have its sessions.
        username: user.or_else(|| {
            let own = settings.first_var(&["USER", "LOGNAME", "USERNAME"]);
            own.filter(|_| settings.foreign_home.is_none()).map(str::to_owned)
        }),
        ..Form::default()
    };
    let input = settings.get(&INPUT);
    if let Some(input) = found.take(INPUT.name(), input, |it| it.word().to_owned()) {
        form.llm_input = input;
    }
    if let Some(bytes) = found.take(INPUT_BYTES.name(), settings.get(&INPUT_BYTES), u64::to_string)
    {
        form.input_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    let show = |map: &Map<String, Value>| format!("{} keys", map.len());
    let metadata = strongest(layers, |layer| layer.metadata.as_ref());
    form.metadata = found.take("additional metadata", metadata, show).unwrap_or_default();
    let tags = strongest(layers, |layer| layer.tags.as_ref());
    form.tags = found.take("tags", tags, |tags| tags.join(", ")).unwrap_or_default();
    form
}

fn client(settings: &Settings, found: &mut Description) -> Result<ClientOptions, ConfigError> {
    let said = SaidClient {
        ca: settings.var_of(&CA_CERT).map(|said| said.map(PathBuf::from)),
        client_cert: None,
        client_key: None,
        timeout: None,
        unit: TimeUnit::Seconds,
    };
    said.read(settings, found)
}

/// Says what was found, for `doctor`.
pub(super) fn describe(settings: &Settings) -> Description {
    let mut found = Description::default();
    // What fails, fails in `connect` too, and is told there.
    if let Ok(config) = Config::read(settings, &mut found) {
        found.remarks = config.remarks;
    }
    found
}
