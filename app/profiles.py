"""Which schema a request means: Content-Profile of requests that write, Accept-Profile of all others (PostgREST)."""

from collections.abc import Sequence

from app.errors import UnknownSchema
from app.request import Request

WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Profiles:
    """The exposed schemas; the first is meant where a request names none."""

    def __init__(self, schemas: Sequence[str]) -> None:
        self._schemas = schemas

    def schema(self, request: Request) -> str:
        """The schema that a request means. Raises UnknownSchema."""
        schema = request.headers.get(_header(request), self._schemas[0])
        if schema not in self._schemas:
            exposed = ", ".join(self._schemas)
            raise UnknownSchema(f"Invalid schema: {schema}", hint=f"Only the following schemas are exposed: {exposed}")
        return schema

    def named(self, schema: str, request: Request) -> str | None:
        """The schema as the answer names it: where there are several, or where the client has named one."""
        return schema if len(self._schemas) > 1 or _header(request) in request.headers else None


def _header(request: Request) -> str:
    return "content-profile" if request.method in WRITING else "accept-profile"
