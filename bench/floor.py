"""An ASGI application that answers a constant, on the gateway's server: `python -m bench.floor PORT`.

Its CPU time for a request is that of the server alone, without a gateway and without Postgres.
"""

import sys

from pgmq_gateway.cli.terminal import run
from pgmq_gateway.http.asgi import Receive, Scope, Send
from pgmq_gateway.http.server import server_for
from pgmq_gateway.http.sockets import bind

BODY = b"[1]"
HEADERS = [(b"content-type", b"application/json; charset=utf-8"), (b"content-length", b"%d" % len(BODY))]


async def constant(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


if __name__ == "__main__":
    run(server_for(constant).serve([bind("127.0.0.1", int(sys.argv[1]))]))
