"""The API signs claims to their end, and the key can't be found in it: memory, logs or settings."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import httpx

from aiba_entry.settings import load
from tests.contract.process.support import Server, until
from tests.contract.signer_service.site import Process, Site, ask, claim, state_of

REGION = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r\S* \S+ \S+ \S+\s*(\S*)")
PIECE = 16 * 1024 * 1024
OVERLAP = 256


def forms(key: bytes) -> dict[str, bytes]:
    """Return every way in which a key's seed might lie in a process."""
    return {
        "raw": key,
        "hex": key.hex().encode(),
        "HEX": key.hex().upper().encode(),
        "base64": base64.b64encode(key),
        "base64url": base64.urlsafe_b64encode(key),
    }


def memory(pid: int) -> Iterator[bytes]:
    """Yield what a process can read of its memory, in pieces that overlap."""
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb") as mem:
        for line in maps:
            found = REGION.match(line)
            if found is None or found[3] in {"[vvar]", "[vvar_vclock]", "[vsyscall]"}:
                continue
            start, end = int(found[1], 16), int(found[2], 16)
            for at in range(start, end, PIECE):
                mem.seek(at)
                yield mem.read(min(PIECE + OVERLAP, end - at))


def found_in(pid: int, key: bytes) -> set[str]:
    """Return in which forms a process holds a key, in its memory or environment."""
    known: set[str] = set()
    for piece in (Path(f"/proc/{pid}/environ").read_bytes(), *memory(pid)):
        known |= {name for name, form in forms(key).items() if form in piece}
    return known


def spoken(server: Server, signer: Process) -> str:
    """Return all that both have said."""
    return server.logged.read_text() + server.printed.read_text() + signer.text


def test_the_api_pays_claims_and_has_no_key(site: Site) -> None:
    """The same search finds the key in the signer, so it would find it in the API."""
    signer = site.start_signer()
    server = site.start_api("old", LOG_LEVEL="DEBUG")
    with server.client() as http:
        player = site.player(http, 7)
        claimed = claim(http, player, "claim-1")
        assert site.pay("7", claimed)["exitCode"] == 0
        until(lambda: state_of(server, player, "claim-1") == "confirmed")
        metrics = http.get("/metrics").text
        key = site.old_key
        assert found_in(signer.process.pid, key) >= {"raw"}
        assert found_in(server.process.pid, key) == set()
        told = spoken(server, signer) + metrics
        goes_on_after_a_crash(site, http, signer)
    settings = load(site.api_environment("old"))
    told += spoken(server, signer) + repr(settings) + repr(settings.ton)
    for name, form in forms(key).items():
        assert form.decode("latin-1") not in told, name
    assert site.token not in told
    assert server.stop() == 0


def goes_on_after_a_crash(site: Site, http: httpx.Client, signer: Process) -> None:
    """See claims wait for a signer that was killed, and end well once there is one again."""
    early, late = site.player(http, 8), site.player(http, 9)
    first = claim(http, early, "claim-1")
    signer.kill()
    lost = ask(http, late, "claim-1")
    assert (lost.status_code, lost.json()["error"]["code"]) == (503, "unavailable")
    assert lost.json()["error"]["details"]["retryAfterMs"] > 0
    again = site.start_signer()
    until(lambda: ask(http, late, "claim-1").status_code == 200)
    assert claim(http, early, "claim-1")["claim"] == first["claim"]
    assert site.pay("8", first)["exitCode"] == 0
    assert site.pay("9", claim(http, late, "claim-1"))["exitCode"] == 0
    assert again.stop() == 0
    assert "signed 3" in site.run('aiba signer audit verify "$ORACLE_SIGNER_LOG"')
    assert not (site.folder / "old" / "signer.sock").exists()
