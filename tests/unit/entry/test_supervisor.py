"""What is told to whoever started the process, and to nobody where nobody asked."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from aiba_entry.supervisor import READY, STOPPING, Supervisor


@pytest.fixture(name="line")
def _line(tmp_path: Path) -> Iterator[socket.socket]:
    """Return a socket as systemd has one; nothing is waited for."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(0)
        yield line


def told(line: socket.socket) -> list[bytes]:
    """Return what has arrived."""
    found = []
    while True:
        try:
            found.append(line.recv(64))
        except BlockingIOError:
            return found


def test_states_arrive_in_order_and_life_only_where_it_is_watched(line: socket.socket) -> None:
    """Each is a datagram of its own; the watch may be another process's."""
    place = {"NOTIFY_SOCKET": line.getsockname()}
    supervisor = Supervisor(place)
    supervisor.tell(READY)
    supervisor.alive()
    supervisor.tell(STOPPING)
    assert told(line) == [b"READY=1", b"STOPPING=1"]
    Supervisor({**place, "WATCHDOG_USEC": "60000000"}).alive()
    Supervisor({**place, "WATCHDOG_USEC": "1", "WATCHDOG_PID": str(os.getpid())}).alive()
    assert told(line) == [b"WATCHDOG=1"] * 2
    Supervisor({**place, "WATCHDOG_USEC": "1", "WATCHDOG_PID": str(os.getpid() + 1)}).alive()
    assert told(line) == []


def test_a_name_without_a_file_is_heard_too() -> None:
    """Linux' abstract sockets, which containers like."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind("")
        name = line.getsockname()
        line.settimeout(0)
        Supervisor({"NOTIFY_SOCKET": "@" + name[1:].decode()}).tell(READY)
        assert told(line) == [b"READY=1"]


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "relative"}])
def test_nobody_is_told_where_nobody_asked(environ: dict[str, str]) -> None:
    """A watch without a socket changes nothing."""
    with structlog.testing.capture_logs() as logged:
        supervisor = Supervisor({**environ, "WATCHDOG_USEC": "1"})
        supervisor.tell(READY)
        supervisor.alive()
    assert logged == []


def test_a_supervisor_that_is_gone_is_logged_and_keeps_nobody_from_serving(tmp_path: Path) -> None:
    """Nothing is raised: to be heard is no part of the service."""
    with structlog.testing.capture_logs() as logged:
        Supervisor({"NOTIFY_SOCKET": str(tmp_path / "none")}).tell(READY)
    assert [(each["log_level"], each["state"]) for each in logged] == [("warning", READY)]
