"""A real Prometheus as a process of a test's own, with the shipped rules, that scrapes fast."""

import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
from msgspec import yaml

from tests.support.alerts import ALERTS, RECORDING
from tests.support.redis import free_port, needed

PATIENCE_S: Final = 60
"""When a test stops waiting for a Prometheus: a guard against a hang, not a measurement."""

EVERY: Final = "250ms"
"""How often it scrapes and judges."""


class Prometheus:
    """One Prometheus on the loopback that scrapes targets by job, kept in a folder.

    It judges the shipped rules, but at once: what a rule says of how long something must have
    lasted is left out. Everything else of them is as it is shipped.
    """

    def __init__(self, folder: Path, targets: Mapping[str, Sequence[str]]) -> None:
        """Start it; `targets` are addresses by the name of their job."""
        folder.mkdir(parents=True)
        for file in (RECORDING, ALERTS):
            text = re.sub(r"^ +for: .*\n", "", file.read_text(), flags=re.MULTILINE)
            (folder / file.name).write_text(text)
        config = {
            "global": {"scrape_interval": EVERY, "scrape_timeout": EVERY}
            | {"evaluation_interval": EVERY},
            "rule_files": [RECORDING.name, ALERTS.name],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": list(addresses)}]}
                for job, addresses in targets.items()
            ],
        }
        (folder / "prometheus.yml").write_bytes(yaml.encode(config))
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._http = httpx.Client(base_url=self.url, trust_env=False, timeout=PATIENCE_S)
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - Prometheus itself
                [
                    needed("prometheus"),
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'tsdb'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                    "--log.level=warn",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def start(self) -> "Prometheus":
        """Wait until it answers."""

        def answers() -> bool:
            assert self._process.poll() is None, self._log.read_text()
            try:
                return self._get("/-/ready").is_success
            except httpx.TransportError:
                return False

        self.until(answers)
        return self

    def until(self, true: Callable[[], bool]) -> None:
        """Wait until something that it has seen is so."""
        last = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < last, self._log.read_text() or "it never came true"
            time.sleep(0.05)

    def ask(self, path: str, **parameters: str) -> Any:  # noqa: ANN401 - JSON
        """Return what its API answers."""
        answer = self._get(f"/api/v1/{path}", **parameters)
        assert answer.is_success, answer.text
        return answer.json()["data"]

    def value(self, expression: str) -> float | None:
        """Return the one value that an expression has now, None if it has none."""
        found = self.ask("query", query=expression)["result"]
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def until_it_is(self, expression: str, value: float) -> None:
        """Wait until an expression has a value."""
        self.until(lambda: self.value(expression) == value)

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        return {
            alert["labels"]["alertname"]
            for alert in self.ask("alerts")["alerts"]
            if alert["state"] == "firing"
        }

    def kill(self) -> None:
        """End it at once."""
        self._http.close()
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def _get(self, path: str, **parameters: str) -> httpx.Response:
        return self._http.get(path, params=parameters)
