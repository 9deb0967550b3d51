"""Calls and their answers as evidence: what was sent, what came back, and no secret in either."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Json = Any
"""A decoded JSON value; whoever reads one says what they expect of it."""

_LONGEST: Final = 900
_HIDDEN: Final = frozenset({"authorization", "x-telegram-init-data", "cookie"})
HIDDEN: Final = "[hidden]"
"""What stands in a report where a secret was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. `body` is sent as JSON, `content` as it is; `who` names the caller for reports.

    A body of None is no body at all; `content` may be whatever can't be written as JSON.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    content: bytes | None = None
    who: str = "nobody"

    def raw(self) -> bytes | None:
        """Return the bytes to send, None for none."""
        if self.content is None and self.body is not None:
            return json.dumps(self.body).encode()
        return self.content

    def body_key(self) -> object:
        """Return the idempotency key in the body, None without one."""
        return self.body.get("requestId") if isinstance(self.body, Mapping) else None

    def shown(self) -> str:
        """Return the call for a reader: who, what, and the body; not what proves who is calling."""
        sent = {name: HIDDEN if name.lower() in _HIDDEN else v for name, v in self.headers.items()}
        lines = [f"{self.method} {self.path} as {self.who}"]
        lines += [f"{name}: {value}" for name, value in sent.items() if value != HIDDEN]
        raw = self.raw()
        if raw is not None:
            lines.append(cut(raw.decode("utf-8", "backslashreplace")))
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for a call. `scrub` takes every known secret out of a text."""

    call: Call
    status: int
    headers: Mapping[str, str]
    raw: bytes
    scrub: Callable[[str], str]

    @property
    def body(self) -> Json:
        """The decoded JSON. Raises AssertionError where the answer is none."""
        try:
            return json.loads(self.raw)
        except (ValueError, RecursionError):
            raise AssertionError(
                f"the service owes JSON; what it sent is none\n{self.shown()}"
            ) from None

    @property
    def error(self) -> Mapping[str, Json]:
        """The envelope's error, empty where there is none."""
        body = self.body
        found = body.get("error") if isinstance(body, dict) else None
        return found if isinstance(found, dict) else {}

    @property
    def code(self) -> str:
        """The error's code, "" where there is none."""
        return str(self.error.get("code", ""))

    @property
    def details(self) -> Json:
        """The error's facts, None where there are none."""
        return self.error.get("details")

    @property
    def is_granted(self) -> bool:
        """Whether the service did what was asked."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP's own range

    def shown(self) -> str:
        """Return the call and its answer for a report, without secrets."""
        text = self.raw.decode("utf-8", "backslashreplace")
        kept = {n: v for n, v in self.headers.items() if n in ("retry-after", "content-type")}
        head = ", ".join(f"{name}: {value}" for name, value in kept.items())
        return _indented(
            self.scrub(self.call.shown()), self.scrub(f"-> {self.status} {head}\n{cut(text)}")
        )

    def told(self) -> bytes:
        """Return the body's bytes without the id of this very request, the one mark of a replay.

        In an envelope `requestId` is the trace id, which is each request's own; a flat answer
        carries the idempotency key there, and that stays.
        """
        trace = self.headers.get("x-request-id", "")
        if not trace:
            return self.raw
        for mark in (f',"requestId":"{trace}"', f', "requestId": "{trace}"'):
            if mark.encode() in self.raw:
                return self.raw.replace(mark.encode(), b"", 1)
        return self.raw


def cut(text: str) -> str:
    """Return a text, its end left out where it is long."""
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}... ({len(text)} characters)"


def _indented(call: str, answer: str) -> str:
    head, *rest = call.splitlines()
    return "\n".join([f"  {head}", *(f"    {line}" for line in rest), *_under(answer)])


def _under(text: str) -> list[str]:
    head, *rest = text.splitlines()
    return [f"  {head}", *(f"    {line}" for line in rest)]
