"""The state of the queues for which requests wait, as Postgres' clock shows it."""

from collections.abc import Sequence
from typing import NamedTuple

from pgmq_gateway.waiting.probes import ProbeConnection

PROBE = """
select has_table, probed, visible, newest, seconds_to_next, grouped, paused, has_policies, throttle
from pgmq_gateway.probe_queues($1)
"""
# About 50 µs each in Postgres.
MAX_QUEUES = 1000


class QueueState(NamedTuple):
    """The result of `pgmq_gateway.probe_queues` for one queue.

    exists    whether the queue has a table
    probed    whether the next three are known; otherwise there is no index on vt, for example
    visible   visible messages, at most 33
    newest    when the last of them became visible; to compare only
    next_at   seconds from now until the next message becomes visible; None: none will
    grouped   whether it has a group_limit
    paused    whether it is paused
    policies  whether row-level security is enabled
    throttle  seconds for which the setting `wake` is silent after a notification; 0: it is off
    """

    exists: bool
    probed: bool
    visible: int | None
    newest: float | None
    next_at: float | None
    grouped: bool
    paused: bool
    policies: bool
    throttle: float


class QueueProbe:
    def __init__(self, connection: ProbeConnection) -> None:
        self._connection = connection

    async def probe(self, queues: Sequence[str]) -> dict[str, QueueState]:
        """The state of each queue, by its name in lower case. Raises ProbeFailed."""
        states: dict[str, QueueState] = {}
        for begin in range(0, len(queues), MAX_QUEUES):
            part = queues[begin : begin + MAX_QUEUES]
            async with self._connection.session() as session:
                rows = await session.fetch(PROBE, part)
            states.update(zip(part, (QueueState(*row.values()) for row in rows), strict=True))
        return states
