//! The `[otel]` table of Codex' `config.toml`: where its own telemetry goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::request;
use crate::secret::Secret;
use crate::{Address, ConfigError, Origin, Remark, Said, Settings};

const NAME: &str = "config.toml";

/// The table.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct OtelTable {
    pub(crate) environment: Option<String>,
    #[serde(default)]
    pub(crate) log_user_prompt: bool,
    /// What every span of the live telemetry says.
    #[serde(default)]
    pub(crate) span_attributes: BTreeMap<String, String>,
    /// Whether final answers are sent as logs.
    #[serde(default)]
    pub(crate) log_agent_responses: bool,
    exporter: Option<LiveExporter>,
    trace_exporter: Option<LiveExporter>,
    metrics_exporter: Option<LiveExporter>,
    /// The file.
    #[serde(skip)]
    path: PathBuf,
    /// That another such file is not followed.
    #[serde(skip)]
    pub(crate) unfollowed: Option<Remark>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LiveExporter {
    None,
    #[serde(rename = "statsig")]
    OpenAi,
    OtlpHttp(Receiver),
    OtlpGrpc(IgnoredAny),
}

/// A receiver of OTLP over HTTP.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Receiver {
    /// The whole address: Codex appends nothing.
    pub(crate) endpoint: String,
    pub(crate) protocol: Option<String>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Secret>,
    #[serde(default)]
    tls: TlsFiles,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct TlsFiles {
    ca_certificate: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_private_key: Option<PathBuf>,
}

/// The receiver in use, and where it was found.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) receiver: Receiver,
    /// The file.
    pub(crate) path: PathBuf,
    key: &'static str,
}

impl Live {
    /// Says something of the receiver.
    pub(crate) fn said<T>(&self, what: impl FnOnce(&Receiver) -> T) -> Said<T> {
        let from = Origin::file(false, &self.path, &format!("otel.{}", self.key));
        Said::new(what(&self.receiver), from)
    }

    /// Returns the files of the table `tls`. Relative ones lie beside the
    /// configuration.
    pub(crate) fn tls_files(&self) -> request::TlsFiles {
        let beside = |file: &Option<PathBuf>| {
            Some(self.path.parent().unwrap_or(Path::new("")).join(file.as_ref()?))
        };
        let tls = &self.receiver.tls;
        request::TlsFiles {
            ca: beside(&tls.ca_certificate),
            client_cert: beside(&tls.client_certificate),
            client_key: beside(&tls.client_private_key),
        }
    }
}

impl OtelTable {
    /// Says where a key is.
    pub(crate) fn origin(&self, key: &str) -> Origin {
        Origin::file(false, &self.path, &format!("otel.{key}"))
    }

    fn exporter_of(&self, key: &str) -> Option<&LiveExporter> {
        let exporter = match key {
            "exporter" => &self.exporter,
            "trace_exporter" => &self.trace_exporter,
            _ => &self.metrics_exporter,
        };
        exporter.as_ref()
    }

    /// Returns where one signal of the live telemetry goes, by the key that says
    /// so: `exporter` is that of logs. OpenAI's own receiver is none of ours.
    ///
    /// # Errors
    ///
    /// If it is a receiver that cannot be sent to.
    pub(crate) fn receiver_of(&self, key: &'static str) -> Result<Option<Live>, ConfigError> {
        match self.exporter_of(key) {
            Some(LiveExporter::OtlpHttp(receiver)) => {
                Ok(Some(Live { receiver: receiver.clone(), path: self.path.clone(), key }))
            }
            Some(LiveExporter::OtlpGrpc(_)) => Err(no_grpc()),
            _ => Ok(None),
        }
    }

    /// Whether it says of a signal that it is sent nowhere, or to OpenAI alone.
    pub(crate) fn is_kept_from(&self, key: &str) -> bool {
        matches!(self.exporter_of(key), Some(LiveExporter::None | LiveExporter::OpenAi))
    }

    /// Returns where the live telemetry goes, if over HTTP. Logs alone say where
    /// the receiver is, but their address is another one.
    pub(crate) fn receiver(&self) -> Result<Option<Live>, ConfigError> {
        let live = |receiver: &Receiver, key| Live {
            receiver: receiver.clone(),
            path: self.path.clone(),
            key,
        };
        let live = match (&self.trace_exporter, &self.exporter) {
            (Some(LiveExporter::OtlpHttp(it)), _) => live(it, "trace_exporter"),
            (None, Some(LiveExporter::OtlpHttp(it))) => {
                let mut live = live(it, "exporter");
                live.receiver.endpoint = it.endpoint.replace("/v1/logs", "/v1/traces");
                live
            }
            (Some(LiveExporter::OtlpGrpc(_)), _) | (None, Some(LiveExporter::OtlpGrpc(_))) => {
                return Err(no_grpc());
            }
            _ => return Ok(None),
        };
        Ok(Some(live))
    }
}

/// Returns where Codex' own telemetry goes, and where that is said; nothing if
/// that is nowhere or makes no sense.
pub(crate) fn place_of_codex(settings: &Settings) -> Option<Said<Address>> {
    let live = codex_otel(settings).ok()?.receiver().ok()??;
    Some(live.said(|receiver| Address::unchecked(&receiver.endpoint)))
}

fn no_grpc() -> ConfigError {
    ConfigError::new("Codex' config.toml names an OTLP/gRPC receiver")
        .hint("give its HTTP address with --endpoint, mostly on port 4318")
}

/// Reads the table of the user's own Codex home; an empty one, if there is no
/// file.
pub(crate) fn codex_otel(settings: &Settings) -> Result<OtelTable, ConfigError> {
    #[derive(Default, Deserialize)]
    struct Config {
        #[serde(default)]
        otel: OtelTable,
    }
    let unfollowed = settings.unfollowed_in_home(NAME).filter(|_| has_table(settings));
    let none = || OtelTable { unfollowed: unfollowed.clone(), ..OtelTable::default() };
    let Some(path) = settings.codex_home.as_ref().map(|home| home.join(NAME)) else {
        return Ok(none());
    };
    let text = match settings.files.small_text(&path) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(none()),
        Err(err) => {
            return Err(ConfigError::new(format!("cannot read `{}`: {err}", path.display()))
                .hint("make it readable, or set CODEX_HOME to another home"));
        }
    };
    let config: Config = toml::from_str(&text).map_err(|err| {
        let line = err.span().map_or(1, |at| text[..at.start].matches('\n').count() + 1);
        ConfigError::new(format!("`{}`:{line}: {}", path.display(), err.message()))
            .hint("mend it, or set CODEX_HOME to another home")
    })?;
    Ok(OtelTable { path, unfollowed, ..config.otel })
}

/// Whether the file of a home that is not followed has such a table at all.
fn has_table(settings: &Settings) -> bool {
    let path = settings.foreign_home.as_ref().map(|home| home.join(NAME));
    let text =
        path.and_then(|path| settings.files.small_text(&path).ok().flatten()).unwrap_or_default();
    text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("otel"))
}
