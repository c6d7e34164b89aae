"""Judgements by Postgres of the calls that can share a transaction, and pauses after slow shared transactions.

Calls that can share leave nothing in their session either, so their connection needs no cleaning before another caller
uses it. No caller waits for a judgement: it is asked for when two calls could share, or when callers alternate, and
meanwhile calls run alone. A judgement can be stale: the transaction compares its fingerprint (`calls.sql`).
"""

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence

import msgspec

from pgmq_gateway.backoff import Backoff
from pgmq_gateway.database.driver import BROKEN, SERVER_ERRORS, loggable
from pgmq_gateway.errors import GatewayError

logger = logging.getLogger("pgmq_gateway")

# Judgements kept, and those that wait to be made: clients can name queues that do not exist.
MAX_JUDGEMENTS = 10_000
MAX_WANTED = 1000
# Judgements for one flow that wait, so that made-up names of one client do not delay those for others.
MAX_WANTED_BY_FLOW = 10
# Judging takes at most a tenth of one connection. Much of a long time was waiting for the connection.
PAUSE_PER_SECOND_OF_WORK, MAX_PAUSE_SECONDS = 9, 0.5
# Between two judgements of the same calls, and after one that found obstacles. A stale one is soon made anew, because a
# TRUNCATE is enough to make it stale.
INTERVAL_SECONDS, OBSTACLES_SECONDS = 1.0, 60.0
# A group that takes longer keeps its calls apart for a while, doubled each time until a group is fast again.
SLOW_GROUP_SECONDS = 0.05
FIRST_APART_SECONDS, LONGEST_APART_SECONDS = 10.0, 300.0


class Judgement(msgspec.Struct, frozen=True):
    """The result of `pgmq_gateway.judgement` for the calls of a function on a queue.

    queue_name, function_name  what was judged
    obstacles    why they cannot share a transaction; empty: they can
    relations    OIDs of the tables, and names of the functions, that the fingerprint covers
    fingerprint  their state when they were judged
    fusion       what the database needs to run the calls as one statement; None: they run one by one
    """

    queue_name: str
    function_name: str
    obstacles: Sequence[str]
    relations: Sequence[int]
    functions: Sequence[str]
    fingerprint: str
    fusion: str | None = None

    @property
    def compared(self) -> tuple[str, Sequence[int], Sequence[str], str]:
        """The values that a transaction compares: arguments of `pgmq_gateway.call` and `calls`."""
        return self.queue_name, self.relations, self.functions, self.fingerprint


Judge = Callable[[str, str], Awaitable[Judgement]]


class Standing:
    """The state of a function on a queue.

    judgement   the last one, unless it was stale
    judge_at    the time from which it may be judged anew
    generation  the load of the catalog at which it was judged
    apart_until the time until which its calls run alone
    """

    __slots__ = ("_apart", "apart_until", "generation", "judge_at", "judgement")

    def __init__(self) -> None:
        self._apart = Backoff(FIRST_APART_SECONDS, LONGEST_APART_SECONDS)
        self.judgement: Judgement | None = None
        self.judge_at = self.apart_until = float("-inf")
        self.generation = -1

    @property
    def can_share(self) -> bool:
        return self.judgement is not None and not self.judgement.obstacles

    def judged(self, judgement: Judgement, generation: int, now: float) -> None:
        self.judgement, self.generation = judgement, generation
        self.judge_at = now + (OBSTACLES_SECONDS if judgement.obstacles else INTERVAL_SECONDS)

    def failed(self, now: float) -> None:
        self.judge_at = now + INTERVAL_SECONDS

    def keep_apart(self, now: float) -> bool:
        """Let the calls run alone for a while. False if they do already: groups that ran at once count once."""
        if now < self.apart_until:
            return False
        self.apart_until = now + self._apart.delay()
        return True

    def fast(self, now: float) -> None:
        if now >= self.apart_until:
            self._apart.reset()


class Sharing:
    """The standing of the functions and queues that were called lately.

    ended  transactions that ended sharing for a while, by the reason: a deadlock, too long, a stale judgement
    """

    def __init__(
        self, judge: Judge, generation: Callable[[], int] = int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._judge = judge
        self._generation = generation
        self._clock = clock
        self._standings: OrderedDict[tuple[str, str], Standing] = OrderedDict()
        # The judgements to make with the flow that wants each, and their number by flow.
        self._wanted: dict[tuple[str, str], Hashable] = {}
        self._wanted_by: Counter[Hashable] = Counter()
        self._judging: asyncio.Task[None] | None = None
        self.ended = {"deadlock": 0, "slow": 0, "stale": 0}

    def judgement(self, queue: str, function: str, flow: Hashable = None) -> Judgement | None:
        """The judgement that allows calls of a flow to share a transaction; None if they must run alone now."""
        if self._clock() < self._standing(queue, function).apart_until:
            return None
        return self.harmless(queue, function, flow)

    def harmless(self, queue: str, function: str, flow: Hashable = None) -> Judgement | None:
        """The judgement that a call leaves nothing behind; None if it may, or is not judged yet."""
        standing, now = self._standing(queue, function), self._clock()
        if standing.can_share:
            return standing.judgement
        if now >= standing.judge_at or (standing.judgement and standing.generation != self._generation()):
            self._want((queue, function), flow)
        return None

    def was_stale(self, queue: str, function: str, judgement: Judgement) -> None:
        """Something that the judgement relies on has changed."""
        self.ended["stale"] += 1
        standing = self._standing(queue, function)
        if standing.judgement is judgement:
            standing.judgement = None

    def deadlocked(self, queue: str, function: str) -> None:
        self.ended["deadlock"] += 1
        self._standing(queue, function).keep_apart(self._clock())

    def took(self, queue: str, function: str, seconds: float) -> None:
        """Note how long a shared transaction took in Postgres.

        seconds  divided by the transactions on this queue at the time: where many compete for a processor, each is
                 slow, and calls that run alone would be slower
        """
        standing, now = self._standing(queue, function), self._clock()
        if seconds <= SLOW_GROUP_SECONDS:
            standing.fast(now)
        elif standing.keep_apart(now):
            self.ended["slow"] += 1

    async def close(self) -> None:
        """Stop judging."""
        if self._judging is not None:
            self._judging.cancel()
            await asyncio.wait([self._judging])

    def _standing(self, queue: str, function: str) -> Standing:
        key = queue, function
        standing = self._standings.get(key)
        if standing is None:
            standing = self._standings[key] = Standing()
            if len(self._standings) > MAX_JUDGEMENTS:
                self._standings.popitem(last=False)
        else:
            self._standings.move_to_end(key)
        return standing

    def _want(self, key: tuple[str, str], flow: Hashable) -> None:
        if key in self._wanted or len(self._wanted) >= MAX_WANTED or self._wanted_by[flow] >= MAX_WANTED_BY_FLOW:
            return
        self._wanted[key] = flow
        self._wanted_by[flow] += 1
        if self._judging is None or self._judging.done():
            self._judging = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        """Judge what is wanted, one after another."""
        while self._wanted:
            key = next(iter(self._wanted))
            began = self._clock()
            standing = self._standing(*key)
            try:
                standing.judged(await self._judge(*key), self._generation(), self._clock())
            except (GatewayError, *SERVER_ERRORS, *BROKEN, TimeoutError) as error:
                logger.debug("cannot judge whether calls can share a transaction: %s", loggable(error))
                standing.failed(self._clock())
            self._forget(key)
            await asyncio.sleep(min(MAX_PAUSE_SECONDS, PAUSE_PER_SECOND_OF_WORK * (self._clock() - began)))

    def _forget(self, key: tuple[str, str]) -> None:
        flow = self._wanted.pop(key)
        self._wanted_by[flow] -= 1
        if not self._wanted_by[flow]:
            del self._wanted_by[flow]
