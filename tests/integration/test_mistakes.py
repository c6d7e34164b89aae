"""Hints for the first mistakes of clients: they name the header, path or method to use, and nothing of the database."""

import time

import httpx
import pytest

from pgmq_gateway.auth.signing import token
from tests.answers import error
from tests.gateways import Bearer
from tests.server import SECRET

AS_JSON = "-H 'Content-Type: application/json'"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PATHS = "Functions are at /rest/v1/rpc/NAME, without a slash at the end; queues at /rest/v1/queues/NAME/messages."
TWICE = "The path has /rest/v1 twice: the URL that supabase-js gets ends before it."
NO_TABLES = "There are no tables here, only functions at /rest/v1/rpc/NAME and queues at /rest/v1/queues."


def header(schema: str, function: str, name: str = "Content-Profile") -> str:
    return (
        f"To call {schema}.{function}, add the header {name}: {schema}; in supabase-js call .schema('{schema}'), or"
        f" createClient(url, key, {{ db: {{ schema: '{schema}' }} }})."
    )


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "hint"),
    [
        # No schema, the wrong one, or the header of other methods.
        ("POST", "/rpc/pop", {}, '{"queue_name":"q"}', header("pgmq_public", "pop")),
        ("POST", "/rpc/ack", {}, '{"queue_name":"q","receipt":"1.1.0"}', header("pgmq_api", "ack")),
        ("POST", "/rpc/pop", {}, '{"queue_name":"q","n":2}', header("pgmq_api", "pop")),
        ("POST", "/rpc/create_queue", {}, '{"queue_name":"q"}', header("pgmq_admin", "create_queue")),
        (
            "POST",
            "/rpc/settle",
            {"Content-Profile": "pgmq_public"},
            '{"queue_name":"q"}',
            header("pgmq_api", "settle"),
        ),
        ("GET", "/rpc/metrics?queue_name=q", {}, None, header("pgmq_api", "metrics", "Accept-Profile")),
        (
            "POST",
            "/rpc/pop",
            {"Accept-Profile": "pgmq_public"},
            '{"queue_name":"q"}',
            f"POST requests do not read Accept-Profile. {header('pgmq_public', 'pop')}",
        ),
        # The arguments are wrong: PostgREST's own hint.
        (
            "POST",
            "/rpc/read",
            {"Content-Profile": "pgmq_public"},
            '{"queue_name":"q","sleep":30,"n":1}',
            "Perhaps you meant to call the function pgmq_public.read(n, queue_name, sleep_seconds)",
        ),
        # curl -d
        (
            "POST",
            "/rpc/pop",
            {"Content-Profile": "pgmq_public", **FORM},
            '{"queue_name":"q"}',
            f"curl -d sends a form: add {AS_JSON}.",
        ),
        (
            "POST",
            "/rpc/pop",
            {"Content-Profile": "pgmq_public", "Content-Type": "text/plain"},
            '{"queue_name":"q"}',
            f"The body is sent as text: add {AS_JSON}.",
        ),
        (
            "POST",
            "/rpc/pop",
            {"Content-Profile": "pgmq_public", "Content-Type": "application/xml"},
            "<q/>",
            f"Send JSON, with {AS_JSON}.",
        ),
        (
            "POST",
            "/rpc/delete",
            {"Content-Profile": "pgmq_public", **FORM},
            "queue_name=q&message_id=x",
            f"A form has texts. For a JSON body add {AS_JSON}.",
        ),
        # A missing queue
        (
            "POST",
            "/rpc/pop",
            {"Content-Profile": "pgmq_public"},
            '{"queue_name":"missing"}',
            'GET /rest/v1/queues lists the queues that you can use. To create it, POST {"queue_name": "missing"} to'
            " /rest/v1/rpc/create_queue with the header Content-Profile: pgmq_admin and a secret key (service_role).",
        ),
        # Values, methods
        (
            "POST",
            "/rpc/archive",
            {"Content-Profile": "pgmq_public"},
            '{"queue_name":"q","message_id":"first"}',
            "The id of a message is a number: msg_id of the messages that read returns.",
        ),
        ("PUT", "/rpc/pop", {"Content-Profile": "pgmq_public"}, "{}", "Call functions with POST."),
        # Paths
        ("POST", "/rest/v1/rest/v1/rpc/pop", {}, "{}", TWICE),
        ("POST", "/rest/v1/rpc/pop/", {}, "{}", PATHS),
        ("POST", "/v1/rpc/pop", {}, "{}", PATHS),
        ("POST", "/rest/v1/pop", {}, "{}", "pop is a function: POST /rest/v1/rpc/pop."),
        ("GET", "/rest/v1/todos?select=*", {}, None, NO_TABLES),
    ],
)
def test_an_error_names_the_next_step(
    resources: httpx.Client, method: str, path: str, headers: dict[str, str], body: str | None, hint: str
) -> None:
    typed = {"Content-Type": "application/json", **headers} if body else headers
    answer = resources.request(method, path, headers=typed, content=body)
    assert answer.status_code >= 400
    assert error(answer)["hint"] == hint


@pytest.mark.parametrize("role", ["anon", "service_role"])
def test_the_hint_for_a_missing_queue_is_the_same_for_all(
    role: str, resources: httpx.Client, bearer: Bearer, queue: str
) -> None:
    headers = {"Content-Profile": "pgmq_public", **bearer(role)}
    body = error(resources.post("/rpc/pop", json={"queue_name": "missing"}, headers=headers))
    assert (body["code"], queue in body["hint"]) == ("42P01", False)


@pytest.mark.parametrize(
    ("sent", "hint"),
    [
        (token(SECRET.encode(), "anon", {"exp": int(time.time()) - 3600}, 1), "Get a new token: sign in again"),
        (token(SECRET[::-1].encode(), "anon", {}, 3600), "The token is signed with another key"),
        ("a.b.c", "The token is damaged"),
        ("sb_publishable_key", "This is an API key, not a token"),
        ("", "Send Authorization: Bearer TOKEN"),
    ],
)
def test_a_refused_token_has_a_hint(api: httpx.Client, sent: str, hint: str) -> None:
    answer = api.post("/rpc/pop", json={"queue_name": "q"}, headers={"Authorization": f"Bearer {sent}".rstrip()})
    assert answer.status_code == 401
    assert error(answer)["hint"].startswith(hint)
