"""Wake-ups between processes: the protocol of the channel `pgmq_gateway`.

A process announces the queues on which it has waiters. Another process that sends to such a queue reports it. So a
single gateway reports nothing, and neither does one that sends to queues without waiters.

    {"g": id, "hi": true}     process `id` listens from now on: the others announce their queues again
    {"g": id, "w": [queues]}  it has waiters on these queues
    {"g": id, "s": [queues]}  it has sent to these queues
    {"s": [queues]}           SQL has sent to these queues: the trigger of queues with `wake`

Any role can notify. A notification causes nothing but attempts of waiters and, at intervals, an announcement of queues.
A lost one delays messages until the next poll.
"""

import asyncio
import itertools
import json
import math
import secrets
import time
from array import array
from collections.abc import Callable, Iterable, Iterator

import msgspec

from pgmq_gateway.waiting.counters import Counters
from pgmq_gateway.waiting.queue_names import can_be_queue

# A queue is announced at these intervals, and remembered for so long: one lost announcement has no effect.
ANNOUNCEMENT_SECONDS = 30.0
MEMORY_SECONDS = 60.0
# Between two announcements of all queues because of greetings.
GREETING_SECONDS = 5.0
# Postgres allows less than 8000.
MAX_PAYLOAD_BYTES = 7900
# Announced queues without waiters that are remembered.
MAX_QUEUES = 10_000
# The queues of other processes are remembered by hash: strangers can announce any number of names, and two with one
# hash cost needless notifications only.
SLOTS = 1 << 16
# Notifications above this rate are not read. Eight processes that announce 10,000 queues each are within the burst.
BYTES_PER_SECOND = 500_000
BURST_SECONDS = 5.0
# Charged for a notification beside its payload.
OVERHEAD_BYTES = 50

Clock = Callable[[], float]


class Notification(msgspec.Struct):
    """A payload. Other members are ignored: a later version may have more."""

    g: str = ""
    hi: bool = False
    w: list[str] = []
    s: list[str] = []


class Wakeups:
    """The queues with waiters, here and in other processes, and the notifications to send. Queues are in lower case.

    id          of this process among those that share the database
    changed     set when there is something to send
    on_wakeup   called for a queue that has waiters here. The second argument is true if the trigger has notified, which
                is silent for a while after each notification
    """

    def __init__(self, counters: Counters, clock: Clock = time.monotonic) -> None:
        self.id = secrets.token_hex(8)
        self.changed = asyncio.Event()
        self.on_wakeup: Callable[[str, bool], object] = lambda _queue, _throttled: None
        self._counters = counters
        self._clock = clock
        self._here: set[str] = set()
        # Times at which queues of this process were announced, the oldest announcement first.
        self._announced: dict[str, float] = {}
        # Times of the announcements of other processes, by hash, and of the last one.
        self._elsewhere = array("d", [-math.inf]) * SLOTS
        self._last_elsewhere = -math.inf
        # To be sent.
        self._greeting = False
        self._due: set[str] = set()
        self._sent: set[str] = set()
        # True if a greeting of another process has arrived, and the time at which the last one was answered.
        self._greeted = False
        self._answered_at = -GREETING_SECONDS
        # The time from which the whole burst may be read again.
        self._rested_at = 0.0

    def greet(self) -> None:
        """Announce this process and all its queues, because it listens from now on."""
        self._greeting = True
        self._announce_all()
        self.changed.set()

    def wanted(self, queue: str) -> None:
        """A queue has its first waiter here."""
        self._here.add(queue)
        if queue not in self._announced:
            self._due.add(queue)
            self.changed.set()

    def unwanted(self, queue: str) -> None:
        """A queue has no waiters here any more.

        Its announcement stays valid, because a consumer that waits again and again must not repeat it each time.
        """
        self._here.discard(queue)
        self._due.discard(queue)
        if len(self._announced) > len(self._here) + MAX_QUEUES:
            self._announced.pop(queue, None)

    @property
    def wanted_elsewhere(self) -> bool:
        """True if another process has waiters on some queue."""
        return self._clock() - self._last_elsewhere < MEMORY_SECONDS

    def sent(self, queues: Iterable[str]) -> None:
        """Messages have become visible in these queues."""
        since = self._clock() - MEMORY_SECONDS
        self._sent.update(queue for queue in queues if self._elsewhere[hash(queue) % SLOTS] > since)
        if self._sent:
            self.changed.set()

    def outgoing(self) -> list[str]:
        """The payloads to send now. Call it at least every few seconds: it renews announcements."""
        now = self._clock()
        if self._may_answer():
            self._greeted, self._answered_at = False, now
            self._announce_all()
        self._due |= self._here.intersection(_forget(self._announced, now - ANNOUNCEMENT_SECONDS))
        for queue in self._due:
            self._announced[queue] = now
        greeting = [json.dumps({"g": self.id, "hi": True})] if self._greeting else []
        payloads = [*greeting, *_payloads(self.id, "w", self._due), *_payloads(self.id, "s", self._sent)]
        self._greeting, self._due, self._sent = False, set(), set()
        self.changed.clear()
        return payloads

    def received(self, payload: str) -> None:
        """Act on a notification, which any role can send."""
        notification = self._read(payload)
        if notification is None:
            self._counters.dropped_notifications += 1
        elif notification.g != self.id:
            self._act(notification)

    def _read(self, payload: str) -> Notification | None:
        """None above the budget, and for an unreadable payload."""
        now = self._clock()
        rested_at = max(self._rested_at, now) + (len(payload) + OVERHEAD_BYTES) / BYTES_PER_SECOND
        if rested_at - now > BURST_SECONDS:
            return None
        self._rested_at = rested_at
        try:
            return msgspec.json.decode(payload, type=Notification)
        except (msgspec.MsgspecError, RecursionError):
            return None

    def _act(self, notification: Notification) -> None:
        if notification.g:
            self._greeted = self._greeted or notification.hi
            for queue in notification.w:
                self._elsewhere[hash(queue.lower()) % SLOTS] = self._last_elsewhere = self._clock()
        if self._may_answer():
            self.changed.set()
        for queue in self._here.intersection(map(str.lower, notification.s)):
            self._counters.wakeups["gateway" if notification.g else "sql"] += 1
            self.on_wakeup(queue, not notification.g)

    def _announce_all(self) -> None:
        self._announced.clear()
        self._due |= self._here

    def _may_answer(self) -> bool:
        return self._greeted and self._clock() - self._answered_at >= GREETING_SECONDS


def _forget(times: dict[str, float], since: float) -> list[str]:
    """Remove the queues that were announced until then, and return them."""
    old = list(itertools.takewhile(lambda queue: times[queue] <= since, times))
    for queue in old:
        del times[queue]
    return old


def _payloads(process: str, member: str, queues: Iterable[str]) -> Iterator[str]:
    """Notifications of queues. JSON in ASCII, which every encoding of a database has."""
    head = json.dumps({"g": process, member: []})[:-2]
    listed = ""
    for name in map(json.dumps, filter(can_be_queue, queues)):
        if listed and len(head) + len(listed) + len(name) + 3 > MAX_PAYLOAD_BYTES:
            yield f"{head}{listed}]}}"
            listed = ""
        listed += f",{name}" if listed else name
    if listed:
        yield f"{head}{listed}]}}"
