"""Wake-ups between processes: the notifications themselves."""

import asyncio
import logging
from contextlib import suppress

from pgmq_gateway.calls.failures import ends_connection
from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.database.driver import BROKEN, SERVER_ERRORS, loggable
from pgmq_gateway.settings.model import WAKEUP_CHANNEL
from pgmq_gateway.waiting.wakeups import Wakeups

logger = logging.getLogger("pgmq_gateway")

# A commit with a notification holds a lock on the whole server. So there is at most one within this time.
BATCH_SECONDS = 0.02
CHECK_SECONDS = 5.0
TIMEOUT_SECONDS = 5.0

# In a transaction of its own, which need not survive a crash of the server.
NOTIFY = """
select pg_catalog.set_config('synchronous_commit', 'off', true), pg_catalog.pg_notify($1, payload)
from pg_catalog.unnest($2::pg_catalog.text[]) as payload
"""


class Notifier:
    """Sends and receives wake-ups on the connection of the catalog, which does not depend on free ones of the pool.

    Where that connection cannot listen, because it leads to a standby or `db-channel-enabled` is off, nothing is sent.
    """

    channel = WAKEUP_CHANNEL

    def __init__(self, watch: CatalogWatch, wakeups: Wakeups) -> None:
        self._watch = watch
        self._wakeups = wakeups
        self._listening = False
        self._failing = False
        watch.follow(self)

    def connected(self) -> None:
        self._listening = True
        self._wakeups.greet()

    def disconnected(self) -> None:
        self._listening = False

    def notified(self, payload: str) -> None:
        self._wakeups.received(payload)

    async def run(self) -> None:
        """Send what is due until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._wakeups.changed.wait()
            payloads = self._wakeups.outgoing()
            if payloads and self._listening:
                await self._send(payloads)
            await asyncio.sleep(BATCH_SECONDS)

    async def _send(self, payloads: list[str]) -> None:
        try:
            await self._watch.ask(NOTIFY, self.channel, payloads, patience=TIMEOUT_SECONDS)
        except SERVER_ERRORS as error:
            if not ends_connection(error):
                self._refused(error)
        except (*BROKEN, TimeoutError):
            # The catalog watch logs the loss of its connection, and all queues are announced on the next one.
            pass
        else:
            self._failing = False

    def _refused(self, error: Exception) -> None:
        if not self._failing:
            logger.warning("cannot notify other gateways; their waiting requests poll: %s", loggable(error))
        self._failing = True
