"""The button that pauses or resumes a queue."""

from collections.abc import Awaitable, Callable

from pgmq_gateway.dashboard.api import Problem, Row
from pgmq_gateway.dashboard.parts.dialogs import confirmed
from pgmq_gateway.dashboard.parts.widgets import button
from pgmq_gateway.dashboard.queue.actions import show_failure
from pgmq_gateway.dashboard.queue.client import Queue

CONSEQUENCES = (
    "Reads of pgmq_api return no messages until you resume the queue. Sends go on, and messages in flight can be "
    "acknowledged. Consumers that call pgmq_public or pgmq are not paused."
)


class Pausing:
    """`after` is awaited after each change."""

    def __init__(self, queue: Queue, after: Callable[[], Awaitable[None]]) -> None:
        self._queue = queue
        self._after = after
        self._paused = False
        self._button = button("Pause queue", self._switch, icon="pause")
        self._button.set_visibility(queue.api.can("set_queue_settings"))

    def show(self, figures: Row) -> None:
        """Show a row of list_queues."""
        self._paused = figures["paused"]
        self._button.text = "Resume queue" if self._paused else "Pause queue"
        self._button.icon = "play_arrow" if self._paused else "pause"

    async def _switch(self) -> None:
        # An update may change it while the dialog is open.
        paused = self._paused
        if not paused and not await confirmed(f"Pause {self._queue.name}?", CONSEQUENCES, "Pause"):
            return
        answer = await self._queue.set_settings({"paused": None if paused else True})
        if isinstance(answer, Problem):
            show_failure(answer, "The queue was not resumed." if paused else "The queue was not paused.")
        await self._after()
