"""OpenAPI 3.1 documents at `/openapi.json` and `/openapi.yaml`: the functions that the caller can execute.

pgmq_admin and pgmq_api have documents of their own (`Accept-Profile: pgmq_admin`), because OpenAPI allows one operation
for each path and all of them have a function `send`. Resources are those of pgmq_api where it is exposed.
"""

import asyncio
import json
from collections.abc import Sequence
from functools import lru_cache

from pgmq_gateway import openapi
from pgmq_gateway.api.executable import executable_oids
from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.calls.catalog import Function
from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.distribution import release
from pgmq_gateway.errors import DescriptionDisabled, UnsupportedMethod
from pgmq_gateway.http.request import Request
from pgmq_gateway.http.response import JSON, Response
from pgmq_gateway.postgrest.profiles import Profiles
from pgmq_gateway.schemas import LEASES, MANAGEMENT, QUEUES
from pgmq_gateway.settings.model import Settings

YAML = "application/yaml; charset=utf-8"
CONTENT_TYPES = {"/openapi.json": JSON, "/openapi.yaml": YAML}


class Description:
    """OpenAPI documents by caller."""

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
        content_type = CONTENT_TYPES[request.path]
        functions = await self._executable(caller, request)
        body = await asyncio.to_thread(_document, functions, self._schemas, self._server, content_type)
        return Response(200, (("Content-Type", content_type),), body)

    async def _executable(self, caller: Caller, request: Request) -> tuple[Function, ...]:
        catalog = self._watch.catalog
        oids = await executable_oids(self._database, caller, request, self._described(request))
        return tuple(function for function in catalog if function.oid in oids)

    def _described(self, request: Request) -> Sequence[str]:
        """The schema in Accept-Profile, or all schemas but pgmq_admin."""
        if "accept-profile" in request.headers:
            schema = self._profiles.schema(request.head)
            return [schema, LEASES] if schema == QUEUES and LEASES in self._schemas else [schema]
        return [schema for schema in self._schemas if schema != MANAGEMENT]


@lru_cache(maxsize=16)
def _document(functions: tuple[Function, ...], schemas: Sequence[str], server: str, content_type: str) -> bytes:
    """The document as bytes, cached: many callers have few different sets of functions."""
    described = openapi.document(functions, release(), schemas, server)
    if content_type == YAML:
        # Imported here because most gateways write no YAML.
        from pgmq_gateway.openapi.yaml import as_yaml

        return as_yaml(described).encode()
    return json.dumps(described, ensure_ascii=False).encode()
