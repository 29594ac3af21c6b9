"""As much of S3 as reading takes: lists, heads, ranges. Some objects can be denied, broken or gone."""

from __future__ import annotations

import http.server
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

#: How many objects a page of a list has.
PAGE = 100


@dataclass
class Bucket:
    """Objects by their keys, and what was asked for."""

    objects: dict[str, bytes]
    denied: set[str] = field(default_factory=set)
    #: Those that are in the list alone.
    gone: set[str] = field(default_factory=set)
    modified: dict[str, datetime] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    port: int = 0

    @property
    def storage(self) -> dict[str, Any]:
        """The arguments of pyarrow's file system."""
        return {
            "endpoint_override": f"http://127.0.0.1:{self.port}",
            "access_key": "test",
            "secret_key": "test",
            "region": "us-east-1",
        }


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket: Bucket

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, code: int, body: bytes, headers: Mapping[str, str] = {}) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _error(self, code: int, word: str) -> None:
        body = f"<Error><Code>{word}</Code><Message>{word}</Message></Error>".encode()
        self._answer(code, body, {"Content-Type": "application/xml"})

    def _when(self, key: str) -> datetime:
        return self.bucket.modified.get(key, datetime(2026, 11, 29, tzinfo=timezone.utc))

    def _list(self, query: dict[str, list[str]]) -> None:
        prefix = query.get("prefix", [""])[0]
        after = query.get("continuation-token", query.get("start-after", [""]))[0]
        most = min(PAGE, int(query.get("max-keys", ["1000"])[0]))
        keys = sorted(it for it in {*self.bucket.objects, *self.bucket.gone} if it.startswith(prefix) and it > after)
        page, rest = keys[:most], keys[most:]
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.bucket.objects.get(key, b''))}</Size>"
            f"<LastModified>{self._when(key):%Y-%m-%dT%H:%M:%S.000Z}</LastModified></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if rest else ""
        body = (
            "<ListBucketResult><Name>fleet</Name>"
            f"<KeyCount>{len(page)}</KeyCount><IsTruncated>{'true' if rest else 'false'}</IsTruncated>"
            f"{token}{entries}</ListBucketResult>"
        )
        self._answer(200, body.encode(), {"Content-Type": "application/xml"})

    def _object(self, key: str) -> None:
        if key in self.bucket.denied:
            return self._error(403, "AccessDenied")
        if key not in self.bucket.objects:
            return self._error(404, "NoSuchKey")
        body = self.bucket.objects[key]
        headers = {"ETag": '"0"', "Last-Modified": f"{self._when(key):%a, %d %b %Y %H:%M:%S GMT}"}
        span = self.headers.get("Range")
        if not span:
            return self._answer(200, body, headers)
        first, _, last = span.removeprefix("bytes=").partition("-")
        end = min(int(last) if last else len(body), len(body) - 1)
        headers["Content-Range"] = f"bytes {first}-{end}/{len(body)}"
        return self._answer(206, body[int(first) : end + 1], headers)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        _, _, key = unquote(url.path).lstrip("/").partition("/")
        self.bucket.requests["GET" if key else "LIST"] += 1
        if key:
            self._object(key)
        else:
            self._list(parse_qs(url.query))

    def do_HEAD(self) -> None:
        _, _, key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        self.bucket.requests["HEAD"] += 1
        if key:
            self._object(key)
        else:
            self._answer(200, b"")


@contextmanager
def serving(objects: dict[str, bytes]) -> Iterator[Bucket]:
    """Serves objects as a bucket of any name."""
    bucket = Bucket(objects)
    handler = type("Handler", (_Handler,), {"bucket": bucket})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        bucket.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield bucket
        finally:
            server.shutdown()
            thread.join()
