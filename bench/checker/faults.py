"""Fault injection, random but reproducible by its seed: two faults at a time, of processes and of the network."""

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence

import psutil

from bench.checker import ground
from bench.checker.gateways import ProxiedGateway
from bench.checker.site import Site

# Ranges: between two faults, and of one fault.
INTERVALS_SECONDS = (0.1, 0.6)
DURATIONS_SECONDS = (0.2, 1.2)
SHORT_SECONDS = 0.5

Fault = Callable[[], Awaitable[None]]


class Faults:
    """Injects faults into a site and counts them. `pauses`: ranges of seconds between faults of a kind."""

    def __init__(self, site: Site, seed: int, pauses: tuple[float, float] = INTERVALS_SECONDS) -> None:
        self._pauses = pauses
        self.counts: Counter[str] = Counter()
        self._site = site
        self._processes = random.Random(f"{seed} processes")  # noqa: S311 repeatable
        self._network = random.Random(f"{seed} network")  # noqa: S311

    async def inject(self, over: Callable[[], bool]) -> None:
        """Inject faults until the end, then remove them; gateways can remain stopped."""
        lanes = ((self._processes, self._of_processes()), (self._network, self._of_network()))
        try:
            async with asyncio.TaskGroup() as group:
                for chance, faults in lanes:
                    group.create_task(self._lane(chance, faults, over))
        finally:
            for gateway in self._site.gateways:
                gateway.proxy.heal()

    async def _lane(self, chance: random.Random, faults: dict[str, Fault], over: Callable[[], bool]) -> None:
        for name in _decks(chance, list(faults)):
            await _sleep(chance.uniform(*self._pauses), over)
            if over():
                return
            self.counts[name] += 1
            await faults[name]()

    def _of_processes(self) -> dict[str, Fault]:
        return {
            "gateway killed (SIGKILL), started again": self._kill_gateway,
            "gateway stopped (SIGTERM), started again": self._restart_gateway,
            "database connections terminated": self._terminate,
            "running statements cancelled": self._cancel,
            "Postgres killed (SIGKILL), recovered": self._kill_postgres,
            "Postgres frozen (SIGSTOP)": self._freeze_postgres,
            "a queue's table locked": self._lock,
        }

    def _of_network(self) -> dict[str, Fault]:
        return {
            "database connections cut": self._cut,
            "database connection cut before its answer": self._cut_answer,
            "database connection cut inside a request": self._cut_request,
            "latency": lambda: self._slow("latency", 0.02, 0.2),
            "trickle": lambda: self._slow("rate", 2000, 20000),
            "packets in slices": lambda: self._slow("slicing", 1, 20),
            "half-open, then cut": lambda: self._half_open(restored=False),
            "half-open, then restored": lambda: self._half_open(restored=True),
            "database refuses connections": self._refuse,
        }

    async def _kill_gateway(self) -> None:
        gateway = self._processes.choice(self._site.gateways)
        await gateway.kill()
        await gateway.start()

    async def _restart_gateway(self) -> None:
        gateway = self._processes.choice(self._site.gateways)
        await gateway.stop()
        await gateway.start()

    async def _terminate(self) -> None:
        await self._signal_backends("pg_terminate_backend")

    async def _cancel(self) -> None:
        await self._signal_backends("pg_cancel_backend")

    async def _signal_backends(self, function: str) -> None:
        """A random half of the gateways' connections."""
        share = self._processes.uniform(0.3, 1)
        with contextlib.suppress(*ground.LOST):
            async with ground.owning(self._site.owner) as owner:
                await owner.execute(
                    f"select {function}(pid) from pg_stat_activity where usename = 'authenticator' and random() < $1",
                    share,
                )

    async def _kill_postgres(self) -> None:
        pid = self._site.postgres.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        # The old postmaster can accept for another moment; the next connection reaches its successor.
        await asyncio.sleep(INTERVALS_SECONDS[0])
        async with ground.owning(self._site.owner):
            pass

    async def _freeze_postgres(self) -> None:
        seconds = self._duration(self._processes)
        pid = self._site.postgres.pid
        if pid is None:
            return
        postmaster = psutil.Process(pid)
        processes = [postmaster, *postmaster.children(recursive=True)]
        try:
            _all(processes, signal.SIGSTOP)
            await asyncio.sleep(seconds)
        finally:
            _all(processes, signal.SIGCONT)

    async def _lock(self) -> None:
        """Block all writes for a while."""
        queue, seconds = self._processes.choice(ground.QUEUES), self._duration(self._processes)
        with contextlib.suppress(*ground.LOST):
            async with ground.owning(self._site.owner) as owner:
                await owner.execute(f"begin; set lock_timeout = '2s'; lock table pgmq.q_{queue} in exclusive mode")
                await asyncio.sleep(seconds)

    async def _cut(self) -> None:
        self._gateway().proxy.cut()

    async def _cut_answer(self) -> None:
        self._gateway().proxy.cut_after("server", self._network.randrange(0, 200))

    async def _cut_request(self) -> None:
        self._gateway().proxy.cut_after("client", self._network.randrange(0, 2000))

    async def _slow(self, what: str, least: float, most: float) -> None:
        proxy, value = self._gateway().proxy, self._network.uniform(least, most)
        setattr(proxy, what, int(value) if what == "slicing" else value)
        await asyncio.sleep(self._duration(self._network))
        proxy.heal()

    async def _half_open(self, *, restored: bool) -> None:
        proxy = self._gateway().proxy
        proxy.freeze()
        await asyncio.sleep(self._duration(self._network))
        if not restored:
            proxy.cut()
        proxy.heal()

    async def _refuse(self) -> None:
        proxy = self._gateway().proxy
        proxy.refuse()
        proxy.cut()
        await asyncio.sleep(self._duration(self._network))
        proxy.heal()

    def _gateway(self) -> ProxiedGateway:
        return self._network.choice(self._site.gateways)

    def _duration(self, chance: random.Random) -> float:
        return chance.uniform(*DURATIONS_SECONDS)


async def _sleep(seconds: float, over: Callable[[], bool]) -> None:
    """Sleep, at most until the end."""
    while seconds > 0 and not over():
        await asyncio.sleep(min(seconds, SHORT_SECONDS))
        seconds -= SHORT_SECONDS


def _decks(chance: random.Random, names: Sequence[str]) -> Iterator[str]:
    """Shuffled permutations of all faults, so that each occurs regularly."""
    while True:
        yield from chance.sample(names, len(names))


def _all(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
