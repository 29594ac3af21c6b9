//! Where the settings come from, in this order: flags, `codex-trace.toml`, the
//! variables that every OTLP exporter has, the `[otel]` table of Codex' own
//! `config.toml`. The table also says whether prompts and answers may be sent.

use super::exporter::{Content, Receiver, What};
use super::logs::Wanted;
use crate::describe::Description;
use crate::otlp::Rendering;
use crate::otlp::live::{OtelTable, codex_otel};
use crate::otlp::settings::{self as otlp, Place};
use crate::{Backend, ConfigError, Exporter, Said, Setting, Settings, Signal};

/// The backend.
pub const BACKEND: Backend = Backend {
    name: "codex-otel",
    summary: "Codex' own telemetry from history: logs for Loki, traces for Tempo, metrics",
    settings: SETTINGS,
    connect,
    describe,
    keys: &["workspace", "protocol", "signals", "llm_input_bytes", "field_bytes"],
};

const SETTINGS: &[Setting] = &[
    Setting { env: "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", help: "Whole address of logs" },
    Setting { env: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", help: "Whole address of traces" },
    Setting { env: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", help: "Whole address of metrics" },
    Setting { env: "OTEL_EXPORTER_OTLP_ENDPOINT", help: "Base address" },
    Setting { env: "OTEL_EXPORTER_OTLP_HEADERS", help: "Headers: k=v,k=v" },
    Setting { env: "OTEL_EXPORTER_OTLP_PROTOCOL", help: "http/protobuf or http/json" },
    Setting { env: "OTEL_RESOURCE_ATTRIBUTES", help: "Added: k=v,k=v" },
];

/// A signal: what it is called, where it goes, and the key of `[otel]` that says so.
struct Sort {
    signal: Signal,
    place: Place,
    key: &'static str,
}

const SORTS: [Sort; 3] = [
    Sort {
        signal: Signal::Logs,
        place: Place { word: "LOGS", path: "/v1/logs", default: "http://localhost:3100/otlp" },
        key: "exporter",
    },
    Sort {
        signal: Signal::Traces,
        place: Place { word: "TRACES", path: "/v1/traces", default: "http://localhost:4318" },
        key: "trace_exporter",
    },
    Sort {
        signal: Signal::Metrics,
        place: Place {
            word: "METRICS",
            path: "/v1/metrics",
            default: "http://localhost:9090/api/v1/otlp",
        },
        key: "metrics_exporter",
    },
];

fn connect(settings: &Settings) -> Result<Vec<Box<dyn Exporter>>, ConfigError> {
    read(settings, &mut Description::default())
}

fn describe(settings: &Settings) -> Description {
    let mut found = Description::default();
    // What fails, fails in `connect` too, and is told there.
    read(settings, &mut found).ok();
    found
}

fn read(
    settings: &Settings,
    found: &mut Description,
) -> Result<Vec<Box<dyn Exporter>>, ConfigError> {
    let codex = codex_otel(settings)?;
    found.remarks.extend(codex.unfollowed.clone());
    let mut remarks = found.remarks.clone();
    let content = content(settings, &codex, found)?;
    let mut all: Vec<Box<dyn Exporter>> = Vec::new();
    for sort in wanted(settings, &codex, found)? {
        let live = || codex.receiver_of(sort.key);
        let target = otlp::target(settings, sort.place, live, found)?;
        let what = match sort.signal {
            Signal::Metrics => What::Metrics(content.clone()),
            Signal::Traces => {
                let mut rendering = Rendering::read(settings, found)?;
                rendering.amount.prompts = content.prompts;
                What::Traces(rendering, otlp::added(settings, &codex, &mut Description::default())?)
            }
            _ => What::Logs(content.clone()),
        };
        all.push(Box::new(Receiver::new(target, what, std::mem::take(&mut remarks))));
    }
    Ok(all)
}

/// Returns the signals to send: those that somebody asks for; else logs, where an
/// address is given; else those that Codex sends itself, but for metrics, which
/// most servers take no history of.
fn wanted(
    settings: &Settings,
    codex: &OtelTable,
    found: &mut Description,
) -> Result<Vec<&'static Sort>, ConfigError> {
    if let Some(words) = found.text("signals", settings.said_option("signals")) {
        let named = words.split(',').map(str::trim).filter(|word| !word.is_empty());
        return named.map(sort_of).collect();
    }
    if settings.endpoint.is_some() {
        return Ok(vec![&SORTS[0]]);
    }
    let mut sorts = Vec::new();
    for sort in SORTS.iter().filter(|sort| sort.signal != Signal::Metrics) {
        let own = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", sort.place.word);
        if settings.place_var(&[&own]).is_some() || codex.receiver_of(sort.key)?.is_some() {
            sorts.push(sort);
        }
    }
    if sorts.is_empty() && codex.is_kept_from("exporter") {
        return Err(ConfigError::new("Codex' config.toml sends its logs and traces nowhere")
            .hint("give Loki's address: `--endpoint http://HOST:3100/otlp`"));
    }
    if sorts.is_empty() {
        sorts.push(&SORTS[0]);
    }
    Ok(sorts)
}

fn sort_of(word: &str) -> Result<&'static Sort, ConfigError> {
    SORTS.iter().find(|sort| sort.signal.word() == word).ok_or_else(|| {
        ConfigError::new(format!("`{word}` is no signal of telemetry"))
            .hint("say `logs`, `traces`, `metrics`, or several of them with commas between")
    })
}

/// Reads what may be sent: as Codex' own settings have it, who sends by them has
/// decided.
fn content(
    settings: &Settings,
    codex: &OtelTable,
    found: &mut Description,
) -> Result<Content, ConfigError> {
    let resource = otlp::resource_attributes(settings, codex, found)?;
    let mut flag = |key: &str, value: bool| {
        found.take(key, Some(Said::new(value, codex.origin(key))), bool::to_string)
    };
    let prompts = flag("log_user_prompt", codex.log_user_prompt).unwrap_or_default();
    let answers = flag("log_agent_responses", codex.log_agent_responses).unwrap_or_default();
    Ok(Content { resource, prompts, wanted: Wanted { answers } })
}
