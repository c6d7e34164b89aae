"""The API as a plain ASGI endpoint: who calls, where to, and the place where whatever goes wrong becomes an answer."""

import logging
from asyncio import CancelledError
from collections.abc import Sequence
from time import perf_counter
from typing import Protocol

from app.asgi import Receive, Scope, Send
from app.auth import Authenticator, Caller
from app.batching import Executor
from app.cors import Cors
from app.description import PLACES, Description
from app.errors import ConnectionLost, GatewayError, Headers, InternalError
from app.observe import Observed, Observer
from app.profiles import Profiles
from app.request import ClientGone, Request
from app.resources import Resources
from app.response import Response, failed
from app.root import Root
from app.rpc import Rpc
from app.settings import Settings
from app.throttle import NOTHING, Throttle
from app.timing import Timing
from app.traffic import Traffic
from app.watch import CatalogWatch

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
