"""The admin port: health checks, metrics and the schema cache. It need not be reachable from the internet."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from pgmq_gateway.calls.catalog import Function, Result
from pgmq_gateway.gateway import Gateway
from pgmq_gateway.http.asgi import App, Receive, Scope, Send
from pgmq_gateway.http.hosts import Hosts
from pgmq_gateway.http.response import Response

TEXT, JSON = "text/plain; charset=utf-8", "application/json"


class AdminApp:
    """Four pages, as in PostgREST. Every method gets the same response, other paths an empty 404.

    `/live`          200 while the API accepts requests, else 500; empty
    `/ready`         200; 503 while the database is unreachable or its functions are not loaded; 500 as `/live`; empty
    `/metrics`       Prometheus' text format
    `/schema_cache`  the loaded functions as JSON
    """

    def __init__(self, gateway: Callable[[], Gateway], serving: Callable[[], bool]) -> None:
        self._gateway = gateway
        self._serving = serving
        self._pages: dict[str, Callable[[], Awaitable[Response]]] = {
            "/live": self._live,
            "/ready": self._ready,
            "/metrics": self._metrics,
            "/schema_cache": self._schema_cache,
        }

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        page = self._pages.get(scope["path"])
        response = await page() if page else Response(404)
        await response.send(send)

    async def _live(self) -> Response:
        return Response(200 if self._serving() else 500)

    async def _ready(self) -> Response:
        if not self._serving():
            return Response(500)
        return Response(200 if self._gateway().watch.ready else 503)

    async def _metrics(self) -> Response:
        gateway = self._gateway()
        # In a thread: the first use imports a library.
        metrics = await asyncio.to_thread(lambda: gateway.metrics)
        await metrics.refresh()
        return page(metrics.text(), metrics.content_type)

    async def _schema_cache(self) -> Response:
        watch = self._gateway().watch
        functions = watch.catalog if watch.loaded.is_set() else ()
        text = json.dumps({"functions": [_function(function) for function in functions]}, ensure_ascii=False)
        return page(text.encode(), JSON)


class HostCheck:
    """ASGI middleware: requests to other hosts get 421."""

    def __init__(self, app: App, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), None)
        # Without Host the request is HTTP/1.0, which no browser sends.
        if host is not None and not self._hosts.accept(host):
            text = (
                f"Host {host!r} is not allowed. The admin port accepts addresses and the names of its own machine, to "
                "prevent DNS rebinding. To allow this name, add it to PGMQ_GATEWAY_ADMIN_HOSTS."
            )
            await page(text.encode(), TEXT, 421).send(send)
            return
        await self._app(scope, receive, send)


def page(body: bytes, content_type: str, status: int = 200) -> Response:
    """A response with a body."""
    return Response(status, (("Content-Type", content_type),), body)


def _function(function: Function) -> dict[str, object]:
    return {
        "schema": function.schema,
        "name": function.name,
        "arguments": [
            {"name": a.name, "type": a.type, "required": a.required, "variadic": a.variadic} for a in function.arguments
        ],
        "result": _result(function),
    }


def _result(function: Function) -> dict[str, object]:
    """The result of a call: rows with columns, or values of one type."""
    columns = [{"name": name, "type": type_} for name, type_ in function.columns]
    shape = {"columns": columns} if function.result is Result.RECORD else {"type": columns[0]["type"]}
    return {"kind": function.result, "set": function.returns_set, **shape}
