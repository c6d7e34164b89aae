"""Traces, as an OpenTelemetry collector receives them and as SQL reads their context."""

import re
import socket
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.databases import Sql
from tests.gateways import Bearer, Grant
from tests.server import SECRET, Server
from tests.waiting import until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
CANARY = "canary-93c2"


class Collector(ThreadingHTTPServer):
    """A collector that receives spans over HTTP, or rejects them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.spans: list[Any] = []
        self.resources: list[Any] = []
        self.refusing = False
        self.refused = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def has_refused(self, times: int) -> bool:
        """True if it has rejected so many exports."""
        return self.refused >= times

    def named(self, trace: str) -> list[Any]:
        """The spans of a trace, ordered by their start."""
        found = [span for span in list(self.spans) if span.trace_id.hex() == trace]
        return sorted(found, key=lambda span: int(span.start_time_unix_nano))


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.server.refusing:
            self.server.refused += 1
        else:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.server.resources.append(resource.resource)
                for scope in resource.scope_spans:
                    self.server.spans.extend(scope.spans)
        self.send_response(400 if self.server.refusing else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Write no access log."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """A collector for the tests of this file."""
    with Collector() as collecting:
        thread = Thread(target=collecting.serve_forever)
        thread.start()
        yield collecting
        collecting.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def traced(
    collector: Collector, directory: DataDirectory, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, httpx.Client]]:
    """A second gateway on the embedded database, with tracing."""
    running = server.start(
        tmp_path_factory.mktemp("traced") / "log",
        env={
            "PGRST_DB_URI": socket_uri(directory, "authenticator"),
            "PGRST_JWT_SECRET": SECRET,
            "PGRST_DB_POOL": "2",
            "PGMQ_GATEWAY_LOG_REQUESTS": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=tests",
        },
    )
    with httpx.Client(base_url=running.url, headers={"Content-Profile": "pgmq_public"}, timeout=30) as client:
        yield running, client
    assert running.stop() == 0


Traced = tuple[Server, httpx.Client]


@pytest.fixture
def seen(sql: Sql, traced: Traced) -> Iterator[str]:
    """The path of a function that returns the headers that SQL reads."""
    sql(
        "create or replace function public.seen() returns json stable language sql as "
        "$$ select current_setting('request.headers')::json $$"
    )
    until(lambda: traced[1].get("/rpc/seen", headers={"Accept-Profile": "public"}).status_code == 200)
    yield "/rpc/seen"
    sql("drop function public.seen()")


def attributes(span: Any) -> dict[str, object]:  # noqa: ANN401 protobuf has no types here
    """The attributes of a span or a resource, by name."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


@pytest.mark.usefixtures("no_rls")
def test_the_span_of_a_request_is_a_child_of_the_clients(
    collector: Collector, traced: Traced, bearer: Bearer, queue: str, grant: Grant
) -> None:
    grant("authenticated", "send")
    body = {"queue_name": queue, "message": CANARY}
    headers = {**bearer("authenticated", sub=CANARY), "traceparent": PARENT, "X-Secret": CANARY}
    assert traced[1].post(f"/rest/v1/rpc/send?select=&apikey={CANARY}", json=body, headers=headers).status_code == 200
    until(lambda: len(collector.named(TRACE)) == 2)
    span, inner = collector.named(TRACE)
    assert (span.name, span.kind, span.parent_span_id.hex()) == ("POST /rpc/send", 2, "00f067aa0ba902b7")
    found = attributes(span)
    stages = {name: found.pop(name) for name in list(found) if name.startswith("pgmq_gateway.stage.")}
    named = ("jwt", "parse", "plan", "transaction", "response")
    assert list(stages) == [f"pgmq_gateway.stage.{stage}_ms" for stage in named]
    assert found == {
        "http.request.method": "POST",
        "http.request.body.size": len(httpx.Request("POST", "http://a", json=body).content),
        "http.response.status_code": 200,
        "http.response.body.size": 3,
        "http.route": "/rpc/send",
        "url.path": "/rpc/send",
        "url.scheme": "http",
        "messaging.system": "pgmq",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "pgmq_gateway.schema": "pgmq_public",
        "pgmq_gateway.function": "send",
        "pgmq_gateway.role": "authenticated",
    }
    assert (inner.name, inner.kind, inner.parent_span_id) == ("transaction", 3, span.span_id)
    assert attributes(inner) == {"db.system.name": "postgresql"}
    assert span.start_time_unix_nano <= inner.start_time_unix_nano
    assert inner.start_time_unix_nano <= inner.end_time_unix_nano <= span.end_time_unix_nano
    resource = attributes(collector.resources[-1])
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("pgmq-gateway", "tests")
    assert CANARY not in str(span) + str(inner) + str(collector.resources[-1])
    until(lambda: f"trace_id={TRACE}" in traced[0].log.read_text())


def test_sql_sees_the_gateways_span_and_not_the_clients(collector: Collector, traced: Traced, seen: str) -> None:
    trace = TRACE.replace("4", "5")
    client = f"00-{trace}-00f067aa0ba902b7-01"
    given = {"Accept-Profile": "public", "traceparent": client, "tracestate": "a=b", "X-Other": "c"}
    headers = traced[1].get(seen, headers=given).json()
    assert (headers["tracestate"], headers["x-other"]) == ("a=b", "c")
    version, found, span, flags = headers["traceparent"].split("-")
    assert (version, found, flags) == ("00", trace, "01")
    until(lambda: collector.named(trace))
    assert collector.named(trace)[0].span_id.hex() == span


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        CANARY,
        PARENT.replace("00-", "ff-", 1),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        PARENT.upper(),
        f"{PARENT}-x",
        "x" * 9000,
    ],
)
def test_an_invalid_parent_starts_a_trace(traced: Traced, seen: str, given: str | None) -> None:
    headers = {"Accept-Profile": "public", "tracestate": "a=b", **({} if given is None else {"traceparent": given})}
    found = traced[1].get(seen, headers=headers).json()
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-0[13]", found["traceparent"])
    assert TRACE not in found["traceparent"]
    # The parent is invalid, so there is no state of a parent either.
    assert "tracestate" not in found


def test_without_traces_the_clients_header_goes_on_unchanged(api: httpx.Client, seen: str) -> None:
    headers = {"Accept-Profile": "public", "traceparent": CANARY, "tracestate": ""}
    until(lambda: api.get(seen, headers=headers).status_code == 200)
    found = api.get(seen, headers=headers).json()
    assert (found["traceparent"], found["tracestate"]) == (CANARY, "")


def test_the_span_of_an_error(collector: Collector, traced: Traced) -> None:
    trace = TRACE.replace("4", "6")
    given = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    traced[1].post(f"/rpc/{CANARY}", json={}, headers=given)
    until(lambda: collector.named(trace))
    (span,) = collector.named(trace)
    found = attributes(span)
    # The name of an unknown function does not name a span.
    assert (span.name, "http.route" in found) == ("POST", False)
    assert (found["http.response.status_code"], found["error.type"]) == (404, "PGRST202")


def test_the_span_of_a_resource_has_its_route(collector: Collector, traced: Traced, bearer: Bearer) -> None:
    trace = TRACE.replace("4", "7")
    given = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", **bearer("service_role")}
    assert traced[1].post("/queues/nowhere/messages/1.1.5/retry", headers=given).status_code == 404
    until(lambda: collector.named(trace))
    (span,) = collector.named(trace)
    found = attributes(span)
    assert span.name == "POST /queues/{queue}/messages/{receipt}/retry"
    assert (found["pgmq_gateway.schema"], found["pgmq_gateway.function"]) == ("pgmq_api", "retry")
    assert (found["messaging.operation.name"], found["messaging.operation.type"]) == ("retry", "settle")


def test_a_rejecting_collector_costs_no_request_and_one_log_line(
    collector: Collector, traced: Traced, seen: str
) -> None:
    collector.refusing = True
    for number in (1, 2, 3):
        assert traced[1].get(seen, headers={"Accept-Profile": "public"}).status_code == 200
        until(partial(collector.has_refused, number))
    collector.refusing = False
    until(lambda: "cannot export traces" in traced[0].log.read_text())
    assert traced[0].log.read_text().count("cannot export traces") == 1


def test_an_unreachable_collector_delays_neither_requests_nor_shutdown(
    directory: DataDirectory, tmp_path: Path, bearer: Bearer
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # It accepts connections and never responds.
        running = server.start(
            tmp_path / "silent.log",
            env={
                "PGRST_DB_URI": socket_uri(directory, "authenticator"),
                "PGRST_JWT_SECRET": SECRET,
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
                "OTEL_BSP_SCHEDULE_DELAY": "10",
                "OTEL_BSP_MAX_QUEUE_SIZE": "8",
                "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4",
                "OTEL_EXPORTER_OTLP_TIMEOUT": "600",
            },
        )
        with httpx.Client(base_url=running.url, headers=bearer("service_role"), timeout=30) as client:
            answers = [client.get("/rpc/nothing").status_code for _ in range(50)]
        assert answers == [404] * 50
        assert running.stop() == 0


def test_a_problem_with_tracing_is_logged_once(serve: Callable[..., Server], database: str) -> None:
    gateway = serve(database, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert gateway.stop() == 0
    assert gateway.log.read_text().count("no traces") == 1
