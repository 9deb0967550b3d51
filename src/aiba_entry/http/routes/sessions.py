"""Sessions: initData in once, a short token out."""

from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from aiba_adapters.sessions import SessionTokens
from aiba_adapters.telegram import TelegramIdentity
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.decision import Principal
from aiba_domain.instants import SECOND, iso
from aiba_domain.players.commands import OpenSession
from aiba_entry.edge_settings import SESSION
from aiba_entry.http.acting import profile_of
from aiba_entry.http.context import context_of
from aiba_entry.http.envelope import Reply, data_reply, documented
from aiba_entry.http.limits import allow_anyone, count_address, gate_of
from aiba_entry.http.validation import Body, text


class OpenBody(Body):
    """What opens a session: the Mini App's launch data, as it came."""

    init_data: Annotated[str, text(8192)]


class SessionOut(msgspec.Struct, rename="camel"):
    """An open session. `token` goes into `Authorization: Bearer`; `expires_at` is ISO-8601."""

    token: str
    expires_at: str
    telegram_id: str


class SessionDesk:
    """Opens sessions and issues their tokens."""

    def __init__(self, *, pipeline: Pipeline, tokens: SessionTokens, ttl_s: int) -> None:
        """Open sessions that live `ttl_s` seconds."""
        self._pipeline = pipeline
        self._tokens = tokens
        self._lifetime_ms = ttl_s * SECOND

    async def open(self, identity: TelegramIdentity) -> SessionOut:
        """Open the session of one verified initData, or give the one it has opened."""
        principal = Principal(id=identity.player_id, profile=profile_of(identity))
        command = OpenSession(init_data_digest=identity.digest, lifetime_ms=self._lifetime_ms)
        session = (await self._pipeline.execute(principal, command)).reply().session
        return SessionOut(
            token=self._tokens.issue(session.player_id, session.id, session.expires_at),
            expires_at=iso(session.expires_at),
            telegram_id=session.player_id,
        )


class Sessions(Controller):
    """The routes of sessions."""

    path = "/api/auth"
    tags = ("sessions",)

    @post(
        "/session",
        guards=[allow_anyone, count_address(SESSION)],
        status_code=200,
        responses=documented(SessionOut, 400, 401, 403, 413, 429, 503),
        operation_id="openSession",
        security=[{}],
    )
    async def open(
        self,
        data: JSONBody[OpenBody],
        request: Request[Any, Any, Any],
        desk: NamedDependency[SessionDesk],
    ) -> Reply:
        """Open the session of some initData.

        The same initData gives the same session while it lives, and 401 after that.
        """
        out = await desk.open(gate_of(request).auth.identity(data.init_data))
        return data_reply(out, context_of(request).request_id)
