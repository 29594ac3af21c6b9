use std::path::Path;
use std::time::Duration;

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::private;
use crate::transport::{Header, NoAnswer, Request, Response, TlsFiles, Transport};

/// Reads the files of certificates.
///
/// # Errors
///
/// If one cannot be read or holds something else: which, for people.
pub(super) fn read_tls(files: &TlsFiles) -> Result<TlsConfig, String> {
    let mut builder = TlsConfig::builder();
    builder = builder.root_certs(match &files.ca {
        Some(path) => RootCerts::new_with_certs(&certificates(path)?),
        None => RootCerts::PlatformVerifier,
    });
    if let Some(path) = &files.client_cert {
        let chain = certificates(path)?;
        let key = private_key(files.client_key.as_ref().unwrap_or(path))?;
        builder = builder.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    Ok(builder.build())
}

/// Says what is wrong with the files, if something is.
///
/// # Errors
///
/// As [`Http::with`](super::Http::with) has it.
pub fn check_tls(files: &TlsFiles) -> Result<(), String> {
    read_tls(files).map(drop)
}

fn pem(path: &Path) -> Result<Vec<PemItem<'static>>, String> {
    let bytes = private::bytes_that_are_there(path)
        .map_err(|err| format!("cannot read `{}`: {err}", path.display()))?;
    let items: Result<Vec<_>, _> = parse_pem(&bytes).collect();
    items.map_err(|err| format!("`{}` is not a PEM file: {err}", path.display()))
}

pub(super) fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let certificate = |item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    };
    let all: Vec<_> = pem(path)?.into_iter().filter_map(certificate).collect();
    if all.is_empty() {
        return Err(format!("there is no certificate in `{}`", path.display()));
    }
    Ok(all)
}

pub(super) fn private_key(path: &Path) -> Result<PrivateKey<'static>, String> {
    let key = |item| match item {
        PemItem::PrivateKey(key) => Some(key),
        _ => None,
    };
    pem(path)?
        .into_iter()
        .find_map(key)
        .ok_or_else(|| format!("there is no private key in `{}`", path.display()))
}

/// Another transport, with headers on every request and no more than so many
/// of them a second.
pub struct Client {
    inner: Box<dyn Transport>,
    headers: Vec<Header>,
    pause: Duration,
}

impl Client {
    /// Makes one. Headers take the place of those of the same name; a rate is
    /// positive.
    pub fn new(
        inner: Box<dyn Transport>,
        headers: Vec<Header>,
        requests_per_second: Option<f64>,
    ) -> Client {
        let pause = requests_per_second.map(|rate| Duration::try_from_secs_f64(1.0 / rate));
        let pause = pause.and_then(Result::ok).unwrap_or_default();
        Client { inner, headers, pause }
    }
}

impl Transport for Client {
    fn send(&self, request: &Request) -> Result<Response, NoAnswer> {
        if self.headers.is_empty() {
            return self.inner.send(request);
        }
        let mut request = request.clone();
        let ours = |header: &Header| {
            self.headers.iter().any(|own| own.name.eq_ignore_ascii_case(&header.name))
        };
        request.headers.retain(|header| !ours(header));
        request.headers.extend(self.headers.iter().cloned());
        self.inner.send(&request)
    }

    fn pause(&self) -> Duration {
        self.pause
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::transport::Method;
    use codex_trace_export::Address;

    #[test]
    fn headers_take_the_place_of_others() {
        struct Seen(Mutex<Vec<(String, String)>>);
        impl Transport for &'static Seen {
            fn send(&self, request: &Request) -> Result<Response, NoAnswer> {
                let pair = |it: &Header| (it.name.to_string(), it.wire_value().to_owned());
                *self.0.lock().unwrap() = request.headers.iter().map(pair).collect();
                Ok(Response::new(200, ""))
            }
        }
        static SEEN: Seen = Seen(Mutex::new(Vec::new()));
        let own = vec![Header::new("X-Key", "ours")];
        let client = Client::new(Box::new(&SEEN), own, None);
        let headers = vec![Header::new("x-key", "theirs"), Header::new("Accept", "*/*")];
        let request = Request {
            method: Method::Get,
            url: Address::unchecked(""),
            headers,
            body: Vec::new().into(),
        };
        client.send(&request).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(*SEEN.0.lock().unwrap(), [pair("Accept", "*/*"), pair("X-Key", "ours")]);
    }
}
