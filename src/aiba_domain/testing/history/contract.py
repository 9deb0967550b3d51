"""The histories of a store as a suite: subclass it like the others."""

from typing import ClassVar

from aiba_domain.testing.contracts.store_suite import StoreSuite
from aiba_domain.testing.contracts.suite import Capability, needs
from aiba_domain.testing.history.checking import Beside, check_history


class HistoryContract(StoreSuite):
    """Subclass as `Test...` and say how to open an empty store, as for `StoreContract`.

    `serializable`: what clients at once are told has an order. `shared`: also where they come by
    several stores that are open on the same `folder`, in threads and in processes. `histories` is
    how many are recorded, from the seed `first_seed` on.
    """

    version = "1.0"
    histories: ClassVar[int] = 4
    first_seed: ClassVar[int] = 0

    @property
    def _seeds(self) -> range:
        return range(self.first_seed, self.first_seed + self.histories)

    @needs(Capability.SERIALIZABLE)
    def test_one_client_at_a_time_is_told_what_happened(self) -> None:
        """Without anything at once, and with answers that get lost, every answer is the right one.

        Lost answers are asked for again under their keys.
        """
        check_history(self.open_store, seeds=self._seeds, clients=1, requests=24, accounts=1)

    @needs(Capability.SERIALIZABLE)
    def test_clients_at_once_are_told_what_an_order_explains(self) -> None:
        """Each account's answers fit one order of the requests, as do the sums and the caps."""
        check_history(self.open_store, seeds=self._seeds)

    @needs(Capability.SERIALIZABLE, Capability.SHARED)
    def test_clients_of_several_stores_are_told_what_an_order_explains(self) -> None:
        """The same where two stores are open on one state, each with a thread of its own."""
        check_history(self.open_store, seeds=self._seeds, beside=Beside.THREADS)

    @needs(Capability.SERIALIZABLE, Capability.SHARED)
    def test_clients_of_several_processes_are_told_what_an_order_explains(self) -> None:
        """The same where the stores are in processes of their own."""
        check_history(self.open_store, seeds=self._seeds[:1], beside=Beside.PROCESSES)
