"""Connect."""

from app.dashboard.api import Api
from app.dashboard.shell import page
from app.dashboard.widgets import heading


@page("/connect", "Connect")
async def connect(_: Api) -> None:
    """The page."""
    heading("Connect", 1)
