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
