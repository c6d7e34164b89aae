"""Periodic updates of a page."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, cast

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem
from pgmq_gateway.dashboard.parts.widgets import Failure, icon_button, titled
from pgmq_gateway.dashboard.sessions import Picture, Pictures

T = TypeVar("T")

REFRESH_SECONDS = 2.0
# A new page then shows the session's last picture. Less than shell.DATA_TIMEOUT_SECONDS, when the page is sent.
PICTURE_SECONDS = 0.5
# Without a response for so long, the page states that it is out of date.
LATE_SECONDS = 5.0
LATE = Problem(0, f"The gateway has not responded for {LATE_SECONDS:.0f} seconds.", hint="The page keeps trying.")


class Refresh(Generic[T]):
    """Loads and shows data at an interval, with the time of the last update and a button to pause.

    load      returns the data, or a Problem: a banner then shows it, and the earlier data stays
    show      puts the data on the page; also gets the time it is from, in seconds since 1970
    pictures  those of the session
    name      the name of the data among them

    It pauses while the tab is hidden. At most one load runs at a time.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[T | Problem]],
        show: Callable[[T, float], None],
        pictures: Pictures,
        name: Callable[[], str],
        seconds: float = REFRESH_SECONDS,
    ) -> None:
        self._load = load
        self._show = show
        self._pictures = pictures
        self._name = name
        self._busy = asyncio.Lock()
        self._updated = 0.0
        self._paused = self._hidden = False
        with ui.element("div").classes("refresh"):
            self._status = ui.element("span").classes("status")
            self._button = icon_button("pause", "Pause updates", self._toggle)
            icon_button("refresh", "Update now", self.now)
        # Below the heading, in which this is.
        with ui.context.client.content:
            self._banner = Failure()
        self._problem: Problem | None = None
        self._timer = ui.timer(seconds, self.now, immediate=False)
        ui.on("tab_hidden", lambda event: self._hide(bool(event.args)))

    async def now(self) -> None:
        """Load and show, unless a load is already running."""
        if not self._busy.locked():
            await self.again()

    async def again(self) -> None:
        """Load and show after a change: a load that is already running may have started before it."""
        async with self._busy:
            name = self._name()
            answer = await self._loaded(name)
        if self._status.is_deleted:
            return
        if isinstance(answer, Problem):
            self._state_problem(answer)
            return
        self._pictures[name] = picture = Picture(answer, time.time())
        self._put(picture)
        self._state_problem(None)

    async def _loaded(self, name: str) -> T | Problem:
        """Load. Meanwhile, show the last picture on a new page, and state when the response is late."""
        loading = asyncio.ensure_future(self._load())
        try:
            if not self._updated:
                await asyncio.wait({loading}, timeout=PICTURE_SECONDS)
                if not loading.done():
                    self._put(self._pictures[name])
            await asyncio.wait({loading}, timeout=LATE_SECONDS)
            if not loading.done() and not self._status.is_deleted:
                self._state_problem(self._problem or LATE)
            return await loading
        finally:
            loading.cancel()

    def _put(self, picture: Picture | None) -> None:
        if picture is not None and not self._status.is_deleted:
            self._show(cast(T, picture.data), picture.at)
            self._updated = picture.at
            self._show_status()

    def _state_problem(self, problem: Problem | None) -> None:
        # Shown once: a screen reader would read each repetition.
        if problem == self._problem:
            return
        self._problem = problem
        if problem is None:
            self._banner.clear()
        else:
            self._banner.show(problem, "The page is out of date." if self._updated else "")
        self._show_status()

    def _show_status(self) -> None:
        late = self._problem is not None
        text = "Last update:" if late else "Updated"
        at = f"localTime({self._updated * 1000:.0f}).slice(11)" if self._updated else "'never'"
        self._status.props[":textContent"] = f"{json.dumps(text)} + ' ' + {at}"
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
