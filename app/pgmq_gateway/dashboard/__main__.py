"""The dashboard's process: `python -m pgmq_gateway.dashboard`, supervised by process/dashboard.py.

Its options come as one line of JSON on stdin. It exits at the end of stdin, so that it does not outlive its parent.
"""

import asyncio
import json
import signal
import socket
import sys

import uvloop

from pgmq_gateway.dashboard.web.server import Options, serve
from pgmq_gateway.observe import logs
from pgmq_gateway.process.child import end_with_parent


def main() -> None:
    options = json.loads(sys.stdin.readline())
    logs.configure(*options.pop("log"))
    bound = socket.socket(fileno=options.pop("socket"))
    uvloop.run(_serve(Options(**options), bound))


async def _serve(options: Options, bound: socket.socket) -> None:
    ending = asyncio.create_task(end_with_parent())
    await serve(options, bound, lambda: print("ready", flush=True))
    ending.cancel()


if __name__ == "__main__":
    # A terminal sends SIGINT and SIGHUP to the whole process group: only the parent decides when to stop.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    main()
