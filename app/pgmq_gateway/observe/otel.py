"""Tracing with OpenTelemetry: a span for each request, and a child span for its transaction."""

import logging
from collections.abc import Sequence
from functools import partial
from threading import Thread

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pgmq_gateway.distribution import release
from pgmq_gateway.http.request import Request
from pgmq_gateway.http.response import CLIENT_GONE, Response
from pgmq_gateway.observe.observed import End, Observed
from pgmq_gateway.queue_functions import queue_function

logger = logging.getLogger("pgmq_gateway")

SERVICE = "pgmq-gateway"
# Headers of W3C Trace Context.
CONTEXT = ("traceparent", "tracestate")
# For exporting the remaining spans at shutdown.
FLUSH_TIMEOUT_SECONDS = 3.0
TRANSACTION = "transaction"


class Exporter(OTLPSpanExporter):
    """Exports spans in a thread of its own. Consecutive failures are logged once."""

    _failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        if result is not SpanExportResult.SUCCESS and not self._failing:
            logger.warning(
                "cannot export traces, and dropping spans until it succeeds: check OTEL_EXPORTER_OTLP_ENDPOINT"
            )
        self._failing = result is not SpanExportResult.SUCCESS
        return result


class Tracing:
    """Creates a span for each request, as a child of the client's, and passes its context to SQL."""

    def __init__(self) -> None:
        named = OTELResourceDetector().detect().attributes
        resource = Resource.create({"service.name": SERVICE, "service.version": release(), **named})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(Exporter()))
        # It logs every failed export.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._tracer = self._provider.get_tracer(SERVICE)
        self._context = TraceContextTextMapPropagator()

    def begun(self, observed: Observed) -> End:
        """Start a span. SQL reads its context in request.headers, for example to store it with a message."""
        request = observed.request
        # An empty context: the parent is the one of the request, not the current span of this task.
        parent = self._context.extract(request.headers, context=Context())
        span = self._tracer.start_span(request.method, parent, kind=SpanKind.SERVER, start_time=observed.began)
        carried = dict.fromkeys(CONTEXT, "")
        self._context.inject(carried, set_span_in_context(span, Context()))
        request.replaced_headers = carried
        observed.trace_id = f"{span.get_span_context().trace_id:032x}"
        return partial(self._end, observed, span)

    def _end(self, observed: Observed, span: Span, response: Response, seconds: float) -> None:
        if span.is_recording():
            _describe(span, observed, response)
            self._add_transaction(span, observed)
        span.end(observed.began + int(1e9 * seconds))

    def stop(self) -> None:
        """Export the remaining spans, for at most FLUSH_TIMEOUT_SECONDS."""
        ending = Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(FLUSH_TIMEOUT_SECONDS)

    def _add_transaction(self, span: Span, observed: Observed) -> None:
        """A child span for the transaction, including the wait for a connection."""
        began = observed.began
        for stage, seconds in observed.request.timing.stages:
            ended = began + int(1e9 * seconds)
            if stage == TRANSACTION:
                inner = self._tracer.start_span(
                    stage,
                    set_span_in_context(span, Context()),
                    kind=SpanKind.CLIENT,
                    attributes={"db.system.name": "postgresql"},
                    start_time=began,
                )
                inner.end(ended)
            began = ended


def _describe(span: Span, observed: Observed, response: Response) -> None:
    request = observed.request
    span.set_attributes(
        {
            "http.request.method": request.method,
            "http.request.body.size": request.received,
            "url.path": observed.path,
            "url.scheme": observed.scheme,
            **{f"pgmq_gateway.stage.{stage}_ms": round(1000 * seconds, 3) for stage, seconds in request.timing.stages},
        }
    )
    if request.role:
        span.set_attribute("pgmq_gateway.role", request.role)
    if request.function is not None:
        _describe_call(span, request)
    if response is CLIENT_GONE:
        span.set_attribute("error.type", "client_gone")
        return
    span.set_attributes(
        {"http.response.status_code": response.status, "http.response.body.size": observed.request.sent}
    )
    if response.code:
        span.set_attribute("error.type", response.code)
    if response.status >= 500:
        span.set_status(StatusCode.ERROR)


def _describe_call(span: Span, request: Request) -> None:
    """Name the span after the function. A path of an unknown function could have any number of values."""
    function = request.function
    assert function is not None
    route = request.route or f"/rpc/{function.name}"
    span.update_name(f"{request.method} {route}")
    span.set_attributes(
        {"http.route": route, "pgmq_gateway.schema": function.schema, "pgmq_gateway.function": function.name}
    )
    if (known := queue_function(function.schema, function.name)) is not None:
        span.set_attributes(
            {
                "messaging.system": "pgmq",
                "messaging.operation.name": known.name,
                "messaging.operation.type": known.kind,
            }
        )
