"""Properties of proofs: who is let in, as whom, and for how long."""

from collections.abc import Iterator, Mapping
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.testing.contracts.suite import Capability, needs
from aiba_entry.conformance.answers import Answer, Call
from aiba_entry.conformance.deployment import INIT_DATA, Deployment
from aiba_entry.conformance.expect import data_of, harmless, refusal_of, same
from aiba_entry.conformance.proofs import launch_with_two_users
from aiba_entry.conformance.suite import HttpSuite, few

PRIVATE: Final[Mapping[str, str]] = {
    "/api/economy/me": "GET",
    "/api/brokers/mine": "GET",
    "/api/daily/status": "GET",
    "/api/brokers/starter": "POST",
    "/api/brokers/train": "POST",
    "/api/battle/run": "POST",
    "/api/daily/claim": "POST",
}
"""What belongs to a player, and so to nobody who isn't proven to be one."""

AT_ONCE: Final = 8

_LONG_AGO_S: Final = 8 * 86_400
_AHEAD_S: Final = 3600
_OTHER_TOKEN: Final = "987654321:another-bots-token-which-proves-nothing"  # noqa: S105 - it is nobody's
_PROOF_CODES: Final = ("telegram auth failed", "telegram auth expired", "telegram auth required")


class IdentitySuite(HttpSuite):
    """Properties of proofs."""

    def test_nobody_is_let_in_without_a_proof(self, deployment: Deployment) -> None:
        """What is a player's is 401 without a proof, also for who just says who they are.

        A failure means that anybody plays as anybody: no deployment for players may have it.
        """
        claims: list[Mapping[str, str]] = [{}, {"x-telegram-id": "42"}, {INIT_DATA: ""}]
        for path, method in PRIVATE.items():
            for headers in claims:
                body: object = {} if method == "POST" else None
                call = Call(method=method, path=path, headers=headers, body=body)
                refusal_of(deployment.send(call), 401, *_PROOF_CODES)

    def test_a_proof_by_another_secret_is_refused(self, deployment: Deployment) -> None:
        """Launch data that another bot has signed, or nobody, proves nothing: 401.

        A failure means that whoever can write a header plays as any player.
        """
        number = deployment.onlooker().number
        forged = deployment.launch(number, bot_token=_OTHER_TOKEN)
        unsigned = forged.rpartition("&hash=")[0]
        for proof in (forged, unsigned, f"{unsigned}&hash=", f"{unsigned}&hash={'0' * 64}"):
            for answer in _shown_to(deployment, proof):
                refusal_of(answer, 401, "telegram auth failed")

    def test_a_proof_counts_for_its_time_and_no_longer(self, deployment: Deployment) -> None:
        """Launch data of last week is 401 `telegram auth expired`.

        A failure means that launch data which leaked once opens the account for ever.
        """
        number = deployment.onlooker().number
        old = deployment.launch(number, at_s=deployment.now_s() - _LONG_AGO_S)
        for answer in _shown_to(deployment, old):
            refusal_of(answer, 401, "telegram auth expired")

    def test_a_proof_of_the_future_is_refused(self, deployment: Deployment) -> None:
        """A date one hour ahead is no difference of clocks: 401.

        A failure means that a proof can be made to outlive every bound on its age.
        """
        number = deployment.onlooker().number
        early = deployment.launch(number, at_s=deployment.now_s() + _AHEAD_S)
        for answer in _shown_to(deployment, early):
            refusal_of(answer, 401, "telegram auth failed", "telegram auth expired")

    def test_a_proof_that_names_two_players_is_refused(self, deployment: Deployment) -> None:
        """Launch data in which a key stands twice is 401, whichever of the two was signed.

        A failure means that what is checked and what is read may be two different players.
        """
        one, other = deployment.newcomer(), deployment.newcomer()
        for proof in launch_with_two_users(
            int(one.id),
            int(other.id),
            at_s=deployment.now_s(),
            bot_token=deployment.bot_token,
            nonce=deployment.key(),
        ):
            deployment.hide(proof.rpartition("hash=")[2].partition("&")[0])
            for answer in _shown_to(deployment, proof):
                refusal_of(answer, 401, "telegram auth failed")

    @few(8)
    @given(
        place=st.integers(0, 300),
        change=st.sampled_from(["drop", "double", "0", "9", "%", "&"]),
    )
    def test_a_changed_proof_is_refused_or_the_same(
        self, deployment: Deployment, place: int, change: str
    ) -> None:
        """Launch data with a character changed, dropped or added is 401, or names the same player.

        A failure means that a player can become another one by editing a text.
        """

        def play() -> None:
            player = deployment.onlooker()
            proof = _changed(player.headers()[INIT_DATA], place, change)
            deployment.hide(proof)
            for answer in _shown_to(deployment, proof):
                if answer.is_granted:
                    same(data_of(answer).get("telegramId"), player.id, "who is calling", answer)
                else:
                    refusal_of(answer, (400, 401))

        deployment.attempt("changed proof", (place, change), play)

    @few(10)
    @given(
        text=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
    )
    def test_any_text_is_refused_without_another_error(
        self, deployment: Deployment, text: str
    ) -> None:
        """Whatever stands where a proof should is 401; the service never breaks over it.

        A failure means that a stranger can make the service fail, or get in.
        """

        def play() -> None:
            answers = _shown_to(deployment, text)
            for name, value in (("Authorization", text), ("Authorization", f"Bearer {text}")):
                headers = {name: value}
                answers.append(
                    deployment.send(Call(method="GET", path="/api/economy/me", headers=headers))
                )
            for answer in answers:
                harmless(answer)
                refusal_of(answer, (400, 401))

        deployment.attempt("any text", text, play)

    # --- sessions ---

    @needs(Capability.SESSIONS)
    def test_one_launch_opens_one_session(self, deployment: Deployment) -> None:
        """The same launch data gives the same session again, also many times at once.

        A failure means that launch data which was seen once opens sessions of its own.
        """
        player = deployment.newcomer()
        call = _opening(player.headers()[INIT_DATA])
        answers = deployment.at_once([call] * AT_ONCE)
        sessions = [data_of(answer) for answer in (*answers, deployment.send(call))]
        for session in sessions[1:]:
            same(session, sessions[0], "the session of the same launch", *answers[:2])
        same(sessions[0].get("telegramId"), player.id, "whose session it is", answers[0])

    @needs(Capability.SESSIONS)
    def test_a_session_acts_for_its_player_alone(self, deployment: Deployment) -> None:
        """A token acts for the player whose launch data opened it, whoever else is named.

        A failure means that a token of one player spends the money of another.
        """
        one, other = deployment.newcomer(), deployment.newcomer()
        tokens = [
            data_of(deployment.send(_opening(each.headers()[INIT_DATA])))["token"]
            for each in (one, other)
        ]
        for player, stranger, token in ((one, other, tokens[0]), (other, one, tokens[1])):
            headers = {"Authorization": f"Bearer {token}", "x-telegram-id": stranger.id}
            answer = deployment.get("/api/economy/me", **headers)
            same(data_of(answer).get("telegramId"), player.id, "who is calling", answer)

    @needs(Capability.SESSIONS)
    def test_no_other_spelling_of_a_token_is_genuine(self, deployment: Deployment) -> None:
        """A token with a character changed, dropped or added is 401.

        A failure means that tokens can be made by whoever has one.
        """
        player = deployment.newcomer()
        token = data_of(deployment.send(_opening(player.headers()[INIT_DATA])))["token"]
        for changed in _spellings(token):
            answer = deployment.get("/api/economy/me", Authorization=f"Bearer {changed}")
            refusal_of(answer, 401, "telegram auth failed", "telegram auth expired")


def _shown_to(deployment: Deployment, proof: str) -> list[Answer]:
    """Show a proof where launch data is read: in the header, and where sessions are opened."""
    header = Call(method="GET", path="/api/economy/me", headers={INIT_DATA: proof})
    calls = [header]
    if deployment.opens_sessions and proof.strip():
        calls.append(_opening(proof))
    return [deployment.send(call) for call in calls]


def _opening(proof: str) -> Call:
    return Call(method="POST", path="/api/auth/session", body={"initData": proof})


def _changed(text: str, place: int, change: str) -> str:
    place %= len(text)
    head, letter, tail = text[:place], text[place], text[place + 1 :]
    middle = {"drop": "", "double": letter * 2}.get(change, change)
    return head + middle + tail


def _spellings(token: str) -> Iterator[str]:
    yield token[:-1]
    yield token + "A"
    for place in (0, len(token) // 3, len(token) // 2, len(token) - 2):
        letter = "B" if token[place] == "A" else "A"
        yield token[:place] + letter + token[place + 1 :]
