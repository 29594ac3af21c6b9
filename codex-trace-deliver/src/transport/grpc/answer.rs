//! The answer to a call.

use std::io::Read as _;

use bytes::Bytes;
use flate2::read::GzDecoder;
use h2::RecvStream;
use http::HeaderMap;

use crate::transport::Response;
use codex_trace_export::address::percent_decoded;

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
        response.body = message(&response);
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

/// Takes the message out of its frame. What is broken is empty: no server says
/// anything of weight in it without a status that says so, too.
fn message(response: &Response) -> Vec<u8> {
    let Some((frame, rest)) = response.body.split_first_chunk::<5>() else { return Vec::new() };
    let [flag, len @ ..] = *frame;
    let len = usize::try_from(u32::from_be_bytes(len)).unwrap_or(usize::MAX);
    let packed = &rest[..rest.len().min(len)];
    if flag == 0 {
        return packed.to_vec();
    }
    let mut plain = Vec::new();
    match GzDecoder::new(packed).take(MAX_ANSWER as u64).read_to_end(&mut plain) {
        Ok(_) => plain,
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn messages_come_out_of_their_frames() {
        let of = |body: &[u8]| message(&Response::new(200, body));
        assert_eq!(of(b""), b"");
        assert_eq!(of(b"\0\0\0\0\x03abc"), b"abc");
        assert_eq!(of(b"\0\0\0\0\x09abc"), b"abc", "cut off");
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"abc").unwrap();
        let packed = encoder.finish().unwrap();
        let mut framed = vec![1, 0, 0, 0, u8::try_from(packed.len()).unwrap()];
        framed.extend(packed);
        assert_eq!(of(&framed), b"abc");
        assert_eq!(of(b"\x01\0\0\0\x03abc"), b"", "not gzip");
    }

    #[test]
    fn words_of_a_status_are_decoded() {
        assert_eq!(percent_decoded(b"a%20b%C3%A4%"), "a bä%".as_bytes());
    }
}
