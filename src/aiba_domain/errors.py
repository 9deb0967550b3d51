"""The failures of the domain: refusals that a caller caused, and broken invariants."""

from collections.abc import Mapping


class DomainError(Exception):
    """A refusal with a stable code and typed facts, free of any transport.

    `code` is one of the wire's error codes; `details` holds JSON-able facts for the caller.
    """

    def __init__(self, code: str, /, **details: object) -> None:
        super().__init__(code)
        self.code = code
        self.details: Mapping[str, object] = details


class InvalidInput(DomainError):  # noqa: N818 - a refusal, named for what was refused
    """An input outside its documented range; names the field and what is wrong with it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__("validation_error", **{field: reason})
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class InvariantViolation(Exception):  # noqa: N818 - it names a broken promise, not an error to handle
    """A promise of the core is broken; stop, keep the evidence, repair nothing."""
