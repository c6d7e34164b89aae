"""Wiring of the parts that serve requests that wait, and streams."""

from functools import partial
from typing import Self

from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.calls.execution import Database
from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.limits.throttle import Throttle
from pgmq_gateway.settings.model import Settings
from pgmq_gateway.waiting.clock import Clock
from pgmq_gateway.waiting.counters import Counters
from pgmq_gateway.waiting.credit import Settlements
from pgmq_gateway.waiting.events import Reason
from pgmq_gateway.waiting.executor import WaitingExecutor
from pgmq_gateway.waiting.notifier import Notifier
from pgmq_gateway.waiting.policy_probe import PolicyProbe
from pgmq_gateway.waiting.probes import ProbeConnection
from pgmq_gateway.waiting.queue_probe import QueueProbe
from pgmq_gateway.waiting.stream import Streams
from pgmq_gateway.waiting.waiter_queue import Sources
from pgmq_gateway.waiting.wakeups import Wakeups


class Waiting:
    """The parts of one gateway.

    executor  runs calls, and those that wait
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        watch: CatalogWatch,
        executor: Executor,
        limits: Throttle,
        earlier: Self | None = None,
    ) -> None:
        """
        executor  runs calls that do not wait
        earlier   those of the gateway that this one replaces
        """
        self.counters: Counters = earlier.counters if earlier else Counters()
        self.settlements: Settlements = earlier.settlements if earlier else Settlements()
        self.wakeups = Wakeups(self.counters)
        self.notifier = Notifier(watch, self.wakeups)
        self._probes = ProbeConnection(settings, database.connector.servers)
        sources = Sources(
            Clock(QueueProbe(self._probes), self.counters, settings.wait_poll),
            self.wakeups,
            PolicyProbe(self._probes, database, self.counters),
        )
        self.executor = WaitingExecutor(
            executor,
            sources,
            self.counters,
            lambda: watch.catalog,
            settings.max_waiting,
            partial(self.settlements.note, rollback=settings.rolls_back),
        )
        self.streams = Streams(settings, self.executor, self.settlements, self.counters, limits, lambda: watch.ready)

    def end(self, reason: Reason) -> None:
        """End all waits and streams, and those to come after their first attempt."""
        self.streams.end(reason)
        self.executor.end()

    def close(self) -> None:
        """Close the connection of the probes."""
        self._probes.close()
