"""The browser's history of a queue's page."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from nicegui.element import Element

from pgmq_gateway.dashboard.queue.location import Location, parsed


class History(Element, component="../static/history.js"):
    """The present location, which the address bar shows. `visit` is awaited when the user goes back or forward."""

    def __init__(self, queue: str, location: Location, visit: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._queue = queue
        self._visit = visit
        self.location = location
        self.on("visit", lambda event: self._go(str(event.args)))

    def push(self, **changes: Any) -> None:  # noqa: ANN401 the location's members
        """Change the location. The user can go back to the earlier one."""
        self._write("push", changes)

    def replace(self, **changes: Any) -> None:  # noqa: ANN401 the location's members
        """Change the location in place."""
        self._write("replace", changes)

    def _write(self, method: str, changes: dict[str, Any]) -> None:
        location = replace(self.location, **changes)
        if location != self.location:
            self.location = location
            self.run_method(method, location.url(self._queue))

    async def _go(self, url: str) -> None:
        self.location = parsed(url)
        await self._visit()
