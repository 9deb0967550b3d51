"""A chain that is written down: reopened at any point it is the one that never stopped."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiba_adapters.devnet.arena import TON, Arena, Deployed, SignedClaim, key_of
from aiba_adapters.devnet.chain import GENESIS_S, MAINNET, TESTNET, LocalChain, MessageRefusedError
from aiba_adapters.devnet.changes import Change
from aiba_adapters.devnet.durable import JOURNAL, DurableArena, Terms, open_arena
from aiba_adapters.devnet.journal import Journal, JournalDamaged, JournalUnusable
from aiba_adapters.devnet.server import Devnet
from aiba_adapters.devnet.wallets import Wallet
from aiba_adapters.ton.addresses import Address

TERMS = Terms(network_id=TESTNET, oracle=key_of("oracle"))
NOBODY = Address(0, b"\x2a" * 32)
PLAYERS = ("one", "two")


class Clock:
    """A clock that the test sets; it may go back, as clocks of machines do."""

    def __init__(self) -> None:
        self.now = GENESIS_S

    def __call__(self) -> float:
        """Tell the time."""
        return float(self.now)


def as_it_is(chain: LocalChain) -> Change:
    """Return all there is of a chain, in a form that compares."""
    whole = chain.everything()
    return Change(
        lt=whole.lt,
        kept_blocks=0,
        offset=whole.offset,
        held_at=whole.held_at,
        blocks=whole.blocks,
        waiting=whole.waiting,
        accounts=dict(sorted(whole.accounts.items())),
    )


class Game:
    """An arena whose owner is given, and what players do on it."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.wallets = {name: arena.wallet(name, nanotons=0) for name in PLAYERS}

    def do(self, deed: str, player: str, number: int) -> None:
        """Do one thing; what is refused changes nothing."""
        arena, wallet = self.arena, self.wallets[player]
        deeds: dict[str, Callable[[], object]] = {
            "fund": lambda: arena.chain.fund(wallet.address, number * TON),
            "claim": lambda: arena.claim(wallet, self._claim(wallet, number)),
            "stale": lambda: arena.claim(wallet, self._claim(wallet, number, seqno=0)),
            "mint": lambda: arena.mint(wallet.address, number),
            "advance": lambda: arena.chain.advance(number),
            "hold": arena.chain.hold,
            "release": arena.chain.release,
            "read": lambda: arena.chain.tip,
        }
        with suppress(MessageRefusedError):
            deeds[deed]()

    def _claim(self, wallet: Wallet, amount: int, seqno: int | None = None) -> SignedClaim:
        return self.arena.sign(wallet.address, amount, seqno=seqno)


Played = tuple[bytes, list[Change]]
DEEDS = st.lists(
    st.tuples(
        st.sampled_from(
            ("fund", "claim", "claim", "stale", "mint", "advance", "hold", "release", "read")
        ),
        st.sampled_from(PLAYERS),
        st.integers(1, 900),
        st.integers(-3, 3),  # how far the machine's clock moves
        st.sampled_from(("goes on", "goes on", "stops", "is torn")),
    ),
    max_size=12,
)


@contextmanager
def directory() -> Iterator[Path]:
    """Make a directory for one example."""
    with tempfile.TemporaryDirectory() as place:
        yield Path(place) / "chain"


def reopened(opened: DurableArena, clock: Clock, *, torn: bytes = b"") -> DurableArena:
    """End a process without a word, a line it was writing half done, and begin another one."""
    path = opened.journal.path
    opened.close()
    with path.open("ab") as file:
        file.write(torn)
    return open_arena(path.parent, TERMS, clock=clock)


@settings(max_examples=15)
@given(deeds=DEEDS)
def test_stopped_anywhere_it_is_the_chain_that_never_stopped(
    deeds: list[tuple[str, str, int, int, str]],
) -> None:
    """Balances, seqnos, transactions, blocks, logical and other time are those of a twin."""
    with directory() as place:
        clock = Clock()
        opened = open_arena(place, TERMS, clock=clock)
        twin_chain = LocalChain(clock=clock)
        twin_chain.apply(opened.arena.chain.everything())
        head = opened.arena
        seed = _owner_seed(opened)
        twin = Game(_arena_on(twin_chain, head, seed))
        for deed, player, number, ticks, fate in deeds:
            clock.now += ticks
            game = Game(opened.arena)
            before = opened.arena.chain.now
            game.do(deed, player, number)
            twin.do(deed, player, number)
            if fate != "goes on":
                torn = b"0badc0de {half a li" if fate == "is torn" else b""
                opened = reopened(opened, clock, torn=torn)
            chain = opened.arena.chain
            assert as_it_is(chain) == as_it_is(twin_chain)
            assert chain.now == twin_chain.now >= before
            for wallet in game.wallets.values():
                assert opened.arena.last_seqno(wallet.address) == twin.arena.last_seqno(
                    wallet.address
                )
                assert opened.arena.jettons(wallet.address) == twin.arena.jettons(wallet.address)
        hashes = [one.hash for one in twin_chain.transactions(limit=1000)]
        assert [one.hash for one in opened.arena.chain.transactions(limit=1000)] == hashes
        assert all(opened.arena.chain.transaction(one) for one in hashes)
        opened.close()


def _owner_seed(opened: DurableArena) -> str:
    text = opened.journal.path.read_text().split('"owner_seed":"')[1]
    return text.partition('"')[0]


def _arena_on(chain: LocalChain, like: Arena, seed: str) -> Arena:
    deployed = Deployed(jetton_master=like.jetton_master, vault=like.vault)
    return Arena(chain, oracle=like.oracle, owner_seed=seed, deployed=deployed)


@pytest.fixture(name="played", scope="module")
def _played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Return a journal of some deeds, and the chain as it was after each of its lines."""
    place = tmp_path_factory.mktemp("played") / "chain"
    opened = open_arena(place, TERMS, clock=Clock())
    states = [as_it_is(opened.arena.chain)]
    game = Game(opened.arena)
    for deed in ("fund", "claim", "hold", "claim", "mint", "release", "advance", "read", "claim"):
        game.do(deed, "one", 7)
    opened.close()
    data = (place / JOURNAL).read_bytes()
    lines = data.splitlines(keepends=True)
    for count in range(3, len(lines) + 1):
        (place / JOURNAL).write_bytes(b"".join(lines[:count]))
        partly = open_arena(place, TERMS, clock=Clock())
        states.append(as_it_is(partly.arena.chain))
        partly.close()
    assert len({str(state) for state in states}) == len(states)
    return data, states


@settings(max_examples=40)
@given(share=st.fractions(0, 1, max_denominator=10_000))
def test_cut_anywhere_it_is_the_chain_of_its_whole_lines(played: Played, share: Fraction) -> None:
    """A write that a power cut ended half-way was never answered for, and leaves no trace."""
    journal, states = played
    lines = journal.splitlines(keepends=True)
    start = len(lines[0]) + len(lines[1])
    cut = start + int((len(journal) - start) * share)
    whole = journal[:cut].count(b"\n")
    if journal[cut : cut + 1] == b"\n":  # only the end of the line is missing
        whole += 1
    with directory() as place:
        place.mkdir()
        (place / JOURNAL).write_bytes(journal[:cut])
        for _ in range(2):  # what was torn is mended for good
            opened = open_arena(place, TERMS, clock=Clock())
            assert as_it_is(opened.arena.chain) == states[whole - 2]
            opened.close()
        assert (place / JOURNAL).read_bytes() == b"".join(lines[:whole])


@settings(max_examples=40)
@given(data=st.data())
def test_any_other_damage_is_refused_with_its_line(played: Played, data: st.DataObject) -> None:
    """A byte that differs, a line that is gone or twice there: all are found and named."""
    journal, _ = played
    lines = journal.splitlines(keepends=True)
    number = data.draw(st.integers(0, len(lines) - 2))
    line = lines[number]
    kind = data.draw(st.sampled_from(("altered", "gone", "twice")))
    found = number + 1
    if kind == "altered":
        place_in_line = data.draw(st.integers(0, len(line) - 2))
        other = (line[place_in_line] + data.draw(st.integers(1, 255))) % 256
        lines[number] = line[:place_in_line] + bytes([other]) + line[place_in_line + 1 :]
    elif kind == "gone":
        del lines[number]
    else:
        lines.insert(number, line)
        found += 1
    damaged = b"".join(lines)
    with directory() as place:
        place.mkdir()
        (place / JOURNAL).write_bytes(damaged)
        with pytest.raises(JournalDamaged) as refused:
            open_arena(place, TERMS, clock=Clock())
        assert str(refused.value).startswith(f"{place / JOURNAL}, line {found}: ")
        assert (place / JOURNAL).read_bytes() == damaged


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        (Terms(network_id=MAINNET, oracle=key_of("oracle")), "the test network, not the main"),
        (Terms(network_id=TESTNET, oracle=key_of("other")), "believes the oracle key"),
    ],
)
def test_a_chain_of_other_terms_is_refused(tmp_path: Path, terms: Terms, says: str) -> None:
    """Another network, or a key that its vault doesn't believe."""
    open_arena(tmp_path, TERMS, clock=Clock()).close()
    with pytest.raises(JournalUnusable, match=says) as refused:
        open_arena(tmp_path, terms, clock=Clock())
    assert f"{JOURNAL}, line 1" in str(refused.value)
    assert bytes(terms.oracle).hex() not in str(refused.value)


def test_each_chain_has_a_vault_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    """So that a database never takes one vault's seqnos for another's."""
    first = open_arena(tmp_path / "a", TERMS, clock=Clock())
    second = open_arena(tmp_path / "b", TERMS, clock=Clock())
    assert first.arena.vault != second.arena.vault
    again = reopened(first, Clock())
    assert again.arena.vault == first.arena.vault
    assert again.arena.owner.address == first.arena.owner.address
    again.arena.mint(NOBODY, 5)  # its owner still is
    assert again.arena.jettons(NOBODY) == 5


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """A second one is told so, and gets the chain when the first has gone."""
    first = open_arena(tmp_path, TERMS, clock=Clock())
    with pytest.raises(JournalUnusable, match="in use by another process"):
        open_arena(tmp_path, TERMS, clock=Clock())
    first.close()
    open_arena(tmp_path, TERMS, clock=Clock()).close()


def test_going_back_is_written_down_too(tmp_path: Path) -> None:
    """After a reset and a restart the chain is the one just deployed, and can be reset again."""
    clock = Clock()
    opened = open_arena(tmp_path, TERMS, clock=clock)
    fresh = as_it_is(opened.arena.chain)
    opened.arena.chain.fund(NOBODY, TON)
    opened = reopened(opened, clock)
    opened.arena.chain.hold()
    opened.arena.chain.send(opened.arena.message(opened.arena.owner))
    waiting = as_it_is(opened.arena.chain)
    opened = reopened(opened, clock)
    assert as_it_is(opened.arena.chain) == waiting != fresh
    opened.arena.chain.restore(opened.deployed)
    assert as_it_is(reopened(opened, clock).arena.chain) == fresh


def test_a_change_that_cannot_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told of it, and the chain that is reopened never had it."""
    opened = open_arena(tmp_path, TERMS, clock=Clock())
    before = as_it_is(opened.arena.chain)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("aiba_adapters.devnet.journal.os.write", full)
        with pytest.raises(JournalUnusable, match="can't be written: No space left on device"):
            opened.arena.chain.fund(NOBODY, TON)
    with pytest.raises(JournalUnusable, match="failed before"):
        opened.arena.chain.fund(NOBODY, TON)
    assert as_it_is(reopened(opened, Clock()).arena.chain) == before


def test_a_chain_is_made_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ends while it makes one leaves none behind."""

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("aiba_adapters.devnet.journal.os.fsync", cut)
        with pytest.raises(KeyboardInterrupt):
            open_arena(tmp_path, TERMS, clock=Clock())
    assert not (tmp_path / JOURNAL).exists()
    open_arena(tmp_path, TERMS, clock=Clock()).close()


def test_what_is_no_chain_is_refused(tmp_path: Path) -> None:
    """Another journal, one without a chain, one that can't follow on itself, and a file."""
    Journal.create(tmp_path / JOURNAL, [b"{}"]).close()
    with pytest.raises(JournalDamaged, match="line 1: not the beginning"):
        open_arena(tmp_path, TERMS, clock=Clock())
    shutil.rmtree(tmp_path)
    opened = open_arena(tmp_path, TERMS, clock=Clock())
    opened.journal.append(b'{"lt":1,"kept_blocks":99}')
    opened.close()
    with pytest.raises(JournalDamaged, match="line 3: it follows on block 99"):
        open_arena(tmp_path, TERMS, clock=Clock())
    first = (tmp_path / JOURNAL).read_bytes().splitlines(keepends=True)[0]
    (tmp_path / JOURNAL).write_bytes(first)
    with pytest.raises(JournalDamaged, match="line 2: the deployed chain is missing"):
        open_arena(tmp_path, TERMS, clock=Clock())
    with pytest.raises(JournalUnusable, match="can't be used: File exists"):
        open_arena(tmp_path / JOURNAL, TERMS, clock=Clock())


def test_a_server_that_cannot_write_answers_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its chain is ahead of the journal, so not even what it knows may be heard."""
    opened = open_arena(tmp_path, TERMS, clock=Clock())
    stopped: list[bool] = []
    devnet = Devnet(opened.arena, deployed=opened.deployed, failed=lambda: stopped.append(True))

    async def play() -> list[int]:
        transport = httpx.ASGITransport(app=devnet.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://devnet") as client:
            answers = [await client.get("/control/state")]
            with monkeypatch.context() as patched:
                patched.setattr("aiba_adapters.devnet.journal.os.fdatasync", _no_disk)
                answers.append(await client.post("/control/faucet", json={"address": NOBODY.raw}))
            answers.append(await client.get("/control/state"))
            return [one.status_code for one in answers]

    assert asyncio.run(play()) == [200, 503, 503]
    assert stopped == [True]
    assert "can't be written: Input/output error" in str(devnet.failure)


def _no_disk(*_: object) -> None:
    raise OSError(5, "Input/output error")
