"""An admin who is calling."""

from dataclasses import dataclass

from aiba_domain.administration.model import AdminRole, Request
from aiba_domain.decision import Principal, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminPrincipal:
    """An admin whose token was found good, and over what request they are calling."""

    email: str
    role: AdminRole
    token_id: str
    request: Request

    @property
    def acting(self) -> Principal:
        """Return the core's principal: what it does is audited, whatever becomes of it."""
        return Principal(id=self.email, role=Role.OPERATOR, request=self.request)
