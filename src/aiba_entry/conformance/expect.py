"""Assertions that say what the service owes, what it did, and in which exchange."""

from collections.abc import Sequence
from typing import Final

from aiba_entry.conformance.answers import Answer, Json, cut

SERVER_FAULTS: Final = 500
_MOST_SHOWN: Final = 4


def owes(fact: object, what: str, *answers: Answer) -> None:
    """Raise AssertionError with the exchanges unless `fact` is true; `what` says it in words."""
    __tracebackhide__ = True
    if not fact:
        raise AssertionError(f"the service owes that {what}; here it is not so{evidence(answers)}")


def same(found: object, owed: object, what: str, *answers: Answer) -> None:
    """Raise AssertionError with the exchanges unless two values are equal."""
    __tracebackhide__ = True
    if found != owed:
        raise AssertionError(
            f"{what}: owed is {cut(repr(owed))}; found is {cut(repr(found))}{evidence(answers)}"
        )


def data_of(answer: Answer, status: int = 200) -> Json:
    """Return the data of a good answer in its envelope."""
    __tracebackhide__ = True
    body = flat_of(answer, status)
    owes("data" in body, "a good answer has its data under `data`", answer)
    return body["data"]


def flat_of(answer: Answer, status: int = 200) -> dict[str, Json]:
    """Return the body of a good answer: an object that says `ok: true`."""
    __tracebackhide__ = True
    same(answer.status, status, "the status", answer)
    body = answer.body
    owes(isinstance(body, dict) and body.get("ok") is True, "a good answer says ok: true", answer)
    found: dict[str, Json] = body
    return found


def refusal_of(answer: Answer, status: int | Sequence[int], *codes: str) -> Json:
    """Return the details of a refusal in its envelope, of one of `codes` if any are given."""
    __tracebackhide__ = True
    statuses = (status,) if isinstance(status, int) else tuple(status)
    owes(answer.status in statuses, f"the status is {_either(statuses)}", answer)
    in_envelope(answer)
    owes(not codes or answer.code in codes, f"the code is {_either(codes)}", answer)
    return answer.details


def in_envelope(answer: Answer) -> None:
    """Raise AssertionError unless a refusal wears the envelope."""
    __tracebackhide__ = True
    body = answer.body
    owes(isinstance(body, dict), "an answer is a JSON object", answer)
    owes(body.get("ok") is False, "a refusal says ok: false", answer)
    error = body.get("error")
    owes(isinstance(error, dict), "a refusal says what went wrong under `error`", answer)
    owes(
        all(isinstance(error.get(name), str) and error[name] for name in ("code", "message")),
        "an error has a code and a message",
        answer,
    )
    trace = answer.headers.get("x-request-id")
    same(body.get("requestId"), trace, "requestId beside the header X-Request-Id", answer)
    media = answer.headers.get("content-type", "")
    owes(media.startswith("application/json"), "an answer is application/json", answer)


def harmless(answer: Answer) -> None:
    """Raise AssertionError if the service broke over a call."""
    __tracebackhide__ = True
    owes(answer.status < SERVER_FAULTS, "no call of a client breaks it", answer)


def evidence(answers: Sequence[Answer]) -> str:
    """Return exchanges as they stand in a report, the last ones of many."""
    shown = [answer.shown() for answer in answers[-_MOST_SHOWN:]]
    return "".join(f"\n{each}" for each in shown)


def _either(values: Sequence[object]) -> str:
    return " or ".join(str(value) for value in values)
