"""Periodic updates of a page."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem
from pgmq_gateway.dashboard.parts.widgets import icon_button, titled

T = TypeVar("T")

REFRESH_SECONDS = 2.0


class Refresh(Generic[T]):
    """Loads and shows data at an interval, with the time of the last update and a button to pause.

    load  returns the data, or a Problem: the earlier data then stays, and the page states that it is out of date
    show  puts the data on the page

    It pauses while the tab is hidden. At most one load runs at a time.
    """

    def __init__(
        self, load: Callable[[], Awaitable[T | Problem]], show: Callable[[T], None], seconds: float = REFRESH_SECONDS
    ) -> None:
        self._load = load
        self._show = show
        self._busy = asyncio.Lock()
        self._updated = 0.0
        self._paused = self._hidden = False
        with ui.element("div").classes("refresh"):
            self._status = ui.element("span").classes("status")
            self._button = icon_button("pause", "Pause updates", self._toggle)
            icon_button("refresh", "Update now", self.now)
        self._timer = ui.timer(seconds, self.now, immediate=False)
        ui.on("tab_hidden", lambda event: self._hide(bool(event.args)))

    async def now(self) -> None:
        """Load and show, unless a load is already running."""
        if not self._busy.locked():
            await self.again()

    async def again(self) -> None:
        """Load and show after a change: a load that is already running may have started before it."""
        async with self._busy:
            answer = await self._load()
        if self._status.is_deleted:
            return
        if isinstance(answer, Problem):
            self._show_status(f"Out of date: {answer.message} Last update:", late=True)
            return
        self._show(answer)
        self._updated = time.time()
        self._show_status("Updated", late=False)

    def _show_status(self, text: str, *, late: bool) -> None:
        # Formatted by the browser, in its time zone.
        at = f"new Date({self._updated * 1000:.0f}).toLocaleTimeString()" if self._updated else "'never'"
        self._status.props[":textContent"] = f"{json.dumps(text)} + ' ' + {at}"
        self._status.props["title"] = text
        self._status.classes(add="late" if late else "", remove="" if late else "late")
        self._status.update()

    def _toggle(self) -> None:
        self._paused = not self._paused
        self._button.props["icon"] = "play_arrow" if self._paused else "pause"
        titled(self._button, "Resume updates" if self._paused else "Pause updates").update()
        self._update_timer()

    def _hide(self, hidden: bool) -> None:
        self._hidden = hidden
        self._update_timer()

    def _update_timer(self) -> None:
        self._timer.active = not self._paused and not self._hidden
