//! Where the settings come from, in this order: flags, `codex-trace.toml`, the
//! environment, the exporter's `config.env`, the credentials file of Logfire's
//! own tools, the region that the token names.

use std::time::Duration;

use crate::choice::Choice as _;
use crate::client::{SaidClient, TimeUnit};
use crate::content::Capture;
use crate::describe::Description;
use crate::logfire::credentials::Credentials;
use crate::logfire::env_file::Variables;
use crate::logfire::limits;
use crate::logfire::options::{
    ADD_MISSING, AUTH_SCHEME, BASE, CAPTURE_MODE, ENCODING, EXPORTER_LIMITS, HEADER_PAIRS,
    PROJECT_LABEL, REGION, SECONDS, SERVICE_NAME, TOKEN,
};
use crate::logfire::place::{Place, is_hosted, region_of};
use crate::options::common::COMPRESSION;
use crate::origin::NamedPlaces;
use crate::otlp::{Encoding, Rendering, place_of_codex, settings as otlp_settings};
use crate::request::{ClientOptions, Header};
use crate::secret::Secret;
use crate::{Address, ConfigError, Origin, Remark, Said, Settings, key};

/// What holds for every project.
#[derive(Clone, Debug)]
pub(super) struct Config {
    /// The most content that may be sent.
    pub(super) capture: Capture,
    /// The service, if not the exporter's own.
    pub(super) service: Option<String>,
    /// What the user calls the project.
    pub(super) project: Option<String>,
    /// Whether turns that the live exporter has sent get what it does not send.
    pub(super) adds_missing: bool,
    /// Whether to keep to what exporter 0.2.0 sends at most.
    pub(super) exporter_limits: bool,
    /// What the user wants said of every session.
    pub(super) asked: otlp_settings::Asked,
}

/// All that was said.
pub(super) struct Reading {
    pub(super) config: Config,
    pub(super) rendering: Rendering,
    /// One for each token.
    pub(super) places: Vec<Place>,
    pub(super) remarks: Vec<Remark>,
}

/// Says what was found, for `doctor`.
pub(super) fn describe(settings: &Settings) -> Description {
    let mut found = Description::default();
    // What fails, fails in `read` too, and is told there.
    read_into(settings, &mut found).ok();
    found
}

/// Reads everything.
///
/// # Errors
///
/// If something is missing or makes no sense.
pub(super) fn read(settings: &Settings) -> Result<Reading, ConfigError> {
    let mut found = Description::default();
    let mut read = read_into(settings, &mut found)?;
    read.remarks = found.remarks;
    Ok(read)
}

fn read_into(settings: &Settings, found: &mut Description) -> Result<Reading, ConfigError> {
    let variables = Variables::read(settings)?;
    let credentials = Credentials::find(settings)?;
    found.remarks.extend(credentials.unfollowed.iter().cloned());
    found.remarks.extend(live_telemetry(settings));
    let project = variables.said(&PROJECT_LABEL);
    let config = Config {
        capture: capture(settings, &variables, found)?,
        service: found.text("service name", variables.said(&SERVICE_NAME)),
        project: found.text("codex.logfire_project", project),
        adds_missing: found.option(&ADD_MISSING, settings).unwrap_or_default(),
        exporter_limits: found.option(&EXPORTER_LIMITS, settings).unwrap_or_default(),
        asked: otlp_settings::asked(settings, found)?,
    };
    let mut rendering = Rendering::read(settings, found);
    if config.exporter_limits {
        // What the exporter does not cut to the byte; a note of ours comes behind.
        rendering.amount.field_bytes = rendering.amount.field_bytes.min(limits::TEXT);
    }
    let places = places(settings, &variables, &credentials, &config, found)?;
    Ok(Reading { config, rendering, places, remarks: Vec::new() })
}

/// Says that exporter 0.2.0 may be at work, which leaves tools and tokens to
/// Codex' own telemetry and keeps no note of what it has sent.
fn live_telemetry(settings: &Settings) -> Option<Remark> {
    let place = place_of_codex(settings).filter(|said| is_hosted(&said.value))?;
    Some(Remark {
        message: format!(
            "Codex' own telemetry goes to Logfire (`{}`): tokens of turns since then are there already",
            place.from
        ),
        hint: Some("`--until DATE` uploads only the turns before".to_owned()),
    })
}

/// Finds how much content may be sent: a flag or a table decides, else the
/// exporter's own setting is the most.
fn capture(
    settings: &Settings,
    variables: &Variables<'_>,
    found: &mut Description,
) -> Result<Capture, ConfigError> {
    let said = variables.said(&CAPTURE_MODE);
    let Some(said) = said.filter(|_| settings.get(&CAPTURE_MODE).is_none()) else {
        return Ok(Capture::Full);
    };
    let word = said.value.to_ascii_lowercase().replace('_', "-");
    let Some(capture) = Capture::from_word(&word) else {
        return Err(ConfigError::new(format!("`{}` cannot be `{}`", said.from, said.value))
            .hint("it is `full`, `no_tool_content` or `metadata_only`"));
    };
    found.text("content capture mode", Some(said));
    Ok(capture)
}

/// What all projects have in common.
struct Way {
    to: Option<Said<Address>>,
    named: NamedPlaces,
    encoding: Encoding,
    scheme: Option<String>,
    extra: Vec<Header>,
    client: ClientOptions,
}

fn places(
    settings: &Settings,
    variables: &Variables<'_>,
    credentials: &Credentials,
    config: &Config,
    found: &mut Description,
) -> Result<Vec<Place>, ConfigError> {
    let way = way(settings, variables, credentials, found)?;
    let tokens = tokens(settings, variables, credentials, found)?;
    let named = settings.said_project().or_else(|| credentials.project());
    let named = found.text("project", named);
    let called = named.clone().or_else(|| config.project.clone());
    let compression = settings.get(&COMPRESSION).map(|said| said.value.word());
    let region = variables.said(&REGION);
    let region = found.text("region", region.filter(|_| way.to.is_none()));
    let of = |token: Option<&Said<Secret>>| {
        let by_token = || region_of(token.map(|it| it.value.expose()), region.as_deref());
        let to = way.to.clone().unwrap_or_else(|| Said::by_default(by_token()));
        Address::parse(to.value.expose())?;
        if let Some(token) = token {
            way.named.admit(&token.from, &to)?;
        }
        // Without a name it is the token that tells one project from another.
        let alone = tokens.len() < 2;
        let place = Place {
            url: to.value,
            encoding: way.encoding,
            compressions: otlp_settings::compressions(compression)?,
            headers: headers(token, &way),
            token: token.map(|it| it.value.clone()),
            called: called.clone().filter(|_| alone),
            expected: settings.said_project().map(|said| said.value).filter(|_| alone),
            client: way.client.clone(),
        };
        if place.token.is_none() && place.is_hosted() && !place.has_access() {
            return Err(no_token(settings));
        }
        Ok(place)
    };
    let places: Vec<Place> = match &tokens[..] {
        [] => vec![of(None)?],
        tokens => tokens.iter().map(|token| of(Some(token))).collect::<Result<_, _>>()?,
    };
    if way.to.is_none() {
        for place in &places {
            found.take("endpoint", Some(Said::by_default(place.url.clone())), Address::to_string);
        }
    }
    Ok(places)
}

fn no_token(settings: &Settings) -> ConfigError {
    ConfigError::new("there is no write token").hint(if settings.own_place {
        "say where it is: `key = { env = \"NAME\" }` in the table of codex-trace.toml that names the endpoint"
    } else {
        "set LOGFIRE_TOKEN, or write it into the exporter's config.env"
    })
}

fn way(
    settings: &Settings,
    variables: &Variables<'_>,
    credentials: &Credentials,
    found: &mut Description,
) -> Result<Way, ConfigError> {
    let whole = |said: Said<String>| said.map(|url| traces_url(&url));
    let mut named = NamedPlaces::default();
    named.push(settings.said_endpoint().map(whole));
    named.push(variables.of_place(&BASE).map(whole));
    named.push(credentials.url().map(whole));
    let to = named.strongest();
    found.take("endpoint", to.clone(), Address::to_string);
    let protocol = found.option(&ENCODING, settings);
    let encoding = protocol.map(|text| otlp_settings::encoding_of(&text)).transpose()?;
    let scheme = variables.of_place(&AUTH_SCHEME);
    let scheme = found.text("auth scheme", scheme);
    let said = variables.of_place(&HEADER_PAIRS);
    let extra = said.as_ref().map(extra_headers).unwrap_or_default();
    for header in &extra {
        let from = said.as_ref().map_or_else(Origin::default_value, |said| said.from.clone());
        let secret = Said::new(Secret::new(header.wire_value()), from);
        found.secret(&format!("header {}", header.name), Some(secret));
    }
    if let (Some(said), Some(to)) = (&said, &to) {
        named.admit(&said.from, to)?;
    }
    let client = client(settings, variables, found)?;
    Ok(Way { to, named, encoding: encoding.unwrap_or_default(), scheme, extra, client })
}

/// Reads how long a request may take: seconds, perhaps with a fraction.
fn client(
    settings: &Settings,
    variables: &Variables<'_>,
    found: &mut Description,
) -> Result<ClientOptions, ConfigError> {
    let timeout = variables.said(&SECONDS).map(|said| {
        let seconds = said.value.parse().ok().and_then(|it| Duration::try_from_secs_f64(it).ok());
        said.map(|text| {
            let whole = |it: Duration| it.as_secs() + u64::from(it.subsec_nanos() > 0);
            seconds.map_or(text, |it| whole(it).to_string())
        })
    });
    let said = SaidClient {
        ca: None,
        client_cert: None,
        client_key: None,
        timeout,
        unit: TimeUnit::Seconds,
    };
    said.read(settings, found)
}

/// Finds the write tokens; several stand for several projects.
fn tokens(
    settings: &Settings,
    variables: &Variables<'_>,
    credentials: &Credentials,
    found: &mut Description,
) -> Result<Vec<Said<Secret>>, ConfigError> {
    let variable = || variables.of_place(&TOKEN);
    let said = settings.said_key().or_else(|| variable().map(|said| said.map(Secret::new)));
    let Some(said) = said.or_else(|| credentials.token()) else { return Ok(Vec::new()) };
    let files = [variables.file(), credentials.file()];
    for path in files.into_iter().flatten() {
        if said.from.to_string().starts_with(&*path.to_string_lossy()) {
            found.holds_keys(settings, path);
        }
    }
    let parts = said.value.expose().split(',').map(str::trim).filter(|part| !part.is_empty());
    let tokens: Result<Vec<_>, _> =
        parts.map(|part| key::clean(Said::new(Secret::new(part), said.from.clone()))).collect();
    let tokens = tokens?;
    for token in &tokens {
        found.secret("token", Some(token.clone()));
    }
    Ok(tokens)
}

/// Makes the headers of a request. What the user says of headers comes last, as
/// in the exporter.
fn headers(token: Option<&Said<Secret>>, way: &Way) -> Vec<Header> {
    let mut headers =
        vec![Header::new("User-Agent", concat!("codex-trace/", env!("CARGO_PKG_VERSION")))];
    let access = token.map(|token| {
        token.value.map(|text| match way.scheme.as_deref() {
            None => text.to_owned(),
            Some(raw) if ["none", "raw"].contains(&&*raw.to_ascii_lowercase()) => text.to_owned(),
            Some(scheme) => {
                let start = format!("{scheme} ").to_ascii_lowercase();
                let has_scheme = text.to_ascii_lowercase().starts_with(&start);
                if has_scheme { text.to_owned() } else { format!("{scheme} {text}") }
            }
        })
    });
    headers.extend(access.map(|access| Header::secret("Authorization", access)));
    for header in &way.extra {
        headers.retain(|it| !it.name.eq_ignore_ascii_case(&header.name));
        headers.push(header.clone());
    }
    headers
}

/// Reads `k=v,k=v` as the exporter does: what has no `=` is passed over, values
/// are taken as they are. All of them are taken for secrets.
fn extra_headers(said: &Said<String>) -> Vec<Header> {
    let pairs = said.value.split(',').filter_map(|part| part.split_once('='));
    let pairs = pairs.map(|(name, value)| (name.trim(), value.trim()));
    let pairs = pairs.filter(|(name, value)| !name.is_empty() && !value.is_empty());
    pairs.map(|(name, value)| Header::secret(name.to_owned(), Secret::new(value))).collect()
}

/// Appends the path for traces, or what is missing of it.
fn traces_url(base: &str) -> String {
    let base = base.trim();
    let Ok(address) = Address::parse(base.trim_end_matches('/')) else { return base.to_owned() };
    let whole = if address.ends_with("/v1/traces") {
        address
    } else if address.ends_with("/v1") {
        address.join("/traces")
    } else {
        address.join("/v1/traces")
    };
    whole.expose().to_owned()
}

#[cfg(test)]
mod tests;
