//! The costs of `usage`: what a call costs depends on more than its model.

use serde_json::Value;

use crate::testenv::{TestEnv, place, small_rollout};

/// What a call's price depends on.
struct Call {
    model: &'static str,
    provider: &'static str,
    tier: Option<&'static str>,
    input: u64,
}

/// A history of sessions of one call each, of 1 000 tokens out, on 12
/// September 2026.
fn history(calls: &[Call]) -> TestEnv {
    let env = TestEnv::new();
    for (nth, call) in calls.iter().enumerate() {
        let id = format!("01a09000-0000-7000-8000-{nth:012}");
        let settings = serde_json::json!({
            "timestamp": "2026-09-12T08:00:00.500Z", "type": "event_msg",
            "payload": {"type": "thread_settings_applied", "thread_id": id, "thread_settings": {
                "model": call.model, "model_provider_id": call.provider, "service_tier": call.tier,
            }},
        });
        let text = small_rollout(&id, "2026-09-12T08:00", "x")
            .replace("gpt-x", call.model)
            .replace(r#""cached_input_tokens":40"#, r#""cached_input_tokens":0"#)
            .replace(r#""input_tokens":100"#, &format!(r#""input_tokens":{}"#, call.input))
            .replace(r#""output_tokens":7"#, r#""output_tokens":1000"#)
            .replace(r#""total_tokens":107"#, &format!(r#""total_tokens":{}"#, call.input + 1000));
        let (meta, rest) = text.split_once('\n').expect("lines");
        let meta = meta.replace(
            r#""source":"exec""#,
            &format!(r#""source":"exec","model_provider":"{}""#, call.provider),
        );
        env.write(
            &format!(".codex/{}", place("2026-09-12T08-00-00", &id)),
            format!("{meta}\n{settings}\n{rest}"),
        );
    }
    env
}

/// The cost of each session, `?` where it has no price.
fn costs(env: &TestEnv, args: &[&str]) -> Vec<String> {
    let args = [&["usage", "--json", "--by", "session", "-q"], args].concat();
    let report: Value = serde_json::from_str(&env.run(&args).stdout).expect("an object");
    let rows = report["rows"].as_array().expect("rows");
    let mut costs: Vec<(String, String)> = rows
        .iter()
        .map(|row| {
            let cost = row.get("cost_usd").map_or("?".to_owned(), Value::to_string);
            (row["key"].to_string(), cost)
        })
        .collect();
    costs.sort();
    costs.into_iter().map(|(_, cost)| cost).collect()
}

const OPENAI: Call = Call { model: "gpt-5.5", provider: "openai", tier: None, input: 100_000 };

/// By the published rule: 500 000 × 10 + 1 000 × 45 millionths above 272 000
/// tokens, two and a half times 100 000 × 5 + 1 000 × 30 in the priority tier.
#[test]
fn long_requests_and_fast_ones_cost_more() {
    let env = history(&[
        OPENAI,
        Call { input: 500_000, ..OPENAI },
        Call { tier: Some("priority"), ..OPENAI },
        Call { tier: Some("fast"), ..OPENAI },
        Call { tier: Some("default"), ..OPENAI },
        Call { tier: Some("flex"), ..OPENAI },
        Call { model: "gpt-5.6-sol", input: 500_000, ..OPENAI },
    ]);
    let expected = ["0.53", "5.045", "1.325", "1.325", "0.53", "0.265", "4.03"];
    assert_eq!(costs(&env, &[]), expected);
}

/// Local servers and gateways use the names of OpenAI's models.
#[test]
fn what_openai_did_not_serve_has_no_list_price() {
    let env = history(&[OPENAI, Call { provider: "ollama", ..OPENAI }]);
    assert_eq!(costs(&env, &[]), ["0.53", "?"]);
    let mut command = env.command(&["usage", "--by", "model"]);
    env.finish(command.env("COLUMNS", "120")).is(
        0,
        "\
MODEL    CALLS    INPUT  CACHED  OUTPUT  REASONING    TOTAL     COST
gpt-5.5      2  200,000       0   2,000          6  202,000  $0.53+?
total        2  200,000       0   2,000          6  202,000  $0.53+?
",
        "\
warning: no list price for `gpt-5.5` of the provider `ollama`: 1 call with 101,000 tokens are not in the cost
hint: `--prices FILE` adds prices; `codex-trace usage --help` describes the file
",
    );
}

#[test]
fn a_file_of_prices_can_say_all_that_a_price_depends_on() {
    let env = history(&[
        Call { provider: "azure", ..OPENAI },
        Call { provider: "azure", tier: Some("priority"), ..OPENAI },
        Call { provider: "azure", input: 300_000, ..OPENAI },
        Call { provider: "azure", tier: Some("priority"), input: 300_000, ..OPENAI },
        OPENAI,
    ]);
    env.write(
        "prices.json",
        r#"{"prices": [{"model": "gpt-5.5", "provider": "azure", "input": 1, "output": 10,
            "long_context": {"above": 200000, "input": 2, "output": 20},
            "tiers": {"fast": {"input": 3, "output": 30}}}]}"#,
    );
    // 0.1 + 0.01, 0.3 + 0.03, 0.6 + 0.02, not said, as built in.
    let expected = ["0.11", "0.33", "0.62", "?", "0.53"];
    assert_eq!(costs(&env, &["--prices", "prices.json"]), expected);
}
