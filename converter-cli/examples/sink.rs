//! Takes whatever is posted to it and answers 200, at once or after a while:
//! `cargo run --release --example sink -- ADDRESS [MILLISECONDS]`
//!
//! Says on standard error how much came, whenever a connection ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{io, thread};

static BYTES: AtomicU64 = AtomicU64::new(0);

#[expect(clippy::print_stderr, reason = "it is what the example is for")]
fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:4318".to_owned());
    let delay = args.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    for stream in TcpListener::bind(address)?.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            drop(serve(stream, Duration::from_millis(delay)));
            eprintln!("{} bytes so far", BYTES.load(Ordering::Relaxed));
        });
    }
    Ok(())
}

fn serve(mut stream: TcpStream, delay: Duration) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 18, stream.try_clone()?);
    let mut line = String::new();
    loop {
        let mut len = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                len = value.trim().parse().unwrap_or(0);
            }
        }
        let taken = io::copy(&mut (&mut reader).take(len), &mut io::sink())?;
        BYTES.fetch_add(taken, Ordering::Relaxed);
        thread::sleep(delay);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
}
