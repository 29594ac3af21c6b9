//! Rows that are too large for a request: they go to a place that the service
//! names, and the request says where they are.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::braintrust::config::Place;
use crate::braintrust::protocol::Known;
use crate::braintrust::wire::Log;
use crate::request::{Header, Method, Request, Response};
use crate::{Address, Detour};

/// Separates the parts of a form. A line break in JSON is white space, which no
/// hyphen follows.
const BOUNDARY: &str = "codex-trace-3f0c81d2a94e7b56";

/// What a place at Azure must be told, as the vendor's own clients do.
const AZURE_TYPE: &str = "x-ms-blob-type";

/// What the service says of a place for a body.
#[derive(Debug, Deserialize)]
struct Offer {
    method: String,
    #[serde(rename = "signedUrl")]
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    fields: BTreeMap<String, String>,
    key: String,
}

/// Says what to do next with a body of one row.
pub(super) fn next(place: &Place, known: &Known, body: &[u8], answers: &[Response]) -> Detour {
    match answers {
        [] => Detour::Ask(ask(place, known, body)),
        [offer] => match read(offer, known).map(|offer| offer.upload(body)) {
            Ok(Ok(request)) => Detour::Ask(request),
            Ok(Err(why)) | Err(why) => Detour::Refused(why),
        },
        [_, stored, ..] if !(200..300).contains(&stored.status) => {
            let reason = stored.reason();
            Detour::Refused(format!("the place for what is too large refuses it: {reason}"))
        }
        [offer, ..] => match read(offer, known) {
            Ok(offer) => {
                let rows = json!({ "type": "logs3_overflow", "key": offer.key });
                let body = json!({ "rows": rows, "api_version": 2 });
                Detour::Last(place.post(known.api.join("/logs3"), &body))
            }
            Err(why) => Detour::Refused(why),
        },
    }
}

fn ask(place: &Place, known: &Known, body: &[u8]) -> Request {
    let log = match &known.log {
        Log::Project(id) => json!({ "project_id": id, "log_id": "g" }),
        Log::Experiment(id) => json!({ "experiment_id": id }),
    };
    let row = json!({ "input_row": { "byte_size": body.len() }, "object_ids": log });
    let question: Value = json!({
        "content_type": "application/json",
        "size_bytes": body.len(),
        "rows": [row],
    });
    place.post(known.api.join("/logs3/overflow"), &question)
}

fn read(answer: &Response, known: &Known) -> Result<Offer, String> {
    let refused = || format!("there is no place for what is too large: {}", answer.reason());
    if !(200..300).contains(&answer.status) {
        return Err(refused());
    }
    let offer: Offer = serde_json::from_slice(&answer.body).map_err(|_| refused())?;
    // What is said over a safe way is not sent over another one.
    let is_safe = |url: &str| url.to_ascii_lowercase().starts_with("https:");
    if is_safe(known.api.expose()) && !is_safe(&offer.url) {
        return Err("the place for what is too large is without TLS".to_owned());
    }
    Ok(offer)
}

impl Offer {
    /// Makes the request that brings a body to the place. The place is another
    /// service's, which is not told our key.
    fn upload(&self, body: &[u8]) -> Result<Request, String> {
        let url = Address::parse(&self.url).map_err(|no| no.message)?;
        let is_good = |text: &str| text.bytes().all(|byte| (b' '..0x7f).contains(&byte));
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            let is_ours = ["authorization", "content-type", "content-length", "host"]
                .contains(&&*name.to_ascii_lowercase());
            if is_name && is_good(value) && !is_ours {
                headers.push(Header::new(name.clone(), value.clone()));
            }
        }
        let (method, content_type, body) = match self.method.to_ascii_uppercase().as_str() {
            "PUT" => {
                let said = |name: &str| headers.iter().any(|it| it.name.eq_ignore_ascii_case(name));
                if is_azure(&self.url) && !said(AZURE_TYPE) {
                    headers.push(Header::new(AZURE_TYPE, "BlockBlob"));
                }
                (Method::Put, "application/json".to_owned(), body.to_vec())
            }
            "POST" => {
                let form = format!("multipart/form-data; boundary={BOUNDARY}");
                (Method::Post, form, self.form(body))
            }
            method => {
                return Err(format!("the place for what is too large takes `{method}`"));
            }
        };
        headers.push(Header::new("Content-Type", content_type));
        Ok(Request { method, url, headers, body: body.into() })
    }

    fn form(&self, body: &[u8]) -> Vec<u8> {
        let mut form = Vec::with_capacity(body.len() + 1024);
        let mut part = |about: &str, content: &[u8]| {
            let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {about}\r\n\r\n");
            form.extend_from_slice(head.as_bytes());
            form.extend_from_slice(content);
            form.extend_from_slice(b"\r\n");
        };
        for (name, value) in &self.fields {
            let name = name.replace(['"', '\r', '\n'], "_");
            part(&format!("name=\"{name}\""), value.as_bytes());
        }
        let kind = self.fields.get("Content-Type").map_or("application/json", String::as_str);
        let kind = kind.replace(['\r', '\n'], " ");
        // The last one: what comes after a file is not read.
        let file = format!("name=\"file\"; filename=\"rows.json\"\r\nContent-Type: {kind}");
        part(&file, body);
        form.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        form
    }
}

fn is_azure(url: &str) -> bool {
    url.contains("blob.core.windows.net")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(method: &str, url: &str, headers: &[(&str, &str)]) -> Offer {
        let pairs = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Offer {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: pairs.collect(),
            fields: BTreeMap::new(),
            key: "k".to_owned(),
        }
    }

    fn named<'r>(request: &'r Request, name: &str) -> Vec<&'r str> {
        let named = request.headers.iter().filter(|it| it.name.eq_ignore_ascii_case(name));
        named.map(Header::wire_value).collect()
    }

    /// As the vendor's clients tell it Azure.
    #[test]
    fn a_place_at_azure_is_told_what_is_made() {
        let azure = "https://x.blob.core.windows.net/c/k?sig=s";
        for (url, said, expected) in [
            (azure, &[][..], &["BlockBlob"][..]),
            (azure, &[("X-Ms-Blob-Type", "AppendBlob")], &["AppendBlob"]),
            ("https://s3.example/k", &[], &[]),
        ] {
            let request = offer("put", url, said).upload(b"{}").unwrap();
            assert_eq!(named(&request, AZURE_TYPE), expected, "{url}");
            assert_eq!(named(&request, "content-type"), ["application/json"]);
        }
    }

    #[test]
    fn a_place_says_nothing_of_who_we_are() {
        let said = [("Authorization", "Bearer theirs"), ("Host", "h"), ("x-a", "b"), ("a b", "c")];
        let request = offer("PUT", "https://s3.example/k", &said).upload(b"{}").unwrap();
        let names: Vec<&str> = request.headers.iter().map(|it| &*it.name).collect();
        assert_eq!(names, ["x-a", "Content-Type"]);
        assert!(offer("DELETE", "https://s3.example/k", &[]).upload(b"").is_err());
    }
}
