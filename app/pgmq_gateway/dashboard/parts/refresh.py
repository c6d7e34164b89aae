"""Data that is asked for again and again, while somebody looks."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem
from pgmq_gateway.dashboard.parts.widgets import icon_button, titled

T = TypeVar("T")

SECONDS = 2.0


class Refresh(Generic[T]):
    """Loads, shows, waits, and so on; a line says when that was last done, and a button pauses it.

    load  gives the data, or a Problem: then what was shown before stays, and the line says so
    show  puts the data on the page

    It rests while the tab is hidden, and never loads twice at a time.
    """

    def __init__(
        self, load: Callable[[], Awaitable[T | Problem]], show: Callable[[T], None], seconds: float = SECONDS
    ) -> None:
        self._load = load
        self._show = show
        self._busy = asyncio.Lock()
        self._updated = 0.0
        self._paused = self._hidden = False
        with ui.element("div").classes("refresh"):
            self._said = ui.element("span").classes("said")
            self._button = icon_button("pause", "Pause updates", self._toggle)
            icon_button("refresh", "Update now", self.now)
        self._timer = ui.timer(seconds, self.now, immediate=False)
        ui.on("tab_hidden", lambda event: self._hide(bool(event.args)))

    async def now(self) -> None:
        """Load and show once; if that is being done, let that do."""
        if not self._busy.locked():
            await self.again()

    async def again(self) -> None:
        """Load and show once: what is being loaded now may be of before a change."""
        async with self._busy:
            answer = await self._load()
        if self._said.is_deleted:
            return
        if isinstance(answer, Problem):
            self._say(f"Not updated: {answer.message} Last:", late=True)
            return
        self._show(answer)
        self._updated = time.time()
        self._say("Updated", late=False)

    def _say(self, text: str, *, late: bool) -> None:
        # The time of day is the browser's.
        at = f"new Date({self._updated * 1000:.0f}).toLocaleTimeString()" if self._updated else "'never'"
        self._said.props[":textContent"] = f"{json.dumps(text)} + ' ' + {at}"
        self._said.props["title"] = text
        self._said.classes(add="late" if late else "", remove="" if late else "late")
        self._said.update()

    def _toggle(self) -> None:
        self._paused = not self._paused
        self._button.props["icon"] = "play_arrow" if self._paused else "pause"
        titled(self._button, "Resume updates" if self._paused else "Pause updates").update()
        self._set()

    def _hide(self, hidden: bool) -> None:
        self._hidden = hidden
        self._set()

    def _set(self) -> None:
        self._timer.active = not self._paused and not self._hidden
