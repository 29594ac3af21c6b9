"""Traces as objects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from codex_trace import _core
from codex_trace._wanted import Path, Paths, Time, wanted


@dataclass(frozen=True)
class Usage:
    """Tokens; what was not recorded is 0. Input includes what was cached, output
    includes reasoning."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_output_tokens: int = 0
    total_tokens: int = 0

    @classmethod
    def of(cls, fields: dict[str, Any] | None) -> Usage:
        """Takes the fields of a recorded usage."""
        known = cls.__dataclass_fields__
        return cls(**{key: int(n) for key, n in (fields or {}).items() if key in known})

    def __add__(self, other: Usage) -> Usage:
        fields = self.__dataclass_fields__
        return Usage(**{key: getattr(self, key) + getattr(other, key) for key in fields})


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    head, _, fraction = text.rstrip("Z").partition(".")
    # Before 3.11 a fraction has three or six digits.
    return datetime.fromisoformat(f"{head}.{fraction:0<6.6}+00:00")


class Span:
    """A span: a thread, a turn, a model call, a tool call or a compaction.

    `fields` has everything that docs/span-schema.md says of it.
    """

    def __init__(self, fields: dict[str, Any], trace: Trace) -> None:
        self.fields = fields
        self.trace = trace
        #: The span that this one is in.
        self.parent: Span | None = None
        #: The spans that are in this one, in order.
        self.children: list[Span] = []

    @property
    def key(self) -> str:
        """What it is called, within its thread: the same on every machine."""
        return str(self.fields["key"])

    @property
    def thread_id(self) -> str:
        """The thread."""
        return str(self.fields["thread_id"])

    @property
    def kind(self) -> str:
        """`thread`, `turn`, `model_call`, `tool_call` or `compaction`."""
        return str(self.fields["kind"])

    @property
    def name(self) -> str:
        """Its name for people."""
        return str(self.fields["name"])

    @property
    def status(self) -> str:
        """`ok`, `error`, `interrupted` or `incomplete`."""
        return str(self.fields["status"])

    @property
    def start(self) -> datetime | None:
        """When it began."""
        return _time(self.fields.get("start"))

    @property
    def end(self) -> datetime | None:
        """When it ended, if it did."""
        return _time(self.fields.get("end"))

    @property
    def attributes(self) -> dict[str, Any]:
        """What is particular to its kind: model, command, exit code, …"""
        attributes: dict[str, Any] = self.fields.get("attributes", {})
        return attributes

    @property
    def usage(self) -> Usage:
        """The tokens of the model calls in it, itself included."""
        if self.kind == "model_call":
            return Usage.of(self.fields.get("usage"))
        sum_ = Usage()
        for span in self.walk():
            if span.kind == "model_call":
                sum_ += span.usage
        return sum_

    def walk(self) -> Iterator[Span]:
        """This span and all that are in it, parents first."""
        waiting = [self]
        while waiting:
            span = waiting.pop()
            yield span
            waiting.extend(reversed(span.children))

    def __repr__(self) -> str:
        return f"<codex_trace.Span {self.kind} {self.key}>"


class Trace:
    """A session: a root thread with its subagents, their spans and items."""

    def __init__(self, lines: bytes) -> None:
        #: What is said of the session as a whole.
        self.fields: dict[str, Any] = {}
        #: The entries of all conversations, in order.
        self.items: list[dict[str, Any]] = []
        #: All spans, parents first.
        self.spans: list[Span] = []
        by_key: dict[tuple[str, str], Span] = {}
        for line in lines.splitlines():
            fields = json.loads(line)
            kind = fields["type"]
            if kind == "trace":
                self.fields = fields
            elif kind == "item":
                self.items.append(fields)
            else:
                span = Span(fields, self)
                self.spans.append(span)
                by_key[span.thread_id, span.key] = span
        for span in self.spans:
            key = span.fields.get("parent_key")
            thread = span.fields.get("parent_thread_id", span.thread_id)
            parent = None if key is None else by_key.get((thread, key))
            if parent is not None:
                span.parent = parent
                parent.children.append(span)

    @property
    def session_id(self) -> str:
        """The id of the root thread."""
        return str(self.fields["session_id"])

    @property
    def status(self) -> str:
        """`complete`, `interrupted`, `open` or `error`."""
        return str(self.fields["status"])

    @property
    def started_at(self) -> datetime | None:
        """When it began."""
        return _time(self.fields.get("started_at"))

    @property
    def ended_at(self) -> datetime | None:
        """When the last thing in it happened."""
        return _time(self.fields.get("ended_at"))

    @property
    def threads(self) -> list[dict[str, Any]]:
        """What is recorded of each thread, the root first."""
        threads: list[dict[str, Any]] = self.fields["threads"]
        return threads

    @property
    def problems(self) -> list[dict[str, Any]]:
        """What was odd about it."""
        problems: list[dict[str, Any]] = self.fields.get("diagnostics", [])
        return problems

    @cached_property
    def root(self) -> Span:
        """The span of the root thread."""
        return self.spans[0]

    @property
    def usage(self) -> Usage:
        """The tokens of all model calls."""
        return Usage.of(self.fields.get("usage"))

    @property
    def model_calls(self) -> list[Span]:
        """The spans of all model calls."""
        return [span for span in self.spans if span.kind == "model_call"]

    def __repr__(self) -> str:
        return f"<codex_trace.Trace {self.session_id}: {len(self.spans)} spans>"


def read(
    home: Paths | None = None,
    *,
    since: Time | None = None,
    until: Time | None = None,
    cwd: Path | None = None,
    model: str | None = None,
    redact: bool | Iterable[str] = False,
    strict: bool = False,
    threads: int | None = None,
) -> Iterator[Trace]:
    """Goes through the traces of a history, oldest session first.

    The arguments are those of `scan`. One trace is made at a time. A session of
    which no file can be read is left out, and named by `scan(…).problems`; with
    `strict` it ends the iteration with CodexTraceError.
    """
    asked = wanted(home, since, until, cwd, model, None, threads)
    patterns = [] if isinstance(redact, bool) else list(redact)
    found = _core.Scan(
        asked,
        content="full",
        redact=redact if isinstance(redact, bool) else True,
        patterns=patterns,
        prices=None,
        home=None,
        strict=strict,
    )
    # Found at once, so that what is wrong with the arguments is told here.
    return map(Trace, found.traces())
