"""The schema of a request, from its Content-Profile or Accept-Profile header, as in PostgREST."""

from collections.abc import Sequence

from pgmq_gateway.errors import UnknownSchema
from pgmq_gateway.http.request import Head

# These use Content-Profile, the others Accept-Profile.
WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Profiles:
    """The exposed schemas; the first is the default."""

    def __init__(self, schemas: Sequence[str]) -> None:
        self._schemas = schemas

    def schema(self, head: Head) -> str:
        """The schema that a request selects. Raises UnknownSchema."""
        schema = head.headers.get(_header(head), self._schemas[0])
        if schema not in self._schemas:
            exposed = ", ".join(self._schemas)
            raise UnknownSchema(f"Invalid schema: {schema}", hint=f"Only the following schemas are exposed: {exposed}")
        return schema

    def named(self, schema: str, head: Head) -> str | None:
        """The Content-Profile of the response: set if several schemas are exposed or the request named one."""
        return schema if len(self._schemas) > 1 or _header(head) in head.headers else None


def _header(head: Head) -> str:
    return "content-profile" if head.method in WRITING else "accept-profile"
