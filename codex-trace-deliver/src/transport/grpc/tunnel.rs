//! A way through an HTTP proxy.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use codex_trace_export::Address;

/// No proxy has more to say before the way is open.
const MAX_HEAD: usize = 8 << 10;

/// Asks a proxy for the way to a server.
///
/// # Errors
///
/// If it does not open one: its own words.
pub(super) async fn open(
    stream: &mut TcpStream,
    proxy: &Address,
    host: &str,
    port: u16,
) -> io::Result<()> {
    let login = proxy.login().map_or_else(String::new, |login| {
        format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(login))
    });
    let ask = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{login}\r\n");
    stream.write_all(ask.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let line = head.lines().next().unwrap_or_default();
    if line.starts_with("HTTP/1.") && line.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    Err(io::Error::other(format!("the proxy opens no way there: {line}")))
}
