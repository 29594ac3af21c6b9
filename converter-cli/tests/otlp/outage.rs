//! A real MLflow that is away for a minute in the middle of an upload, dead or
//! hanging, or for longer than the upload has patience. See
//! docs/testing-servers.md.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use crate::faults::{Stage, same};
use crate::servers::{alone_at_mlflow, server};

/// How long it is away.
const OUTAGE: Duration = Duration::from_secs(60);

/// The server's processes, which `.ci/servers/start.sh` has started.
struct Mlflow {
    scripts: PathBuf,
    port: String,
}

impl Mlflow {
    /// Finds them, or says why nothing can be done to them.
    fn find(base: &str) -> Option<Mlflow> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/servers");
        let port = base.rsplit(':').next().unwrap_or_default().to_owned();
        let mlflow = Mlflow { scripts, port };
        // A signal that does nothing.
        let there = mlflow.run("stop.sh", &["mlflow", "--signal", "CONT"]);
        if !there.status.success() {
            println!("skipped: {}", String::from_utf8_lossy(&there.stderr).trim());
            return None;
        }
        Some(mlflow)
    }

    fn run(&self, script: &str, args: &[&str]) -> Output {
        let mut command = Command::new(self.scripts.join(script));
        command.args(args).stdin(Stdio::null()).output().unwrap()
    }

    #[track_caller]
    fn signal(&self, name: &str) {
        assert!(self.run("stop.sh", &["mlflow", "--signal", name]).status.success(), "{name}");
    }

    #[track_caller]
    fn goes(&self, away: Away) {
        self.signal(if away == Away::Killed { "KILL" } else { "STOP" });
        let health = format!("http://127.0.0.1:{}/health", self.port);
        let asked = ureq::get(health).config().timeout_global(Some(Duration::from_secs(2)));
        assert!(asked.build().call().is_err(), "another process answers on port {}", self.port);
    }

    #[track_caller]
    fn comes_back(&self, away: Away) {
        if away == Away::Hanging {
            return self.signal("CONT");
        }
        let said = self.run("start.sh", &["mlflow", &self.port]);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    }
}

/// How it goes away, and comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Away {
    Killed,
    Hanging,
}

#[test]
fn a_server_that_is_away_for_a_minute_costs_a_minute_or_a_second_run() {
    const SLOWLY: [&str; 4] = ["--jobs", "1", "--senders", "2"];
    let Some(base) = server("mlflow", "http://127.0.0.1:5101") else { return };
    let _alone = alone_at_mlflow();
    let Some(mlflow) = Mlflow::find(&base) else { return };
    let stage = Stage::new(&base, "codex-trace-clean", "homes");
    stage.completes(&base, &SLOWLY);
    let n_sent = stage.n_sent();
    let clean = stage.take_out();
    #[rustfmt::skip]
    let cases = [
        (Away::Killed,  true,  &[][..]),
        (Away::Hanging, true,  &[][..]),
        (Away::Killed,  false, &["--retry-for", "5s"][..]),
        (Away::Hanging, false, &["--retry-for", "5s", "--timeout", "10s"][..]),
    ];
    for (away, survives, patience) in cases {
        let stage = Stage::new(&base, "codex-trace-outage", "homes");
        let mut child = stage.upload(&base, &[&SLOWLY, patience].concat());
        while stage.n_sent() < n_sent / 3 {
            assert!(child.try_wait().unwrap().is_none(), "it ended before");
            thread::sleep(Duration::from_millis(20));
        }
        mlflow.goes(away);
        assert!(child.try_wait().unwrap().is_none(), "it ended before");
        let output = if survives {
            thread::sleep(OUTAGE);
            mlflow.comes_back(away);
            child.wait_with_output().unwrap()
        } else {
            let output = child.wait_with_output().unwrap();
            mlflow.comes_back(away);
            // What it was given before it hung, it still does.
            thread::sleep(Duration::from_secs(5));
            output
        };
        let said = String::from_utf8_lossy(&output.stderr);
        println!("mlflow, {away:?}, {patience:?}: {said}");
        assert_eq!(output.status.code(), Some(i32::from(!survives)), "{said}");
        if !survives {
            assert!(
                said.contains("\nerror: mlflow: ") || said.starts_with("error: mlflow: "),
                "{said}"
            );
            assert!(said.contains("run the same command again"), "{said}");
            stage.completes(&base, &SLOWLY);
        }
        same(&stage.take_out(), &clean);
    }
}
