use crate::testenv::{TestEnv, place, small_rollout};

const ID: &str = "0199a213-81c0-7800-8aa1-bbab2a035a53";
const KEY: &str = "lsv2_pt_0123456789abcdef0123";

fn env() -> TestEnv {
    let env = TestEnv::new();
    let rollout = small_rollout(ID, "2025-10-01T10:00", "hello");
    env.write(&format!(".codex/{}", place("2025-10-01T10-00-00", ID)), rollout);
    env
}

#[test]
fn settings_are_told_with_their_origin_and_no_key_in_full() {
    let env = env();
    env.write(".codex/langsmith.json", format!(r#"{{"api_key":"{KEY}","project":"p"}}"#));
    for json in [true, false] {
        let args = ["doctor", "--to", "langsmith,mlflow", if json { "--json" } else { "-v" }];
        let run = env.finish(
            env.command(&args)
                .env("MLFLOW_TRACKING_URI", "http://user:hidden@host:5000")
                .env("MLFLOW_TRACKING_TOKEN", "a-token-of-some-length"),
        );
        assert_eq!(run.code, Some(0), "{run:?}");
        let all = format!("{}{}", run.stdout, run.stderr);
        assert!(all.contains("lsv2_…0123") && all.contains("[DIR]/.codex/langsmith.json"), "{all}");
        for secret in [KEY, "hidden", "a-token-of-some-length"] {
            assert!(!all.contains(secret), "{all}");
        }
        if json {
            assert_eq!(
                (&run.json()[0]["sessions"], &run.json()[1]["exists"]),
                (&1.into(), &false.into())
            );
        }
    }
}

#[test]
fn what_is_missing_or_malformed_is_told() {
    let env = env();
    env.write(".codex/langsmith.json", "{");
    let run = env.run(&["doctor", "--to", "langsmith"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    for words in ["not usable", "no API key", ".codex/langsmith.json` is not used", "hint"] {
        assert!(run.stdout.contains(words), "{}", run.stdout);
    }
    let run = TestEnv::new().run(&["doctor", "--to", "mlflow"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stdout.contains("no MLflow server is named"), "{}", run.stdout);
}
