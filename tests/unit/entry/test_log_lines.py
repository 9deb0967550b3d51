"""Log lines on their way out: in order, all of them, and none of the secrets."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_entry import log_lines
from aiba_entry.log_lines import LogLines

LONG_S = 60


class Pipe(io.StringIO):
    """A stream that tells when something came, and can be broken."""

    def __init__(self) -> None:
        """Begin empty and whole."""
        super().__init__()
        self.came = threading.Event()
        self.is_broken = False

    def write(self, text: str) -> int:
        """Take text in, unless the stream is broken."""
        self.came.set()
        if self.is_broken:
            raise BrokenPipeError
        return super().write(text)


def test_a_line_is_out_at_once_unless_lines_are_gathered() -> None:
    """Whoever has written a line can read it."""
    stream = io.StringIO()
    lines = LogLines(stream)
    lines.add(b"one")
    assert stream.getvalue() == "one\n"


@given(st.lists(st.tuples(st.booleans(), st.text(st.characters(categories=["L"])))))
def test_gathered_lines_come_in_order_and_urgent_ones_at_once(
    given_lines: list[tuple[bool, str]],
) -> None:
    """Nothing overtakes, nothing is lost at the end, and a warning waits for nobody."""
    stream = io.StringIO()
    lines = LogLines(stream)
    with lines.gathered():
        expected = ""
        for is_urgent, text in given_lines:
            expected += f"{text}\n"
            if is_urgent:
                lines.add_urgent(text.encode())
                assert stream.getvalue() == expected
            else:
                lines.add(text.encode())
    assert stream.getvalue() == expected


def test_a_gathered_line_goes_out_by_itself() -> None:
    """It needs no other line after it."""
    stream = Pipe()
    lines = LogLines(stream)
    with lines.gathered():
        lines.add(b"alone")
        assert stream.came.wait(LONG_S)
    assert stream.getvalue() == "alone\n"


def test_more_lines_than_may_wait_are_written_by_whoever_brings_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Memory is bounded, however slow the stream is."""
    monkeypatch.setattr(log_lines, "MOST", 3)
    monkeypatch.setattr(log_lines, "DELAY_S", LONG_S)
    stream = io.StringIO()
    lines = LogLines(stream)
    with lines.gathered():
        for text in (b"1", b"2", b"3", b"4"):
            lines.add(text)
        assert stream.getvalue() == "1\n2\n3\n"


def test_lines_of_several_threads_are_all_there() -> None:
    """Each thread's lines stay in its order, and no two are mixed up."""
    stream = io.StringIO()
    lines = LogLines(stream)

    def write(thread: int) -> None:
        for number in range(200):
            lines.add(f"{thread} {number}".encode())

    with lines.gathered(), ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    written = [tuple(map(int, line.split())) for line in stream.getvalue().splitlines()]
    assert sorted(written) == [(thread, number) for thread in range(4) for number in range(200)]
    for thread in range(4):
        assert [each for each in written if each[0] == thread] == sorted(
            each for each in written if each[0] == thread
        )


def test_a_stream_that_breaks_is_told_to_whoever_logs_next() -> None:
    """Nobody believes in a log that isn't written."""
    stream = Pipe()
    lines = LogLines(stream)
    with lines.gathered():
        stream.is_broken = True
        lines.add(b"lost")
        assert stream.came.wait(LONG_S)
        stream.is_broken = False
        with pytest.raises(BrokenPipeError):
            lines.add_urgent(b"not this one")
        lines.add(b"nor this")
    assert stream.getvalue() == "not this one\nnor this\n"


def test_d63_a_secret_is_hidden_as_json_writes_it_and_in_whole() -> None:
    """A secret with a quote is one too, and a part of another secret hides none of it."""
    stream = io.StringIO()
    lines = LogLines(stream, ["abcdef", "abcdefghijkl", 'say "hush"'])
    lines.add(b'{"a":"abcdefghijkl","b":"say \\"hush\\""}')
    assert stream.getvalue() == '{"a":"[hidden]","b":"[hidden]"}\n'


def test_d63_a_secret_is_hidden_as_python_shows_it() -> None:
    """In the repr of whatever holds it, such as an error's text."""
    secret = "a\\b\"c'd"
    stream = io.StringIO()
    lines = LogLines(stream, [secret])
    lines.add(msgspec.json.encode({"error": f"KeyError({secret!r})"}))
    assert stream.getvalue() == '{"error":"KeyError(\'[hidden]\')"}\n'
