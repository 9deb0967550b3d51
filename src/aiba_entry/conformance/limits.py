"""Properties of limits: what they say, whom they count, and how they refuse."""

from typing import Final

from aiba_domain.testing.contracts.suite import Capability, needs
from aiba_entry.conformance.answers import Answer, Call
from aiba_entry.conformance.deployment import Deployment, Player
from aiba_entry.conformance.expect import owes, refusal_of, same
from aiba_entry.conformance.suite import ABSENT_ID, HttpSuite, beyond

HEADERS: Final = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")

_MINUTE_S: Final = 60
_SLACK_S: Final = 10
_LARGEST_TRIED: Final = 60


class LimitsSuite(HttpSuite):
    """Properties of limits."""

    @needs(Capability.LIMITS)
    def test_an_answer_says_what_remains(self, deployment: Deployment) -> None:
        """Each call counts one: the headers say the limit, what remains, and when it is whole.

        A failure means that clients can't slow down before they are refused.
        """
        player = deployment.newcomer()
        now_s = deployment.now_s()
        first, second = player.get("/api/economy/me"), player.get("/api/brokers/mine")
        told = [_numbers(answer) for answer in (first, second)]
        for limit, remaining, reset_s in told:
            owes(0 <= remaining < limit, "what remains is less than the limit", first, second)
            until_s = reset_s - now_s
            owes(until_s <= _MINUTE_S + _SLACK_S, "a window lasts a minute at most", first)
            owes(until_s >= -_SLACK_S, "the window's end is still to come", first)
        if told[0][2] == told[1][2]:
            same(told[1][1], told[0][1] - 1, "what remains after one more call", first, second)

    @needs(Capability.LIMITS)
    def test_keys_and_names_count_apart(self, deployment: Deployment) -> None:
        """What one player calls takes nothing from another.

        A failure means that one busy player shuts everybody out.
        """
        busy, calm = deployment.newcomer(), deployment.newcomer()
        before = _numbers(calm.get("/api/economy/me"))
        deployment.at_once([busy.getting("/api/economy/me")] * 5)
        answer = calm.get("/api/economy/me")
        after = _numbers(answer)
        if before[2] == after[2]:
            same(after[1], before[1] - 1, "what remains for a player who called once", answer)

    @needs(Capability.LIMITS)
    def test_hits_are_allowed_up_to_the_limit(self, deployment: Deployment) -> None:
        """Battles beyond their limit are 429 `rate_limited` with `Retry-After`, at once too.

        A failure means that a limit which is announced isn't there.
        """
        player = deployment.newcomer()
        first = deployment.send(_battle(player), patient=False)
        limit, remaining, _ = _numbers(first)
        if limit > _LARGEST_TRIED:
            beyond(f"a limit of {limit} battles is too large to be reached within bounds")
        more = remaining + 5
        answers = deployment.at_once([_battle(player) for _ in range(more)], patient=False)
        refused = [answer for answer in answers if answer.code == "rate_limited"]
        owes(refused, f"of {more} more calls some are over the limit of {limit}", first)
        for answer in refused:
            refusal_of(answer, 429, "rate_limited")
            after = answer.headers.get("retry-after", "")
            owes(after.isdigit() and int(after) >= 1, "Retry-After is 1 s or more", answer)
        passed = len(answers) - len(refused)
        owes(passed <= remaining + limit, f"at most {limit} a window pass", *refused[:1])
        calm = deployment.newcomer()
        refusal_of(deployment.send(_battle(calm), patient=False), 404, "broker not found")


def _battle(player: Player) -> Call:
    """Return a battle that counts and that nobody can fight."""
    body = {"requestId": player.deployment.key(), "brokerId": ABSENT_ID}
    return player.posting("/api/battle/run", **body)


def _numbers(answer: Answer) -> tuple[int, int, int]:
    """Return limit, remaining and reset, which are whole numbers."""
    texts = [answer.headers.get(name, "") for name in HEADERS]
    owes(all(text.isdigit() for text in texts), f"{', '.join(HEADERS)} are numbers", answer)
    limit, remaining, reset_s = map(int, texts)
    return limit, remaining, reset_s
