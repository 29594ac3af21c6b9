//! Where the settings of an OTLP receiver come from, in this order: flags,
//! `codex-trace.toml`, the variables that every OTLP exporter has, the `[otel]`
//! table of Codex' own `config.toml`, the default address of a collector.
//!
//! Timeout and certificates are those of the HTTP client.

use std::collections::BTreeMap;

use codex_rollout::JsonText;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::proto::Resource;
use super::spans::Scene;
use super::{Amount, Attributes, Encoding, LlmInput, Options, Otlp, Semconv};
use crate::exporters::{ConfigError, Exporter, Settings};
use crate::transport::{Compression, Header, Secret};

/// By which Phoenix tells projects apart.
pub(super) const PHOENIX_PROJECT: &str = "openinference.project.name";

/// Where requests go, and how.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: String,
    pub(super) headers: Vec<Header>,
    pub(super) encoding: Encoding,
    pub(super) compressions: &'static [Compression],
    /// Whether it is the receiver of Codex' own telemetry.
    pub(super) is_live: bool,
}

/// Makes an exporter of settings.
pub(super) fn connect(settings: &Settings) -> Result<Vec<Box<dyn Exporter>>, ConfigError> {
    let codex = codex_otel(settings)?;
    let mut target = target(settings, &codex)?;
    let mut options = options(settings, &codex)?;
    // Who sends to the receiver of the live telemetry has said there whether
    // prompts may go to it.
    options.amount.prompts = !target.is_live || codex.log_user_prompt;
    if let Some(headers) = settings.options.get("headers") {
        target.headers = headers_of("headers", headers)?;
    }
    Ok(vec![Box::new(Otlp::new(target, options))])
}

fn target(settings: &Settings, codex: &OtelTable) -> Result<Target, ConfigError> {
    let var = |name: &str| {
        settings
            .var(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"))
            .or_else(|| settings.var(&format!("OTEL_EXPORTER_OTLP_{name}")))
    };
    let whole = settings.var("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").map(str::to_owned);
    let base = || settings.var("OTEL_EXPORTER_OTLP_ENDPOINT").map(traces_url);
    let named = settings.endpoint.as_deref().map(traces_url).or(whole).or_else(base);
    let live = match named {
        Some(_) => None,
        None => codex.receiver()?,
    };
    let mut headers = match var("HEADERS") {
        Some(text) => headers_of("OTEL_EXPORTER_OTLP_HEADERS", text)?,
        None => Vec::new(),
    };
    let protocol = settings.options.get("protocol").map(String::as_str).or(var("PROTOCOL"));
    let mut encoding = protocol.map(encoding_of).transpose()?;
    if let Some(live) = &live {
        headers.extend(
            live.headers
                .iter()
                .map(|(name, value)| Header::secret(name.clone(), Secret::new(value.clone()))),
        );
        encoding = encoding.or(Some(live.encoding()));
    }
    let is_live = live.is_some();
    let url = named.or(live.map(|it| it.endpoint));
    let compression = settings.options.get("compression").map(String::as_str);
    Ok(Target {
        url: url.unwrap_or_else(|| traces_url("http://localhost:4318")),
        headers,
        encoding: encoding.unwrap_or_default(),
        is_live,
        compressions: match compression.or(var("COMPRESSION")) {
            None | Some("gzip") => &[Compression::Gzip],
            Some("none") => &[],
            Some(other) => {
                return Err(ConfigError::new(format!("`{other}` is no compression of OTLP"))
                    .hint("say `gzip` or `none`"));
            }
        },
    })
}

fn options(settings: &Settings, codex: &OtelTable) -> Result<Options, ConfigError> {
    let semconv = match settings.options.get("semconv") {
        None => Semconv::default(),
        Some(word) => Semconv::from_word(word).ok_or_else(|| {
            ConfigError::new(format!("`{word}` is no set of conventions"))
                .hint("say `genai` or `openinference`")
        })?,
    };
    let mut resource = Vec::new();
    if let Some(environment) = &codex.environment {
        resource.push(("env".to_owned(), environment.clone()));
    }
    if let Some(pairs) = settings.var("OTEL_RESOURCE_ATTRIBUTES") {
        resource.extend(pairs_of("OTEL_RESOURCE_ATTRIBUTES", pairs)?);
    }
    if let Some(name) = settings.var("OTEL_SERVICE_NAME") {
        resource.push(("service.name".to_owned(), name.to_owned()));
    }
    if let Some(project) = &settings.project {
        resource.push((PHOENIX_PROJECT.to_owned(), project.clone()));
    }
    Ok(Options { semconv, amount: amount(settings)?, resource })
}

/// Reads how much content to send.
pub(in crate::exporters) fn amount(settings: &Settings) -> Result<Amount, ConfigError> {
    let mut amount = Amount::default();
    if let Some(word) = settings.options.get("llm-input") {
        amount.llm_input = LlmInput::from_word(word).ok_or_else(|| {
            ConfigError::new(format!("`{word}` is no amount of history"))
                .hint("say `full`, `turn`, `delta` or `none`")
        })?;
    }
    for (name, bytes) in
        [("llm-input-bytes", &mut amount.llm_input_bytes), ("field-bytes", &mut amount.field_bytes)]
    {
        if let Some(text) = settings.options.get(name) {
            *bytes = text
                .parse()
                .map_err(|_| ConfigError::new(format!("`{name}` is no number: `{text}`")))?;
        }
    }
    Ok(amount)
}

/// Returns the attributes of the resource: Codex' own, with what was asked for
/// in their place.
pub(super) fn resource(scene: &Scene<'_, '_>, asked: &[(String, String)]) -> Resource {
    let meta = &scene.trace.root().meta;
    let label = |text: Option<JsonText<'_>>| {
        let text = scene.rules.decoded(crate::content::Part::Label, text?)?;
        Some(text.into_owned())
    };
    let originator = label(meta.originator).unwrap_or_else(|| "codex".to_owned());
    let mut all = BTreeMap::new();
    all.insert("service.name".to_owned(), service_name(&originator).to_owned());
    if let Some(version) = label(meta.cli_version) {
        all.insert("service.version".to_owned(), version);
    }
    all.extend(asked.iter().cloned());
    let mut attributes = Attributes::default();
    for (key, value) in &all {
        attributes.word(key, value);
    }
    Resource { attributes: attributes.0 }
}

/// Codex' telemetry names its service before the terminal client gives itself
/// another name, so it differs from what the rollout says.
fn service_name(originator: &str) -> &str {
    match originator {
        "codex-tui" => "codex_cli_rs",
        other => other,
    }
}

/// Appends the path for traces, unless it is there.
fn traces_url(base: &str) -> String {
    let base = base.trim_end_matches('/');
    if base.ends_with("/v1/traces") { base.to_owned() } else { format!("{base}/v1/traces") }
}

fn encoding_of(protocol: &str) -> Result<Encoding, ConfigError> {
    match protocol {
        "http/protobuf" | "binary" => Ok(Encoding::Proto),
        "http/json" | "json" => Ok(Encoding::Json),
        "grpc" => Err(ConfigError::new("OTLP over gRPC is not spoken here")
            .hint("give the receiver's HTTP address, mostly on port 4318, and `http/protobuf`")),
        other => Err(ConfigError::new(format!("`{other}` is no protocol of OTLP"))
            .hint("say `http/protobuf` or `http/json`")),
    }
}

/// Reads headers in the form of OTLP's variables: `name=value,name=value`, values
/// percent-encoded. All values are taken for secrets.
pub(in crate::exporters) fn headers_of(what: &str, text: &str) -> Result<Vec<Header>, ConfigError> {
    let pairs = pairs_of(what, text)?.into_iter();
    Ok(pairs.map(|(name, value)| Header::secret(name, Secret::new(value))).collect())
}

fn pairs_of(what: &str, text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok((name.trim().to_owned(), percent_decoded(value.trim())))
            }
            _ => Err(ConfigError::new(format!("`{what}` is not of the form k=v,k=v"))),
        })
        .collect()
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let pair = after.get(..2).and_then(|it| std::str::from_utf8(it).ok());
        let byte = pair.and_then(|it| u8::from_str_radix(it, 16).ok()).filter(|_| *first == b'%');
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The `[otel]` table of Codex' `config.toml`.
#[derive(Debug, Default, Deserialize)]
struct OtelTable {
    environment: Option<String>,
    #[serde(default)]
    log_user_prompt: bool,
    exporter: Option<LiveExporter>,
    trace_exporter: Option<LiveExporter>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LiveExporter {
    None,
    #[serde(rename = "statsig")]
    OpenAi,
    OtlpHttp(LiveReceiver),
    OtlpGrpc(IgnoredAny),
}

#[derive(Clone, Debug, Deserialize)]
struct LiveReceiver {
    /// The whole address: Codex appends nothing.
    endpoint: String,
    protocol: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

impl LiveReceiver {
    fn encoding(&self) -> Encoding {
        match self.protocol.as_deref() {
            Some("json") => Encoding::Json,
            _ => Encoding::Proto,
        }
    }
}

impl OtelTable {
    /// Returns where the live telemetry goes, if over HTTP. Logs alone say where
    /// the receiver is, but their address is another one.
    fn receiver(&self) -> Result<Option<LiveReceiver>, ConfigError> {
        let live = match (&self.trace_exporter, &self.exporter) {
            (Some(LiveExporter::OtlpHttp(it)), _) => it.clone(),
            (None, Some(LiveExporter::OtlpHttp(it))) => LiveReceiver {
                endpoint: it.endpoint.replace("/v1/logs", "/v1/traces"),
                ..it.clone()
            },
            (Some(LiveExporter::OtlpGrpc(_)), _) | (None, Some(LiveExporter::OtlpGrpc(_))) => {
                return Err(ConfigError::new("Codex' config.toml names an OTLP/gRPC receiver")
                    .hint("give its HTTP address with --endpoint, mostly on port 4318"));
            }
            _ => return Ok(None),
        };
        Ok(Some(live))
    }
}

fn codex_otel(settings: &Settings) -> Result<OtelTable, ConfigError> {
    #[derive(Default, Deserialize)]
    struct Config {
        #[serde(default)]
        otel: OtelTable,
    }
    let Some(path) = settings.codex_home.as_ref().map(|home| home.join("config.toml")) else {
        return Ok(OtelTable::default());
    };
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(OtelTable::default()) };
    let config: Config = toml::from_str(&text).map_err(|err| {
        ConfigError::new(format!("`{}`: {}", path.display(), err.message()))
            .hint("name the receiver with --endpoint")
    })?;
    Ok(config.otel)
}
