"""How records and answers are written as JSON text, and read back as the same values."""

from collections.abc import Hashable, Mapping
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any, TypeVar, cast, get_type_hints

import msgspec

from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.decision import Accepted, Refused
from aiba_domain.economy.policy import EconomyPolicy

T = TypeVar("T")


def _encode_other(value: object) -> object:
    if type(value) is Fraction:  # isinstance asks the slow machinery of abstract numbers
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, Mapping):
        return dict(value)
    msg = f"no JSON form for {type(value).__name__}"
    raise NotImplementedError(msg)


@lru_cache(maxsize=4096)
def _fraction(text: str) -> Fraction:
    numerator, _, denominator = text.partition("/")
    return Fraction(int(numerator), int(denominator or 1))


def _decode_other(kind: type, value: Any) -> object:  # noqa: ANN401 - msgspec hands over any JSON
    if kind is Fraction:
        return _fraction(value)
    msg = f"no value of {kind.__name__} in JSON"
    raise NotImplementedError(msg)


class RefusedAnswer(msgspec.Struct, frozen=True):
    """The kept form of a refusal."""

    code: str
    details: dict[str, str | int]


_encoder = msgspec.json.Encoder(enc_hook=_encode_other)
_replies: Mapping[str, msgspec.json.Decoder[Any]] = {
    handler.name: msgspec.json.Decoder(handler.kept or handler.reply, dec_hook=_decode_other)
    for handler in HANDLERS.values()
}
_refusals = msgspec.json.Decoder(RefusedAnswer)


@cache
def _decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, dec_hook=_decode_other)


def encode(value: object) -> str:
    """Write a record or a reply as JSON text."""
    return _encoder.encode(value).decode()


def decode(kind: type[T], text: str) -> T:
    """Read a record of `kind` back. Raises msgspec.ValidationError if the text isn't one."""
    value: T = _decoder(cast("Hashable", kind)).decode(text)
    return value


def to_builtins(value: object) -> dict[str, Any]:
    """Return a record as plain dictionaries, lists, texts and numbers, as its JSON would be."""
    plain: dict[str, Any] = msgspec.to_builtins(value, enc_hook=_encode_other)
    return plain


def from_builtins(kind: type[T], plain: Mapping[str, Any]) -> T:
    """Read a record of `kind` back. Raises msgspec.ValidationError if `plain` isn't one."""
    return msgspec.convert(plain, kind, dec_hook=_decode_other)


def decode_shared(kind: type[T], text: str) -> T:
    """Read a small, often used record; equal texts give the same immutable value."""
    value: T = _decode_kept(cast("Hashable", kind), text)
    return value


@lru_cache(maxsize=512)
def _decode_kept(kind: Hashable, text: str) -> Any:  # noqa: ANN401 - typed by its one caller
    return _decoder(kind).decode(text)


def encode_outcome(outcome: Accepted[Any] | Refused) -> tuple[int, str]:
    """Write the part of an outcome that is remembered: whether it was accepted, and the answer."""
    if isinstance(outcome, Accepted):
        return 1, encode(outcome.reply)
    return 0, encode(RefusedAnswer(code=outcome.code, details=dict(outcome.details)))


def decode_outcome(command: str, *, accepted: bool, text: str) -> Accepted[Any] | Refused:
    """Read a remembered answer of a command back."""
    if accepted:
        return Accepted(reply=_replies[command].decode(text))
    refused = _refusals.decode(text)
    return Refused(code=refused.code, details=refused.details)


def read_policy_changes(text: str) -> dict[str, object]:
    """Read some fields of an economy policy, in the JSON form `encode` writes.

    Raises msgspec.DecodeError or msgspec.ValidationError naming what can't be read; unknown names
    are left to the domain to refuse.
    """
    given = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    hints = get_type_hints(EconomyPolicy)
    return {
        name: _decoder(hints[name]).decode(raw) if name in hints else None
        for name, raw in given.items()
    }
