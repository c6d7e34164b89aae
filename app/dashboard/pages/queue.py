"""One queue."""

from app.dashboard.api import Api
from app.dashboard.shell import page
from app.dashboard.widgets import heading


@page("/queues/{name:path}", "Queue", section="/")
async def queue(_: Api, name: str) -> None:
    """The page."""
    heading(name, 1)
