//! From an address to a connection of HTTP/2.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::heard::{Heard, Overheard};
use super::tunnel;
use crate::transport::client::{certificates, private_key};
use crate::transport::{Cause, NoAnswer, TlsFiles};
use codex_trace_export::Address;

/// Reads the files of certificates.
///
/// # Errors
///
/// If one cannot be read or holds something else: which, for people.
pub(super) fn config(files: &TlsFiles) -> Result<ClientConfig, String> {
    let unusable = |err: rustls::Error| format!("cannot use the certificates: {err}");
    let builder =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
    let builder = match &files.ca {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in chain(path)? {
                roots.add(certificate).map_err(unusable)?;
            }
            builder.with_root_certificates(roots)
        }
        None => builder.with_platform_verifier().map_err(unusable)?,
    };
    let mut config = match &files.client_cert {
        Some(path) => {
            let file = files.client_key.as_ref().unwrap_or(path);
            let key = PrivateKeyDer::try_from(private_key(file)?.der().to_vec())
                .map_err(|what| format!("`{}`: {what}", file.display()))?;
            builder.with_client_auth_cert(chain(path)?, key).map_err(unusable)?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let all = certificates(path)?.into_iter();
    Ok(all.map(|it| CertificateDer::from(it.der().to_vec())).collect())
}

/// Connects to the server of an address.
pub(super) async fn connect(
    url: &Address,
    tls: &Arc<ClientConfig>,
    proxy: Option<&Address>,
) -> Result<(SendRequest<Bytes>, Heard), NoAnswer> {
    let is_tls = url.origin().to_ascii_lowercase().starts_with("https:");
    let host = url.host();
    let port = url.port().unwrap_or(if is_tls { 443 } else { 80 });
    let stream = open(&host, port, proxy).await.map_err(|err| no_answer(url, &err))?;
    let heard = Heard::default();
    if !is_tls {
        return handshake(url, Overheard::new(stream, heard.clone()), heard).await;
    }
    let name = ServerName::try_from(bare(&host).to_owned()).map_err(|_| NoAnswer {
        reason: format!("no answer from {url}: `{host}` is not a name for TLS"),
        cause: Cause::Lasting,
    })?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
    let stream = stream.map_err(|err| no_answer(url, &err))?;
    handshake(url, Overheard::new(stream, heard.clone()), heard).await
}

async fn open(host: &str, port: u16, proxy: Option<&Address>) -> io::Result<TcpStream> {
    let Some(proxy) = proxy else {
        let stream = TcpStream::connect((bare(host), port)).await?;
        stream.set_nodelay(true)?;
        return Ok(stream);
    };
    let at = (bare(&proxy.host()).to_owned(), proxy.port().unwrap_or(80));
    let mut stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    tunnel::open(&mut stream, proxy, host, port).await?;
    Ok(stream)
}

/// Takes the brackets from an address of IPv6.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

async fn handshake<T>(
    url: &Address,
    stream: T,
    heard: Heard,
) -> Result<(SendRequest<Bytes>, Heard), NoAnswer>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let made = h2::client::handshake(stream).await.map_err(|err| {
        let (reason, cause) = why(url, err.get_io(), &err.to_string());
        NoAnswer { reason, cause }
    })?;
    let (sender, connection) = made;
    // Ends with the connection; what it ends with, the calls are told.
    drop(tokio::spawn(async { drop(connection.await) }));
    Ok((sender, heard))
}

fn no_answer(url: &Address, err: &io::Error) -> NoAnswer {
    let (reason, cause) = why(url, Some(err), &err.to_string());
    NoAnswer { reason, cause }
}

/// Says why there is no answer, and how far the call got.
pub(super) fn why(url: &Address, err: Option<&io::Error>, words: &str) -> (String, Cause) {
    use io::ErrorKind;
    let kind = err.map(io::Error::kind);
    // What the TLS library finds wrong with what it was sent comes as this.
    if kind == Some(ErrorKind::InvalidData) {
        let reason = if words.contains("InvalidContentType") {
            format!(
                "no answer from {url}: no TLS is spoken at that port: the address should begin with http://"
            )
        } else if words.contains("NoApplicationProtocol") {
            format!(
                "no answer from {url}: it speaks TLS, but not HTTP/2, which gRPC needs; OTLP over HTTP has `protocol = \"http/protobuf\"`, and mostly port 4318"
            )
        } else {
            format!("{words} (`tls` in codex-trace.toml names certificates: docs/configuration.md)")
        };
        return (reason, Cause::Lasting);
    }
    let cause = match kind {
        // A name that is not found is an error of its own on each system.
        Some(
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::AddrNotAvailable
            | ErrorKind::NotFound
            | ErrorKind::Other,
        ) => Cause::Away,
        _ => Cause::Cut,
    };
    (format!("no answer from {url}: {words}"), cause)
}
