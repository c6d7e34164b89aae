"""A call in the admission queue."""

import asyncio

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import Answer, Call
from pgmq_gateway.calls.fairness import Flow, Lane
from pgmq_gateway.calls.grouping import Group
from pgmq_gateway.calls.running_groups import Run
from pgmq_gateway.http.exchange import ClientGone


class WaitingCall:
    """A call from its arrival to its end.

    flow, lane  the flow that is charged for it, and the lane whose share of the connections it uses
    group       calls of an equal group can share a transaction; None: it has its own
    message_id  the message that it locks, otherwise 0: the order within a shared transaction
    number      its place in the order of arrivals, once it waits
    charged     seconds charged to its flow when it was started
    run         the running group of which it is the first call
    future      its answer or its error, once it waits
    deadline    the event loop's time at which it ends if it still waits
    taken       whether a connection has taken it
    """

    __slots__ = (
        "call",
        "caller",
        "charged",
        "deadline",
        "flow",
        "future",
        "group",
        "lane",
        "message_id",
        "number",
        "run",
        "taken",
    )

    future: asyncio.Future[Answer]

    def __init__(
        self, caller: Caller, call: Call, flow: Flow, lane: Lane, group: Group | None, message_id: int
    ) -> None:
        self.caller = caller
        self.call = call
        self.flow = flow
        self.lane = lane
        self.group = group
        self.message_id = message_id
        self.number = 0
        self.charged = self.deadline = 0.0
        self.taken = False
        self.run: Run | None = None

    @property
    def pending(self) -> bool:
        """True if it still waits: neither taken nor finished."""
        return not self.taken and not self.future.done()

    def startable(self) -> bool:
        """True if it still waits for a client that is still there. It ends if its client has disconnected."""
        if not self.pending:
            return False
        if self.call.abandoned():
            self.end(ClientGone())
            return False
        return True

    def end(self, outcome: Answer | Exception) -> None:
        """Deliver its outcome, unless it has one or its task was cancelled."""
        if self.future.done():
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)
