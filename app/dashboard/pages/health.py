"""Health."""

from app.dashboard.api import Api
from app.dashboard.shell import page
from app.dashboard.widgets import heading


@page("/health", "Health")
async def health(_: Api) -> None:
    """The page."""
    heading("Health", 1)
