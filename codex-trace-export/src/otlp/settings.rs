//! Where the settings of an OTLP receiver come from, in this order: flags,
//! `codex-trace.toml`, the variables that every OTLP exporter has, the `[otel]`
//! table of Codex' own `config.toml`, the default address of a collector.
//!
//! A destination of `codex-trace.toml` with an endpoint of its own is another
//! place than the one that the variables are about: of these it takes only what
//! describes us.

use std::collections::BTreeMap;
use std::path::PathBuf;

use codex_rollout::{JsonText, percent_decoded};

use super::live::{Live, OtelTable, codex_otel};
use super::options::{
    BASE, GRPC_DEFAULT, Place, RESOURCE_ATTRIBUTES, SEMCONV, SERVICE_NAME, TRACES,
};
use super::proto::Resource;
use super::spans::Scene;
use super::{Added, Attributes, Encoding, Otlp, Rendering, Semconv, access};
use crate::choice::Choice;
use crate::client::{SaidClient, TimeUnit};
use crate::codex_otel::service_name;
use crate::describe::Description;
use crate::options::Opt;
use crate::options::common::{METADATA, USER};
use crate::origin::NamedPlaces;
use crate::request::{ClientOptions, Compression, Header, Wire};
use crate::secret::Secret;
use crate::{Address, ConfigError, Exporter, Origin, Said, Settings};

/// By which Phoenix tells projects apart.
pub(super) const PHOENIX_PROJECT: &str = "openinference.project.name";

/// The protocol that is no HTTP/1.1.
pub(crate) const GRPC: &str = "grpc";

/// Where requests go, and how.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) url: Address,
    /// What the ledger calls it.
    pub(crate) place: String,
    pub(crate) headers: Vec<Header>,
    pub(crate) encoding: Encoding,
    pub(crate) compressions: &'static [Compression],
    pub(crate) tenant: Option<String>,
    /// The project.
    pub(crate) project: Option<String>,
    pub(crate) client: ClientOptions,
    /// Whether it is the receiver of Codex' own telemetry.
    pub(crate) is_live: bool,
}

/// Makes an exporter of settings.
pub(super) fn connect(settings: &Settings) -> Result<Vec<Box<dyn Exporter>>, ConfigError> {
    let mut found = Description::default();
    let said = read(settings, &mut found)?;
    let mut otlp =
        Otlp::new(said.target, said.semconv, said.added, said.rendering, settings.preset);
    otlp.remarks = found.remarks;
    Ok(vec![Box::new(otlp)])
}

/// Says what was found, for `doctor`.
pub(super) fn describe(settings: &Settings) -> Description {
    let mut found = Description::default();
    // What fails, fails in `connect` too, and is told there.
    read(settings, &mut found).ok();
    found
}

/// All that was said.
struct Reading {
    target: Target,
    semconv: Semconv,
    added: Added,
    rendering: Rendering,
}

fn read(settings: &Settings, found: &mut Description) -> Result<Reading, ConfigError> {
    let preset = settings.preset;
    let narrowed = preset.map(|preset| preset.narrowed(settings));
    let settings = narrowed.as_ref().unwrap_or(settings);
    let codex = codex_otel(settings)?;
    // The receiver of Codex' own telemetry is no product that was named.
    let live = || if preset.is_some() { None } else { codex.receiver() };
    if preset.is_none() {
        found.remarks.extend(codex.unfollowed.clone());
    }
    let target = target(settings, TRACES, live, found)?;
    let semconv = settings.get(&SEMCONV).or_else(|| Some(Said::by_default(preset?.semconv)));
    let semconv = found.take(SEMCONV.name(), semconv, |it| it.word().to_owned());
    let semconv = semconv.unwrap_or_default();
    let added = added(settings, &codex, found)?;
    let mut rendering = Rendering::read(settings, found);
    // Who sends to the receiver of the live telemetry has said there whether
    // prompts may go to it.
    if target.is_live {
        let said =
            Said::new(codex.log_user_prompt.unwrap_or_default(), codex.origin("log_user_prompt"));
        found.take("log_user_prompt", Some(said), bool::to_string);
    }
    rendering.amount.prompts = !target.is_live || codex.log_user_prompt.unwrap_or_default();
    Ok(Reading { target, semconv, added, rendering })
}

impl Place {
    /// Returns the address that a flag, `codex-trace.toml` or a variable names.
    fn named(&self, settings: &Settings) -> NamedPlaces {
        let whole = settings.var_of(&self.endpoint);
        let base = settings.var_of(&BASE);
        let based = |said: Said<String>| said.map(|url| self.url(settings, &url));
        let mut named = NamedPlaces::default();
        named.push(settings.said_endpoint().map(based));
        let own = settings.preset.and_then(|preset| preset.named(settings));
        named.push(own.map(based).or_else(|| whole.or_else(|| base.map(based))));
        named
    }

    /// Returns where it is if nobody says.
    fn default(&self, settings: &Settings) -> Result<Address, ConfigError> {
        let base = match settings.preset {
            None => self.default,
            Some(preset) => preset.address.ok_or_else(|| {
                ConfigError::new(format!("no address of {} is named", preset.product)).hint(
                    "give `--endpoint URL`, or set OTEL_EXPORTER_OTLP_ENDPOINT as the product's page says",
                )
            })?,
        };
        Ok(Address::unchecked(&self.url(settings, base)))
    }

    /// Appends the path of the signal, unless it is there. What is no address
    /// stays as it is, to be told.
    fn url(&self, settings: &Settings, base: &str) -> String {
        if let Some(preset) = settings.preset {
            return preset.url(base, self.path);
        }
        let Ok(base) = Address::parse(base.trim_end_matches('/')) else { return base.to_owned() };
        let whole = if base.ends_with(self.path) { base } else { base.join(self.path) };
        whole.expose().to_owned()
    }
}

/// Finds where requests of a signal go. `live` is asked for the receiver of
/// Codex' own telemetry if nobody names another place.
pub(crate) fn target(
    settings: &Settings,
    place: &Place,
    live: impl FnOnce() -> Option<Live>,
    found: &mut Description,
) -> Result<Target, ConfigError> {
    let mut named = place.named(settings);
    let live = match named.strongest() {
        Some(_) => None,
        None => live(),
    };
    named.push(live.as_ref().map(|it| it.said(|it| it.endpoint.clone())));
    let of_live =
        live.as_ref().and_then(|it| it.receiver.protocol.clone().map(|text| it.said(|_| text)));
    let protocol = settings.get(&place.protocol);
    let protocol = protocol.or_else(|| settings.var_of(&place.protocol)).or(of_live);
    let spoken = protocol.as_ref().map(|said| Spoken::read(&said.value));
    let wire = match spoken {
        Some(Ok(Spoken::Grpc)) => Wire::Grpc,
        _ => Wire::Http,
    };
    let to = match (named.strongest(), wire, settings.preset) {
        (Some(to), ..) => to,
        (None, Wire::Grpc, None) => Said::by_default(Address::unchecked(GRPC_DEFAULT)),
        (None, ..) => Said::by_default(place.default(settings)?),
    };
    let shown = |to: &Address| match wire {
        Wire::Http => to.to_string(),
        Wire::Grpc => Address::parse(to.expose()).map_or(to.to_string(), |it| it.origin()),
    };
    found.take("endpoint", Some(to.clone()), shown);
    found.text(place.protocol.name(), protocol);
    let encoding = match spoken.transpose()? {
        Some(Spoken::Http(encoding)) => encoding,
        Some(Spoken::Grpc) | None => Encoding::default(),
    };
    let compression = settings.get(&place.compression);
    let compression = compression.map(|said| said.map(|how| how.word().to_owned()));
    let compression = compression.or_else(|| settings.var_of(&place.compression));
    let compression = found.text(place.compression.name(), compression);
    let (mut headers, mut of_headers) = headers(settings, place, live.as_ref(), found)?;
    let access = access::of(settings, found)?;
    access.put(&mut headers);
    of_headers.extend(access.origins);
    let (mut client, of_client) = client(settings, place, live.as_ref(), found)?;
    client.wire = wire;
    // Last, so that all else is found.
    let address = Address::parse(to.value.expose())?;
    let (url, ledger_place) = match wire {
        Wire::Http => (address.clone(), address.place()),
        Wire::Grpc => grpc_address(&address, place)?,
    };
    for from in of_headers.iter().chain(&of_client) {
        named.admit(from, &to)?;
    }
    if of_headers.is_empty() && !settings.has_headers {
        access::check(settings, &to)?;
    }
    Ok(Target {
        url,
        place: ledger_place,
        headers,
        encoding,
        compressions: compressions(compression.as_deref())?,
        tenant: access.tenant,
        project: access.project,
        client,
        is_live: live.is_some(),
    })
}

/// Finds the headers, and where each that may let us in was said.
fn headers(
    settings: &Settings,
    place: &Place,
    live: Option<&Live>,
    found: &mut Description,
) -> Result<(Vec<Header>, Vec<Origin>), ConfigError> {
    let mut headers = Vec::new();
    let mut origins = Vec::new();
    if let Some(said) = settings.var_of(&place.headers) {
        headers = headers_of(&said.from.to_string(), &said.value)?;
        for header in &headers {
            let secret = Secret::new(header.wire_value());
            let secret = Said::new(secret, said.from.clone());
            found.secret(&format!("header {}", header.name), Some(secret));
        }
        origins.push(said.from);
    }
    for (name, value) in live.iter().flat_map(|live| &live.receiver.headers) {
        let secret = value.map(|text| text.trim().to_owned());
        let said = live.map(|it| it.said(|_| secret.clone()));
        origins.extend(said.iter().map(|said| said.from.clone()));
        found.secret(&format!("header {name}"), said);
        headers.push(Header::secret(name.clone(), secret));
    }
    if let Some(live) = live.filter(|it| !it.receiver.headers.is_empty()) {
        found.holds_keys(settings, &live.path);
    }
    Ok((headers, origins))
}

pub(crate) fn compressions(word: Option<&str>) -> Result<&'static [Compression], ConfigError> {
    match word {
        None | Some("gzip" | "auto") => Ok(&[Compression::Gzip]),
        Some("zstd") => Ok(&[Compression::Zstd]),
        Some("none") => Ok(&[]),
        Some(other) => Err(ConfigError::new(format!("`{other}` is not a compression of OTLP"))
            .hint("say `gzip`, `zstd` or `none`")),
    }
}

/// Reads certificates, and how long a request may take; and where a certificate
/// of ours was said.
fn client(
    settings: &Settings,
    place: &Place,
    live: Option<&Live>,
    found: &mut Description,
) -> Result<(ClientOptions, Option<Origin>), ConfigError> {
    let of_live = live.map(Live::tls_files).unwrap_or_default();
    let file = |option: &Opt<PathBuf>, of_live: Option<PathBuf>| {
        let of_live = live.zip(of_live).map(|(live, path)| live.said(|_| path));
        settings.var_of(option).map(|said| said.map(PathBuf::from)).or(of_live)
    };
    let said = SaidClient {
        ca: file(&place.certificate, of_live.ca),
        client_cert: file(&place.client_certificate, of_live.client_cert),
        client_key: file(&place.client_key, of_live.client_key),
        timeout: settings.var_of(&place.timeout),
        unit: TimeUnit::Milliseconds,
    };
    let from = said.key_origin();
    Ok((said.read(settings, found)?, from))
}

/// Reads what the resource of live telemetry says besides Codex' own.
pub(crate) fn resource_attributes(
    settings: &Settings,
    codex: &OtelTable,
    found: &mut Description,
) -> Result<Vec<(String, String)>, ConfigError> {
    let mut resource = Vec::new();
    let environment = codex.environment.clone();
    let environment = environment.map(|it| Said::new(it, codex.origin("environment")));
    if let Some(environment) = found.text("environment", environment) {
        resource.push(("env".to_owned(), environment));
    }
    let pairs = settings.own_var_of(&RESOURCE_ATTRIBUTES);
    if let Some(pairs) = found.text("resource", pairs) {
        resource.extend(pairs_of(RESOURCE_ATTRIBUTES.name(), &pairs)?);
    }
    Ok(resource)
}

/// What the user wants said of every session.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Attributes of the resource.
    pub(crate) metadata: Vec<(String, String)>,
    /// `user.id`, with its value.
    pub(crate) user: Option<(String, String)>,
}

/// Reads `--metadata` and `--user`.
pub(crate) fn asked(settings: &Settings, found: &mut Description) -> Result<Asked, ConfigError> {
    let said = settings.get(&METADATA).map(|said| said.map(|all| all.join(", ")));
    found.text("metadata", said);
    let metadata = settings.metadata()?;
    let user = found.text("user", settings.get(&USER));
    Ok(Asked { metadata, user: user.map(|user| ("user.id".to_owned(), user)) })
}

/// Reads what is said besides Codex' own.
pub(crate) fn added(
    settings: &Settings,
    codex: &OtelTable,
    found: &mut Description,
) -> Result<Added, ConfigError> {
    let mut resource = resource_attributes(settings, codex, found)?;
    if let Some(name) = found.text("service name", settings.own_var_of(&SERVICE_NAME)) {
        resource.push(("service.name".to_owned(), name));
    }
    if let Some(project) = found.text("project", access::project(settings)?) {
        let names = settings.preset.map_or(&[PHOENIX_PROJECT][..], |preset| preset.project);
        resource.extend(names.iter().map(|name| ((*name).to_owned(), project.clone())));
    }
    let Asked { metadata, user } = asked(settings, found)?;
    resource.extend(metadata);
    let spans = Said::new(codex.span_attributes.clone(), codex.origin("span_attributes"));
    let names =
        |all: &BTreeMap<_, _>| all.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let spans = found.take("span attributes", Some(spans).filter(|it| !it.value.is_empty()), names);
    Ok(Added { resource, spans: user.into_iter().chain(spans.into_iter().flatten()).collect() })
}

/// Returns what settings add to traces that go over OTLP to another backend.
pub(crate) fn added_elsewhere(
    settings: &Settings,
    found: &mut Description,
) -> Result<Added, ConfigError> {
    // Where its own telemetry goes, and whether that can be read, is another matter.
    let codex = codex_otel(settings).unwrap_or_default();
    let mut added = added(&Settings { project: None, ..settings.clone() }, &codex, found)?;
    added.resource.retain(|(key, _)| key != "service.name");
    Ok(added)
}

/// Returns the attributes of the resource: Codex' own, with what was asked for
/// in their place.
pub(super) fn resource(scene: &Scene<'_, '_>, asked: &[(String, String)]) -> Resource {
    let meta = &scene.trace.root().meta;
    let label = |text: Option<JsonText<'_>>| {
        let text = scene.rules.decoded(crate::content::Part::Label, text?)?;
        Some(text.into_owned())
    };
    let mut all = BTreeMap::new();
    all.insert("service.name".to_owned(), service_name(scene.trace.root()).to_owned());
    if let Some(version) = label(meta.cli_version) {
        all.insert("service.version".to_owned(), version);
    }
    all.extend(asked.iter().cloned());
    let mut attributes = Attributes::default();
    for (key, value) in all {
        attributes.word(key, &value);
    }
    Resource { attributes: attributes.0 }
}

/// Returns the address of the call that takes a signal, and what the ledger calls
/// the server. A path means nothing to gRPC, whoever wrote it there.
fn grpc_address(address: &Address, place: &Place) -> Result<(Address, String), ConfigError> {
    if address.login().is_some() {
        return Err(ConfigError::new(format!("`{address}`: gRPC takes no name and password"))
            .hint("say them in a header: `OTEL_EXPORTER_OTLP_HEADERS=authorization=Basic%20…`"));
    }
    let origin = Address::unchecked(&address.origin());
    Ok((origin.join(place.call), origin.place()))
}

/// What is spoken to a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoken {
    Http(Encoding),
    Grpc,
}

impl Spoken {
    fn read(protocol: &str) -> Result<Spoken, ConfigError> {
        match protocol {
            GRPC => Ok(Spoken::Grpc),
            other => encoding_of(other).map(Spoken::Http).map_err(|err| {
                ConfigError::new(err.message).hint("say `http/protobuf`, `http/json` or `grpc`")
            }),
        }
    }
}

/// Reads the protocol of a receiver that is spoken to over HTTP.
pub(crate) fn encoding_of(protocol: &str) -> Result<Encoding, ConfigError> {
    match protocol {
        "http/protobuf" | "binary" => Ok(Encoding::Proto),
        "http/json" | "json" => Ok(Encoding::Json),
        GRPC => Err(ConfigError::new("OTLP goes over HTTP to this backend, not over gRPC")
            .hint("say `http/protobuf` or `http/json`")),
        other => Err(ConfigError::new(format!("`{other}` is not a protocol of OTLP"))
            .hint("say `http/protobuf` or `http/json`")),
    }
}

/// Reads headers in the form of OTLP's variables: `name=value,name=value`, values
/// percent-encoded. All values are taken for secrets.
pub(crate) fn headers_of(what: &str, text: &str) -> Result<Vec<Header>, ConfigError> {
    let pairs = pairs_of(what, text)?.into_iter();
    Ok(pairs.map(|(name, value)| Header::secret(name, Secret::new(value))).collect())
}

fn pairs_of(what: &str, text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok((name.trim().to_owned(), percent_decoded_text(value.trim())))
            }
            _ => Err(ConfigError::new(format!("`{what}` is not of the form k=v,k=v"))
                .hint("percent-encode all characters of values that are not letters or digits")),
        })
        .collect()
}

fn percent_decoded_text(text: &str) -> String {
    String::from_utf8_lossy(&percent_decoded(text.as_bytes())).into_owned()
}
