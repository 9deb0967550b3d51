"""The game's routes, an area a module. Each turns a request into one command or one query."""

from litestar.types import ControllerRouterHandler

from aiba_entry.http.admin.brokers import AdminBrokers
from aiba_entry.http.admin.economy import AdminEconomy
from aiba_entry.http.admin.game_modes import AdminModes
from aiba_entry.http.admin.ledger_audit import AdminLedgerAudit
from aiba_entry.http.admin.moderation import AdminModeration
from aiba_entry.http.admin.routes import ADMIN_ROUTES
from aiba_entry.http.admin.stats import AdminStats
from aiba_entry.http.admin.treasury import TREASURY_ROUTES
from aiba_entry.http.routes.battles import Battles
from aiba_entry.http.routes.brokers import Brokers
from aiba_entry.http.routes.claims import Claims
from aiba_entry.http.routes.daily import Daily
from aiba_entry.http.routes.economy import Economy
from aiba_entry.http.routes.fairness import Fairness
from aiba_entry.http.routes.ledger import Ledger
from aiba_entry.http.routes.modes import Modes
from aiba_entry.http.routes.sessions import Sessions
from aiba_entry.http.routes.solvency import SolvencyRoutes
from aiba_entry.http.routes.treasury import Treasury
from aiba_entry.http.routes.vault import Vault
from aiba_entry.http.routes.wallets import Wallets

GAME_ROUTES: tuple[ControllerRouterHandler, ...] = (
    Sessions,
    Modes,
    Brokers,
    Battles,
    Economy,
    Daily,
    Wallets,
    Claims,
    Vault,
    Fairness,
    Treasury,
    SolvencyRoutes,
    Ledger,
    *ADMIN_ROUTES,
    AdminEconomy,
    AdminModes,
    AdminBrokers,
    AdminModeration,
    AdminStats,
    AdminLedgerAudit,
    *TREASURY_ROUTES,
)
"""Every route of the game. Add a new area here."""
