//! What goes to Databricks, as far as its documentation says; a server of our own
//! stands in for the service.

use crate::scripted_server::{Act, Server};
use crate::testenv::{TestEnv, place, small_rollout};

const ID: &str = "019a0000-0000-7000-8000-000000000001";

#[test]
fn spans_go_to_the_table_of_a_profile_and_it_is_said_that_nobody_tested_it() {
    let env = TestEnv::new();
    let rollout = small_rollout(ID, "2026-03-01T10:00", "hello");
    env.write(&format!(".codex/{}", place("2026-03-01T10-00-00", ID)), rollout);
    let server = Server::start(&[], Some(Act::Ok));
    let host = server.url.trim_end_matches("/units");
    env.write(".databrickscfg", format!("[dev]\nhost = {host}\ntoken = dapi0123456789\n"));
    let run = |args: &[&str]| {
        let mut command = env.command(args);
        command.env("MLFLOW_TRACKING_URI", "databricks://dev");
        env.finish(command.env("MLFLOW_TRACE_LOCATION", "main.traces.codex"))
    };

    let upload = run(&["upload", "--to", "mlflow", "--settle", "0s"]);
    assert_eq!(upload.code, Some(0), "{}", upload.stderr);
    assert!(upload.stderr.contains("never tested against the service"), "{}", upload.stderr);
    assert_eq!(server.requests(), 1, "spans alone: no experiment, no search, no final call");
    for line in [
        "post /api/2.0/otel/v1/traces http/1.1",
        "content-type: application/x-protobuf",
        "content-encoding: gzip",
        "x-databricks-uc-table-name: main.traces.codex_otel_spans",
        "authorization: bearer dapi0123456789",
    ] {
        assert!(server.saw(line), "{line}");
    }

    let doctor = run(&["doctor", "--connect", "--to", "mlflow"]);
    for words in
        ["never tested against the service", "[DIR]/.databrickscfg ([dev] host)", "reachable"]
    {
        assert!(doctor.stdout.contains(words), "{}", doctor.stdout);
    }
    assert!(!doctor.stdout.contains("dapi0123456789"), "{}", doctor.stdout);
    assert_eq!(server.requests(), 2, "it has asked");
}

/// The command of MLflow's own page: it names an experiment and no location.
#[test]
fn an_experiment_alone_is_not_enough_and_it_is_said_why_and_what_is() {
    let env = TestEnv::new();
    let rollout = small_rollout(ID, "2026-03-01T10:00", "hello");
    env.write(&format!(".codex/{}", place("2026-03-01T10-00-00", ID)), rollout);
    let mut command = env.command(&["upload", "--to", "mlflow", "--settle", "0s"]);
    command.envs([
        ("MLFLOW_TRACKING_URI", "databricks"),
        ("MLFLOW_EXPERIMENT_ID", "123456789"),
        ("DATABRICKS_HOST", "http://127.0.0.1:1"),
        ("DATABRICKS_TOKEN", "dapi0123456789"),
    ]);
    env.finish(&mut command).is(
        2,
        "",
        "error: mlflow: Databricks needs a location for traces: an experiment alone is not enough, \
         as spans are taken by a table of Unity Catalog and not by an experiment\n\
         hint: set MLFLOW_TRACKING_URI to `databricks` and MLFLOW_TRACE_LOCATION to the \
         experiment's `catalog.schema.table_prefix`\n",
    );
}
