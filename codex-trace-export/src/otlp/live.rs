//! The `[otel]` table of Codex' `config.toml`: where its own telemetry goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::settings::GRPC;
use crate::request;
use crate::secret::Secret;
use crate::{Address, ConfigError, Origin, Remark, Said, Settings};

const NAME: &str = "config.toml";

/// The table.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct OtelTable {
    pub(crate) environment: Option<String>,
    pub(crate) log_user_prompt: Option<bool>,
    /// What every span of the live telemetry says.
    #[serde(default)]
    pub(crate) span_attributes: BTreeMap<String, String>,
    /// Whether final answers are sent as logs.
    pub(crate) log_agent_responses: Option<bool>,
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
    OtlpGrpc(Receiver),
}

/// A receiver of OTLP.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Receiver {
    /// The whole address: Codex appends nothing. Of gRPC, only the server counts.
    pub(crate) endpoint: String,
    pub(crate) protocol: Option<String>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Secret>,
    #[serde(default)]
    tls: LiveTls,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct LiveTls {
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
    pub(crate) fn receiver_of(&self, key: &'static str) -> Option<Live> {
        let receiver = match self.exporter_of(key) {
            Some(LiveExporter::OtlpHttp(receiver)) => Some(receiver.clone()),
            Some(LiveExporter::OtlpGrpc(receiver)) => {
                Some(Receiver { protocol: Some(GRPC.to_owned()), ..receiver.clone() })
            }
            Some(LiveExporter::None | LiveExporter::OpenAi) | None => None,
        };
        receiver.map(|receiver| Live { receiver, path: self.path.clone(), key })
    }

    /// Whether it says of a signal that it is sent nowhere, or to OpenAI alone.
    pub(crate) fn is_kept_from(&self, key: &str) -> bool {
        matches!(self.exporter_of(key), Some(LiveExporter::None | LiveExporter::OpenAi))
    }

    /// Returns where the live traces go. Where logs alone are sent, it is to their
    /// receiver, whose address over HTTP is another one for traces.
    pub(crate) fn receiver(&self) -> Option<Live> {
        if self.trace_exporter.is_some() {
            return self.receiver_of("trace_exporter");
        }
        let mut live = self.receiver_of("exporter")?;
        live.receiver.endpoint = live.receiver.endpoint.replace("/v1/logs", "/v1/traces");
        Some(live)
    }
}

/// Returns where Codex' own telemetry goes, and where that is said; nothing if
/// that is nowhere or makes no sense.
pub(crate) fn place_of_codex(settings: &Settings) -> Option<Said<Address>> {
    let live = codex_otel(settings).ok()?.receiver()?;
    Some(live.said(|receiver| Address::unchecked(&receiver.endpoint)))
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
            .hint("correct it, or set CODEX_HOME to another home")
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
