"""Where log lines go: to a stream, without secrets, each at once or together a moment later."""

import json
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final, SupportsBytes, TextIO

HIDDEN: Final = "[hidden]"
"""What stands where a secret stood."""

DELAY_S: Final = 0.1
"""How long a line waits for others at the most while they are gathered."""

MOST: Final = 2_000
"""How many lines may wait; whoever brings more writes them, and waits as long as that takes."""


class LogLines:
    """Writes lines in the order that they came in, from any thread; none of `secrets` is in them.

    A line is out when the call returns. While they are gathered that holds only for those that are
    urgent and for all before them; the others are written together up to DELAY_S later, by a thread
    of their own, so that no request waits for the log's disk or pipe. Lines that the system doesn't
    take then are lost, and why is raised to whoever brings the next one.
    """

    def __init__(self, stream: TextIO, secrets: Collection[str] = ()) -> None:
        """Write to `stream`."""
        self._stream = stream
        # As it is, as Python shows it, and both as JSON writes them; what is part of another one
        # comes after that.
        texts = {*secrets, *(repr(each)[1:-1] for each in secrets)}
        forms = {*secrets, *(json.dumps(each, ensure_ascii=False)[1:-1] for each in texts)}
        self._secrets = sorted(filter(None, forms), key=len, reverse=True)
        # A collected object may log in the middle of another line, in the same thread.
        self._lock = threading.RLock()
        self._writing = threading.RLock()
        self._waiting: list[SupportsBytes] = []
        self._come = threading.Event()
        self._end = threading.Event()
        self._gathers = False
        self._failure: Exception | None = None

    def add(self, line: SupportsBytes) -> None:
        """Take a line without a newline at its end, or what makes its bytes when it is written."""
        with self._lock:
            self._waiting.append(line)
            count = len(self._waiting)
        if not self._gathers or count >= MOST or self._failure is not None:
            self.flush()
        elif count == 1:
            self._come.set()

    def add_urgent(self, line: SupportsBytes) -> None:
        """Take a line and write it now, after all that wait."""
        with self._lock:
            self._waiting.append(line)
        self.flush()

    def flush(self) -> None:
        """Write what waits. Raises what the stream does, also if a thread came upon it before."""
        with self._writing:
            failure, self._failure = self._failure, None
            self._write()
        if failure is not None:
            raise failure

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Gather lines while the context lasts; at its end all are written.

        A process that is killed meanwhile loses the lines of the last DELAY_S that weren't urgent.
        """
        self._end.clear()
        writer = threading.Thread(target=self._write_for_ever, name="log-lines", daemon=True)
        writer.start()
        self._gathers = True
        try:
            yield
        finally:
            self._gathers = False
            self._end.set()
            self._come.set()
            writer.join()
            self.flush()

    def _write_for_ever(self) -> None:
        while not self._end.is_set():
            self._come.wait()
            self._end.wait(DELAY_S)
            self._come.clear()
            with self._writing:
                try:
                    self._write()
                except Exception as failure:  # noqa: BLE001 - raised to who brings the next line
                    self._failure = failure

    def _write(self) -> None:
        with self._lock:
            lines, self._waiting = self._waiting, []
        if lines:
            self._stream.write(self._shown(b"\n".join(map(bytes, lines))))
            self._stream.flush()

    def _shown(self, lines: bytes) -> str:
        text = lines.decode()
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return f"{text}\n"
