//! Products that take OTLP: where they are, how they let us in, which
//! conventions they read, and by which variables their own users configure them.
//!
//! A preset is data. `docs/presets.md` has the page of the maker's documentation
//! that each row follows.

use std::time::Duration;

use super::Semconv;
use super::settings::PHOENIX_PROJECT;
use crate::{Address, Said, Settings};

/// A product that takes OTLP.
#[derive(Debug)]
pub struct Preset {
    /// As given to `--to`.
    pub name: &'static str,
    /// The product's own name.
    pub product: &'static str,
    /// The page of the maker's documentation that this follows.
    pub source: &'static str,
    /// Where it is if nobody says; none where every customer has another address.
    pub address: Option<&'static str>,
    /// What its own addresses lack before `/v1/traces`.
    pub(crate) path: &'static str,
    /// Variables with its address.
    pub(crate) address_vars: &'static [AddressVar],
    /// Whether its documents configure it by the variables of every OTLP
    /// exporter. Of the others, those variables are about another place.
    pub(crate) standard_vars: bool,
    /// The conventions that it reads.
    pub(crate) semconv: Semconv,
    /// Headers.
    pub(crate) parts: &'static [Part],
    /// When it is of no use without a key.
    pub(crate) needs_access: NeedsAccess,
    /// Attributes of the resource that name the project.
    pub(crate) project: &'static [&'static str],
    /// Variables with the project.
    pub(crate) project_vars: &'static [&'static str],
    /// What it does not take because it is too old.
    pub(crate) max_age: Option<Duration>,
    /// How much of the past its page shows at first.
    pub(crate) shows: Option<Duration>,
}

/// A variable with an address, or with what is put between two parts of one.
#[derive(Debug)]
pub(crate) struct AddressVar {
    name: &'static str,
    before: &'static str,
}

/// What lets us in, or says whose the data is.
#[derive(Debug)]
pub(crate) enum Part {
    /// The same for everybody.
    Fixed(&'static str, &'static str),
    /// A key: the header, what stands before the key, variables.
    Key(&'static str, &'static str, &'static [&'static str]),
    /// Name and password: the variables of each.
    Login(&'static [&'static str], &'static [&'static str]),
    /// The workspace, or what the product calls one: the header, variables.
    Workspace(&'static str, &'static [&'static str]),
    /// The project: the header.
    Project(&'static str),
    /// Headers of the user's own, `name=value,name=value`: a variable.
    Pairs(&'static str),
}

/// When a product is of no use without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NeedsAccess {
    /// Never: who wants one says so.
    No,
    /// At its maker's; one of the user's own needs none.
    AtItsMaker,
    /// Always.
    Always,
}

/// What a receiver of OTLP without a preset is told.
pub(crate) const PLAIN: &[Part] = &[BEARER, Part::Login(&[], &[]), TENANT];

const BEARER: Part = Part::Key("Authorization", "Bearer ", &[]);

/// By which Grafana's servers tell tenants apart.
const TENANT: Part = Part::Workspace("X-Scope-OrgID", &[]);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What most rows have in common.
const BASE: Preset = Preset {
    name: "",
    product: "",
    source: "",
    address: None,
    path: "",
    address_vars: &[],
    standard_vars: false,
    semconv: Semconv::GenAi,
    parts: PLAIN,
    needs_access: NeedsAccess::No,
    project: &["service.name"],
    project_vars: &[],
    max_age: None,
    shows: None,
};

/// Every preset, in the order of `--help`.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "phoenix",
        product: "Arize Phoenix",
        source: "https://arize.com/docs/phoenix/sdk-api-reference/python-packages/arize-phoenix-otel",
        address: Some("http://localhost:6006"),
        address_vars: &[AddressVar { name: "PHOENIX_COLLECTOR_ENDPOINT", before: "" }],
        semconv: Semconv::OpenInference,
        parts: &[
            Part::Pairs("PHOENIX_CLIENT_HEADERS"),
            Part::Key("Authorization", "Bearer ", &["PHOENIX_API_KEY"]),
        ],
        project: &[PHOENIX_PROJECT],
        project_vars: &["PHOENIX_PROJECT_NAME"],
        shows: Some(DAY.saturating_mul(7)),
        ..BASE
    },
    Preset {
        name: "arize",
        product: "Arize AX",
        source: "https://arize.com/docs/ax/observe/tracing/configure/configure-otel-tracer",
        address: Some("https://otlp.arize.com"),
        address_vars: &[AddressVar { name: "ARIZE_COLLECTOR_ENDPOINT", before: "" }],
        semconv: Semconv::OpenInference,
        parts: &[
            Part::Workspace("arize-space-id", &["ARIZE_SPACE_ID"]),
            Part::Key("arize-api-key", "", &["ARIZE_API_KEY"]),
        ],
        needs_access: NeedsAccess::Always,
        project: &[PHOENIX_PROJECT, "model_id"],
        project_vars: &["ARIZE_PROJECT_NAME"],
        ..BASE
    },
    Preset {
        name: "langfuse",
        product: "Langfuse",
        source: "https://langfuse.com/integrations/native/opentelemetry",
        address: Some("https://cloud.langfuse.com"),
        path: "/api/public/otel",
        address_vars: &[
            AddressVar { name: "LANGFUSE_BASE_URL", before: "" },
            AddressVar { name: "LANGFUSE_HOST", before: "" },
        ],
        parts: &[
            Part::Fixed("x-langfuse-ingestion-version", "4"),
            Part::Login(&["LANGFUSE_PUBLIC_KEY"], &["LANGFUSE_SECRET_KEY"]),
        ],
        needs_access: NeedsAccess::Always,
        // Its keys are those of a project.
        project: &[],
        ..BASE
    },
    Preset {
        name: "opik",
        product: "Opik",
        source: "https://www.comet.com/docs/opik/integrations/opentelemetry",
        address: Some("https://www.comet.com/opik/api"),
        path: "/api/v1/private/otel",
        address_vars: &[AddressVar { name: "OPIK_URL_OVERRIDE", before: "" }],
        parts: &[
            Part::Key("Authorization", "", &["OPIK_API_KEY"]),
            Part::Workspace("Comet-Workspace", &["OPIK_WORKSPACE"]),
            Part::Project("projectName"),
        ],
        needs_access: NeedsAccess::AtItsMaker,
        project: &[],
        project_vars: &["OPIK_PROJECT_NAME"],
        ..BASE
    },
    Preset {
        name: "grafana-cloud",
        product: "Grafana Cloud",
        source: "https://grafana.com/docs/grafana-cloud/observe-and-act/send-data/otlp/send-data-otlp/",
        path: "/otlp",
        standard_vars: true,
        parts: &[Part::Login(&[], &[])],
        needs_access: NeedsAccess::Always,
        ..BASE
    },
    Preset {
        name: "honeycomb",
        product: "Honeycomb",
        source: "https://docs.honeycomb.io/send-data/opentelemetry/",
        address: Some("https://api.honeycomb.io"),
        address_vars: &[AddressVar { name: "HONEYCOMB_API_ENDPOINT", before: "" }],
        parts: &[
            Part::Key("x-honeycomb-team", "", &["HONEYCOMB_API_KEY"]),
            Part::Workspace("x-honeycomb-dataset", &["HONEYCOMB_DATASET"]),
        ],
        needs_access: NeedsAccess::Always,
        ..BASE
    },
    Preset {
        name: "datadog",
        product: "Datadog LLM Observability",
        source: "https://docs.datadoghq.com/llm_observability/instrumentation/otel_instrumentation",
        address: Some("https://otlp.datadoghq.com"),
        address_vars: &[AddressVar { name: "DD_SITE", before: "https://otlp." }],
        parts: &[
            Part::Key("dd-api-key", "", &["DD_API_KEY"]),
            Part::Fixed("dd-otlp-source", "llmobs"),
        ],
        needs_access: NeedsAccess::Always,
        max_age: Some(DAY),
        ..BASE
    },
    Preset {
        name: "jaeger",
        product: "Jaeger",
        source: "https://www.jaegertracing.io/docs/latest/architecture/apis/",
        address: Some("http://localhost:4318"),
        standard_vars: true,
        ..BASE
    },
    Preset {
        name: "tempo",
        product: "Grafana Tempo",
        source: "https://grafana.com/docs/tempo/latest/operations/multitenancy",
        address: Some("http://localhost:4318"),
        standard_vars: true,
        ..BASE
    },
];

/// Returns the preset of a name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

impl Preset {
    /// Returns the product's own variables, and what each says.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<'_> {
        let address = self.address_vars.iter().map(|var| match var.before {
            "" => (var.name, "Address"),
            _ => (var.name, "Site, of which the address is made"),
        });
        let of_part = |part: &Part| -> Vec<(&'static str, &'static str)> {
            let all = |names: &[&'static str], what| names.iter().map(|it| (*it, what)).collect();
            match part {
                Part::Fixed(..) | Part::Project(_) => Vec::new(),
                Part::Key(_, _, names) => all(names, "Key"),
                Part::Login(users, passwords) => {
                    [all(users, "Name, or public key"), all(passwords, "Password, or secret key")]
                        .concat()
                }
                Part::Workspace(_, names) => all(names, "Workspace, space or dataset"),
                Part::Pairs(name) => vec![(*name, "Headers: k=v,k=v")],
            }
        };
        let project = self.project_vars.iter().map(|name| (*name, "Project"));
        address.chain(self.parts.iter().flat_map(of_part)).chain(project)
    }

    /// Returns the variables of what lets us in.
    pub(crate) fn access_vars(&self) -> Vec<&'static str> {
        let of_part = |part: &Part| match part {
            Part::Key(_, _, names) => names.to_vec(),
            Part::Login(users, passwords) => [*users, *passwords].concat(),
            _ => Vec::new(),
        };
        let standard = self.standard_vars.then_some("OTEL_EXPORTER_OTLP_HEADERS");
        self.parts.iter().flat_map(of_part).chain(standard).collect()
    }

    /// Returns the address that the product's own variables name.
    pub(crate) fn named(&self, settings: &Settings) -> Option<Said<String>> {
        self.address_vars.iter().find_map(|var| {
            let said = settings.place_var(&[var.name])?;
            Some(said.map(|value| format!("{}{value}", var.before)))
        })
    }

    /// Completes an address with as much of the product's path as it lacks. What
    /// is no address stays as it is, to be told.
    pub(crate) fn url(&self, base: &str, signal: &str) -> String {
        let base = base.trim_end_matches('/');
        let Ok(address) = Address::parse(base) else { return base.to_owned() };
        let whole = format!("{}{signal}", self.path);
        // The longest end of the address that a part of the path begins with.
        let cuts = whole.match_indices('/').map(|(at, _)| at).skip(1);
        let cuts: Vec<usize> = cuts.chain([whole.len()]).collect();
        if address.ends_with(signal) {
            return address.expose().to_owned();
        }
        let has_path = base.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
        let there = cuts.into_iter().rev().find(|cut| address.ends_with(&whole[..*cut]));
        let there = there.filter(|_| has_path);
        match &whole[there.unwrap_or(0)..] {
            "" => address.expose().to_owned(),
            rest => address.join(rest).expose().to_owned(),
        }
    }

    /// Leaves out the variables that are about another place.
    pub(crate) fn narrowed(&self, settings: &Settings) -> Settings {
        let mut settings = settings.clone();
        if !self.standard_vars {
            settings.env.0.retain(|name, _| !name.starts_with("OTEL_EXPORTER_OTLP_"));
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_completed_by_what_it_lacks() {
        let url = |name, base| preset(name).unwrap().url(base, "/v1/traces");
        let langfuse = "https://lf.example.org/api/public/otel/v1/traces";
        for base in [
            "https://lf.example.org",
            "https://lf.example.org/",
            "https://lf.example.org/api/public/otel",
            "https://lf.example.org/api/public/otel/v1/traces",
        ] {
            assert_eq!(url("langfuse", base), langfuse);
        }
        assert_eq!(
            url("opik", "https://www.comet.com/opik/api"),
            "https://www.comet.com/opik/api/v1/private/otel/v1/traces"
        );
        assert_eq!(
            url("opik", "http://localhost:5173"),
            "http://localhost:5173/api/v1/private/otel/v1/traces"
        );
        assert_eq!(url("arize", "https://otlp.arize.com/v1"), "https://otlp.arize.com/v1/traces");
        assert_eq!(url("phoenix", "http://h:6006/v1/traces"), "http://h:6006/v1/traces");
        assert_eq!(url("grafana-cloud", "https://otlp"), "https://otlp/otlp/v1/traces");
        assert_eq!(url("phoenix", "nowhere"), "nowhere");
    }

    #[test]
    fn every_preset_is_told_apart_and_has_a_source() {
        for (nth, preset) in PRESETS.iter().enumerate() {
            assert!(preset.source.starts_with("https://"), "{}", preset.name);
            assert!(PRESETS[..nth].iter().all(|it| it.name != preset.name), "{}", preset.name);
        }
    }
}
