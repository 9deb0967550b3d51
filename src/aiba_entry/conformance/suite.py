"""What all properties over HTTP share: the deployment, what they build on, how many are drawn."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Final, NoReturn

import pytest
from hypothesis import HealthCheck, Phase, settings

from aiba_domain.testing.contracts.suite import BLOCKED, NOT_DECLARED, PortContract, base, is_base
from aiba_entry.conformance.deployment import Deployment, fighter
from aiba_entry.conformance.expect import data_of, owes, same

ABSENT_ID: Final = "0123456789abcdef01234567"
"""An id of the right form that names nothing."""

NOT_SELECTED: Final = "not among those asked for"


def few(examples: int) -> settings:
    """Return how a drawn property runs: each example costs calls, and nothing undoes its effects.

    The seed alone decides what is drawn, whatever profile is loaded: a deployment is no test
    database whose examples could be kept.
    """
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=False,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )


def beyond(reason: str) -> NoReturn:
    """End a property that this deployment gives no way to try: it counts as not declared."""
    pytest.skip(NOT_DECLARED + reason)


class HttpSuite(PortContract):
    """The base of the suites over HTTP."""

    port = "HTTP API"
    version = "1.0"
    closes: ClassVar[bool] = True
    """Whether the suite closes the deployment at its end."""

    @abstractmethod
    def open_deployment(self) -> Deployment:
        """Return the deployment to judge, which `scout` has looked at."""

    @pytest.fixture(name="deployment", scope="class")
    def _deployment(self) -> Iterator[Deployment]:
        deployment = self.open_deployment()
        yield deployment
        if self.closes:
            deployment.close()

    @pytest.fixture(autouse=True)
    def _selection(
        self, _admission: None, request: pytest.FixtureRequest, deployment: Deployment
    ) -> None:
        test = request.function
        if deployment.only and test.__name__ not in deployment.only and not is_base(test):
            pytest.skip(BLOCKED + NOT_SELECTED)

    @base
    def test_a_good_answer_wears_the_envelope(self, deployment: Deployment) -> None:
        """A good answer is `{ok: true, data, requestId}`, its `requestId` that of the header.

        A failure means that clients can't unwrap answers, and nobody can find a call in the logs.
        """
        answer = deployment.get("/api/game-modes")
        data_of(answer)
        trace = answer.headers.get("x-request-id")
        owes(trace, "every answer has a header X-Request-Id", answer)
        same(answer.body.get("requestId"), trace, "requestId beside the header", answer)

    @base
    def test_a_genuine_proof_names_its_player(self, deployment: Deployment) -> None:
        """Launch data signed with the bot's token acts for the player in it, and nobody else.

        A failure means that players see and spend what belongs to others.
        """
        one, other = deployment.newcomer(), deployment.newcomer()
        for player in (one, other, one):
            answer = player.get("/api/economy/me")
            same(data_of(answer).get("telegramId"), player.id, "who is calling", answer)

    @base
    def test_a_newcomer_gets_one_broker(self, deployment: Deployment) -> None:
        """The free broker is given with 201, belongs to who asked, and is listed.

        A failure means that nobody can begin to play.
        """
        player, broker_id = fighter(deployment)
        listed = player.get("/api/brokers/mine")
        same([each.get("_id") for each in data_of(listed)], [broker_id], "the brokers", listed)
        same(data_of(listed)[0].get("ownerTelegramId"), player.id, "the owner", listed)
