//! The answer to a call.

use std::io::Read as _;

use bytes::Bytes;
use flate2::read::GzDecoder;
use h2::RecvStream;
use http::HeaderMap;

use codex_rollout::percent_decoded;

use crate::transport::Response;

/// How much of an answer is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Reads all of it: what is not of gRPC has no trailers.
pub(super) async fn read(answer: http::Response<RecvStream>) -> Result<Response, h2::Error> {
    let (head, mut stream) = answer.into_parts();
    let mut body = Vec::new();
    while let Some(chunk) = stream.data().await {
        let chunk: Bytes = chunk?;
        stream.flow_control().release_capacity(chunk.len())?;
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            body.truncate(MAX_ANSWER);
            break;
        }
    }
    let mut headers = Vec::new();
    collect(&mut headers, &head.headers);
    if stream.is_end_stream() || body.len() < MAX_ANSWER {
        collect(&mut headers, &stream.trailers().await?.unwrap_or_default());
    }
    let mut response = Response { status: head.status.as_u16(), headers, body, retry_after: None };
    let is_grpc = |kind: &str| kind.starts_with("application/grpc");
    if response.header("content-type").is_some_and(is_grpc) {
        match message(&response.body) {
            Some(message) => response.body = message,
            // Success without the message that belongs to it was cut off: what
            // was taken is not known.
            None if response.header("grpc-status").is_some_and(|it| it.trim() == "0") => {
                response.headers.retain(|(name, _)| name != "grpc-status");
            }
            None => response.body = Vec::new(),
        }
    }
    Ok(response)
}

fn collect(headers: &mut Vec<(String, String)>, map: &HeaderMap) {
    for (name, value) in map {
        let text = match name.as_str() {
            "grpc-message" => percent_decoded(value.as_bytes()),
            _ => value.as_bytes().to_vec(),
        };
        headers.push((name.as_str().to_owned(), String::from_utf8_lossy(&text).into_owned()));
    }
}

/// Takes the message out of its frame; `None` if there is none, or not all of it.
fn message(body: &[u8]) -> Option<Vec<u8>> {
    let (frame, rest) = body.split_first_chunk::<5>()?;
    let [flag, len @ ..] = *frame;
    let packed = rest.get(..usize::try_from(u32::from_be_bytes(len)).ok()?)?;
    if flag == 0 {
        return Some(packed.to_vec());
    }
    let mut plain = Vec::new();
    let read = GzDecoder::new(packed).take(MAX_ANSWER as u64 + 1).read_to_end(&mut plain);
    (read.is_ok() && plain.len() <= MAX_ANSWER).then_some(plain)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn messages_come_out_of_their_frames() {
        let of = |body: &[u8]| message(body);
        let abc = Some(b"abc".to_vec());
        assert_eq!(of(b""), None);
        assert_eq!(of(b"\0\0\0\0\0"), Some(Vec::new()), "empty, and there");
        assert_eq!(of(b"\0\0\0\0\x03abc"), abc);
        assert_eq!(of(b"\0\0\0\0\x09abc"), None, "cut off");
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"abc").unwrap();
        let packed = encoder.finish().unwrap();
        let mut framed = vec![1, 0, 0, 0, u8::try_from(packed.len()).unwrap()];
        framed.extend(packed);
        assert_eq!(of(&framed), abc);
        assert_eq!(of(b"\x01\0\0\0\x03abc"), None, "not gzip");
    }

    #[test]
    fn words_of_a_status_are_decoded() {
        assert_eq!(percent_decoded(b"a%20b%C3%A4%"), "a bä%".as_bytes());
    }
}
