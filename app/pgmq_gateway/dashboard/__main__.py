"""The dashboard that `serve` keeps running: `python -m pgmq_gateway.dashboard`, started by process.py.

Its orders, a key and a code among them, come as one line of JSON on stdin, where `ps` does not show them. It says on
stdout when the code has been used, and ends when stdin does, so that it does not outlive its parent.
"""

import asyncio
import json
import signal
import socket
import sys

import uvloop

from pgmq_gateway.dashboard.web.server import Orders, serve
from pgmq_gateway.observe import logs
from pgmq_gateway.process.child import end_with_parent


def main() -> None:
    """Serve as the parent says."""
    orders = json.loads(sys.stdin.readline())
    logs.configure(*orders.pop("log"))
    bound = socket.socket(fileno=orders.pop("socket"))
    uvloop.run(_serve(Orders(**orders), bound))


async def _serve(orders: Orders, bound: socket.socket) -> None:
    ending = asyncio.create_task(end_with_parent())
    await serve(orders, bound, lambda: print("ready", flush=True), lambda: print("used", flush=True))
    ending.cancel()


if __name__ == "__main__":
    # Ctrl-C in a terminal, and its end, go to all processes of the group: the parent says when to end.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    main()
