"""The API described for its caller, at `/openapi.json` and `/openapi.yaml`: what the caller may execute.

Management has a document of its own, which `Accept-Profile: pgmq_admin` asks for: in OpenAPI a path has one operation,
and it has names, `send` for one, that pgmq_public has too.
"""

import asyncio
import json
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version

from pgmq_gateway import openapi
from pgmq_gateway.api.executable import executable_oids
from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.calls.catalog import MANAGEMENT, Function
from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.errors import DescriptionDisabled, UnsupportedMethod
from pgmq_gateway.http.request import Request
from pgmq_gateway.http.response import JSON, Response
from pgmq_gateway.postgrest.profiles import Profiles
from pgmq_gateway.settings.model import Settings

YAML = "application/yaml; charset=utf-8"
PLACES = {"/openapi.json": JSON, "/openapi.yaml": YAML}


class Description:
    """OpenAPI documents of what callers may do."""

    def __init__(self, settings: Settings, profiles: Profiles, watch: CatalogWatch, database: Executor) -> None:
        self._profiles = profiles
        self._disabled = settings.openapi_mode == "disabled"
        self._schemas = settings.db_schemas
        self._server = (settings.openapi_server_proxy_uri or openapi.SERVER).rstrip("/")
        self._watch = watch
        self._database = database

    async def response(self, caller: Caller, request: Request) -> Response:
        """The document at the request's path. Raises DescriptionDisabled, UnknownSchema or UnsupportedMethod."""
        if self._disabled:
            raise DescriptionDisabled
        if request.method == "OPTIONS":
            return Response(200, (("Allow", "OPTIONS,GET,HEAD"),))
        if request.method not in ("GET", "HEAD"):
            raise UnsupportedMethod(request.method)
        content_type = PLACES[request.path]
        mine = await self._executable(caller, request)
        body = await asyncio.to_thread(_written, mine, self._schemas, self._server, content_type)
        # It says what this caller may do, and holds until a function is created or a right is given.
        return Response(200, (("Content-Type", content_type), ("Cache-Control", "no-store")), body)

    async def _executable(self, caller: Caller, request: Request) -> tuple[Function, ...]:
        catalog = self._watch.catalog
        oids = await executable_oids(self._database, caller, request, self._described(request))
        return tuple(function for function in catalog if function.oid in oids)

    def _described(self, request: Request) -> Sequence[str]:
        """The schema that the request names, or all for using queues."""
        if "accept-profile" in request.headers:
            return [self._profiles.schema(request.head)]
        return [schema for schema in self._schemas if schema != MANAGEMENT]


@lru_cache(maxsize=16)
def _written(functions: tuple[Function, ...], schemas: Sequence[str], server: str, content_type: str) -> bytes:
    """The document as bytes. Callers are many, but sets of functions that they may execute are few."""
    described = openapi.document(functions, version("pgmq-gateway"), schemas, server)
    if content_type == YAML:
        return openapi.as_yaml(described).encode()
    return json.dumps(described, ensure_ascii=False).encode()
