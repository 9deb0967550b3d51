"""`aiba init-data`: genuine initData for trying the API by hand."""

import json
import time

import click

from aiba_adapters.telegram import sign
from aiba_entry.cli.session import settings_or_exit


@click.command()
@click.option("--user-id", type=click.IntRange(min=1), default=42, show_default=True)
@click.option("--username", default="player", show_default=True)
def init_data(user_id: int, username: str) -> None:
    """Print initData signed with the configured bot token, as Telegram would.

    Not in prod, where only Telegram says who a player is.
    """
    settings = settings_or_exit()
    if settings.is_prod:
        raise click.ClickException("refused with APP_ENV=prod")
    user = json.dumps({"id": user_id, "first_name": username, "username": username})
    fields = {"auth_date": str(int(time.time())), "query_id": "AAE", "user": user}
    click.echo(sign(fields, settings.telegram_bot_token))
