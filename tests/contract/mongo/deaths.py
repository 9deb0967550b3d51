"""Processes that are killed between any two words with the server."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress

from pymongo import monitoring


class Deadly(monitoring.CommandListener):
    """Kills this process at the n-th thing that it asks of the server, or is answered."""

    def __init__(self, left: int) -> None:
        self._left = left

    def started(self, _event: monitoring.CommandStartedEvent) -> None:
        """Die with the question on its lips."""
        self._count()

    def succeeded(self, _event: monitoring.CommandSucceededEvent) -> None:
        """Die having heard the answer, and done nothing by it."""
        self._count()

    def failed(self, _event: monitoring.CommandFailedEvent) -> None:
        """Leave failures out."""

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def die(work: Callable[[], object], at: int) -> bool:
    """Do `work` in a process that is killed at its n-th word; tell whether it was."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            monitoring.register(Deadly(at))
            work()
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)
