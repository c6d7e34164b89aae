"""A worker process: `python -m pgmq_gateway.process.worker`, started by supervisor.py.

Its stdin has lines of JSON, which `ps` does not show: first settings, sockets and rank, later new settings. It prints
`ready`, after new settings `applied` or `kept`, `outdated` when the database has other settings, and `alive` each
second: a silent worker is killed. It stops when stdin is closed, so that it does not outlive its parent.
"""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from typing import IO, Any

import uvloop

from pgmq_gateway.http.acceptor import Rank
from pgmq_gateway.http.sockets import Addresses, ServeError
from pgmq_gateway.observe import logs
from pgmq_gateway.observe.output import STDOUT
from pgmq_gateway.process.child import lines_of_parent
from pgmq_gateway.process.lifecycle import Lifecycle
from pgmq_gateway.process.passed_connections import Passed
from pgmq_gateway.process.reload import SIGNALS, Apply
from pgmq_gateway.process.serve import serve
from pgmq_gateway.process.signals import StopSignals
from pgmq_gateway.process.systemd import Manager
from pgmq_gateway.settings.model import Settings, SettingsError

HEARTBEAT_SECONDS = 1.0

logger = logging.getLogger("pgmq_gateway")


def main() -> None:
    for number in SIGNALS:
        # systemd can send these signals to all processes of a service. The parent sends the settings.
        signal.signal(number, signal.SIG_IGN)
    stop_signals = StopSignals().install()
    # Unbuffered: a buffer could take more than the first line.
    stdin = os.fdopen(sys.stdin.fileno(), "rb", buffering=0)
    message = json.loads(stdin.readline())
    uvloop.run(_serve(stdin, message, stop_signals))


async def _serve(stdin: IO[bytes], message: dict[str, Any], stop_signals: StopSignals) -> None:
    addresses = Addresses(socket.socket(fileno=message["api"]), Passed(fileno=message["admin"]))

    async def reloading(apply: Apply) -> None:
        async for line in lines_of_parent(stdin):
            STDOUT.write("applied" if await _applied(apply, _settings(json.loads(line))) else "kept")
        os.kill(os.getpid(), signal.SIGTERM)

    lifecycle = Lifecycle(
        addresses,
        Manager(),
        stop_signals,
        lambda: STDOUT.write("ready"),
        reloading,
        lambda: STDOUT.write("outdated"),
        [_report_life()],
        supervised=True,
    )
    await serve(_settings(message), lifecycle, Rank(*message["rank"]))


async def _applied(apply: Apply, settings: Settings) -> bool:
    try:
        await apply(settings)
    except (SettingsError, ServeError) as error:
        logger.error("a worker rejected the new settings: %s", error)
        return False
    return True


def _settings(message: dict[str, Any]) -> Settings:
    settings = Settings.model_validate(message["settings"])
    # The parent has already logged what is wrong with these two.
    logs.configure(settings.log_level, settings.log_format)
    return settings


async def _report_life() -> None:
    while True:
        STDOUT.write("alive")
        await asyncio.sleep(HEARTBEAT_SECONDS)


if __name__ == "__main__":
    main()
