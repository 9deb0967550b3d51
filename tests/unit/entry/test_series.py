"""Counting a few hundred at a time: nothing is lost, and readers see all."""

from concurrent.futures import ThreadPoolExecutor

from aiba_domain.events import BattleFought
from aiba_entry.metering import MetricsObserver, make_metrics
from aiba_entry.series import MOST_LATER, Later

FOUGHT = BattleFought(
    battle_id="b", player_id="1", arena="prediction", league="rookie", mode_key="prediction"
)


def test_whoever_reads_sees_all_that_was_told() -> None:
    """A scrape counts what waits first."""
    metrics = make_metrics(("prediction",))
    observer = MetricsObserver(metrics)
    for _ in range(MOST_LATER + 1):
        observer.committed(FOUGHT)
        metrics.observe_request("GET", "/health", 200, 0.001)
    labels = 'arena="prediction",league="rookie",mode_key="prediction",result="ok"'
    page = metrics.render().decode().splitlines()
    assert f"aiba_battle_runs_total{{{labels}}} {MOST_LATER + 1}.0" in page
    requests = 'method="GET",path="/health",status_code="200"'
    assert f"aiba_http_request_duration_seconds_count{{{requests}}} {MOST_LATER + 1}.0" in page


def test_no_more_wait_than_may() -> None:
    """Where nobody reads, memory is bounded all the same."""
    later = Later()
    seen: list[int] = []
    for number in range(10 * MOST_LATER):
        later.count(lambda _item: seen.append(0), number)
    assert len(seen) > 9 * MOST_LATER


def test_several_threads_count_each_thing_once() -> None:
    """Whoever comes first counts it, and nobody else does."""
    later = Later()
    seen: list[int] = []

    def tell(thread: int) -> None:
        for number in range(3 * MOST_LATER):
            later.count(seen.append, thread * 10_000 + number)
        later.count_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(tell, range(4)))
    expected = [thread * 10_000 + each for thread in range(4) for each in range(3 * MOST_LATER)]
    assert sorted(seen) == expected
