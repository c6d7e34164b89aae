"""The API as a plain ASGI endpoint: who calls, where to, and the place where whatever goes wrong becomes an answer."""

import logging
from asyncio import CancelledError
from collections.abc import Sequence
from time import perf_counter
from typing import Protocol

from pgmq_gateway.api.description import PLACES, Description
from pgmq_gateway.api.functions import Rpc
from pgmq_gateway.api.queues import Resources
from pgmq_gateway.api.root import Root
from pgmq_gateway.auth.authenticator import Authenticator
from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.errors import ConnectionLost, GatewayError, Headers, InternalError
from pgmq_gateway.http.asgi import Receive, Scope, Send
from pgmq_gateway.http.cors import Cors
from pgmq_gateway.http.request import ClientGone, Request
from pgmq_gateway.http.response import Response, failed
from pgmq_gateway.http.timing import Timing
from pgmq_gateway.http.traffic import Traffic
from pgmq_gateway.limits.throttle import NOTHING, Throttle
from pgmq_gateway.observe.observed import Observed, Observer
from pgmq_gateway.postgrest.profiles import Profiles
from pgmq_gateway.settings.model import Settings

logger = logging.getLogger("pgmq_gateway")

# What pages of other origins may read where there are limits.
LIMITED = ("RateLimit", "RateLimit-Policy", "Retry-After")


class Place(Protocol):
    """What answers the requests to some paths. All GatewayErrors are for it to raise."""

    async def response(self, caller: Caller, request: Request) -> Response: ...


class Api:
    """Functions at `/rpc/{function}`, queues at `/queues/…`, descriptions at `/` and `/openapi.…`, and nothing else.

    All of it is there with and without `/rest/v1` in front.
    """

    def __init__(
        self,
        settings: Settings,
        authenticator: Authenticator,
        watch: CatalogWatch,
        database: Executor,
        limits: Throttle | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        profiles = Profiles(settings.db_schemas)
        self._authenticator = authenticator
        self._observers = observers
        self.traffic = Traffic()
        self._functions = Rpc(settings, profiles, watch, database)
        self._queues = Resources(settings, watch, database)
        self._root = Root(settings, profiles, watch, database)
        self._description = Description(settings, profiles, watch, database)
        self._limits = limits
        self._cors = Cors(settings.server_cors_allowed_origins, LIMITED if limits else ())
        self._longest_body = settings.max_body
        self._timed = settings.server_timing_enabled
        self._trace_header = settings.server_trace_header
        self._verbose = settings.client_error_verbosity == "verbose"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong becomes an answer here."""
        began = perf_counter()
        longest = self._longest_body
        request = (
            Observed(scope, receive, longest, self._observers)
            if self._observers
            else Request(scope, receive, longest, timed=self._timed)
        )
        if preflight := self._cors.preflight(request.method, request.headers):
            await preflight.send(send)
            _end(request, preflight)
            return
        drawn = NOTHING
        try:
            caller = self._authenticator.caller(request.head)
            request.role = caller.role
            request.timing.lap("jwt")
            if self._limits is not None:
                drawn = self._limits.of_request(caller, request.head, scope)
                drawn.take(1, "requests")
            response = await self._place(request).response(caller, request)
            request.timing.lap("response")
        except GatewayError as error:
            response = failed(error, verbose=self._verbose)
        except ClientGone:
            _end(request, None)
            return
        except CancelledError:
            # Only at the end of the process, when it waits no longer.
            response = failed(ConnectionLost(), verbose=self._verbose)
        except Exception:
            logger.exception("failed on %s %s", request.method, request.path)
            response = failed(InternalError(), verbose=self._verbose)
        more = (*self._cors.headers(request.headers), *self._observed(request, response), *drawn.headers())
        await response.send(send, *more)
        self.traffic.answered(response.status, response.code, perf_counter() - began)
        if self._observers:
            _end(request, response)

    def _place(self, request: Request) -> Place:
        match request.segments:
            case ["rpc", *_]:
                return self._functions
            case []:
                return self._root
            case ["queues", _, *_]:
                return self._queues
            case _:
                return self._description if request.path in PLACES else self._functions

    def _observed(self, request: Request, response: Response) -> Headers:
        """Headers for those who watch: how long it took, and the request's name."""
        timed = self._timed and response.status < 400
        timing = (request.timing.header,) if timed and isinstance(request.timing, Timing) else ()
        if self._observers and isinstance(request, Observed) and request.shown:
            return (*timing, *request.shown)
        trace = self._trace_header and request.headers.get(self._trace_header.lower())
        return (*timing, (self._trace_header, trace)) if self._trace_header and trace else timing


def _end(request: Request, response: Response | None) -> None:
    """It is over, for who watches; without a response, its client went before."""
    if isinstance(request, Observed):
        request.ended(response)
