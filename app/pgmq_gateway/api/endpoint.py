"""The API: the life of a request."""

import logging
from asyncio import CancelledError
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from pgmq_gateway.api.description import CONTENT_TYPES, Description
from pgmq_gateway.api.functions import Functions
from pgmq_gateway.api.mistakes import Mistakes
from pgmq_gateway.api.queues import Queues
from pgmq_gateway.api.root import Root
from pgmq_gateway.auth.authenticator import Authenticator
from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.errors import ConnectionLost, GatewayError, Headers, InternalError
from pgmq_gateway.http.asgi import Receive, Scope, Send
from pgmq_gateway.http.asgi_exchange import AsgiExchange
from pgmq_gateway.http.client import Addresses
from pgmq_gateway.http.cors import Cors
from pgmq_gateway.http.exchange import ClientGone, Exchange
from pgmq_gateway.http.memory import Memory
from pgmq_gateway.http.parking import Parking
from pgmq_gateway.http.request import Request
from pgmq_gateway.http.response import CLIENT_GONE, Response, StreamedResponse, error_response
from pgmq_gateway.http.timing import StageStopwatch, Stopwatch, server_timing
from pgmq_gateway.http.traffic import Traffic
from pgmq_gateway.limits.throttle import NO_CHARGE, Throttle
from pgmq_gateway.observe.observed import UNOBSERVED, Observed, Observer, Unobserved
from pgmq_gateway.postgrest.profiles import Profiles
from pgmq_gateway.settings.model import Settings
from pgmq_gateway.waiting.stream import Streams

logger = logging.getLogger("pgmq_gateway")

# Exposed to pages of other origins if there are rate limits.
RATE_LIMIT_HEADERS = ("RateLimit", "RateLimit-Policy", "Retry-After")


class Endpoint(Protocol):
    """Responds to the requests to some paths. Raises GatewayError."""

    async def response(self, caller: Caller, request: Request) -> Response: ...


class Api:
    """Functions at `/rpc/{function}`, queues at `/queues/…`, descriptions at `/` and `/openapi.…`.

    Every path exists with and without the prefix `/rest/v1`.
    """

    def __init__(
        self,
        settings: Settings,
        authenticator: Authenticator,
        watch: CatalogWatch,
        database: Executor,
        limits: Throttle,
        addresses: Addresses,
        memory: Memory,
        parking: Parking,
        streams: Streams,
        observers: Sequence[Observer] = (),
    ) -> None:
        profiles = Profiles(settings.db_schemas)
        self._authenticator = authenticator
        self._observers = observers
        self._functions = Functions(settings, profiles, watch, database)
        self._queues = Queues(settings, watch, database, streams)
        self._root = Root(settings, profiles, watch, database)
        self._description = Description(settings, profiles, watch, database)
        self._mistakes = Mistakes(settings.db_schemas, watch)
        self._limits = limits
        self._addresses = addresses
        self._parking = parking
        self._cors = Cors(settings.server_cors_allowed_origins, RATE_LIMIT_HEADERS if limits.all else ())
        self._max_body = settings.max_body
        self._memory = memory
        self._timed = settings.server_timing_enabled
        self._stopwatch = StageStopwatch if self._timed or observers else Stopwatch
        self._trace_header = settings.server_trace_header
        self._verbose = settings.client_error_verbosity == "verbose"
        self.traffic = Traffic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request of any ASGI server."""
        await self.handle(AsgiExchange(scope, receive, send))

    async def handle(self, exchange: Exchange) -> None:
        """Handle one request. Every exception becomes a response here, and every response is sent and counted here.

        preflight → authenticate → rate limits → endpoint (resolve, execute, respond) → send → count
        """
        request = Request(exchange, self._max_body, self._memory, self._stopwatch())
        observed = Observed(request, exchange.scheme, self._observers) if self._observers else UNOBSERVED
        charge = NO_CHARGE
        try:
            if (response := self._cors.preflight(request)) is None:
                caller = self._authenticator.caller(request.head)
                request.role = caller.role
                request.timing.lap("jwt")
                address = self._addresses.of(exchange.client, request.head)
                # One anonymous client must not use the turns of all others.
                request.flow = address if caller.anonymous else caller
                exchange.flow_requests = self._parking.enter(request.flow, exchange.flow_requests)
                charge = self._limits.of_request(caller, request.head, address)
                charge.take(1, "requests")
                request.waiting = charge.waiting
                response = await self._endpoint(request).response(caller, request)
                request.timing.lap("response")
        except (Exception, CancelledError) as error:
            response = self._failed(request, error)
        more = self._more_headers(request, response, observed)
        more = (*more, *charge.headers())
        if isinstance(response, StreamedResponse):
            # A stream may last for hours: it is counted with the time that its client has waited for it.
            seconds = request.timing.elapsed
            await self._stream(exchange, request, response, more)
        else:
            await self._send(exchange, request, response, more)
            seconds = request.timing.elapsed - request.timing.waited
        self.traffic.answered(response.status, response.code, seconds)
        observed.ended(response)

    async def _send(self, exchange: Exchange, request: Request, response: Response, more: Headers) -> None:
        # Sending waits until the client has taken its former response.
        request.sent = len(response.body)
        self._memory.hold(request.sent)
        try:
            await exchange.send(response, *more)
        finally:
            self._memory.release(request.sent)
            request.release()

    async def _stream(self, exchange: Exchange, request: Request, response: StreamedResponse, more: Headers) -> None:
        async def write(part: bytes) -> None:
            request.sent += len(part)
            await exchange.write(part)

        request.release()
        request.leave_flow()
        try:
            # A shutdown cancels what has not ended in time.
            with suppress(ClientGone, CancelledError):
                await exchange.begin(response, *more)
                await response.run(write)
        finally:
            await response.close()
        await exchange.end()

    def _endpoint(self, request: Request) -> Endpoint:
        match request.segments:
            case ["rpc", *_]:
                return self._functions
            case []:
                return self._root
            case ["queues", *rest] if rest or self._queues.listed:
                return self._queues
            case _:
                return self._description if request.path in CONTENT_TYPES else self._functions

    def _failed(self, request: Request, error: BaseException) -> Response:
        match error:
            case GatewayError():
                error.hint = self._mistakes.hint(error, request)
                return error_response(error, verbose=self._verbose)
            case ClientGone():
                return CLIENT_GONE
            case CancelledError():
                # The process shuts down and the time for requests in flight is over.
                return error_response(ConnectionLost(), verbose=self._verbose)
            case _:
                logger.error("failed on %s %s", request.method, request.path, exc_info=error)
                return error_response(InternalError(), verbose=self._verbose)

    def _more_headers(self, request: Request, response: Response, observed: Unobserved) -> Headers:
        """CORS, Server-Timing, and the request's name: from an observer, or its trace header, echoed."""
        headers = self._cors.headers(request)
        if self._timed and response.status < 400 and (stages := request.timing.stages):
            headers += (("Server-Timing", server_timing(stages)),)
        if observed.headers:
            headers += observed.headers
        elif self._trace_header and (value := request.headers.get(self._trace_header.lower())):
            headers += ((self._trace_header, value),)
        return headers
