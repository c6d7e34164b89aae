"""The root `/`: PostgREST's Swagger document of a schema."""

import json

from pgmq_gateway.api.executable import executable_oids
from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.distribution import release
from pgmq_gateway.errors import DescriptionDisabled, UnsupportedMethod
from pgmq_gateway.http.request import Request
from pgmq_gateway.http.response import Response, options_response
from pgmq_gateway.openapi import swagger
from pgmq_gateway.postgrest.media import negotiate_description
from pgmq_gateway.postgrest.profiles import Profiles
from pgmq_gateway.postgrest.query import parameters_of, read_query
from pgmq_gateway.settings.model import Settings


class Root:
    """The document at `/`, by openapi-mode."""

    def __init__(self, settings: Settings, profiles: Profiles, watch: CatalogWatch, database: Executor) -> None:
        self._mode = settings.openapi_mode
        self._secured = settings.openapi_security_active
        self._base_url = settings.openapi_server_proxy_uri or f"http://{settings.server_host}:{settings.server_port}/"
        self._profiles = profiles
        self._watch = watch
        self._database = database

    async def response(self, caller: Caller, request: Request) -> Response:
        """The document of the functions that the caller can execute, or of all (openapi-mode=ignore-privileges).

        Raises DescriptionDisabled, UnknownSchema, UnsupportedMethod, InvalidQuery or NotAcceptable.
        """
        if self._mode == "disabled":
            raise DescriptionDisabled
        catalog, schema = self._watch.catalog, self._profiles.schema(request.head)
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            raise UnsupportedMethod(request.method)
        read_query(parameters_of(request.head), arguments=False)
        if request.method == "OPTIONS":
            return options_response(request, "OPTIONS,GET,HEAD")
        content_type = negotiate_description(request.headers.get("accept"))
        executable = await executable_oids(self._database, caller, request, [schema])
        all_functions = self._mode == "ignore-privileges"
        document = swagger.document(
            [one for one in catalog if one.schema == schema and (all_functions or one.oid in executable)],
            release(),
            self._base_url,
            catalog.comments.get(schema),
            secured=self._secured,
        )
        profile = self._profiles.named(schema, request.head)
        headers = (("Content-Type", content_type), *((("Content-Profile", profile),) if profile else ()))
        return Response(200, headers, json.dumps(document).encode())
