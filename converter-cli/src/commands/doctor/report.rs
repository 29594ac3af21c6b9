use std::io::Write;

use serde_json::Value;

use crate::text;

/// Writes a report for people.
pub(super) fn write(report: &Value, verbose: bool, out: &mut impl Write) -> std::io::Result<()> {
    let name = match report["type"].as_str() {
        Some("destination") => word(report, "name"),
        _ => word(report, "type"),
    };
    let state = match (report["usable"] == true, report["asked_for"] == false) {
        (true, _) => "ok",
        // Nobody wants it: that it lacks something is no fault.
        (false, true) => "not set up",
        (false, false) => "not usable",
    };
    let head = format!("{name:<10} {state:<10}  {}", about(report));
    writeln!(out, "{}", text::escape(head.trim_end()))?;
    let mut line = |head: &str, text: &str| writeln!(out, "  {head:<10} {}", text::escape(text));
    let versions = report["versions"].as_object().into_iter().flatten();
    let versions: Vec<_> = versions.map(|(version, n)| format!("{version} ({n})")).collect();
    if !versions.is_empty() {
        line("versions", &versions.join(", "))?;
    }
    for it in list(report, "places") {
        let counts = match (&it["sent"], &it["pending"], &it["failed"]) {
            (sent, pending, failed) if *sent != 0 || *pending != 0 || *failed != 0 => {
                format!("  ({sent} sent, {pending} pending, {failed} failed)")
            }
            _ => String::new(),
        };
        line("to", &format!("{}{counts}", word(it, "destination")))?;
    }
    for it in list(report, "settings") {
        let (name, value) = (word(it, "name"), word(it, "value"));
        line("setting", &format!("{name} = {value}  ({})", word(it, "from")))?;
    }
    for it in list(report, "unset").iter().filter(|_| verbose) {
        line("unset", &format!("{}: {}", word(it, "name"), word(it, "help")))?;
    }
    for it in list(report, "problems") {
        line("problem", it.as_str().unwrap_or_default())?;
    }
    for it in list(report, "connect") {
        let (state, detail) = (word(it, "state"), word(it, "detail"));
        line("connect", format!("{state}  {detail}").trim_end())?;
        if let Some(hint) = it["hint"].as_str() {
            line("hint", hint)?;
        }
    }
    if let Some(hint) = report["hint"].as_str() {
        line("hint", hint)?;
    }
    Ok(())
}

/// Says what was not looked into.
fn passed_over(report: &Value) -> String {
    let counts = report["passed_over"].as_object().into_iter().flatten();
    let words: Vec<String> = counts.map(|(why, count)| format!("{count} {why}")).collect();
    if words.is_empty() { String::new() } else { format!("; passed over: {}", words.join(", ")) }
}

/// What follows name and state.
fn about(report: &Value) -> String {
    let path = text::escape(word(report, "path")).into_owned();
    match (report["type"].as_str(), report["exists"].as_bool()) {
        (Some("history"), _) if report["path"].is_string() => format!(
            "{path} ({}): {} ({} archived, {} compressed){}",
            word(report, "from"),
            text::count(
                usize::try_from(report["rollouts"].as_u64().unwrap_or(0)).unwrap_or(0),
                "rollout"
            ),
            report["archived"],
            report["compressed"],
            passed_over(report)
        ),
        (Some("ledger"), Some(true)) => format!(
            "{path} (schema {}): {} sent, {} pending, {} failed",
            report["schema"], report["sent"], report["pending"], report["failed"]
        ),
        (Some("config"), Some(true)) => {
            let names = list(report, "destinations").iter().filter_map(Value::as_str);
            let names = names.collect::<Vec<_>>().join(", ");
            format!("{path}: {}", if names.is_empty() { "no destinations" } else { &names })
        }
        (Some("hook"), _) => {
            let events = list(report, "events").iter().filter_map(Value::as_str);
            let notify = (report["notify"] == true).then_some("notify");
            let by = notify.into_iter().chain(events).collect::<Vec<_>>().join(", ");
            let at = report["called_at"].as_str().map(|at| format!("; Codex called last at {at}"));
            format!(
                "{}{}",
                if by.is_empty() { "not installed" } else { &by },
                at.unwrap_or_default()
            )
        }
        (_, Some(false)) if !path.is_empty() => format!("{path} (none)"),
        (Some("destination"), _) if report["name"] != report["backend"] => {
            word(report, "backend").to_owned()
        }
        _ => path,
    }
}

fn word<'r>(report: &'r Value, key: &str) -> &'r str {
    report[key].as_str().unwrap_or_default()
}

fn list<'r>(report: &'r Value, key: &str) -> &'r [Value] {
    report[key].as_array().map_or(&[], Vec::as_slice)
}
