"""Access."""

from app.dashboard.api import Api
from app.dashboard.shell import page
from app.dashboard.widgets import heading


@page("/access", "Access")
async def access(_: Api) -> None:
    """The page."""
    heading("Access", 1)
