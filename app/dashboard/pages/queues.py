"""Queues."""

from app.dashboard.api import Api
from app.dashboard.shell import page
from app.dashboard.widgets import heading


@page("/", "Queues")
async def queues(_: Api) -> None:
    """The page."""
    heading("Queues", 1)
