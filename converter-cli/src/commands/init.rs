//! `codex-trace init`: a first `codex-trace.toml` of what is there.

use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::args::{InitArgs, PlaceArgs};
use crate::config::ConfigFile;
use crate::destinations::{self, Given, Named};
use crate::exit::ExitStatus;
use crate::ui::Ui;
use codex_trace_deliver::private;
use codex_trace_export::secret::without_password;
use codex_trace_export::{Address, Signal};
use codex_trace_history::failure::Failure;

/// How long a port of this machine is waited for.
const PATIENCE: Duration = Duration::from_millis(300);

/// Who listens on a port of this machine, as a rule.
struct Usual {
    port: u16,
    /// Name and backend in the file.
    table: (&'static str, &'static str),
    /// Backends that make it needless, if one of them was found.
    unless: &'static [&'static str],
    /// How the port is spoken to, where it is not as usual.
    protocol: Option<&'static str>,
    what: &'static str,
}

#[rustfmt::skip]
const USUAL: &[Usual] = &[
    Usual { port: 4318, table: ("collector", "otlp"),  unless: &["otlp"],            protocol: None,         what: "an OTLP receiver over HTTP" },
    Usual { port: 6006, table: ("phoenix", "phoenix"), unless: &["phoenix"],         protocol: None,         what: "Arize Phoenix" },
    Usual { port: 5000, table: ("mlflow", "mlflow"),   unless: &["mlflow"],          protocol: None,         what: "MLflow" },
    // Phoenix listens here, too.
    Usual { port: 4317, table: ("collector", "otlp"),  unless: &["otlp", "phoenix"], protocol: Some("grpc"), what: "an OTLP receiver over gRPC" },
];

/// Settings that say nothing of a place, or of what lets us in there.
const ASIDE: &[&str] =
    &["service name", "resource", "environment", "metadata", "user", "timeout", "semconv"];

/// A destination that could be written down.
#[derive(Debug)]
struct Candidate {
    name: String,
    backend: &'static str,
    /// The address, where nothing but the file says it.
    endpoint: Option<String>,
    /// Its protocol, where it is not the usual one.
    protocol: Option<&'static str>,
    /// What was found: settings, and where they are.
    because: Vec<String>,
    /// The addresses that it sends traces to.
    traces_to: Vec<Address>,
    /// Whether it sends logs or metrics, too.
    sends_more: bool,
    /// Why another one was left out.
    note: Option<String>,
    /// What is still missing.
    problem: Option<String>,
}

/// Looks for destinations, asks, and writes `codex-trace.toml`.
///
/// # Errors
///
/// If the file is there already, it cannot be written, or nobody can be asked.
pub fn run(args: &InitArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let settings = ui.settings();
    let place = PlaceArgs { config: args.config.clone(), ..PlaceArgs::default() };
    let path = ConfigFile::place(args.config.as_deref(), settings)
        .ok_or_else(|| Failure::new("there is no home directory to write codex-trace.toml to"))?;
    let exists = path.symlink_metadata().is_ok();
    let empty = ConfigFile::default();
    let given = Given { place: &place, upload: None, file: &empty, settings };
    let mut found = configured(given)?;
    if !args.no_ports {
        add_listening(&mut found);
    }
    let may_write = !exists && !args.dry_run;
    if may_write && !args.yes && !args.json && !io::stdin().is_terminal() {
        return Err(Failure::new("cannot ask: standard input is not a terminal")
            .hint("`--yes` writes the file without asking, `--dry-run` only shows it")
            .into());
    }
    let ask = Ask { yes: args.yes || args.json || !may_write };
    if !args.json {
        tell(&found, ui);
    }
    found.retain(|it| ask.agrees(&format!("Add `{}`?", it.name), true));
    let chosen: Vec<&str> = found
        .iter()
        .filter(|it| it.problem.is_none())
        .map(|it| it.name.as_str())
        .filter(|name| !ask.yes && ask.agrees(&format!("Upload to `{name}` by default?"), false))
        .collect();
    let text = written(&found, &chosen);
    // What is written must be read again.
    ConfigFile::read(path.clone(), &text)?;
    let writes = may_write
        && (!args.json || args.yes)
        && ask.agrees(&format!("Write {}?", path.display()), true);
    if writes {
        write(&path, &text)?;
    }
    let mut out = ui.out();
    if args.json {
        let found: Vec<_> = found.iter().map(as_json).collect();
        let report = json!({"path": path.display().to_string(), "exists": exists,
            "found": found, "text": text, "written": writes});
        writeln!(out, "{report}")?;
    } else if !writes {
        out.write_all(text.as_bytes())?;
    }
    out.flush()?;
    if exists && !args.dry_run {
        return Err(Failure::new(format!("`{}` exists and was left as it is", path.display()))
            .hint("add the tables that you want to it, or name another file with `--config FILE`")
            .into());
    }
    if writes && !args.json {
        ui.say(format!("wrote {}", path.display()));
        ui.hint("`codex-trace doctor --connect` asks each destination whether it answers");
    }
    Ok(ExitStatus::Complete)
}

/// Asks on the terminal.
struct Ask {
    yes: bool,
}

impl Ask {
    /// Returns whether the user agrees: what is `usual`, if nothing is typed or
    /// nobody is asked.
    fn agrees(&self, question: &str, usual: bool) -> bool {
        if self.yes {
            return usual;
        }
        let choices = if usual { "[Y/n]" } else { "[y/N]" };
        let mut err = io::stderr();
        write!(err, "{question} {choices} ").and_then(|()| err.flush()).ok();
        let mut line = String::new();
        if !io::stdin().lock().read_line(&mut line).is_ok_and(|len| len > 0) {
            return false;
        }
        match line.trim().to_lowercase().as_str() {
            "" => usual,
            answer => answer == "y" || answer == "yes",
        }
    }
}

/// Finds the destinations that variables, live plugins and Codex' own
/// configuration are about.
fn configured(given: Given<'_>) -> Result<Vec<Candidate>, Failure> {
    let mut found = Vec::new();
    for named in destinations::all(given)? {
        let because = reasons(&named);
        if because.is_empty() {
            continue;
        }
        let connected = named.connect();
        let (mut traces_to, mut sends_more) = (Vec::new(), false);
        for (_, exporter) in connected.iter().flatten() {
            let signals = exporter.signals();
            sends_more |= signals.contains(&Signal::Logs) || signals.contains(&Signal::Metrics);
            if signals.contains(&Signal::Traces) {
                traces_to.extend(exporter.contract().routes.first().map(|it| it.url.clone()));
            }
        }
        let problem = connected.err().map(|failure| without_password(&failure.to_string()));
        let backend = named.settings.preset.map_or(named.backend.name, |preset| preset.name);
        found.push(Candidate {
            name: named.name,
            backend,
            endpoint: None,
            protocol: None,
            because,
            traces_to,
            sends_more,
            note: None,
            problem,
        });
    }
    leave_out_doubles(&mut found);
    Ok(found)
}

/// Leaves out what sends nothing but traces, and to addresses that another one
/// sends traces to: every turn would be there twice. The other one sends logs and
/// metrics, too, or was found before by the same settings.
fn leave_out_doubles(found: &mut Vec<Candidate>) {
    let is_double = |nth: usize, other: usize| {
        let (it, before) = (&found[nth], other < nth);
        let other = &found[other];
        let same = || before && it.because.iter().all(|reason| other.because.contains(reason));
        !it.sends_more
            && !it.traces_to.is_empty()
            && it.traces_to.iter().all(|to| other.traces_to.contains(to))
            && (other.sends_more || same())
    };
    let doubles: Vec<(usize, usize)> = (0..found.len())
        .filter_map(|nth| Some((nth, (0..found.len()).find(|other| is_double(nth, *other))?)))
        .collect();
    let mut left_out = Vec::new();
    for (nth, other) in doubles {
        let (name, other_name) = (found[nth].name.clone(), &found[other].name);
        let note = format!("`{name}` is left out: `{other_name}` sends traces to the same address");
        found[other].note = Some(note);
        left_out.push(name);
    }
    found.retain(|it| !left_out.contains(&it.name));
}

fn reasons(named: &Named<'_>) -> Vec<String> {
    let description = (named.backend.describe)(&named.settings);
    let said = description
        .found
        .iter()
        .filter(|it| it.from != "the default" && !ASIDE.contains(&it.name.as_str()));
    // A setting is named by its place: what a key is nobody needs to see here.
    let mut because: Vec<String> = Vec::new();
    for setting in said {
        let reason = format!("{} in {}", setting.name, setting.from);
        if !because.contains(&reason) {
            because.push(reason);
        }
    }
    because
}

/// Adds what listens on the usual ports of this machine.
fn add_listening(found: &mut Vec<Candidate>) {
    for Usual { port, table: (name, backend), unless, protocol, what } in USUAL {
        let address = SocketAddr::from(([127, 0, 0, 1], *port));
        let is_known = found.iter().any(|it| unless.contains(&it.backend));
        if is_known || TcpStream::connect_timeout(&address, PATIENCE).is_err() {
            continue;
        }
        found.push(Candidate {
            name: (*name).to_owned(),
            backend,
            endpoint: Some(format!("http://localhost:{port}")),
            protocol: *protocol,
            because: vec![format!("port {port} is open, which {what} usually uses")],
            traces_to: Vec::new(),
            sends_more: false,
            note: None,
            problem: None,
        });
    }
}

fn tell(found: &[Candidate], ui: &Ui) {
    if found.is_empty() {
        ui.say(
            "no destination was found: no variables, no live plugin, nothing on the usual ports",
        );
    }
    for it in found {
        ui.say(format!("found `{}`: {}", it.name, it.because.join("; ")));
        if let Some(note) = &it.note {
            ui.say(note);
        }
        if let Some(problem) = &it.problem {
            ui.warn(format!("`{}` cannot be used yet: {problem}", it.name));
        }
    }
}

/// Makes the text of the file.
fn written(found: &[Candidate], chosen: &[&str]) -> String {
    let mut text = String::from(
        "# Destinations of `codex-trace upload`. All keys: docs/configuration.md.\n\
         # Keys of servers are not written here, but where they are:\n\
         # key = { env = \"NAME\" } or key = { file = \"~/.secrets/NAME\" }\n\n",
    );
    text.push_str("# Where an upload goes that has no `--to`.\n");
    if chosen.is_empty() {
        text.push_str("# to = [\"NAME\"]\n");
    } else {
        let names: Vec<String> = chosen.iter().map(|name| format!("\"{name}\"")).collect();
        writeln!(text, "to = [{}]", names.join(", ")).expect("a string takes everything");
    }
    for it in found {
        text.push('\n');
        for reason in &it.because {
            writeln!(text, "# Found: {}", one_line(reason)).expect("a string takes everything");
        }
        if let Some(note) = &it.note {
            writeln!(text, "# {}", one_line(note)).expect("a string takes everything");
        }
        if let Some(problem) = &it.problem {
            let problem = one_line(problem);
            writeln!(text, "# Not usable yet: {problem}").expect("a string takes everything");
        }
        writeln!(text, "[destinations.{}]\nbackend = \"{}\"", it.name, it.backend)
            .expect("a string takes everything");
        match &it.endpoint {
            Some(endpoint) => writeln!(text, "endpoint = \"{endpoint}\""),
            None => writeln!(text, "# endpoint, project and key: as found above, unless set here"),
        }
        .expect("a string takes everything");
        if let Some(protocol) = it.protocol {
            writeln!(text, "protocol = \"{protocol}\"").expect("a string takes everything");
        }
        text.push_str("# project = \"codex\"\n");
        text.push_str("# capture = \"no-tool-content\"   # or \"metadata-only\", \"full\"\n");
    }
    text
}

/// What follows a `#` must stay behind it.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn as_json(it: &Candidate) -> serde_json::Value {
    json!({"name": it.name, "backend": it.backend, "endpoint": it.endpoint,
        "because": it.because, "note": it.note, "problem": it.problem})
}

/// Writes a new private file: one that is there by now stays.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let cannot = format!("cannot write `{}`", path.display());
    let failure = |err: io::Error| Failure::because(&cannot, &err);
    if let Some(dir) = path.parent() {
        private::make_dir(dir).map_err(failure)?;
    }
    let mut file = private::options().write(true).create_new(true).open(path).map_err(failure)?;
    file.write_all(text.as_bytes()).map_err(failure)
}
