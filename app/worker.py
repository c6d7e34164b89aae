"""One of several processes that serve the same socket: `python -m app.worker`, started by workers.py.

Its orders come as one line of JSON on stdin, where `ps` does not show them. Its own health is on a socket in a folder
of the parent's. It says `ready` on stdout, and ends when stdin does, so that it does not outlive its parent.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from typing import Any

import uvloop

from app import logs
from app.serve import serve
from app.settings import Settings


def main() -> None:
    """Serve as the parent says."""
    orders = json.loads(sys.stdin.readline())
    settings = Settings.model_validate(orders["settings"])
    logs.configure(settings.log_level, settings.log_format)
    uvloop.run(_serve(settings, orders))


async def _serve(settings: Settings, orders: dict[str, Any]) -> None:
    api, admin = socket.socket(fileno=orders["api"]), socket.socket(fileno=orders["admin"])
    await serve(settings, api, admin, lambda: print("ready", flush=True), end_with_parent())


async def end_with_parent() -> None:
    """Drain when the other end of stdin is closed, whatever has become of the parent."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
