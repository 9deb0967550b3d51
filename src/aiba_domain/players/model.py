"""A player and a session. Balances are not here: they are accounts of the ledger."""

from dataclasses import dataclass, replace

from aiba_domain.moderation.model import Ban


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What Telegram says of a player; blank where it says nothing."""

    username: str = ""
    first_name: str = ""
    last_name: str = ""
    language_code: str = ""
    photo_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """One player, known by the Telegram id as text. Days are UTC day keys, `""` for never."""

    id: str
    created_at: int
    updated_at: int
    last_seen_at: int
    profile: Profile = Profile()
    starter_broker_id: str | None = None
    login_streak_days: int = 0
    login_streak_day: str = ""
    win_streak: int = 0
    last_win_at: int | None = None
    first_win_at: int | None = None
    daily_claimed_at: int | None = None
    combo_spent_aiba: int = 0
    combo_spent_day: str = ""
    combo_claimed_at: int | None = None
    premium_until: int | None = None
    wallet: str = ""
    badges: tuple[str, ...] = ()
    school_id: str | None = None
    profile_boosted_until: int | None = None
    ban: Ban | None = None
    anomaly_flags: int = 0

    def is_banned(self, now: int) -> bool:
        """Tell whether a ban binds the player at `now`."""
        return self.ban is not None and self.ban.holds(now)

    def seen(self, profile: Profile | None, now: int) -> "Player":
        """Return the player after being seen at `now`, with a fresher profile if there is one."""
        return replace(self, profile=profile or self.profile, last_seen_at=now, updated_at=now)


def new_player(player_id: str, profile: Profile | None, now: int) -> Player:
    """Make the record of a player seen for the first time."""
    return Player(
        id=player_id,
        created_at=now,
        updated_at=now,
        last_seen_at=now,
        profile=profile or Profile(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A player's session, opened once with one initData."""

    id: str
    player_id: str
    opened_at: int
    expires_at: int
