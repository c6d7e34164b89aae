"""One of several processes that serve the same socket: `python -m pgmq_gateway.process.worker`, started by workers.py.

Its orders come as lines of JSON on stdin, where `ps` does not show them: first settings and sockets, later other
settings. It says `ready` on stdout, to other settings `applied` or `kept`, and ends when stdin does, so that it does
not outlive its parent.
"""

import json
import logging
import os
import signal
import socket
import sys
from typing import IO, Any

import uvloop

from pgmq_gateway.http.sockets import Addresses, ServeError
from pgmq_gateway.observe import logs
from pgmq_gateway.process.child import lines_of_parent
from pgmq_gateway.process.lifecycle import Lifecycle
from pgmq_gateway.process.reload import SIGNALS, Apply
from pgmq_gateway.process.serve import serve
from pgmq_gateway.process.systemd import Manager
from pgmq_gateway.settings.model import Settings, SettingsError

logger = logging.getLogger("pgmq_gateway")


def main() -> None:
    """Serve as the parent says."""
    for number in SIGNALS:
        # A terminal sends them to all of its processes; the parent says what is to be done.
        signal.signal(number, signal.SIG_IGN)
    # Not through a buffer, which might take more than the first line.
    stdin = os.fdopen(sys.stdin.fileno(), "rb", buffering=0)
    orders = json.loads(stdin.readline())
    uvloop.run(_serve(stdin, orders))


async def _serve(stdin: IO[bytes], orders: dict[str, Any]) -> None:
    addresses = Addresses(socket.socket(fileno=orders["api"]), socket.socket(fileno=orders["admin"]))

    async def reloading(apply: Apply) -> None:
        async for line in lines_of_parent(stdin):
            _say("applied" if await _applied(apply, _settings(json.loads(line))) else "kept")
        os.kill(os.getpid(), signal.SIGTERM)

    await serve(_settings(orders), Lifecycle(addresses, Manager(), lambda: _say("ready"), reloading))


async def _applied(apply: Apply, settings: Settings) -> bool:
    try:
        await apply(settings)
    except (SettingsError, ServeError) as error:
        logger.error("a worker's settings stay as they were: %s", error)
        return False
    return True


def _settings(orders: dict[str, Any]) -> Settings:
    settings = Settings.model_validate(orders["settings"])
    # What the parent has found wrong with its settings, it has said.
    logs.configure(settings.log_level, settings.log_format)
    return settings


def _say(word: str) -> None:
    print(word, flush=True)


if __name__ == "__main__":
    main()
