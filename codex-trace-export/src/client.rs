//! The way to a server, as backends' own variables and files describe it.

use std::path::PathBuf;
use std::time::Duration;

use super::describe::Description;
use super::{ConfigError, Origin, Said, Settings};
use crate::request::ClientOptions;

/// What was said of the way.
#[derive(Debug)]
pub(crate) struct SaidClient {
    /// The authorities to trust.
    pub(crate) ca: Option<Said<PathBuf>>,
    /// Our own certificate.
    pub(crate) client_cert: Option<Said<PathBuf>>,
    /// Its key, if it is in a file of its own.
    pub(crate) client_key: Option<Said<PathBuf>>,
    /// How long a request may take.
    pub(crate) timeout: Option<Said<String>>,
    /// In what.
    pub(crate) unit: TimeUnit,
}

/// What a time is a number of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TimeUnit {
    /// `ms`
    Milliseconds,
    /// `s`
    Seconds,
}

impl SaidClient {
    /// Returns where a certificate of our own was said: it lets us in.
    pub(crate) fn key_origin(&self) -> Option<Origin> {
        self.client_cert.as_ref().map(|said| said.from.clone())
    }

    /// Notes all of it and reads what is not a file.
    pub(crate) fn read(
        self,
        settings: &Settings,
        found: &mut Description,
    ) -> Result<ClientOptions, ConfigError> {
        let show = |path: &PathBuf| path.display().to_string();
        let mut client = ClientOptions::default();
        client.tls.ca = found.take("ca certificate", self.ca, show);
        client.tls.client_cert = found.take("client certificate", self.client_cert, show);
        client.tls.client_key = found.take("client key", self.client_key, show);
        // Without a file of its own, the key is in that of the certificate.
        if let Some(path) = client.tls.client_key.as_ref().or(client.tls.client_cert.as_ref()) {
            found.holds_keys(settings, path);
        }
        if let Some(said) = self.timeout {
            let number = said.value.trim().parse().ok().filter(|number| *number > 0);
            let number: u64 = number.ok_or_else(|| {
                ConfigError::new(format!("`{}` cannot be `{}`", said.from, said.value))
                    .hint(format!("it is a number of {}", self.unit.words()))
            })?;
            let unit = self.unit;
            found.take("timeout", Some(said), |text| format!("{text} {}", unit.symbol()));
            client.timeout = Some(unit.duration(number));
        }
        Ok(client)
    }
}

impl TimeUnit {
    fn words(self) -> &'static str {
        match self {
            TimeUnit::Milliseconds => "milliseconds",
            TimeUnit::Seconds => "seconds",
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            TimeUnit::Milliseconds => "ms",
            TimeUnit::Seconds => "s",
        }
    }

    fn duration(self, number: u64) -> Duration {
        match self {
            TimeUnit::Milliseconds => Duration::from_millis(number),
            TimeUnit::Seconds => Duration::from_secs(number),
        }
    }
}
