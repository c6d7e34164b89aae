"""Hints for common mistakes of clients, for errors that have none in PostgREST.

They name headers, paths and functions that everybody can know, and nothing of the database: who reads them need not
have any permission.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.errors import FunctionNotFound, GatewayError
from pgmq_gateway.http.request import PREFIX, Request
from pgmq_gateway.postgrest.profiles import WRITING
from pgmq_gateway.queue_functions import BY_SCHEMA, LEASE_FUNCTIONS
from pgmq_gateway.schemas import LEASES, MANAGEMENT, QUEUES

_AS_JSON = "-H 'Content-Type: application/json'"
_CREATE = "create_queue"
_NO_QUEUE = re.compile(r'relation "pgmq\.[qa]_(.*)" does not exist', re.DOTALL)

_TOKENS = {
    "Empty JWT is sent in Authorization header": "Send Authorization: Bearer TOKEN; a variable may be empty.",
    "JWT cryptographic operation failed": "The token is damaged: send it whole, as Authorization: Bearer TOKEN.",
    "No suitable key or wrong key type": "The token is signed with another key than those of the gateway. "
    "`pgmq-gateway keys` and `pgmq-gateway token` print valid ones.",
    "JWT expired": "Get a new token: sign in again, or in supabase-js await supabase.auth.refreshSession(). "
    "`pgmq-gateway token` prints one.",
}


class Mistakes:
    """Finds the hint for an error and its request."""

    def __init__(self, schemas: Sequence[str], watch: CatalogWatch) -> None:
        self._schemas = schemas
        self._watch = watch
        self._rules: Mapping[str, Callable[[GatewayError, Request], str | None]] = {
            "PGRST202": self._function,
            "42P01": self._queue,
            "22P02": _value,
            "25006": _reading,
            "PGRST101": _method,
            "PGRST102": _body,
            "PGRST125": _path,
            "PGRST205": _table,
            "PGRST301": _token,
            "PGRST302": lambda *_: "Send a token: Authorization: Bearer TOKEN.",
            "PGRST303": _token,
        }

    def hint(self, error: GatewayError, request: Request) -> str | None:
        """The error's own hint; without one, that for the mistake which it shows, if any."""
        if (rule := self._rules.get(error.code)) is None or (error.hint is not None and not _is_form(error, request)):
            return error.hint
        return rule(error, request) or error.hint

    def _function(self, error: GatewayError, request: Request) -> str | None:
        if _is_form(error, request):
            return f"curl -d sends a form: add {_AS_JSON}."
        if _media_type(request) == "text/plain":
            return f"The body is sent as text: add {_AS_JSON}."
        name, arguments = request.segments[-1], cast(FunctionNotFound, error).arguments
        schema = self._elsewhere(name, arguments)
        return None if schema is None else _profile(schema, name, request)

    def _elsewhere(self, name: str, arguments: Sequence[str]) -> str | None:
        """The schema of the gateway that has a function of this name, at best one with these arguments."""
        own = [schema for schema in (QUEUES, LEASES, MANAGEMENT) if schema in self._schemas]
        named = [one for one in self._watch.catalog if one.name == name and one.schema in own]
        named.sort(key=lambda one: (not one.takes(arguments), own.index(one.schema)))
        return named[0].schema if named else None

    def _queue(self, error: GatewayError, _: Request) -> str | None:
        if (missing := _NO_QUEUE.fullmatch(error.message)) is None:
            return None
        steps = []
        if LEASES in self._schemas:
            steps.append(f"GET {PREFIX}/queues lists the queues that you can use.")
        if MANAGEMENT in self._schemas:
            body = json.dumps({"queue_name": missing[1]}, ensure_ascii=False)
            steps.append(
                f"To create it, POST {body} to {PREFIX}/rpc/{_CREATE} with the header Content-Profile: {MANAGEMENT} and"
                " a secret key (service_role)."
            )
        return " ".join(steps) or None


def _profile(schema: str, name: str, request: Request) -> str | None:
    """The header that selects `schema`; None if the request selects it, so that only its arguments are wrong."""
    header, other = ("Content-Profile", "Accept-Profile")[:: 1 if request.method in WRITING else -1]
    if request.headers.get(header.lower()) == schema:
        return None
    wrong = f"{request.method} requests do not read {other}. " if request.headers.get(other.lower()) == schema else ""
    return (
        f"{wrong}To call {schema}.{name}, add the header {header}: {schema}; in supabase-js call"
        f" .schema('{schema}'), or createClient(url, key, {{ db: {{ schema: '{schema}' }} }})."
    )


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_form(error: GatewayError, request: Request) -> bool:
    """True for JSON that was sent as a form: the whole text is then the name of an argument."""
    if not isinstance(error, FunctionNotFound) or _media_type(request) != "application/x-www-form-urlencoded":
        return False
    return any(name.lstrip().startswith(("{", "[")) for name in error.arguments)


def _value(error: GatewayError, request: Request) -> str | None:
    if _media_type(request) == "application/x-www-form-urlencoded":
        return f"A form has texts. For a JSON body add {_AS_JSON}."
    function = request.function
    own = function and BY_SCHEMA.get(function.schema, {}).get(function.name)
    if own and " type bigint:" in error.message and {"message_id", "message_ids"} & {*own.required}:
        return "The id of a message is a number: msg_id of the messages that read returns."
    return None


def _reading(_: GatewayError, request: Request) -> str | None:
    return "Call it with POST: GET runs functions read-only." if request.method in ("GET", "HEAD") else None


def _method(_: GatewayError, request: Request) -> str | None:
    return "Call functions with POST." if request.segments[:1] == ["rpc"] else None


def _body(error: GatewayError, _: Request) -> str | None:
    return f"Send JSON, with {_AS_JSON}." if error.message.startswith("Content-Type not acceptable") else None


def _path(_: GatewayError, request: Request) -> str:
    if request.path.startswith(f"{PREFIX}/"):
        return f"The path has {PREFIX} twice: the URL that supabase-js gets ends before it."
    return f"Functions are at {PREFIX}/rpc/NAME, without a slash at the end; queues at {PREFIX}/queues/NAME/messages."


def _table(_: GatewayError, request: Request) -> str:
    name = request.segments[-1]
    if name in LEASE_FUNCTIONS:
        return f"{name} is a function: POST {PREFIX}/rpc/{name}."
    return f"There are no tables here, only functions at {PREFIX}/rpc/NAME and queues at {PREFIX}/queues."


def _token(error: GatewayError, request: Request) -> str | None:
    if request.headers.get("authorization", "").lower().startswith("bearer sb_"):
        return "This is an API key, not a token: send it as the header apikey, to a gateway that has keys."
    return _TOKENS.get(error.message)
