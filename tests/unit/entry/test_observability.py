"""Log lines: one shape for all, and nothing in them that must not be there."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from aiba_entry.observability import REQUEST_ID, configure_logging, ensure_logging, get_logger
from tests.support.logs import logging_kept

SECRET = "correct-horse-battery-staple-0123"
# Made at run time: a traceback shows source lines, and this text must be in none of them.
LAUNCH = "hash=" + "".join(str(digit) for digit in range(10))


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    with logging_kept():
        yield


@pytest.fixture(name="stream")
def _stream() -> io.StringIO:
    stream = io.StringIO()
    configure_logging("INFO", stream=stream, secrets=[SECRET])
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """Return the lines written so far."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail_with(init_data: str) -> None:
    """Fail, with something to hide in a local variable."""
    raise ValueError(len(init_data))


def test_own_and_foreign_lines_share_one_shape(stream: io.StringIO) -> None:
    """A line of another library has the same fields as ours, the request's id among them."""
    bound = REQUEST_ID.set("trace-1")
    get_logger("aiba.test").info("ours", count=3)
    logging.getLogger("other.library").warning("theirs %s", "too")
    REQUEST_ID.reset(bound)
    own, foreign = lines(stream)
    assert (own["source"], own["event"], own["count"]) == ("aiba.test", "ours", 3)
    assert (foreign["source"], foreign["event"]) == ("other.library", "theirs too")
    for line in (own, foreign):
        assert line["request_id"] == "trace-1"
        assert line["timestamp"].endswith("Z")
    assert (own["level"], foreign["level"]) == ("info", "warning")


def test_level_is_kept_to(stream: io.StringIO) -> None:
    """What is below the level isn't written."""
    get_logger("aiba.test").debug("quiet")
    logging.getLogger("other").debug("quiet")
    assert lines(stream) == []


def test_d63_secrets_and_bearers_of_secrets_are_hidden(stream: io.StringIO) -> None:
    """A secret is hidden wherever it stands, and so is whatever comes under a telling name."""
    get_logger("aiba.test").error("got " + SECRET, token="abc", headers={"x": "y"}, body=b"z")
    logging.getLogger("other").error("got %s", SECRET)
    assert SECRET not in stream.getvalue()
    own = lines(stream)[0]
    assert own["event"] == "got [hidden]"
    assert own["token"] == own["headers"] == own["body"] == "[hidden]"


def test_tracebacks_have_no_local_variables(stream: io.StringIO) -> None:
    """A traceback tells where, never with what."""
    try:
        fail_with(LAUNCH)
    except ValueError:
        get_logger("aiba.test").exception("failed")
        logging.getLogger("other").exception("failed")
    for line in lines(stream):
        assert "ValueError: 15" in line["exception"]
    assert "0123456789" not in stream.getvalue()


def test_without_configuration_the_same_rules_hold(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody configured logging, failures still come without local variables."""
    structlog.reset_defaults()
    ensure_logging()
    try:
        fail_with(LAUNCH)
    except ValueError:
        get_logger("aiba.test").exception("failed")
    get_logger("aiba.test").info("chatter")
    written = capsys.readouterr()
    assert written.out == ""
    (line,) = written.err.splitlines()
    assert "ValueError: 15" in json.loads(line)["exception"]
    assert "0123456789" not in line


def test_unwritable_values_still_make_a_line(stream: io.StringIO) -> None:
    """A lone surrogate or a strange object never costs a line."""
    get_logger("aiba.test").warning("odd", text="\ud800", thing=object(), count=1)
    (line,) = lines(stream)
    assert (line["text"], line["count"]) == ("\\ud800", 1)
