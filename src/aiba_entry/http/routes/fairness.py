"""Fairness: what anyone needs to verify battles."""

from typing import Any

from litestar import Controller, Request, get
from litestar.di import NamedDependency

from aiba_domain.application.queries import Queries
from aiba_entry.http.context import context_of
from aiba_entry.http.documents import FairnessOut
from aiba_entry.http.envelope import Reply, data_reply, documented
from aiba_entry.http.limits import allow_anyone
from aiba_entry.http.wire import epoch_json


class Fairness(Controller):
    """The routes of fairness."""

    path = "/api/fairness"
    tags = ("battles",)

    @get(
        "/",
        guards=[allow_anyone],
        responses=documented(FairnessOut, 429, 503),
        operation_id="getFairness",
    )
    async def epochs(
        self, request: Request[Any, Any, Any], queries: NamedDependency[Queries]
    ) -> Reply:
        """List the seed epochs.

        Each shows its commitment, published before its first battle, and its secret once it is
        over and revealed.
        """
        epochs = [epoch_json(epoch) for epoch in await queries.epochs()]
        return data_reply({"epochs": epochs}, context_of(request).request_id)
