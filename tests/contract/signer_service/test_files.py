"""Whom the signer's secret files are lent to: on the main network nobody gets at them."""

from pathlib import Path

import pytest

from aiba_domain.signing.model import Network
from aiba_entry.signer.files import SECRET_FILES, lent
from aiba_entry.signer.service import open_parts
from aiba_entry.signer.settings import TOKENS, SignerFaults
from tests.contract.signer_service.support import TOKENS as LINES
from tests.contract.signer_service.test_start import _environ as _environ  # noqa: PLC0414 - fixture

DIGESTS = f"# whom the signer answers\n\napi sha256:{'0a' * 32}\n"


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(LINES, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", SECRET_FILES)
def test_every_secret_s_file_is_judged(file: Path, name: str) -> None:
    """By everybody: refused on the main network, a warning elsewhere; by a group: a warning."""
    environ = {name: f" {file} "}
    for mode, network, faults, warnings in (
        (0o400, Network.MAINNET, 0, 0),
        (0o440, Network.MAINNET, 0, 1),
        (0o444, Network.MAINNET, 1, 0),
        (0o602, Network.MAINNET, 1, 0),
        (0o444, Network.TESTNET, 0, 1),
        (0o444, None, 0, 1),
    ):
        file.chmod(mode)
        found = lent(environ, network)
        assert tuple(map(len, found)) == (faults, warnings), (oct(mode), network)
        assert all(
            text.startswith(f"{name}: the file can be read") for part in found for text in part
        )
    assert lent({name: str(file.parent / "none")}, Network.MAINNET) == ([], [])
    assert lent({name: "/\0"}, Network.MAINNET) == ([], [])


def test_digests_may_be_read_and_not_be_written(file: Path) -> None:
    """Nobody learns a token from its digest; who can write the file lets oneself in."""
    file.write_text(DIGESTS, encoding="utf-8")
    for mode, found in ((0o444, 0), (0o644, 0), (0o646, 1)):
        file.chmod(mode)
        assert len(lent({TOKENS: str(file)}, Network.MAINNET)[0]) == found


def test_a_signer_of_the_main_network_does_not_start_so(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one of the faults that are told at once; on the test network it is warned of."""
    Path(environ[TOKENS]).chmod(0o644)
    parts = open_parts(environ)
    parts.file.close()
    assert [text.partition(":")[0] for text in parts.warnings] == [TOKENS]
    monkeypatch.setattr(
        "aiba_entry.signer.service.lent", lambda given, _: lent(given, Network.MAINNET)
    )
    with pytest.raises(SignerFaults) as refused:
        open_parts(environ)
    assert [text.partition(":")[0] for text in refused.value.faults] == [TOKENS]
