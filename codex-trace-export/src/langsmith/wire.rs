//! Runs on the wire: parts of a multipart form, or objects of a batch; where
//! they go, and what the answers mean.

use std::borrow::Cow;
use std::io::Write;
use std::time::Duration;

use serde::Deserialize;

use crate::body::Body;
use crate::json::{self, Json, Object};
use crate::langsmith::config::Place as Destination;
use crate::langsmith::ids;
use crate::langsmith::plan::Place;
use crate::request::{Compression, Header, Method, Request};
use crate::{Framing, Limits, Route};

/// Cannot be inside of a part: a line break in JSON is white space, which no
/// hyphen follows.
const BOUNDARY: &str = "codex-trace-a8b1f0c2d34e5967";

/// What the service takes unless it says otherwise: of Python's and
/// JavaScript's defaults the smaller.
const MAX_BYTES: usize = 20 << 20;
const MAX_RUNS: u32 = 100;

/// More than what surrounds the runs of a request takes, in bytes.
const FRAME: usize = 256;

/// How runs are written.
#[derive(Clone, Debug)]
pub(super) struct Format {
    pub(super) kind: Intake,
    /// The project, as a JSON string.
    pub(super) project: String,
    /// The tags of roots, as JSON; empty if there are none.
    pub(super) tags: String,
    /// The most that a request may hold.
    pub(super) max_bytes: usize,
}

/// Which of the two ways the service takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intake {
    /// `POST /runs/multipart`
    Multipart,
    /// `POST /runs/batch`, what older self-hosted ones have.
    Batch,
}

/// A run, its large fields serialised.
#[derive(Clone)]
#[expect(clippy::struct_field_names, reason = "the service's own word")]
pub(super) struct Run<'r> {
    pub(super) place: &'r Place,
    /// A JSON string.
    pub(super) name: Cow<'r, [u8]>,
    pub(super) run_type: &'static str,
    /// In milliseconds since 1970.
    pub(super) end: i64,
    pub(super) error: Option<Cow<'r, str>>,
    /// One after the other.
    pub(super) inputs: &'r [&'r [u8]],
    pub(super) outputs: &'r [u8],
    pub(super) extra: &'r [u8],
    /// Empty if there are none.
    pub(super) events: &'r [u8],
}

impl Format {
    /// Returns how much of one text a run may hold, in bytes of JSON. A run of
    /// a tool has up to four: what it was given, what it said, what the model
    /// was told of that, what it changed.
    pub(super) fn max_text(&self) -> usize {
        self.max_bytes / 5
    }

    /// Returns how large a run may be, in bytes, to fit into a request.
    pub(super) fn max_run(&self) -> usize {
        self.max_bytes.saturating_sub(FRAME)
    }

    /// Appends a run.
    pub(super) fn write(&self, run: &Run<'_>, out: &mut Vec<u8>) {
        match self.kind {
            Intake::Multipart => self.multipart(run, out),
            Intake::Batch => json::object(out, |o| {
                self.small(run, o);
                let inputs = o.value("inputs");
                run.inputs.iter().for_each(|part| inputs.extend_from_slice(part));
                o.value("outputs").extend_from_slice(run.outputs);
                o.value("extra").extend_from_slice(run.extra);
                if !run.events.is_empty() {
                    o.value("events").extend_from_slice(run.events);
                }
                o.maybe("error", run.error.as_deref());
            }),
        }
    }

    fn small(&self, run: &Run<'_>, o: &mut Object<'_>) {
        o.put("id", run.place.id.to_string());
        o.value("session_name").extend_from_slice(self.project.as_bytes());
        o.value("name").extend_from_slice(&run.name);
        o.put("run_type", run.run_type);
        o.put("start_time", run.place.start.time());
        // What took no time must not end before the microseconds of its start.
        let at_once = run.end <= run.place.start.millis;
        o.put("end_time", if at_once { run.place.start.time() } else { ids::time(run.end) });
        o.put("trace_id", &run.place.trace_id);
        o.maybe("parent_run_id", run.place.parent.as_ref());
        o.put("dotted_order", &run.place.dotted_order);
        if run.place.parent.is_none() && !self.tags.is_empty() {
            o.value("tags").extend_from_slice(self.tags.as_bytes());
        }
    }

    fn multipart(&self, run: &Run<'_>, out: &mut Vec<u8>) {
        let id = run.place.id.to_string();
        let mut small = Vec::with_capacity(512);
        json::object(&mut small, |o| self.small(run, o));
        part(&id, "", &[&small], out);
        part(&id, ".inputs", run.inputs, out);
        part(&id, ".outputs", &[run.outputs], out);
        if !run.events.is_empty() {
            part(&id, ".events", &[run.events], out);
        }
        part(&id, ".extra", &[run.extra], out);
        if let Some(error) = &run.error {
            let mut json = Vec::new();
            error.write(&mut json);
            part(&id, ".error", &[&json], out);
        }
    }

    /// Returns how pieces become a body.
    pub(super) fn framing(&self) -> Framing {
        match self.kind {
            Intake::Multipart => Framing {
                close: Cow::Owned(format!("--{BOUNDARY}--\r\n").into_bytes()),
                ..Framing::CONCATENATED
            },
            Intake::Batch => Framing::new(b"{\"post\":[", b",", b"],\"patch\":[]}"),
        }
    }
}

fn part(id: &str, field: &str, json: &[&[u8]], out: &mut Vec<u8>) {
    let len: usize = json.iter().map(|part| part.len()).sum();
    write!(
        out,
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"post.{id}{field}\"\r\n\
         Content-Type: application/json; length={len}\r\nContent-Length: {len}\r\n\r\n"
    )
    .expect("a vector takes everything");
    for part in json {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b"\r\n");
}

/// What `GET /info` says, as far as we use it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Info {
    pub(super) batch_ingest_config: Option<IngestConfig>,
    pub(super) instance_flags: Flags,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct IngestConfig {
    pub(super) use_multipart_endpoint: Option<bool>,
    pub(super) size_limit: Option<u32>,
    pub(super) size_limit_bytes: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Flags {
    gzip_body_enabled: bool,
    zstd_compression_enabled: bool,
}

impl Info {
    /// Returns the compressions that the service takes, best first.
    pub(super) fn compressions(&self) -> &'static [Compression] {
        match (self.instance_flags.zstd_compression_enabled, self.instance_flags.gzip_body_enabled)
        {
            (true, true) => &[Compression::Zstd, Compression::Gzip],
            (true, false) => &[Compression::Zstd],
            (false, true) => &[Compression::Gzip],
            (false, false) => &[],
        }
    }

    pub(super) fn limits(&self) -> Limits {
        let config = self.batch_ingest_config.as_ref();
        let runs = config.and_then(|it| it.size_limit).filter(|it| *it > 0).unwrap_or(MAX_RUNS);
        // Reading back takes no more at once.
        let runs = runs.min(MAX_RUNS);
        let bytes = config.and_then(|it| it.size_limit_bytes).filter(|it| *it > 0);
        Limits { max_bytes: bytes.unwrap_or(MAX_BYTES), max_pieces: runs as usize, max_spans: runs }
    }
}

/// Returns the headers that say who we are.
pub(super) fn headers(to: &Destination) -> Vec<Header> {
    let mut headers = Vec::new();
    if let Some(key) = &to.key {
        headers.push(Header::secret("x-api-key", key.clone()));
    }
    if let Some(workspace) = &to.workspace {
        headers.push(Header::new("x-tenant-id", workspace.clone()));
    }
    headers
}

/// Returns the routes: two that differ in nothing, so that what is old and what
/// is fresh never share a request. The service may refuse the whole of one for
/// the age of a single run.
pub(super) fn routes(to: &Destination, format: &Format, info: &Info) -> Vec<Route> {
    let (path, content_type) = match format.kind {
        Intake::Multipart => {
            ("/runs/multipart", format!("multipart/form-data; boundary={BOUNDARY}").into())
        }
        Intake::Batch => ("/runs/batch", Cow::Borrowed("application/json")),
    };
    let route = Route {
        name: "runs",
        method: Method::Post,
        url: to.endpoint.join(path),
        headers: headers(to),
        content_type,
        framing: format.framing(),
        compressions: info.compressions(),
        limits: info.limits(),
        in_order: true,
        tells_sizes: true,
    };
    vec![route.clone(), route]
}

/// The request that asks what the service can do.
pub(super) fn ask_info(to: &Destination) -> Request {
    Request {
        method: Method::Get,
        url: to.endpoint.join("/info"),
        headers: headers(to),
        body: Body::default(),
    }
}

/// The request that tells whether there is a multipart endpoint: a form of no
/// parts.
pub(super) fn ask_multipart(to: &Destination) -> Request {
    let mut headers = headers(to);
    headers.push(Header::new("Content-Type", format!("multipart/form-data; boundary={BOUNDARY}")));
    Request {
        method: Method::Post,
        url: to.endpoint.join("/runs/multipart"),
        headers,
        body: format!("--{BOUNDARY}--\r\n").into_bytes().into(),
    }
}

/// What to wait after a 429 that does not say.
pub(super) const AFTER_TOO_MANY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::langsmith::ids::{RunId, Start};

    fn place() -> Place {
        let id = RunId::new("t", "u", "root");
        let start = Start { millis: 1_777_629_600_123, order: 1 };
        Place { id, parent: None, trace_id: id.to_string(), dotted_order: start.segment(id), start }
    }

    fn written(kind: Intake) -> String {
        let format =
            Format { kind, project: "\"p\"".to_owned(), tags: String::new(), max_bytes: 1 };
        let place = place();
        let run = Run {
            place: &place,
            name: b"\"n\"".into(),
            run_type: "chain",
            end: place.start.millis + 5,
            error: Some("it \"failed\"".into()),
            inputs: &[b"{\"a\":", b"1}"],
            outputs: b"{}",
            extra: b"{\"metadata\":{}}",
            events: b"",
        };
        let mut out = Vec::new();
        format.write(&run, &mut out);
        String::from_utf8(out).unwrap().replace(&place.id.to_string(), "ID")
    }

    const SMALL: &str = r#"{"id":"ID","session_name":"p","name":"n","run_type":"chain","start_time":"2026-05-01T10:00:00.123001Z","end_time":"2026-05-01T10:00:00.128Z","trace_id":"ID","dotted_order":"20260501T100000123001ZID""#;

    #[test]
    fn a_run_is_some_parts_of_a_form() {
        let len = SMALL.replace("ID", &place().id.to_string()).len() + 1;
        let part = |field: &str, json: &str, len: usize| {
            format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"post.ID{field}\"\r\n\
                 Content-Type: application/json; length={len}\r\nContent-Length: {len}\r\n\r\n{json}\r\n"
            )
        };
        let expected = part("", &format!("{SMALL}}}"), len)
            + &part(".inputs", r#"{"a":1}"#, 7)
            + &part(".outputs", "{}", 2)
            + &part(".extra", r#"{"metadata":{}}"#, 15)
            + &part(".error", r#""it \"failed\"""#, 15);
        assert_eq!(written(Intake::Multipart), expected);
    }

    #[test]
    fn or_one_object_of_a_batch() {
        let rest =
            r#","inputs":{"a":1},"outputs":{},"extra":{"metadata":{}},"error":"it \"failed\""}"#;
        assert_eq!(written(Intake::Batch), format!("{SMALL}{rest}"));
    }

    #[test]
    fn info_of_any_age_is_understood() {
        let read = |json: &str| serde_json::from_str::<Info>(json).unwrap();
        let info = read("{}");
        assert_eq!((info.limits().max_bytes, info.limits().max_spans), (MAX_BYTES, MAX_RUNS));
        assert!(info.compressions().is_empty());
        let info = read(
            r#"{"version":"0.9","batch_ingest_config":{"use_multipart_endpoint":true,"size_limit":7,
                "size_limit_bytes":1000,"scale_up_nthreads_limit":16},
                "instance_flags":{"gzip_body_enabled":true,"zstd_compression_enabled":true,"x":1}}"#,
        );
        assert_eq!((info.limits().max_bytes, info.limits().max_pieces), (1000, 7));
        assert_eq!(info.compressions(), [Compression::Zstd, Compression::Gzip]);
    }
}
