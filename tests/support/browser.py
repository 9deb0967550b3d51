"""A headless Chromium, driven over the W3C WebDriver protocol by chromedriver.

Both come from Debian's packages. The protocol is JSON over HTTP, so nothing else is needed.
"""

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
_ELEMENT: Final = "element-6066-11e4-a52e-4f735466cecf"
_WAIT_MS: Final = 30_000
ENTER: Final = "\ue007"
TAB: Final = "\ue004"


class Browser:
    """One window. Elements are named by CSS selectors; every call waits for its answer."""

    def __init__(self, client: httpx.Client, session: str) -> None:
        self._client = client
        self._session = session

    def open(self, url: str) -> None:
        """Load a page and wait for it."""
        self._post("url", url=url)

    def text(self, selector: str) -> str:
        """Return the text that is seen of an element."""
        return str(self._get(f"{self._find(selector)}/text"))

    def label(self, selector: str) -> str:
        """Return the name that a screen reader says."""
        return str(self._get(f"{self._find(selector)}/computedlabel"))

    def role(self, selector: str) -> str:
        """Return the role that a screen reader says."""
        return str(self._get(f"{self._find(selector)}/computedrole"))

    def click(self, selector: str) -> None:
        """Click an element."""
        self._post(f"{self._find(selector)}/click")

    def press(self, selector: str, keys: str) -> None:
        """Press keys, or choose a file in a file field by its path."""
        self._post(f"{self._find(selector)}/value", text=keys)

    def paste(self, selector: str, text: str) -> None:
        """Put a text into a field in place of what is there, as a paste does."""
        self.run("document.querySelector(arguments[0]).select()", selector)
        command = {"cmd": "Input.insertText", "params": {"text": text}}
        self._post("goog/cdp/execute", **command)

    def narrow(self, width: int, height: int) -> None:
        """Make the window that of a phone."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
        self._post("goog/cdp/execute", cmd="Emulation.setDeviceMetricsOverride", params=size)

    def run(self, script: str, *values: object) -> Any:  # noqa: ANN401 - whatever it returns
        """Run a function's body in the page and return what it returns."""
        return self._post("execute/sync", script=script, args=values)

    def wait_for(self, condition: str, *values: object) -> None:
        """Wait until an expression holds, looking at every frame."""
        script = f"""
            const done = arguments[arguments.length - 1];
            const look = () => (({condition}) ? done() : requestAnimationFrame(look));
            look();
        """
        self._post("execute/async", script=script, args=values)

    def events(self) -> list[dict[str, Any]]:
        """Return what the browser did since the last call: DevTools events, oldest first."""
        entries = self._post("se/log", type="performance")
        return [json.loads(entry["message"])["message"] for entry in entries]

    def complaints(self) -> list[str]:
        """Return what the browser wrote to the console since the last call."""
        return [entry["message"] for entry in self._post("se/log", type="browser")]

    def _find(self, selector: str) -> str:
        found = self._post("element", using="css selector", value=selector)
        return f"element/{found[_ELEMENT]}"

    def _get(self, path: str) -> object:
        return _value(self._client.get(f"/session/{self._session}/{path}"))

    def _post(self, path: str, **body: object) -> Any:  # noqa: ANN401 - JSON
        return _value(self._client.post(f"/session/{self._session}/{path}", json=body))


@contextmanager
def chromium(binary: str, driver: str, profile: Path) -> Iterator[Browser]:
    """Start Chromium with an empty profile in `profile`, and end it with its driver."""
    with subprocess.Popen(  # noqa: S603 - the browser's own driver
        [driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            port = _port_in(process.stdout)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
                session = _value(client.post("/session", json=_wishes(binary, profile)))
                yield Browser(client, session["sessionId"])
                _value(client.delete(f"/session/{session['sessionId']}"))
        finally:
            process.terminate()


def _wishes(binary: str, profile: Path) -> dict[str, object]:
    flags: Sequence[str] = [*_FLAGS, f"--user-data-dir={profile}"]
    wishes = {
        "browserName": "chrome",
        "timeouts": {"script": _WAIT_MS},
        "goog:chromeOptions": {"binary": binary, "args": flags},
        "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"},
    }
    return {"capabilities": {"alwaysMatch": wishes}}


def _port_in(lines: Iterator[str]) -> int:
    for line in lines:
        found = re.search(r"started successfully on port (\d+)", line)
        if found:
            return int(found[1])
    raise RuntimeError("chromedriver did not start")


def _value(answer: httpx.Response) -> Any:  # noqa: ANN401 - JSON
    value = answer.json()["value"]
    if answer.is_error:
        raise RuntimeError(f"{value['error']}: {value['message']}")
    return value
