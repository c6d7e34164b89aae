"""The figures of waiting requests and streams."""

import asyncio
import itertools
import json
import math
import random
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from bench import plan
from bench.cell import Cell
from bench.contenders import HttpServer, queue_of
from bench.figure import Figure, Judged
from bench.generator import count
from bench.measurement import BenchError
from bench.waiting.crowd import Crowd, Place
from bench.waiting.ground import PROBE_SECONDS, STREAMS, Ground, until
from bench.waiting.sender import send
from bench.waiting.streams import Streams

# The default of PGMQ_GATEWAY_MAX_WAIT.
WAIT_SECONDS = 50
SHORT_WAIT_SECONDS = 1
# The defaults of PGRST_DB_POOL and PGMQ_GATEWAY_WAIT_POLL.
POOL, POLL_MILLISECONDS = 10, 1000
SEND_CONNECTIONS = 32
CREDIT = 2
# Messages for each unit of credit.
STREAM_ROUNDS = 2
SETTLE_SECONDS = 3
# Clients whose waits of a second are counted, so that the gateway has time for them; and the share of the waits after
# which memory is measured first.
SHORT_WAITERS, WARM_UP_SHARE = 1000, 5
WAKE_PAUSE_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Scale:
    """The size of the measurements.

    waiters  clients that wait
    queues   on which they wait in turn
    users    callers with a policy each on one queue
    streams  open streams
    waits    after which memory is compared
    seconds  of each measurement
    rate     sends a second
    rounds   of the throughput of sends
    """

    waiters: int = 10_000
    queues: int = 100
    users: int = 1000
    streams: int = 5000
    waits: int = 100_000
    seconds: float = 20
    rate: float = 50
    rounds: int = 3

    @property
    def sends(self) -> int:
        return int(self.rate * self.seconds)


async def waiting(gateway: HttpServer, scale: Scale) -> AsyncIterator[Figure]:
    """Memory and connections with many clients that wait, and the delay of deliveries to them."""
    ground = await Ground.of(gateway, scale.queues)
    before, crowd = ground.memory, Crowd(gateway.url, WAIT_SECONDS)
    await crowd.gather(ground.places(scale.waiters))
    await ground.until_waiting(scale.waiters)
    what = f"{scale.waiters:,} waiting"
    yield Figure(f"{what}: memory", "idle", before, ground.memory, "MiB", 250, judged=Judged.VALUE)
    connections = await ground.connections()
    yield Figure(f"{what}: connections", "pool", POOL, connections, "", 3, judged=Judged.DIFFERENCE)
    targets = random.choices(ground.places(len(ground.queues)), k=scale.sends)  # noqa: S311 no secret
    for figure in await _delivery(ground, crowd, targets, scale.rate, what, (Judged.DIFFERENCE, 10), 3):
        yield figure
    await crowd.leave()
    await ground.drop()


async def users(gateway: HttpServer, scale: Scale) -> AsyncIterator[Figure]:
    """Many callers on one queue, each with a policy that shows it its own messages."""
    ground = await Ground.of(gateway, 1)
    (queue,), crowd = ground.queues, Crowd(gateway.url, WAIT_SECONDS)
    await ground.keep_apart(queue)
    places = [Place(queue, f"user-{number}", caller) for number, caller in enumerate(ground.users(scale.users), 1)]
    await crowd.gather(places)
    await ground.until_waiting(scale.users)
    probed, began = await ground.metric(PROBE_SECONDS), time.monotonic()
    targets = random.choices(places, k=scale.sends)  # noqa: S311 no secret
    what = f"{scale.users:,} users on one queue"
    for figure in await _delivery(ground, crowd, targets, scale.rate, what, (Judged.VALUE, 50)):
        yield figure
    share = 100 * (await ground.metric(PROBE_SECONDS) - probed) / (time.monotonic() - began)
    yield Figure(f"{what}: time of probes", "a connection", 100, share, "%", 25, judged=Judged.VALUE)
    await crowd.leave()
    await ground.drop()


async def _delivery(
    ground: Ground,
    crowd: Crowd,
    targets: Sequence[Place],
    rate: float,
    what: str,
    limit: tuple[Judged, float],
    tail: float | None = None,
) -> list[Figure]:
    """Send to these places at a steady rate. Goals: of the median, `limit`; of p99, `tail` times that of a send."""
    crowd.forget()
    sends = await send(ground.gateway.url, ground.sender, targets, rate)
    await until(lambda: len(crowd.delays) >= len(targets))
    if crowd.faults:
        raise BenchError(f"responses to waiting clients: {dict(crowd.faults)}")
    share = 100 * (len(crowd.delays) - crowd.strangers) / len(targets)
    answer, delay = ([1000 * seconds for seconds in found] for found in (sends, crowd.delays))
    beside = "the send's response"
    judged, most = limit
    return [
        Figure(f"{what}: delivered", "sent", 100, share, "%", 1, at_least=True),
        Figure(f"{what}: delivery, median", beside, median(answer), median(delay), "ms", most, judged=judged),
        Figure(f"{what}: delivery, p99", beside, _p99(answer), _p99(delay), "ms", tail),
    ]


def _p99(numbers: Sequence[float]) -> float:
    return quantiles(numbers, n=100, method="inclusive")[-1]


async def sends(gateway: HttpServer, scale: Scale) -> AsyncIterator[Figure]:
    """Sends a second while others wait on other queues, beside those without waiting requests, before and after."""
    ground = await Ground.of(gateway, scale.queues)
    crowd = Crowd(gateway.url, WAIT_SECONDS)
    without = await _rates(ground, scale)
    await crowd.gather(ground.places(scale.waiters))
    await ground.until_waiting(scale.waiters)
    beside = await _rates(ground, scale)
    await crowd.leave()
    await ground.until_waiting(0)
    without += await _rates(ground, scale)
    what = f"sends, {SEND_CONNECTIONS} connections, {scale.waiters:,} wait elsewhere"
    yield Figure(what, "nobody waits", median(without), median(beside), "/s", 0.9, at_least=True)
    await ground.drop()


async def _rates(ground: Ground, scale: Scale) -> list[float]:
    rates = []
    send_plan = plan.rpc(Cell(connections=SEND_CONNECTIONS), queue_of(ground.gateway.name), tuple(ground.users(1)))
    for _ in range(scale.rounds):
        result = await count(ground.gateway.url, send_plan, SEND_CONNECTIONS, math.ceil(scale.seconds))
        if result["status"]:
            raise BenchError(f"sends failed: {result}")
        rates.append(result["requests"] / result["microseconds"] * 1e6)
    return rates


async def others(gateway: HttpServer, other: HttpServer, scale: Scale) -> AsyncIterator[Figure]:
    """The delay of messages that another gateway, or plain SQL, sends."""
    ground = await Ground.of(gateway, 2)
    (queue, woken), crowd = ground.queues, Crowd(gateway.url, WAIT_SECONDS)
    owner, places = gateway.queues.owner, ground.places(2)
    await owner.execute("select pgmq_admin.set_queue_settings($1, $2::jsonb)", woken, '{"wake": true}')
    await crowd.gather(places * 2)
    await ground.until_waiting(len(places) * 2)
    answers = await send(other.url, ground.sender, places[:1] * scale.sends, scale.rate)
    across = await _delays(crowd, scale.sends)
    yield Figure("delivery across two gateways, median", "the send's response", 1000 * median(answers),
                 median(across), "ms", 30, judged=Judged.VALUE)  # fmt: skip
    for name, what, goal in ((woken, "with wake", 150), (queue, "without wake", POLL_MILLISECONDS)):
        number, statements = max(2, scale.sends // 10), []
        for _ in range(number):
            began = time.monotonic()
            await owner.execute("select pgmq.send($1, $2::jsonb)", name, json.dumps({"sent": began, "to": ""}))
            statements.append(1000 * (time.monotonic() - began))
            await asyncio.sleep(random.uniform(0, WAKE_PAUSE_SECONDS))  # noqa: S311 no secret
        delays = await _delays(crowd, number)
        for figure, of in (("median", median), ("maximum", max)):
            wanted = goal if figure == "median" or name == queue else None
            yield Figure(f"delivery from SQL {what}, {figure}", "the statement", of(statements), of(delays), "ms",
                         wanted, judged=Judged.VALUE)  # fmt: skip
    await crowd.leave()
    await ground.drop()


async def _delays(crowd: Crowd, number: int) -> list[float]:
    """Milliseconds until each of this number of deliveries. Raises BenchError."""
    if not await until(lambda: len(crowd.delays) >= number):
        raise BenchError(f"{len(crowd.delays)} of {number} messages were delivered")
    delays = [1000 * delay for delay in crowd.delays]
    crowd.forget()
    return delays


async def memory(gateway: HttpServer, scale: Scale) -> AsyncIterator[Figure]:
    """Memory after many waits that end by time, by a message, or because the client disconnects."""
    ground = await Ground.of(gateway, scale.queues)
    places = ground.places(min(SHORT_WAITERS, scale.waits // WARM_UP_SHARE))
    target = itertools.cycle(ground.places(len(ground.queues)))

    async def wait(number: int) -> float:
        crowd = Crowd(gateway.url, SHORT_WAIT_SECONDS)
        await crowd.gather(places)
        while crowd.waits < number:
            await send(gateway.url, ground.sender, itertools.islice(target, int(scale.rate)), scale.rate)
        await crowd.leave()
        await ground.until_waiting(0)
        await asyncio.sleep(SETTLE_SECONDS)
        return ground.memory

    warm_up = scale.waits // WARM_UP_SHARE
    before = await wait(warm_up)
    after = await wait(scale.waits)
    yield Figure(f"memory after {scale.waits:,} waits", f"after {warm_up:,}", before, after, "MiB", 1.05)
    await ground.drop()


async def streams(gateway: HttpServer, scale: Scale) -> AsyncIterator[Figure]:
    """Open streams that settle their messages: delivered messages, unsettled ones at a time, memory."""
    ground = await Ground.of(gateway, scale.queues)
    before, clients = ground.memory, Streams(gateway.url, CREDIT)
    await clients.open(ground.places(scale.streams))
    await until(lambda: clients.open_streams >= scale.streams)
    await ground.until_waiting(scale.streams, STREAMS)
    what = f"{scale.streams:,} streams"
    yield Figure(f"{what}: memory", "idle", before, ground.memory, "MiB")
    number = CREDIT * STREAM_ROUNDS * scale.streams // len(ground.queues) * len(ground.queues)
    for name in ground.queues:
        await gateway.queues.owner.execute(
            "select pgmq.send_batch($1, array(select jsonb_build_object('n', n) from generate_series(1, $2::int) n))",
            name, number // len(ground.queues),
        )  # fmt: skip
    await until(lambda: clients.delivered >= number)
    yield Figure(f"{what}: delivered", "sent", number, clients.delivered, "", 1, at_least=True)
    yield Figure(f"{what}: open at the end", "opened", scale.streams, clients.open_streams, "", 1, at_least=True)
    yield Figure(f"{what}: unsettled at a time", "credit", CREDIT, clients.most, "", 1)
    if clients.ends:
        raise BenchError(f"streams ended: {clients.ends.most_common(5)}")
    await clients.close()
    await ground.drop()
