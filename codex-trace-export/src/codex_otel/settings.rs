//! Where the settings come from, in this order: flags, `codex-trace.toml`, the
//! variables that every OTLP exporter has, the `[otel]` table of Codex' own
//! `config.toml`. The table also says whether prompts and answers may be sent.

use super::exporter::{Content, Receiver, What};
use super::logs::Wanted;
use super::options::{LOG_AGENT_RESPONSES, LOG_USER_PROMPT, OPTIONS, SIGNALS, STREAM};
use crate::describe::Description;
use crate::options::Opt;
use crate::origin::Origin;
use crate::otlp::Rendering;
use crate::otlp::live::{OtelTable, codex_otel};
use crate::otlp::options::{LOGS, METRICS, Place, TRACES};
use crate::otlp::settings as otlp;
use crate::{Backend, ConfigError, Exporter, Said, Settings, Signal};

/// The backend.
pub const BACKEND: Backend = Backend {
    name: "codex-otel",
    summary: "Codex' own telemetry from history: logs for Loki, traces for Tempo, metrics",
    options: OPTIONS,
    connect,
    describe,
};

/// A signal: where it goes, and the key of `[otel]` that says so.
struct Sort {
    signal: Signal,
    place: &'static Place,
    key: &'static str,
}

const SORTS: [Sort; 3] = [
    Sort { signal: Signal::Logs, place: LOGS, key: "exporter" },
    Sort { signal: Signal::Traces, place: TRACES, key: "trace_exporter" },
    Sort { signal: Signal::Metrics, place: METRICS, key: "metrics_exporter" },
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
                let mut rendering = Rendering::read(settings, found);
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
    if let Some(words) = found.option(&SIGNALS, settings) {
        return words.iter().map(|word| sort_of(word)).collect();
    }
    if settings.endpoint.is_some() {
        return Ok(vec![&SORTS[0]]);
    }
    let mut sorts = Vec::new();
    for sort in SORTS.iter().filter(|sort| sort.signal != Signal::Metrics) {
        let named = settings.var_of(&sort.place.endpoint).is_some();
        if named || codex.receiver_of(sort.key).is_some() {
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
        ConfigError::new(format!("`{word}` is not a signal of telemetry"))
            .hint("say `logs`, `traces` or `metrics`")
    })
}

/// Reads what may be sent: as Codex' own settings have it, who sends by them has
/// decided.
fn content(
    settings: &Settings,
    codex: &OtelTable,
    found: &mut Description,
) -> Result<Content, ConfigError> {
    let mut resource = otlp::resource_attributes(settings, codex, found)?;
    let asked = otlp::asked(settings, found)?;
    resource.extend(asked.metadata.into_iter().chain(asked.user));
    let mut flag = |option: &Opt<bool>, of_codex: Option<bool>| {
        let name = option.name();
        let of_codex = || match of_codex {
            Some(is_on) => Said::new(is_on, codex.origin(name)),
            None => Said::new(false, Origin::default_value()),
        };
        let said = settings.get(option).unwrap_or_else(of_codex);
        found.take(name, Some(said), bool::to_string).unwrap_or_default()
    };
    let prompts = flag(&LOG_USER_PROMPT, codex.log_user_prompt);
    let answers = flag(&LOG_AGENT_RESPONSES, codex.log_agent_responses);
    let stream = found.option(&STREAM, settings).unwrap_or_default();
    Ok(Content { resource, prompts, wanted: Wanted { answers }, stream })
}
