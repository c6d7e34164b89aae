"""A call that waits for messages."""

import asyncio
from typing import TYPE_CHECKING

from pgmq_gateway.calls.call import Answer, Call
from pgmq_gateway.errors import GatewayError

if TYPE_CHECKING:
    from pgmq_gateway.waiting.waiter_group import WaiterGroup


class Waiter:
    """A request or stream that waits.

    attempting  whether it is its turn to attempt the call
    outcome     of its last attempt, if that did not end its wait
    over        whether its time is up: it makes no further attempt than the present one
    waited      seconds for which it has waited for its turns
    exact       whether the wake-up that started its last attempt was for a message that it sees
    woken_at    when a wake-up started its last attempt; 0: that was its arrival
    round       that of its group in which the present attempt began
    """

    __slots__ = ("_turn", "attempting", "call", "exact", "group", "outcome", "over", "round", "waited", "woken_at")

    def __init__(self, call: Call, group: "WaiterGroup") -> None:
        self.call = call
        self.group = group
        self.attempting = self.over = self.exact = False
        self.outcome: Answer | GatewayError | None = None
        self.round = 0
        self.waited = self.woken_at = 0.0
        self._turn: asyncio.Future[None] | None = None

    async def turn(self) -> bool:
        """Wait for its turn. False if its time is up first."""
        if not self.attempting and not self.over:
            self.call.on_wait()
            loop = asyncio.get_running_loop()
            self._turn, began = loop.create_future(), loop.time()
            await self._turn
            self.waited += loop.time() - began
        return self.attempting

    def start(self) -> None:
        """Give it its turn."""
        self.attempting = True
        self._continue()

    def end(self) -> None:
        """End its time."""
        self.over = True
        self._continue()

    def _continue(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)
