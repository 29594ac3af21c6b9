use std::fs;
use std::io::{self, Write};
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::private;
use crate::transport::{Cause, NoAnswer, Request, Response, Transport};
use crate::whole::{self, WholeFile};
use codex_trace_export::json;
use codex_trace_export::secret::{self, without_password};

/// Writes requests into a directory instead of sending them, or beside that: the
/// body as it goes over the wire, and beside it method, address and headers,
/// secrets masked.
#[derive(Debug)]
pub struct RequestDir {
    dir: PathBuf,
    n_written: AtomicU64,
}

impl RequestDir {
    /// Makes the directory, private, unless it is there.
    ///
    /// # Errors
    ///
    /// If it cannot be made, or has something in it already: requests of two
    /// runs must not be mixed.
    pub fn create(dir: &Path) -> io::Result<RequestDir> {
        private::make_dir(dir)?;
        whole::sweep(dir);
        if fs::read_dir(dir)?.next().is_some() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is not empty"));
        }
        Ok(RequestDir { dir: dir.to_path_buf(), n_written: AtomicU64::new(0) })
    }

    /// Writes a request; returns its number.
    pub(super) fn write(&self, request: &Request) -> io::Result<u64> {
        let nth = self.n_written.fetch_add(1, Ordering::Relaxed) + 1;
        let header = |name: &str| {
            let found = request.headers.iter().find(|it| it.name.eq_ignore_ascii_case(name));
            found.map_or("", |it| it.shown_value())
        };
        let extension = extension(header("Content-Type"), header("Content-Encoding"));
        let body_name = format!("{nth:06}.body{extension}");
        let mut about = Vec::new();
        json::object(&mut about, |o| {
            o.put("method", request.method.word());
            o.put("url", request.url.to_string().as_str());
            o.object("headers", |o| {
                for header in &request.headers {
                    o.put(&header.name, header.shown_value());
                }
            });
            o.put("body", &body_name);
            o.put("bytes", request.body.len());
        });
        about.push(b'\n');
        self.file(&body_name, request.body.pieces())?;
        self.file(&format!("{nth:06}.json"), iter::once(&*about))?;
        Ok(nth)
    }

    /// Writes what came of a request that was sent.
    pub(super) fn answer(&self, nth: u64, answer: &Result<Response, NoAnswer>) -> io::Result<()> {
        let mut about = Vec::new();
        json::object(&mut about, |o| match answer {
            Ok(answer) => {
                o.put("status", u64::from(answer.status));
                o.object("headers", |o| {
                    for (name, value) in &answer.headers {
                        let is_key = name == "set-cookie";
                        o.put(name, if is_key { secret::MASK } else { value });
                    }
                });
                o.put("body", &*String::from_utf8_lossy(&answer.body));
            }
            Err(no) => o.put("no_answer", without_password(&no.reason)),
        });
        about.push(b'\n');
        self.file(&format!("{nth:06}.answer.json"), iter::once(&*about))
    }

    /// Says that something cannot be written.
    pub(super) fn no_room(&self, err: &io::Error) -> NoAnswer {
        let reason = format!("cannot write to `{}`: {err}", self.dir.display());
        NoAnswer { reason, cause: Cause::Lasting }
    }

    /// Writes a private file that has its name only once it is complete.
    fn file<'b>(&self, name: &str, mut pieces: impl Iterator<Item = &'b [u8]>) -> io::Result<()> {
        let mut file = WholeFile::create(&self.dir.join(name))?;
        pieces.try_for_each(|piece| file.write_all(piece))?;
        file.persist()
    }
}

fn extension(content_type: &str, encoding: &str) -> String {
    let kind = match content_type.split(';').next().unwrap_or_default().trim() {
        "application/json" => ".json",
        "application/x-protobuf" | "application/grpc+proto" => ".pb",
        "multipart/form-data" => ".multipart",
        _ => "",
    };
    let packed = match encoding {
        "gzip" => ".gz",
        "zstd" => ".zst",
        _ => "",
    };
    format!("{kind}{packed}")
}

impl Transport for RequestDir {
    fn send(&self, request: &Request) -> Result<Response, NoAnswer> {
        let written = self.write(request).map_err(|err| self.no_room(&err));
        written.map(|_| taken())
    }
}

/// Returns the answer of a server that takes all, whatever it is asked over.
fn taken() -> Response {
    let headers = vec![("grpc-status".to_owned(), "0".to_owned())];
    Response { headers, ..Response::new(200, "") }
}

/// Takes requests and does nothing with them: a dry run that only counts.
#[derive(Clone, Copy, Debug)]
pub struct Discard;

impl Transport for Discard {
    fn send(&self, _: &Request) -> Result<Response, NoAnswer> {
        Ok(taken())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codex_trace_export::Secret;

    use crate::transport::{Header, Method};

    #[test]
    fn secrets_are_masked_and_bodies_are_exact() {
        let temp = tempfile::tempdir().unwrap();
        let dir = RequestDir::create(&temp.path().join("out")).unwrap();
        let request = Request {
            method: Method::Post,
            url: codex_trace_export::Address::unchecked("https://u:s3cr3t@x/y"),
            headers: vec![
                Header::new("Content-Type", "application/json; charset=utf-8"),
                Header::new("Content-Encoding", "gzip"),
                Header::secret("x-api-key", Secret::new("s3cr3t")),
            ],
            body: vec![0, 1, 2].into(),
        };
        dir.send(&request).unwrap();
        let read = |name: &str| fs::read(temp.path().join("out").join(name)).unwrap();
        assert_eq!(read("000001.body.json.gz"), [0, 1, 2]);
        assert_eq!(
            String::from_utf8(read("000001.json")).unwrap(),
            "{\"method\":\"POST\",\"url\":\"https://[set]@x/y\",\"headers\":{\"Content-Type\":\"application/json; charset=utf-8\",\"Content-Encoding\":\"gzip\",\"x-api-key\":\"[redacted]\"},\"body\":\"000001.body.json.gz\",\"bytes\":3}\n"
        );
        assert!(RequestDir::create(&temp.path().join("out")).is_err(), "not a second time");
    }
}
