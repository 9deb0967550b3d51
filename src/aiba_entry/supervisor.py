"""What a process tells whoever started it: that it serves, that it drains, and that it still lives.

The protocol is systemd's: a datagram for each state, to the socket of `NOTIFY_SOCKET`. Without that
variable nothing is told. The service never depends on it: a supervisor that doesn't hear is logged.
"""

import os
import socket
from collections.abc import Mapping
from typing import Final

from aiba_entry.logs import get_logger

READY: Final = "READY=1"
"""Requests are taken from now on."""

STOPPING: Final = "STOPPING=1"
"""No new connection is taken; accepted requests are being finished."""

_ALIVE: Final = "WATCHDOG=1"
_log = get_logger("aiba.supervisor")


class Supervisor:
    """The one who started this process, where it is one who listens."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Take the supervisor that `environ` names, if it names one."""
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        watched = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        self._watches = watched and bool(environ.get("WATCHDOG_USEC", ""))

    def tell(self, state: str) -> None:
        """Tell a state at once, without waiting for anybody."""
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.settimeout(0)
                line.sendto(state.encode(), self._address)
        except OSError as error:
            _log.warning("supervisor not told", state=state, reason=str(error))

    def alive(self) -> None:
        """Say that the event loop still turns; to be called once a second.

        Whoever watches ends a process that hasn't said so for the time it set.
        """
        if self._watches:
            self.tell(_ALIVE)


def _address(text: str) -> str | None:
    """Return the address of a socket: a path, or a name that Linux keeps apart from files."""
    if text.startswith("@"):
        return f"\0{text[1:]}"
    return text if text.startswith("/") else None
