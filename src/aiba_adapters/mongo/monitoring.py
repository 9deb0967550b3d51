"""Listens to what the driver tells of itself, and tells a meter.

Of commands only the name, the time and the code of an error are looked at, never a body or an
answer's documents. A server counts as *lost* when it was known and isn't any more, because a
connection broke, it answered no heartbeat, or it said that it is no primary or goes down. It is
*reconnected* when it is known again: one outage is one reconnect for each server, however many
commands it hit, and the first connection is none.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutFailedReason,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionClosedReason,
    ConnectionCreatedEvent,
    ConnectionPoolListener,
    ConnectionReadyEvent,
    PoolClearedEvent,
    PoolClosedEvent,
    PoolCreatedEvent,
    PoolReadyEvent,
    ServerClosedEvent,
    ServerDescriptionChangedEvent,
    ServerListener,
    ServerOpeningEvent,
    TopologyClosedEvent,
    TopologyDescriptionChangedEvent,
    TopologyListener,
    TopologyOpenedEvent,
)

from aiba_adapters.mongo.failures import trouble_in
from aiba_adapters.mongo_meter import (
    COMMANDS,
    OTHER,
    Closed,
    Connections,
    Meter,
    NoConnection,
    Trouble,
)

_CLOSED: Final[Mapping[str, Closed]] = {
    ConnectionClosedReason.STALE: Closed.STALE,
    ConnectionClosedReason.IDLE: Closed.IDLE,
    ConnectionClosedReason.POOL_CLOSED: Closed.POOL_CLOSED,
}
_NO_CONNECTION: Final[Mapping[str, NoConnection]] = {
    ConnectionCheckOutFailedReason.TIMEOUT: NoConnection.TIMEOUT,
    ConnectionCheckOutFailedReason.POOL_CLOSED: NoConnection.POOL_CLOSED,
}
_UNKNOWN: Final = "Unknown"

Address = tuple[str, int | None]


def listeners(meter: Meter) -> Sequence[Any]:
    """Return what a client must be made with to tell a meter of itself."""
    connections = Connections()
    meter.watch(connections)
    return (
        _Commands(meter),
        _Pools(meter, connections),
        _Servers(meter),
        _Deployment(meter, connections),
    )


class _Commands(CommandListener):
    """Counts commands."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def started(self, event: CommandStartedEvent) -> None:
        """A command counts when it has ended."""

    def succeeded(self, event: CommandSucceededEvent) -> None:
        self._ended(event, trouble_in(event.reply, failed=False))

    def failed(self, event: CommandFailedEvent) -> None:
        self._ended(event, trouble_in(event.failure, failed=True))

    def _ended(
        self, event: CommandSucceededEvent | CommandFailedEvent, trouble: Trouble | None
    ) -> None:
        name = event.command_name if event.command_name in COMMANDS else OTHER
        self._meter.command(name, event.duration_micros / 1e6, trouble)


class _Pools(ConnectionPoolListener):
    """Counts connections, and who waits for one."""

    def __init__(self, meter: Meter, connections: Connections) -> None:
        self._meter = meter
        self._connections = connections

    def pool_created(self, event: PoolCreatedEvent) -> None:
        """A pool has no connections yet."""

    def pool_ready(self, event: PoolReadyEvent) -> None:
        """That its server is known again says the same."""

    def pool_cleared(self, event: PoolClearedEvent) -> None:  # noqa: ARG002
        self._meter.cleared()

    def pool_closed(self, event: PoolClosedEvent) -> None:
        """Its connections are closed one by one."""

    def connection_created(self, event: ConnectionCreatedEvent) -> None:  # noqa: ARG002
        self._connections.open += 1

    def connection_ready(self, event: ConnectionReadyEvent) -> None:  # noqa: ARG002
        self._meter.connected()

    def connection_closed(self, event: ConnectionClosedEvent) -> None:
        self._connections.open -= 1
        self._meter.disconnected(_CLOSED.get(event.reason, Closed.ERROR))

    def connection_check_out_started(self, event: ConnectionCheckOutStartedEvent) -> None:  # noqa: ARG002
        if task := asyncio.current_task():
            self._connections.wanting.add(task)

    def connection_check_out_failed(self, event: ConnectionCheckOutFailedEvent) -> None:
        self._no_longer_wanting()
        missed = _NO_CONNECTION.get(event.reason, NoConnection.ERROR)
        self._meter.checkout(event.duration or 0.0, missed)

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:
        self._no_longer_wanting()
        self._connections.in_use += 1
        self._meter.checkout(event.duration or 0.0, None)

    def connection_checked_in(self, event: ConnectionCheckedInEvent) -> None:  # noqa: ARG002
        self._connections.in_use -= 1

    def _no_longer_wanting(self) -> None:
        if task := asyncio.current_task():
            self._connections.wanting.discard(task)


class _Servers(ServerListener):
    """Counts servers that were lost and are known again."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._lost: set[Address] = set()

    def opened(self, event: ServerOpeningEvent) -> None:
        """A server is unknown at first, and not lost."""

    def description_changed(self, event: ServerDescriptionChangedEvent) -> None:
        was = event.previous_description.server_type_name != _UNKNOWN
        is_known = event.new_description.server_type_name != _UNKNOWN
        if was and not is_known:
            self._lost.add(event.server_address)
        elif is_known and event.server_address in self._lost:
            self._lost.remove(event.server_address)
            self._meter.reconnect()

    def closed(self, event: ServerClosedEvent) -> None:
        self._lost.discard(event.server_address)


class _Deployment(TopologyListener):
    """Keeps who takes the writes."""

    def __init__(self, meter: Meter, connections: Connections) -> None:
        self._meter = meter
        self._connections = connections
        self._last: Address | None = None

    def opened(self, event: TopologyOpenedEvent) -> None:
        """Nothing is known yet."""

    def description_changed(self, event: TopologyDescriptionChangedEvent) -> None:
        found = next(
            (
                address
                for address, server in event.new_description.server_descriptions().items()
                if server.is_writable
            ),
            None,
        )
        self._connections.primary = found
        if found is None:
            return
        if self._last is not None and found != self._last:
            self._meter.primary_changed()
        self._last = found

    def closed(self, event: TopologyClosedEvent) -> None:  # noqa: ARG002
        self._connections.primary = None
