"""How long a connection is kept between requests."""

import asyncio

from pgmq_gateway.http.asgi import Receive, Scope, Send
from pgmq_gateway.http.bounds import Bounds
from pgmq_gateway.http.server import server_for
from pgmq_gateway.http.sockets import bind
from pgmq_gateway.settings.model import Settings


async def respond(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def test_d12_an_idle_connection_is_closed_after_the_time_of_the_setting() -> None:
    bound = bind("127.0.0.1", 0)
    port = bound.getsockname()[1]
    server = server_for(respond, bounds=lambda: Bounds.of(Settings(keep_alive_timeout=0.01)))
    serving = asyncio.create_task(server.serve([bound]))
    await server.listening.wait()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 30)
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert b"connection: close" not in answer.lower()
    writer.close()
    server.should_exit = True
    await serving
