//! The variables of OTLP exporters, as the OpenTelemetry specification has them,
//! and the `[otel]` table of Codex' `config.toml`, in every form.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use codex_trace_deliver::private::Disk;
use codex_trace_deliver::transport::Compression;
use codex_trace_export::environment::Environment;
use codex_trace_export::options::OptionSet;
use codex_trace_export::otlp::PROTOCOL;
use codex_trace_export::{ConfigFiles, Exporter, Settings};
use converter_cli::backends::BACKENDS;

use crate::support::{exporter, units, with_bytes};

fn with_env(env: &[(&str, &str)]) -> Settings {
    let env: BTreeMap<String, String> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Settings { env: Environment(env), ..Settings::default() }
}

fn otlp(env: &[(&str, &str)]) -> Box<dyn Exporter> {
    exporter("otlp", &with_env(env))
}

fn headers(exporter: &dyn Exporter) -> Vec<String> {
    let route = &exporter.contract().routes[0];
    route.headers.iter().map(|it| format!("{}: {}", it.name, it.wire_value())).collect()
}

/// Each variable, its form for traces, and how a route shows that it holds.
#[test]
fn variables_of_traces_come_before_those_of_all_signals() {
    type Shown = fn(&dyn Exporter) -> String;
    let url: Shown = |it| it.contract().routes[0].url.expose().to_owned();
    let head: Shown = |it| headers(it).join("; ");
    let kind: Shown = |it| it.contract().routes[0].content_type.clone().into_owned();
    let zip: Shown = |it| format!("{:?}", it.contract().routes[0].compressions);
    let time: Shown = |it| format!("{:?}", it.client().timeout);
    let ca: Shown = |it| format!("{:?}", it.client().tls.ca.unwrap());
    let cert: Shown = |it| format!("{:?}", it.client().tls.client_cert.unwrap());
    let key: Shown = |it| format!("{:?}", it.client().tls.client_key.unwrap());
    #[rustfmt::skip]
    let cases = [
        // name                 of all signals       shown                    of traces       shown
        ("ENDPOINT",            "http://a:1",        "http://a:1/v1/traces",  "http://b/p",   "http://b/p",             url),
        ("HEADERS",             "k=all",             "k: all",                "k=traces",     "k: traces",              head),
        ("PROTOCOL",            "http/json",         "application/json",      "http/protobuf", "application/x-protobuf", kind),
        ("COMPRESSION",         "none",              "[]",                    "gzip",         "[Gzip]",                 zip),
        ("TIMEOUT",             "1500",              "Some(1.5s)",            "7000",         "Some(7s)",               time),
        ("CERTIFICATE",         "/all.pem",          "\"/all.pem\"",          "/t.pem",       "\"/t.pem\"",             ca),
        ("CLIENT_CERTIFICATE",  "/all.pem",          "\"/all.pem\"",          "/t.pem",       "\"/t.pem\"",             cert),
        ("CLIENT_KEY",          "/all.pem",          "\"/all.pem\"",          "/t.pem",       "\"/t.pem\"",             key),
    ];
    let listed: Vec<&str> = BACKENDS[0].options.iter().flat_map(|spec| spec.env).copied().collect();
    assert_eq!(BACKENDS[0].name, "otlp");
    for (name, all, expected_all, traces, expected_traces, shown) in cases {
        let of_all = format!("OTEL_EXPORTER_OTLP_{name}");
        let of_traces = format!("OTEL_EXPORTER_OTLP_TRACES_{name}");
        assert_eq!(shown(otlp(&[(&of_all, all)]).as_ref()), expected_all, "{of_all}");
        let both = otlp(&[(&of_all, all), (&of_traces, traces)]);
        assert_eq!(shown(both.as_ref()), expected_traces, "{of_traces}");
        // Set and empty is as good as not set.
        let empty = otlp(&[(&of_all, all), (&of_traces, "")]);
        assert_eq!(shown(empty.as_ref()), expected_all, "{of_traces} is empty");
        assert!(listed.contains(&&*of_all) && listed.contains(&&*of_traces), "doctor tells {name}");
    }
}

#[test]
fn headers_are_percent_decoded() {
    let cases = [
        ("a=b%2Cc", "a: b,c"),
        ("Authorization=Basic%20dTpw", "Authorization: Basic dTpw"),
        ("a=b=c", "a: b=c"),
        (" a = b ,, ", "a: b"),
        // What is no escape stays.
        ("a=100%", "a: 100%"),
        ("a=%+1%zz%4", "a: %+1%zz%4"),
        ("a=%c3%A9", "a: é"),
    ];
    for (text, expected) in cases {
        let made = otlp(&[("OTEL_EXPORTER_OTLP_HEADERS", text)]);
        assert_eq!(headers(made.as_ref()), [expected], "{text}");
    }
}

/// One turn without anything.
const TURN: &str = concat!(
    r#"{"timestamp":"2026-05-01T10:00:00Z","type":"session_meta","payload":{"id":"th1","originator":"codex_exec"}}"#,
    "\n",
    r#"{"timestamp":"2026-05-01T10:00:01Z","type":"event_msg","payload":{"type":"task_started","turn_id":"tu1"}}"#,
    "\n",
    r#"{"timestamp":"2026-05-01T10:00:02Z","type":"event_msg","payload":{"type":"task_complete","turn_id":"tu1"}}"#,
    "\n",
);

fn sent(exporter: &dyn Exporter) -> String {
    let bytes: Vec<u8> = with_bytes(TURN, |trace| {
        units(exporter, trace).into_iter().flat_map(|it| it.body).collect()
    });
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn resource_attributes_are_added_and_the_service_has_its_own_variable() {
    let exporter = otlp(&[
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=no,team=a%20b"),
        ("OTEL_SERVICE_NAME", "mine"),
    ]);
    let sent = sent(exporter.as_ref());
    for attribute in [
        r#"{"key":"service.name","value":{"stringValue":"mine"}}"#,
        r#"{"key":"team","value":{"stringValue":"a b"}}"#,
    ] {
        assert!(sent.contains(attribute), "{attribute} in {sent}");
    }
    assert!(!sent.contains("codex_exec"));
}

fn of_codex(home: &Path, config: &str) -> Settings {
    fs::write(home.join("config.toml"), config).unwrap();
    Settings {
        files: ConfigFiles::new(Disk),
        codex_home: Some(home.to_owned()),
        ..Settings::default()
    }
}

#[test]
fn every_form_of_the_table_of_codex_is_understood() {
    const TABLE: &str = concat!(
        "[otel.trace_exporter.\"otlp-http\"]\nendpoint = \"https://t/x\"\nprotocol = \"binary\"\n",
        "[otel.trace_exporter.\"otlp-http\".headers]\n\"x-key\" = \"${KEY}\"\n",
        "[otel.trace_exporter.\"otlp-http\".tls]\nca-certificate = \"certs/ca.pem\"\n",
        "client-certificate = \"/c.pem\"\nclient-private-key = \"/k.pem\"\n",
    );
    const INLINE: &str = "[otel]\ntrace_exporter = { otlp-http = { endpoint = 'https://t/x' } }\n";
    const LOGS: &str =
        "otel.exporter.otlp-http = { endpoint = 'https://l/v1/logs', protocol = 'json' }\n";
    const DEFAULT: &str = "http://localhost:4318/v1/traces";
    let home = tempfile::tempdir().unwrap();
    #[rustfmt::skip]
    let cases = [
        // the file                                                 where spans go      as
        (TABLE,                                                     "https://t/x",      "application/x-protobuf"),
        (INLINE,                                                    "https://t/x",      "application/x-protobuf"),
        (LOGS,                                                      "https://l/v1/traces", "application/json"),
        ("[otel]\nexporter = 'none'\ntrace_exporter = 'none'\n",    DEFAULT,            "application/x-protobuf"),
        ("[otel]\nmetrics_exporter = 'statsig'\nenvironment = 'dev'\n", DEFAULT,        "application/x-protobuf"),
        ("model = 'x'\n",                                           DEFAULT,            "application/x-protobuf"),
    ];
    for (config, url, kind) in cases {
        let made = exporter("otlp", &of_codex(home.path(), config));
        let route = &made.contract().routes[0];
        assert_eq!((route.url.expose(), &*route.content_type), (url, kind), "{config}");
        assert_eq!(route.compressions, [Compression::Gzip]);
    }
    let made = exporter("otlp", &of_codex(home.path(), TABLE));
    assert_eq!(headers(made.as_ref()), ["x-key: ${KEY}"], "literal, as Codex has it");
    let tls = made.client().tls;
    assert_eq!(tls.ca.as_deref(), Some(home.path().join("certs/ca.pem").as_path()));
    assert_eq!(tls.client_cert.as_deref(), Some(Path::new("/c.pem")));
    assert_eq!(tls.client_key.as_deref(), Some(Path::new("/k.pem")));

    // Variables come before the table, and what is of the table's receiver alone goes.
    let named = Settings {
        env: with_env(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://e")]).env,
        ..of_codex(home.path(), TABLE)
    };
    let made = exporter("otlp", &named);
    assert_eq!(made.contract().routes[0].url.expose(), "http://e/v1/traces");
    assert!(headers(made.as_ref()).is_empty() && made.client().tls.is_empty());
}

#[test]
fn attributes_that_codex_gives_its_spans_are_on_ours() {
    let home = tempfile::tempdir().unwrap();
    let config = concat!(
        "[otel]\nenvironment = 'prod'\n",
        "span_attributes = { team = 'blue', 'codex.span.kind' = 'no' }\n",
    );
    let mut settings = of_codex(home.path(), config);
    settings.options = OptionSet::default().with(&PROTOCOL, "http/json".to_owned());
    let sent = sent(exporter("otlp", &settings).as_ref());
    assert!(sent.contains(r#"{"key":"team","value":{"stringValue":"blue"}}"#), "{sent}");
    assert!(sent.contains(r#"{"key":"env","value":{"stringValue":"prod"}}"#), "{sent}");
    assert!(sent.contains(r#"{"key":"codex.span.kind","value":{"stringValue":"turn"}}"#));
    assert!(!sent.contains(r#""stringValue":"no""#), "what a span says of itself stays");
}

#[test]
fn a_time_is_a_number_of_milliseconds() {
    let wrong = with_env(&[("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "10s")]);
    let err = (BACKENDS[0].connect)(&wrong).err().unwrap();
    assert!(err.message.contains("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"), "{err}");
    assert!(err.hint.unwrap().contains("milliseconds"));
    let right = otlp(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "250")]);
    assert_eq!(right.client().timeout, Some(Duration::from_millis(250)));
}
