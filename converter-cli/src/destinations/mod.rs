//! From names on the command line to places that can be sent to: what flags,
//! `codex-trace.toml`, the environment and live plugins say, in this order.

mod manner;
pub mod places;
pub mod projects;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::args::{PlaceArgs, UploadArgs};
use crate::backends;
use crate::config::{self, ConfigFile, Settings, Table};
use codex_trace_deliver::private::{Disk, exposed};
use codex_trace_deliver::transport::{Client, Grpc, Header, Http, TlsFiles, Transport, Wire};
use codex_trace_export::describe::Description;
use codex_trace_export::options::common::{
    ENDPOINT, HEADERS, KEY, PASSWORD, PROJECT, REQUESTS_PER_SECOND, TIMEOUT, TLS, USERNAME,
    WORKSPACE,
};
use codex_trace_export::options::{HeaderSetting, Opt, SecretRef};
use codex_trace_export::secret::Secret;
use codex_trace_export::secret::without_password;
use codex_trace_export::{Address, Origin};
use codex_trace_export::{Backend, ConfigError, ConfigFiles, Exporter, Said, proxy_for};
use codex_trace_history::failure::Failure;

pub use manner::Manner;

/// How long a request may take, where nobody says.
const USUAL_TIMEOUT: Duration = Duration::from_secs(2 * 60);

/// What is given: the flags, the file, the rest of the world.
#[derive(Clone, Copy, Debug)]
pub struct Given<'g> {
    /// The flags about places.
    pub place: &'g PlaceArgs,
    /// The other flags of an upload.
    pub upload: Option<&'g UploadArgs>,
    /// `codex-trace.toml`.
    pub file: &'g ConfigFile,
    /// What holds for every command.
    pub settings: &'g Settings,
}

/// The name and the exporter of one place.
pub type Connected = (String, Box<dyn Exporter>);

/// A destination that was named: everything about it is known, and nothing has
/// been sent.
pub struct Named<'g> {
    /// Its name: of `codex-trace.toml`, or of its backend.
    pub name: String,
    /// What takes the data.
    pub backend: &'static Backend,
    /// What the backend may look at.
    pub settings: codex_trace_export::Settings,
    given: Given<'g>,
    table: Option<&'g Table>,
    headers: BTreeMap<String, Said<Secret>>,
    /// Keys that are not where they should be.
    missing: Vec<String>,
}

/// The destinations that were asked for: by `--to`, or by `to` of
/// `codex-trace.toml`; none, if neither says.
///
/// # Errors
///
/// If there is none of that name, or one of several is to have an endpoint that
/// is for one.
pub fn asked_for(given: Given<'_>) -> Result<Vec<Named<'_>>, Failure> {
    let names = if given.place.to.is_empty() { &given.file.to } else { &given.place.to };
    find(names.iter().map(String::as_str).collect(), given)
}

/// All that `codex-trace.toml` has, and all backends that it has not.
///
/// # Errors
///
/// As [`asked_for`].
pub fn all(given: Given<'_>) -> Result<Vec<Named<'_>>, Failure> {
    let own = given.file.destinations.keys().map(String::as_str);
    let is_set = |name: &str| given.settings.vars.0.get(name).is_some_and(|it| !it.is_empty());
    // Of the many products, those that somebody configured here.
    let is_used = |name: &&str| match backends::named(name).and_then(|known| known.preset) {
        Some(preset) => preset.variables().any(|(name, _)| is_set(name)),
        None => true,
    };
    let rest = backends::names().map(|(name, _)| name).filter(is_used);
    let rest = rest.filter(|name| !given.file.destinations.contains_key(*name));
    find(own.chain(rest).collect(), given)
}

fn find<'g>(names: Vec<&str>, given: Given<'g>) -> Result<Vec<Named<'g>>, Failure> {
    if names.len() > 1 && given.place.options.get(&ENDPOINT).is_some() {
        return Err(Failure::new("`--endpoint` is for one destination, and there are several")
            .hint("name one with `--to`, or give each a table in codex-trace.toml"));
    }
    names.into_iter().map(|name| Named::find(name, given)).collect()
}

impl<'g> Named<'g> {
    fn find(name: &str, given: Given<'g>) -> Result<Named<'g>, Failure> {
        let table = given.file.destinations.get(name);
        let known = backends::named(table.map_or(name, |table| &table.backend));
        let backends::Known { backend, preset } = known.ok_or_else(|| {
            Failure::new(format!("no destination or backend `{name}`"))
                .hint(given.file.names_hint(name))
        })?;
        let mut named = Named {
            name: match (table, preset) {
                (Some(_), _) => name,
                (None, Some(preset)) => preset.name,
                (None, None) => backend.name,
            }
            .to_owned(),
            backend,
            settings: codex_trace_export::Settings {
                own_place: table.is_some_and(|table| table.get(&ENDPOINT).is_some()),
                env: given.settings.vars.clone(),
                files: ConfigFiles::new(Disk),
                codex_home: given.settings.own_codex_home.clone(),
                foreign_home: given.settings.foreign_home.clone(),
                home: given.settings.home.clone(),
                cwd: given.settings.cwd.clone(),
                trust_project: given.place.trust_project,
                preset,
                has_headers: table.is_some_and(|table| table.get(&HEADERS).is_some()),
                ..codex_trace_export::Settings::default()
            },
            given,
            table,
            headers: BTreeMap::new(),
            missing: Vec::new(),
        };
        named.read_place();
        named.settings.options = named.manner().options(backend)?;
        if let Some(table) = table {
            named.read_access(table);
        }
        Ok(named)
    }

    /// How it is to be written to.
    pub fn manner(&self) -> Manner<'_> {
        Manner { given: self.given, own: Some(&*self.name).zip(self.table) }
    }

    /// The same destination, for the sessions of one project.
    fn for_project(&self, project: Said<String>) -> Named<'g> {
        let settings = codex_trace_export::Settings {
            sessions_project: Some(project),
            ..self.settings.clone()
        };
        Named {
            name: self.name.clone(),
            settings,
            headers: self.headers.clone(),
            missing: self.missing.clone(),
            ..*self
        }
    }

    /// Whether a project's file is the one that the user trusts with the place of
    /// all sessions.
    fn trusts(&self, file: &std::path::Path) -> bool {
        let own = self.settings.cwd.as_ref().map(|cwd| cwd.join(".codex"));
        let pair = own.as_deref().zip(file.parent()).filter(|_| self.settings.trust_project);
        pair.is_some_and(|(own, dir)| self.settings.files.is_same_dir(own, dir))
    }

    /// Whether the user has named one place for all sessions, by a flag, a table
    /// or the variable of the address.
    fn is_for_all(&self) -> bool {
        let of_address = self.backend.options.iter().filter(|it| it.name() == ENDPOINT.name());
        let mut variables = of_address.flat_map(|it| it.env);
        self.settings.endpoint.is_some()
            || self.settings.project.is_some()
            || variables.any(|name| self.settings.var(name).is_some())
    }

    fn read_place(&mut self) {
        self.settings.endpoint = self.choose(&ENDPOINT);
        self.settings.project = self.choose(&PROJECT);
        self.settings.access.workspace = self.choose(&WORKSPACE);
    }

    fn read_access(&mut self, table: &Table) {
        self.settings.access.key = self.secret_of(table, &KEY);
        let password = self.secret_of(table, &PASSWORD);
        self.settings.access.login = self.choose(&USERNAME).zip(password);
        for (name, value) in table.get(&HEADERS).unwrap_or_default() {
            let place = format!("{}.{name}", HEADERS.name());
            let secret = match value {
                HeaderSetting::Plain(text) => {
                    self.settings.origins.insert(place.clone(), self.manner().origin(&place));
                    Some(Secret::new(text))
                }
                HeaderSetting::Secret(reference) => self.secret(&place, &reference),
            };
            if let Some(secret) = secret {
                let said = Said::new(secret, self.settings.origin(&place));
                self.headers.insert(name, said);
            }
        }
    }

    fn secret_of(&mut self, table: &Table, option: &Opt<SecretRef>) -> Option<Secret> {
        self.secret(option.name(), &table.get(option)?)
    }

    /// Reads a key from where it is, and notes where that is.
    fn secret(&mut self, key: &str, reference: &SecretRef) -> Option<Secret> {
        let at = self.manner().origin(key);
        let home = self.given.file.home(self.given.settings);
        match config::read_secret(reference, &self.settings.env, &home) {
            Ok(secret) => {
                let origin = Origin::table(format!("{reference}, named in {at}"));
                self.settings.origins.insert(key.to_owned(), origin);
                Some(secret)
            }
            Err(what) => {
                self.missing.push(format!("`{key}` ({at}): {what}"));
                None
            }
        }
    }

    /// Takes a flag, else a key of the file, and notes which.
    fn choose(&mut self, option: &Opt<String>) -> Option<String> {
        let said = self.manner().get(option)?;
        self.settings.origins.insert(option.name().to_owned(), said.from);
        Some(said.value)
    }

    /// Makes an exporter for each place that the settings name (replicas are
    /// several), with its name; sends nothing.
    ///
    /// # Errors
    ///
    /// If something is missing or makes no sense.
    pub fn connect(&self) -> Result<Vec<Connected>, Failure> {
        let failure = |what: &str| Failure::new(format!("{}: {what}", self.name));
        if let [what, rest @ ..] = &self.missing[..] {
            return Err(failure(what)
                .details(rest.to_vec())
                .hint("set the variable or write the file, or name another in codex-trace.toml"));
        }
        self.check_access()?;
        let exporters = (self.backend.connect)(&self.settings).map_err(|err| {
            let failure = failure(&without_password(&err.message));
            with_hint(failure, err.hint)
        })?;
        let n = exporters.len();
        let name = |nth: usize| match n {
            1 => self.name.clone(),
            _ => format!("{}#{}", self.name, nth + 1),
        };
        Ok(exporters.into_iter().enumerate().map(|(nth, it)| (name(nth), it)).collect())
    }

    /// Checks that what lets us in goes nowhere but to the endpoint that the same
    /// table names.
    fn check_access(&self) -> Result<(), Failure> {
        let flag = self.given.place.options.get(&ENDPOINT);
        let (Some(table), Some(flag)) = (self.table, flag) else { return Ok(()) };
        let Some(endpoint) = table.get(&ENDPOINT) else { return Ok(()) };
        let [own, flag] = [endpoint, flag].map(|text| Address::unchecked(&text));
        let Some(key) = table.key_of_access() else { return Ok(()) };
        if own.is_same(&flag) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "{}: `{key}` ({}) was set for {own}, and the upload goes to {flag} (--endpoint)",
            self.name,
            self.manner().origin(key),
        ))
        .hint(format!(
            "give {flag} a table of its own in codex-trace.toml, or name its backend: `--to {}`",
            self.settings.preset.map_or(self.backend.name, |preset| preset.name)
        )))
    }

    /// Makes the way to a place, over HTTP or gRPC.
    ///
    /// # Errors
    ///
    /// If a certificate cannot be read, or a length of time, or the proxy that is
    /// named cannot be used.
    pub fn way(&self, exporter: &dyn Exporter) -> Result<Box<dyn Transport>, Failure> {
        let timeout = self.timeout(exporter);
        let proxy = self.proxy(exporter).map_err(|err| {
            let failure = Failure::new(format!("{}: {}", self.name, err.message));
            with_hint(failure, err.hint)
        })?;
        let proxy = proxy.as_ref().map(|said| &said.value);
        let tls = self.tls(exporter);
        let way: Result<Box<dyn Transport>, String> = match exporter.client().wire {
            Wire::Http => {
                let senders = self.manner().senders()?.value;
                Http::with(senders, timeout, &tls, proxy).map(|it| Box::new(it) as _)
            }
            Wire::Grpc => Grpc::with(timeout, &tls, proxy).map(|it| Box::new(it) as _),
        };
        way.map_err(|what| Failure::new(format!("{}: {what}", self.name)))
    }

    /// Puts the destination's own headers and pace over a way there.
    pub fn dressed(&self, inner: Box<dyn Transport>) -> Box<dyn Transport> {
        let rate = self.table.and_then(|table| table.get(&REQUESTS_PER_SECOND));
        if self.headers.is_empty() && rate.is_none() {
            return inner;
        }
        let header = |(name, said): (&String, &Said<Secret>)| {
            Header::secret(name.clone(), said.value.clone())
        };
        Box::new(Client::new(inner, self.headers.iter().map(header).collect(), rate))
    }

    /// Returns the proxy on the way to a place.
    fn proxy(&self, exporter: &dyn Exporter) -> Result<Option<Said<Address>>, ConfigError> {
        let Some(route) = exporter.contract().routes.first() else { return Ok(None) };
        proxy_for(&self.settings.env, &route.url)
    }

    fn tls(&self, exporter: &dyn Exporter) -> TlsFiles {
        self.own_tls().filter(|tls| !tls.is_empty()).unwrap_or_else(|| exporter.client().tls)
    }

    fn own_tls(&self) -> Option<TlsFiles> {
        let tls = self.table?.get(&TLS)?;
        let path = |path: &Option<PathBuf>| path.as_deref().map(|path| self.manner().path(path));
        Some(TlsFiles {
            ca: path(&tls.ca),
            client_cert: path(&tls.client_cert),
            client_key: path(&tls.client_key),
        })
    }

    fn timeout(&self, exporter: &dyn Exporter) -> Duration {
        let own = self.manner().get(&TIMEOUT).map(|said| said.value);
        own.or(exporter.client().timeout).unwrap_or(USUAL_TIMEOUT)
    }

    /// Says by way of which proxy requests go.
    fn describe_proxy(&self, all: &mut Description) {
        let exporters = (self.backend.connect)(&self.settings).unwrap_or_default();
        for exporter in exporters.iter().take(1) {
            match self.proxy(&**exporter) {
                Ok(said) => drop(all.take("proxy", said, Address::to_string)),
                Err(err) => all.problems.push(err.message),
            }
        }
    }

    /// Says every setting that is there, and where.
    pub fn describe(&self) -> Description {
        let mut all = (self.backend.describe)(&self.settings);
        self.manner().describe(&mut all);
        for (name, said) in &self.headers {
            all.secret(&format!("header {name}"), Some(said.clone()));
        }
        if all.found.iter().all(|known| known.name != TIMEOUT.name()) {
            all.take(TIMEOUT.name(), Some(Said::by_default(USUAL_TIMEOUT)), |timeout| {
                format!("{} s", timeout.as_secs())
            });
        }
        self.describe_proxy(&mut all);
        let Some(table) = self.table else { return all };
        let tls = self.own_tls().unwrap_or_default();
        for (key, path) in [
            ("tls.ca_file", &tls.ca),
            ("tls.client_cert_file", &tls.client_cert),
            ("tls.client_key_file", &tls.client_key),
        ] {
            let said = path.clone().map(|path| Said::new(path, self.manner().origin(key)));
            all.take(key, said, |path| path.display().to_string());
        }
        tls.client_key.as_deref().iter().for_each(|path| all.holds_keys(&self.settings, path));
        let rate = self.manner().get(&REQUESTS_PER_SECOND);
        all.take(REQUESTS_PER_SECOND.name(), rate, f64::to_string);
        let headers = table.get(&HEADERS).unwrap_or_default();
        let keys = table.get(&KEY).into_iter().chain(table.get(&PASSWORD));
        for reference in keys.chain(secret_headers(&headers)) {
            if let SecretRef::File(path) = reference {
                all.problems.extend(exposed(&self.manner().path(&path)));
            }
        }
        let literal = headers.values().any(|value| matches!(value, HeaderSetting::Plain(_)));
        if let Some(path) = self.given.file.path.as_deref().filter(|_| literal) {
            all.problems.extend(exposed(path));
        }
        all
    }
}

fn secret_headers(
    headers: &BTreeMap<String, HeaderSetting>,
) -> impl Iterator<Item = SecretRef> + use<'_> {
    headers.values().filter_map(|value| match value {
        HeaderSetting::Secret(reference) => Some(reference.clone()),
        HeaderSetting::Plain(_) => None,
    })
}
/// Adds what to do about it, where that is known.
pub(crate) fn with_hint(failure: Failure, hint: Option<String>) -> Failure {
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
