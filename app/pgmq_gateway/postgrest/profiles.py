"""Which schema a request means: Content-Profile of requests that write, Accept-Profile of all others (PostgREST)."""

from collections.abc import Sequence

from pgmq_gateway.errors import UnknownSchema
from pgmq_gateway.http.request import Head

WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Profiles:
    """The exposed schemas; the first is meant where a request names none."""

    def __init__(self, schemas: Sequence[str]) -> None:
        self._schemas = schemas

    def schema(self, head: Head) -> str:
        """The schema that a request means. Raises UnknownSchema."""
        schema = head.headers.get(_header(head), self._schemas[0])
        if schema not in self._schemas:
            exposed = ", ".join(self._schemas)
            raise UnknownSchema(f"Invalid schema: {schema}", hint=f"Only the following schemas are exposed: {exposed}")
        return schema

    def named(self, schema: str, head: Head) -> str | None:
        """The schema as the answer names it: where there are several, or where the client has named one."""
        return schema if len(self._schemas) > 1 or _header(head) in head.headers else None


def _header(head: Head) -> str:
    return "content-profile" if head.method in WRITING else "accept-profile"
