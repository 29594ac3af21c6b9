//! Where requests go, by which setting, and what answers mean.

use std::collections::BTreeMap;
use std::fs;

use codex_trace_deliver::private::Disk;
use codex_trace_deliver::transport::{Compression, Response, Wire};
use codex_trace_export::environment::Environment;
use codex_trace_export::options::OptionSet;
use codex_trace_export::otlp::proto::{AnyValue, ExportTraceServiceRequest, Value as Text};
use codex_trace_export::otlp::{PROTOCOL, SEMCONV};
use codex_trace_export::{
    ConfigError, ConfigFiles, Cx, Learned, Notes, Question, Settings, Verdict,
};
use converter_cli::backends::BACKENDS;
use prost::Message as _;

use crate::support::{exporter, with_bytes};

fn settings(env: &[(&str, &str)]) -> Settings {
    let env: BTreeMap<String, String> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Settings { env: Environment(env), ..Settings::default() }
}

fn refused(backend: &str, settings: &Settings) -> ConfigError {
    let backend = BACKENDS.iter().find(|it| it.name == backend).unwrap();
    (backend.connect)(settings).err().expect("the settings make no sense")
}

/// The address, the headers (`name: value`) and the type of the bodies.
fn route(settings: &Settings) -> (String, Vec<String>, String) {
    let exporter = exporter("otlp", settings);
    let route = &exporter.contract().routes[0];
    let headers = route.headers.iter().map(|it| format!("{}: {}", it.name, it.wire_value()));
    (route.url.expose().to_owned(), headers.collect(), route.content_type.clone().into_owned())
}

#[test]
fn otlp_addresses_by_precedence() {
    const PROTO: &str = "application/x-protobuf";
    let url = |settings: &Settings| route(settings).0;
    assert_eq!(url(&settings(&[])), "http://localhost:4318/v1/traces");
    let base = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/")];
    assert_eq!(url(&settings(&base)), "http://c:4318/v1/traces");
    let both = [base[0], ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/whole")];
    assert_eq!(url(&settings(&both)), "http://c/whole", "nothing is appended");
    let flag = Settings { endpoint: Some("https://f/otlp".to_owned()), ..settings(&both) };
    assert_eq!(url(&flag), "https://f/otlp/v1/traces", "a flag wins");
    let given = settings(&[("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%3Db, x = y")]);
    let (_, headers, kind) = route(&given);
    assert_eq!((headers, kind.as_str()), (vec!["api-key: a=b".into(), "x: y".into()], PROTO));
    assert!(!format!("{:?}", exporter("otlp", &given).contract()).contains("a=b"), "a secret");
}

#[test]
fn otlp_follows_the_live_telemetry_of_codex() {
    let home = tempfile::tempdir().unwrap();
    let config = concat!(
        "model = 'x'\n[otel]\nenvironment = 'prod'\nexporter = 'none'\n",
        "trace_exporter = { otlp-http = { endpoint = 'https://t/v1/traces', protocol = 'json', ",
        "headers = { k = 'v' } } }\n",
    );
    fs::write(home.path().join("config.toml"), config).unwrap();
    let live = Settings {
        files: ConfigFiles::new(Disk),
        codex_home: Some(home.path().to_owned()),
        ..Settings::default()
    };
    let expected = ("https://t/v1/traces".to_owned(), vec!["k: v".to_owned()]);
    let (url, headers, kind) = route(&live);
    assert_eq!((url, headers), expected);
    assert_eq!(kind, "application/json");

    // An address of our own gets the prompts, but not the live receiver's keys.
    let named = Settings { endpoint: Some("http://o".to_owned()), ..live.clone() };
    let rollout = r#"{"timestamp":"2026-05-01T10:00:01Z","type":"event_msg","payload":{"type":"user_message","message":"Geheimnis"}}"#;
    let sent = |settings: &Settings| {
        with_bytes(rollout, |trace| {
            let units = crate::support::units(exporter("otlp", settings).as_ref(), trace);
            let bytes: Vec<u8> = units.into_iter().flat_map(|unit| unit.body).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    assert!(sent(&named).contains("Geheimnis"));
    assert!(!sent(&live).contains("Geheimnis") && sent(&live).contains("[REDACTED]"));
    let config = config.replace("[otel]", "[otel]\nlog_user_prompt = true");
    fs::write(home.path().join("config.toml"), config).unwrap();
    assert!(sent(&live).contains("Geheimnis"));
    assert_eq!(route(&named).1, Vec::<String>::new());

    let grpc = "[otel]\ntrace_exporter = { otlp-grpc = { endpoint = 'http://t:4317' } }\n";
    fs::write(home.path().join("config.toml"), grpc).unwrap();
    let grpc = exporter("otlp", &live);
    assert_eq!(grpc.client().wire, Wire::Grpc);
    assert_eq!(grpc.contract().destination, "otlp http://t:4317");
    let call = "http://t:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    assert_eq!(route(&live).0, call);
}

/// Over gRPC the server alone counts, whatever path stands behind it.
#[test]
fn otlp_goes_over_grpc_where_somebody_says_so() {
    let call = |base| format!("{base}/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let to = |endpoint| route(&settings(&[grpc, ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)])).0;
    assert_eq!(route(&settings(&[grpc])).0, call("http://localhost:4317"));
    assert_eq!(to("https://c:443/"), call("https://c:443"));
    assert_eq!(to("http://c:4317/v1/traces"), call("http://c:4317"));
    let named = [("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")];
    let exporter = exporter("otlp", &settings(&named));
    assert_eq!(exporter.contract().routes[0].content_type, "application/grpc+proto");
    assert_eq!(exporter.client().wire, Wire::Grpc);
    // The others stay with HTTP.
    let table = OptionSet::default().with(&PROTOCOL, "grpc".to_owned());
    let logfire = Settings { options: table, ..settings(&[("LOGFIRE_TOKEN", "t")]) };
    assert!(refused("logfire", &logfire).message.contains("not over gRPC"));
}

#[test]
fn otlp_refuses_what_it_cannot_do() {
    let zip = settings(&[("OTEL_EXPORTER_OTLP_COMPRESSION", "zip")]);
    assert!(refused("otlp", &zip).message.contains("zip"));
    let none = exporter("otlp", &settings(&[("OTEL_EXPORTER_OTLP_COMPRESSION", "none")]));
    assert_eq!(none.contract().routes[0].compressions, &[] as &[Compression]);
    let latin = OptionSet::default().put_text(&SEMCONV.spec, "latin");
    assert_eq!(latin.unwrap_err(), "say one of `genai`, `openinference`");
}

/// Of 2025 a rollout may say no time at all but that it was made; OTLP must.
#[test]
fn a_rollout_without_times_is_not_placed_in_time() {
    let rollout = concat!(
        r#"{"id":"25eb7a1b-fd25-4c86-9d9a-895d08a07ac4","instructions":null}"#,
        "\n",
        r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}"#,
        "\n",
        r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"ho"}]}"#,
        "\n",
    );
    let exporter = exporter("otlp", &settings(&[]));
    with_bytes(rollout, |trace| {
        let rules = codex_trace_export::content::ContentRules::default();
        let err = exporter
            .encode(&Cx { trace, rules: &rules, notes: &Notes::default() }, &mut |_| ())
            .unwrap_err();
        assert!(err.what.contains("does not record when it was"), "{err}");
    });
}

#[test]
fn mlflow_reads_what_its_plugin_reads() {
    assert!(refused("mlflow", &settings(&[])).message.contains("no MLflow server"));
    let home = tempfile::tempdir().unwrap();
    let plugin = r#"{"trackingUri":"http://m:5000/","experimentId":"12"}"#;
    fs::write(home.path().join("mlflow-tracing.json"), plugin).unwrap();
    let from_file = Settings {
        files: ConfigFiles::new(Disk),
        codex_home: Some(home.path().to_owned()),
        ..settings(&[])
    };
    let header = |settings: &Settings, name: &str| {
        let exporter = exporter("mlflow", settings);
        let route = &exporter.contract().routes[0];
        let found = route.headers.iter().find(|it| it.name == name);
        (route.url.expose().to_owned(), found.map(|it| it.wire_value().to_owned()))
    };
    let url = "http://m:5000/v1/traces".to_owned();
    assert_eq!(header(&from_file, "x-mlflow-experiment-id"), (url.clone(), Some("12".to_owned())));
    let env = settings(&[
        ("MLFLOW_TRACKING_URI", "http://m:5000"),
        ("MLFLOW_TRACKING_USERNAME", "u"),
        ("MLFLOW_TRACKING_PASSWORD", "p"),
        ("MLFLOW_TRACKING_TOKEN", "t"),
    ]);
    // `u:p` in base64: the name comes before the token.
    assert_eq!(header(&env, "Authorization"), (url, Some("Basic dTpw".to_owned())));
}

/// Where spans go, to which table, and with what.
fn databricks(settings: &Settings) -> (String, String, String) {
    let exporter = exporter("mlflow", settings);
    let [spans] = &exporter.contract().routes[..] else { panic!("no final call") };
    let header = |name: &str| {
        let found = spans.headers.iter().find(|it| it.name == name).unwrap();
        found.wire_value().to_owned()
    };
    assert!(exporter.remarks()[0].message.contains("never tested"), "it is said");
    (spans.url.expose().to_owned(), header("X-Databricks-UC-Table-Name"), header("Authorization"))
}

#[test]
fn databricks_is_found_by_variables_or_by_a_profile() {
    const URL: &str = "https://w.example/api/2.0/otel/v1/traces";
    let home = tempfile::tempdir().unwrap();
    let file = concat!(
        "[DEFAULT]\nhost = https://default.example/\ntoken = one\n\n",
        "[dev]\nhost = https://w.example\ntoken = two\n\n[half]\nhost = https://h.example\n",
    );
    fs::write(home.path().join(".databrickscfg"), file).unwrap();
    let at_home = |env: &[(&str, &str)]| Settings {
        files: ConfigFiles::new(Disk),
        home: Some(home.path().to_owned()),
        ..settings(env)
    };
    let place = ("MLFLOW_TRACE_LOCATION", "c.s.p");
    let host = ("DATABRICKS_HOST", "w.example");
    let token = ("DATABRICKS_TOKEN", "t");
    let uri = |uri| ("MLFLOW_TRACKING_URI", uri);
    let table = || "c.s.p_otel_spans".to_owned();

    let by_variables = at_home(&[uri("databricks"), host, token, place]);
    assert_eq!(databricks(&by_variables), (URL.to_owned(), table(), "Bearer t".to_owned()));
    // The profile is named, so that is where its key belongs.
    let by_profile = at_home(&[uri("databricks://dev"), host, token, place]);
    assert_eq!(databricks(&by_profile), (URL.to_owned(), table(), "Bearer two".to_owned()));
    let (url, _, key) = databricks(&at_home(&[uri("databricks"), token, place]));
    assert_eq!((&*url, &*key), ("https://default.example/api/2.0/otel/v1/traces", "Bearer one"));
    let (_, table, _) =
        databricks(&at_home(&[uri("databricks"), host, token, ("MLFLOW_TRACE_LOCATION", "c.s")]));
    assert_eq!(table, "c.s.mlflow_experiment_trace_otel_spans");

    let refused = |env: &[(&str, &str)]| refused("mlflow", &at_home(env)).message;
    assert!(refused(&[uri("databricks://half"), token, place]).contains("token"));
    assert!(refused(&[uri("databricks://none"), host, token, place]).contains("profile `none`"));
    assert!(refused(&[uri("databricks"), host, place]).contains("token"), "no key goes elsewhere");
    assert!(refused(&[uri("databricks"), host, token]).contains("location"));
    let nowhere = [uri("databricks"), host, token, ("MLFLOW_TRACE_LOCATION", "c")];
    assert!(refused(&nowhere).contains("`c` is not a location"));
}

#[test]
fn mlflow_finds_its_experiment_and_the_live_traces() {
    let env = settings(&[("MLFLOW_TRACKING_URI", "http://m"), ("MLFLOW_EXPERIMENT_NAME", "a b")]);
    let Question { request: by_name, inquiry } = exporter("mlflow", &env).preflight().unwrap();
    let mut asking = Some(inquiry);
    let mut learned = None;
    let mut ask = |answer: Response| match asking.take().unwrap().learn(&answer).unwrap() {
        Learned::More(Question { request, inquiry }) => {
            asking = Some(inquiry);
            Some(request)
        }
        Learned::All(exporter) => {
            learned = Some(exporter);
            None
        }
    };
    assert!(by_name.url.expose().ends_with("get-by-name?experiment_name=a%20b"), "{}", by_name.url);
    let make = ask(Response::new(404, "{}")).unwrap();
    assert_eq!(*make.body.to_bytes(), *br#"{"name":"a b"}"#);
    let search = ask(Response::new(200, r#"{"experiment_id":"3"}"#)).unwrap();
    assert!(search.url.expose().ends_with("/api/3.0/mlflow/traces/search"));
    // What the live plugin sends has no tags, not even a name.
    let asked = String::from_utf8(search.body.to_bytes().into_owned()).unwrap();
    assert!(asked.contains("metadata.`mlflow.trace.session`") && !asked.contains("tags."));
    let live = r#"{"traces":[{"trace_id":"tr-live","request_time":"2026-05-01T10:00:00.999Z",
        "trace_metadata":{"mlflow.trace.session":"th1"}},
        {"trace_id":"tr-review","request_time":"2026-05-01T10:00:05.000Z",
        "trace_metadata":{"mlflow.trace.session":"th1"}}],"next_page_token":"more"}"#;
    let next = ask(Response::new(200, live)).unwrap();
    assert!(
        String::from_utf8(next.body.to_bytes().into_owned())
            .unwrap()
            .contains(r#""page_token":"more""#)
    );
    // Then whether another experiment has what would be sent.
    let experiments = ask(Response::new(200, "{}")).unwrap();
    assert!(experiments.url.expose().ends_with("/api/2.0/mlflow/experiments/search"));
    let all =
        r#"{"experiments":[{"experiment_id":"3","name":"a b"},{"experiment_id":"4","name":"c"}]}"#;
    let search = ask(Response::new(200, all)).unwrap();
    let asked = String::from_utf8(search.body.to_bytes().into_owned()).unwrap();
    assert!(asked.contains(r#""experiment_id":"4""#) && !asked.contains(r#""experiment_id":"3""#));
    assert!(ask(Response::new(200, "{}")).is_none());
    let exporter = learned.unwrap();
    assert_eq!(exporter.contract().routes[0].headers[0].wire_value(), "3");

    // The turn that the plugin has sent, a millisecond early as it does, is not sent again, nor the review
    // that it knows by the reviewer's turn; the other one is.
    let line = |at: &str, kind: &str, payload: &str| {
        format!(
            "{{\"timestamp\":\"2026-05-01T10:00:{at}Z\",\"type\":\"{kind}\",\"payload\":{payload}}}\n"
        )
    };
    let turn = |at: &str, id: &str| {
        let started = format!(r#"{{"type":"task_started","turn_id":"{id}"}}"#);
        let complete = format!(r#"{{"type":"task_complete","turn_id":"{id}"}}"#);
        line(at, "event_msg", &started) + &line(at, "event_msg", &complete)
    };
    let rollout =
        line("00", "session_meta", r#"{"id":"th1"}"#) + &turn("01", "one") + &turn("02", "two");
    let review = [
        ("04.930", r#"{"type":"entered_review_mode","turn_id":"three","user_facing_hint":"x"}"#),
        ("05.000", r#"{"type":"task_started","turn_id":"the reviewer's"}"#),
        ("06.000", r#"{"type":"exited_review_mode","turn_id":"three"}"#),
        ("06.000", r#"{"type":"task_complete","turn_id":"three"}"#),
    ];
    let review = review.map(|(at, payload)| line(at, "event_msg", payload)).concat();
    let rollout = rollout + &review;
    with_bytes(&rollout, |trace| {
        let units = crate::support::units(exporter.as_ref(), trace);
        let turns = units.iter().map(|it| (it.key.turn.as_deref().unwrap(), it.pieces.is_empty()));
        let turns: Vec<_> = turns.collect();
        let two = ("turn:two", false);
        assert_eq!(turns, [("turn:one", true), two, two, ("turn:three", true)]);
    });
}

#[test]
fn mlflow_verdicts() {
    let exporter = exporter("mlflow", &settings(&[("MLFLOW_TRACKING_URI", "http://m")]));
    let verdict = |route, status| exporter.verdict(route, &Response::new(status, "no"));
    let reason = |status| format!("status {status}: no");
    assert_eq!(exporter.verdict(0, &Response::new(200, "")), Verdict::Done);
    assert_eq!(exporter.verdict(1, &Response::new(200, r#"{"trace":{}}"#)), Verdict::Done);
    let stranger = "not the answer of MLflow: status 200: no".to_owned();
    assert_eq!(verdict(1, 200), Verdict::GiveUp { reason: stranger });
    assert_eq!(verdict(0, 422), Verdict::GiveUp { reason: reason(422) });
    assert_eq!(verdict(0, 400), Verdict::Reject { reason: reason(400) });
    assert_eq!(verdict(1, 400), Verdict::Reject { reason: reason(400) });
    assert_eq!(verdict(0, 500), Verdict::Retry { after: None, reason: reason(500) });
    assert_eq!(verdict(0, 413), Verdict::Split { reason: reason(413) });
}

/// A subagent whose parent's file is elsewhere still belongs to its session.
#[test]
fn mlflow_groups_by_session_and_by_user() {
    let rollout = concat!(
        r#"{"timestamp":"2026-11-01T10:00:00Z","type":"session_meta","payload":{"id":"child","session_id":"root","parent_thread_id":"root","source":{"subagent":{"thread_spawn":{"parent_thread_id":"root","depth":1}}}}}"#,
        "\n",
        r#"{"timestamp":"2026-11-01T10:00:01Z","type":"event_msg","payload":{"type":"task_started","turn_id":"one"}}"#,
        "\n",
        r#"{"timestamp":"2026-11-01T10:00:02Z","type":"event_msg","payload":{"type":"task_complete","turn_id":"one"}}"#,
        "\n",
    );
    let env = settings(&[("MLFLOW_TRACKING_URI", "http://m"), ("USER", "alice")]);
    let exporter = exporter("mlflow", &env);
    with_bytes(rollout, |trace| {
        let units = crate::support::units(exporter.as_ref(), trace);
        let request = ExportTraceServiceRequest::decode(units[0].body.as_slice()).unwrap();
        let root = &request.resource_spans[0].scope_spans[0].spans[0];
        let text =
            |key: &str| match root.attributes.iter().find(|it| it.key == key)?.value.clone()? {
                AnyValue { value: Some(Text::String(text)) } => Some(text),
                _ => None,
            };
        assert_eq!(text("session.id").as_deref(), Some("root"));
        assert_eq!(text("user.id").as_deref(), Some("alice"));
        let call: serde_json::Value = serde_json::from_slice(&units[1].body).unwrap();
        let info = &call["trace"]["trace_info"];
        assert_eq!(info["trace_metadata"]["mlflow.trace.session"], "root");
        assert_eq!(info["trace_metadata"]["mlflow.trace.user"], "alice");
        assert_eq!(info["client_request_id"], "child:one");
    });
}

/// The live plugin calls a tool by the name that the model calls it by.
#[test]
fn mlflow_calls_tools_as_its_plugin_does() {
    let rollout = concat!(
        r#"{"timestamp":"2026-11-01T10:00:00Z","type":"session_meta","payload":{"id":"t"}}"#,
        "\n",
        r#"{"timestamp":"2026-11-01T10:00:01Z","type":"event_msg","payload":{"type":"task_started","turn_id":"one"}}"#,
        "\n",
        r#"{"timestamp":"2026-11-01T10:00:02Z","type":"response_item","payload":{"type":"function_call","namespace":"collaboration","name":"spawn_agent","arguments":"{}","call_id":"c"}}"#,
        "\n",
        r#"{"timestamp":"2026-11-01T10:00:03Z","type":"response_item","payload":{"type":"function_call_output","call_id":"c","output":"{}"}}"#,
        "\n",
    );
    let exporter = exporter("mlflow", &settings(&[("MLFLOW_TRACKING_URI", "http://m")]));
    with_bytes(rollout, |trace| {
        let units = crate::support::units(exporter.as_ref(), trace);
        let request = ExportTraceServiceRequest::decode(units[0].body.as_slice()).unwrap();
        let spans = &request.resource_spans[0].scope_spans[0].spans;
        let tool = spans.iter().find(|it| it.name == "tool_spawn_agent").expect("as the plugin");
        let said = |key: &str, text: &str| {
            let value = Some(AnyValue::from(Text::String(text.to_owned())));
            assert!(tool.attributes.iter().any(|it| it.key == key && it.value == value), "{key}");
        };
        said("tool_name", "spawn_agent");
        said("tool_id", "c");
        said("codex.tool.namespace", "collaboration");
    });
}
