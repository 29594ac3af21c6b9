use crate::transport::{NoAnswer, Request, RequestDir, Response, Transport};

/// Carries requests, and keeps each of them in a directory, with its answer.
/// What is secret in the headers and the address of a request is masked there,
/// and in the answer, where that repeats it.
pub struct Recorder {
    inner: Box<dyn Transport>,
    dir: RequestDir,
}

impl Recorder {
    /// Makes one that writes to a directory.
    pub fn new(inner: Box<dyn Transport>, dir: RequestDir) -> Recorder {
        Recorder { inner, dir }
    }
}

impl Transport for Recorder {
    /// What cannot be kept is not sent. An answer that cannot be kept is still an
    /// answer.
    fn send(&self, request: &Request) -> Result<Response, NoAnswer> {
        let nth = self.dir.write(request).map_err(|err| self.dir.no_room(&err))?;
        let answer = self.inner.send(request);
        self.dir.answer(nth, &answer).ok();
        answer
    }

    fn pause(&self) -> std::time::Duration {
        self.inner.pause()
    }
}

#[cfg(test)]
mod tests {
    use codex_trace_export::{Address, Secret};

    use super::*;
    use crate::transport::{Cause, Header, Method};

    struct Answers;

    impl Transport for Answers {
        fn send(&self, request: &Request) -> Result<Response, NoAnswer> {
            if request.body.is_empty() {
                let reason = "no answer from http://h: gone".to_owned();
                return Err(NoAnswer { reason, cause: Cause::Away });
            }
            let headers = vec![
                ("content-type".to_owned(), "text/plain".to_owned()),
                ("set-cookie".to_owned(), "session=s3cr3t".to_owned()),
            ];
            Ok(Response { headers, ..Response::new(202, "taken") })
        }
    }

    #[test]
    fn what_was_sent_and_answered_is_kept_without_keys() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("out");
        let recorder = Recorder::new(Box::new(Answers), RequestDir::create(&dir).unwrap());
        let request = |body: &str| Request {
            method: Method::Post,
            url: Address::unchecked("http://h/hook/S3CR3T/v1"),
            headers: vec![Header::secret("x-api-key", Secret::new("s3cr3t"))],
            body: body.as_bytes().to_vec().into(),
        };
        assert_eq!(recorder.send(&request("body")).unwrap().status, 202);
        recorder.send(&request("")).unwrap_err();
        let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
        assert_eq!(read("000001.body"), "body");
        assert_eq!(
            read("000001.answer.json"),
            "{\"status\":202,\"headers\":{\"content-type\":\"text/plain\",\"set-cookie\":\"[redacted]\"},\"body\":\"taken\"}\n"
        );
        assert_eq!(
            read("000002.answer.json"),
            "{\"no_answer\":\"no answer from http://h: gone\"}\n"
        );
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.to_lowercase().contains("s3cr3t"), "{}", path.display());
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                let mode = std::fs::metadata(&path).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{}", path.display());
            }
        }
    }
}
