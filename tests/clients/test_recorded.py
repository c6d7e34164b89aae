"""Requests as the clients for Dart, Swift, Kotlin and C# send them, and responses parsed by their rules."""

import http.client
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from unittest.mock import ANY
from urllib.parse import quote, urlencode, urlsplit

import pytest

from tests.databases import Sql
from tests.server import Server

Json = Any
Bearer = Callable[..., dict[str, str]]
Grant = Callable[..., None]
Pairs = tuple[tuple[str, str], ...]

OBJECT = "application/vnd.pgrst.object+json"
SCHEMA = "pgmq_public"
EVERYTHING = ("send", "read", "pop", "archive", "delete")
JSON_TYPE = ("Content-Type", "application/json")
FUNCTIONS = ("send", "send_batch", "read", "pop", "archive", "delete")


@dataclass(frozen=True)
class Answer:
    """A raw response."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Result:
    """The result that a client returns."""

    data: Json
    count: int | None = None


class Refused(Exception):
    """The error that a client throws; `fields` has the parsed members, or None if it is not PostgREST's."""

    def __init__(self, status: int, fields: dict[str, Json] | None, reason: str = "") -> None:
        super().__init__(status, fields, reason)
        self.status, self.fields, self.reason = status, fields, reason


@dataclass(frozen=True)
class Client:
    """The headers that a client adds, and its rules for responses."""

    name: str
    always: Pairs
    with_body: Pairs
    # The body without arguments, and whether it has a Content-Type.
    nothing: bytes
    nothing_typed: bool
    parse: Callable[..., Result]
    key_name: str = "apikey"

    def headers(self, profile: str, extra: Pairs = ()) -> list[tuple[str, str]]:
        """The client's own headers, each replaced by one of the same name in `extra`."""
        replaced = {name.lower() for name, _ in extra}
        own = [(name, value) for name, value in self.always if name.lower() not in replaced]
        return [*own, (profile, SCHEMA), *extra]


def decoded(answer: Answer) -> Json:
    """The JSON of a response, or None."""
    try:
        return json.loads(answer.text)
    except ValueError:
        return None


def dart(answer: Answer, *, maybe: bool = False) -> Result:
    """postgrest-dart: parses Content-Range on every success, and recognizes an absent row by its own text only."""
    body = decoded(answer)
    if not answer.ok:
        fields = body if isinstance(body, dict) else None
        if fields is not None:
            assert isinstance(fields["message"], str)
            assert isinstance(fields["code"], str)
            assert isinstance(fields["hint"], str | None)
            if maybe and "Results contain 0 rows" in str(fields["details"]):
                return Result(None)
        raise Refused(answer.status, fields)
    if answer.text and body is None and answer.text.strip() != "null":
        raise Refused(answer.status, None)
    content_range = answer.headers["Content-Range"]
    total = content_range.split("/")[-1] if content_range else "*"
    return Result(body, None if total == "*" else int(total))


def swift(answer: Answer, *, maybe: bool = False) -> Result:
    """supabase-swift: an error is decoded by type, anything else is an HTTPError; rows are counted from the details."""
    body = decoded(answer)
    if not answer.ok:
        if not isinstance(body, dict) or not isinstance(body.get("message"), str):
            raise Refused(answer.status, None)
        if not all(isinstance(body.get(name), str | None) for name in ("code", "hint", "details")):
            raise Refused(answer.status, None)
        if maybe and body.get("code") == "PGRST116" and rows_in(body.get("details")) == 0:
            return Result(None)
        raise Refused(answer.status, body)
    total = (answer.headers["Content-Range"] or "").split("/")[-1]
    return Result(body, int(total) if total.isdigit() else None)


def rows_in(details: str | None) -> int | None:
    """The number before the first word that starts with "row"."""
    words = (details or "").split()
    for before, word in pairwise(words):
        if word.startswith("row"):
            return int(before) if before.isdigit() else None
    return None


def kotlin(answer: Answer, *, maybe: bool = False) -> Result:
    """supabase-kt: message is required in an error, and any PGRST116 is an absent row to singleOrNull."""
    body = decoded(answer)
    if not answer.ok:
        if not isinstance(body, dict):
            raise Refused(answer.status, None)
        assert isinstance(body["message"], str)
        if maybe and body["code"] == "PGRST116":
            return Result(None)
        raise Refused(answer.status, body)
    total = (answer.headers["Content-Range"] or "").partition("/")[2]
    return Result(body, int(total) if total.isdigit() else None)


def kotlin_range(answer: Answer) -> tuple[int, int]:
    """rangeOrNull() of supabase-kt, which fails on */*."""
    first, last = answer.headers["Content-Range"].partition("/")[0].split("-")
    return int(first), int(last)


def csharp(answer: Answer, *, maybe: bool = False) -> Result:
    """postgrest-csharp: all but 2xx is an exception with the raw body, its reason guessed from status and body."""
    assert not maybe, "Rpc() has no maybeSingle"
    if not answer.ok:
        fields = decoded(answer)
        raise Refused(answer.status, fields if isinstance(fields, dict) else None, csharp_reason(answer))
    return Result(json.loads(answer.text))


def csharp_reason(answer: Answer) -> str:
    """The FailureHint of postgrest-csharp."""
    match answer.status:
        case 401:
            return "NotAuthorized"
        case 404 if "42883" in answer.text:
            return "UndefinedFunction"
        case 404 if "42P01" in answer.text:
            return "UndefinedTable"
        case 409 if "23503" in answer.text:
            return "ForeignKeyViolation"
        case 409 if "23505" in answer.text:
            return "UniquenessViolation"
        case 500:
            return "Internal"
    return "Unknown"


DART = Client("dart", (("X-Client-Info", "supabase-flutter/2.10.0"),), (JSON_TYPE,), b"null", True, dart)
SWIFT = Client(
    "swift",
    (JSON_TYPE, ("Accept", "application/json"), ("X-Client-Info", "supabase-swift/2.30.0")),
    (),
    b"",
    True,
    swift,
    "Apikey",
)
KOTLIN = Client(
    "kotlin",
    (
        JSON_TYPE,
        ("Accept", "application/json"),
        ("Prefer", ""),
        ("X-Client-Info", "supabase-kt/3.2.0; platform=jvm"),
    ),
    (),
    b"",
    True,
    kotlin,
)
CSHARP_TYPE = ("Content-Type", "application/json; charset=utf-8")
CSHARP_OLD = Client(
    "csharp-old", (("X-Client-Info", "postgrest-csharp/4.1.0"),), (CSHARP_TYPE,), b"", False, csharp, "apiKey"
)
CSHARP = Client("csharp", (("X-Client-Info", "supabase-csharp/1.1.1"),), (CSHARP_TYPE,), b"", False, csharp, "apiKey")

CLIENTS = (DART, SWIFT, KOTLIN, CSHARP_OLD, CSHARP)
BUILDERS = (DART, SWIFT, KOTLIN)  # those whose rpc() can be a GET, count rows and ask for one
every_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
every_builder = pytest.mark.parametrize("client", BUILDERS, ids=lambda client: client.name)


@dataclass(frozen=True)
class Project:
    """The server, the project's key and the user's token."""

    netloc: str
    key: str
    token: str

    def exchange(
        self, client: Client, method: str, path: str, headers: list[tuple[str, str]], body: bytes | None
    ) -> Answer:
        """Send exactly these headers, and Host and Content-Length."""
        connection = http.client.HTTPConnection(self.netloc, timeout=20)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            credentials = [(client.key_name, self.key), ("Authorization", f"Bearer {self.token}")]
            for name, value in [*credentials, *headers]:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read().decode())
        finally:
            connection.close()

    def rpc(self, client: Client, function: str, arguments: Json = None, *extra: tuple[str, str]) -> Answer:
        """POST as the client sends it, also without arguments."""
        if arguments is None:
            body, typed = client.nothing, client.with_body if client.nothing_typed else ()
        else:
            body, typed = json.dumps(arguments, separators=(",", ":")).encode(), client.with_body
        headers = client.headers("Content-Profile", (*typed, *extra))
        return self.exchange(client, "POST", f"/rest/v1/rpc/{function}", headers, body)

    def query(self, method: str, client: Client, function: str, arguments: Json, *extra: tuple[str, str]) -> Answer:
        """GET or HEAD as the client sends it: Kotlin encodes values as JSON, so texts are in quotes."""
        texts = {
            name: value if isinstance(value, str) and client is not KOTLIN else json.dumps(value)
            for name, value in arguments.items()
        }
        path = f"/rest/v1/rpc/{function}" + (f"?{urlencode(texts, quote_via=quote)}" if texts else "")
        return self.exchange(client, method, path, client.headers("Accept-Profile", extra), None)


@pytest.fixture
def project(embedded: Server, bearer: Bearer, grant: Grant, no_rls: None) -> Project:  # noqa: ARG001 grants decide
    """The server for clients of a user with all permissions on the queue."""
    grant("authenticated", *EVERYTHING)
    key, user = (bearer(role, **claims)["Authorization"].split()[1] for role, claims in CALLERS)
    return Project(urlsplit(embedded.url).netloc, key, user)


CALLERS: tuple[tuple[str, dict[str, str]], ...] = (("anon", {}), ("authenticated", {"sub": "alice"}))


def arguments_of(function: str, queue: str) -> dict[str, Json]:
    """Arguments with which a function has an effect."""
    more: dict[str, dict[str, Json]] = {
        "send": {"message": {"n": 1}, "sleep_seconds": 0},
        "send_batch": {"messages": [{"n": 1}, {"n": 2}], "sleep_seconds": 0},
        "read": {"sleep_seconds": 60, "n": 10},
        "pop": {},
        "archive": {"message_id": 1},
        "delete": {"message_id": 1},
    }
    return {"queue_name": queue, **more[function]}


def kept(sql: Sql, queue: str) -> list[tuple[Any, ...]]:
    """Id and read count of every message in the queue."""
    return sql(f"select msg_id, read_ct from pgmq.q_{queue} order by 1")


def stored(sql: Sql, queue: str, *messages: Json) -> None:
    """Store messages without the gateway."""
    for message in messages:
        sql("select pgmq.send(%s, %s::jsonb)", queue, json.dumps(message))


def refusal(client: Client, answer: Answer, *, maybe: bool = False) -> Refused:
    """The error that the client throws for a response."""
    with pytest.raises(Refused) as caught:
        client.parse(answer, maybe=maybe)
    return caught.value


@every_client
def test_each_client_parses_the_results_of_all_six_functions(
    client: Client, project: Project, queue: str, sql: Sql
) -> None:
    def call(function: str, **more: Json) -> Json:
        return client.parse(project.rpc(client, function, {"queue_name": queue, **more})).data

    assert call("send", message={"n": 1}, sleep_seconds=0) == [1]
    assert call("send_batch", messages=[{"n": 2}, {"n": 3}, {"n": 4}], sleep_seconds=0) == [2, 3, 4]
    assert kept(sql, queue) == [(1, 0), (2, 0), (3, 0), (4, 0)]
    assert [(row["msg_id"], row["message"]) for row in call("read", sleep_seconds=0, n=2)] == [
        (1, {"n": 1}),
        (2, {"n": 2}),
    ]
    assert kept(sql, queue) == [(1, 1), (2, 1), (3, 0), (4, 0)]
    assert [row["message"] for row in call("pop")] == [{"n": 3}]
    assert call("archive", message_id=2) is True
    assert call("archive", message_id=2) is False
    assert call("delete", message_id=1) is True
    assert call("delete", message_id=1) is False
    assert kept(sql, queue) == [(4, 0)]
    assert sql(f"select msg_id, message from pgmq.a_{queue}") == [(2, {"n": 2})]


@every_client
def test_an_empty_queue_is_an_empty_list_to_each_client(client: Client, project: Project, queue: str) -> None:
    for function in ("pop", "read"):
        answer = project.rpc(client, function, arguments_of(function, queue))
        assert client.parse(answer).data == []
        assert answer.headers["Content-Range"] == "*/*"


@every_client
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_call_without_arguments_finds_no_function(
    client: Client, function: str, project: Project, queue: str, sql: Sql
) -> None:
    error = refusal(client, project.rpc(client, function))
    assert error.status == 404
    assert error.fields is not None
    assert error.fields["code"] == "PGRST202"
    assert error.fields["message"] == (
        f"Could not find the function {SCHEMA}.{function} without parameters in the schema cache"
    )
    assert error.fields.keys() == {"code", "message", "details", "hint"}
    assert kept(sql, queue) == []


@every_client
def test_digits_beyond_a_double_reach_each_client(client: Client, project: Project, queue: str, sql: Sql) -> None:
    sql(f"alter table pgmq.q_{queue} alter column msg_id restart with 9007199254740993")
    body = {"queue_name": queue, "message": {"n": 9223372036854775807}}
    assert client.parse(project.rpc(client, "send", body)).data == [9007199254740993]
    deleted = {"queue_name": queue, "message_id": 9007199254740993}
    assert sql(f"select message->>'n' from pgmq.q_{queue}") == [("9223372036854775807",)]
    assert client.parse(project.rpc(client, "delete", deleted)).data is True
    assert kept(sql, queue) == []


@every_client
def test_both_profile_headers_and_two_client_info_headers_are_accepted(
    client: Client, project: Project, queue: str, sql: Sql
) -> None:
    twice = (("X-Client-Info", "first/1"), ("X-Client-Info", "second/2"), ("Accept-Profile", SCHEMA))
    answer = project.rpc(client, "send", arguments_of("send", queue), *twice)
    assert client.parse(answer).data == [1]
    assert answer.headers["Content-Profile"] == SCHEMA
    assert kept(sql, queue) == [(1, 0)]


@every_client
def test_each_client_parses_the_error_of_a_missing_privilege(
    client: Client, project: Project, queue: str, sql: Sql
) -> None:
    sql("select pgmq_admin.revoke_queue(%s, 'authenticated', %s)", queue, list(EVERYTHING))
    error = refusal(client, project.rpc(client, "send", arguments_of("send", queue)))
    assert error.status == 403
    assert error.fields is not None
    assert error.fields["code"] == "42501"
    assert re.match("permission denied for ", error.fields["message"])
    assert kept(sql, queue) == []


@every_client
def test_the_anonymous_key_alone_is_a_401_to_each_client(
    client: Client, project: Project, queue: str, sql: Sql
) -> None:
    nobody = Project(project.netloc, project.key, project.key)
    error = refusal(client, nobody.rpc(client, "send", arguments_of("send", queue)))
    assert (error.status, error.fields and error.fields["code"]) == (401, "42501")
    assert error.reason in ("", "NotAuthorized")
    assert kept(sql, queue) == []


@every_client
def test_a_queue_that_is_not_there_is_an_undefined_table_to_each_client(client: Client, project: Project) -> None:
    error = refusal(client, project.rpc(client, "send", {"queue_name": "missing_queue", "message": 1}))
    assert (error.status, error.fields and error.fields["code"]) == (404, "42P01")
    assert error.reason in ("", "UndefinedTable")


@every_client
def test_a_spoilt_token_is_an_error_to_each_client(client: Client, project: Project, queue: str) -> None:
    forged = Project(project.netloc, project.key, project.token[:-6] + "AAAAAA")
    error = refusal(client, forged.rpc(client, "pop", {"queue_name": queue}))
    assert (error.status, error.fields and error.fields["code"]) == (401, "PGRST301")
    assert error.reason in ("", "NotAuthorized")


@every_builder
def test_single_gives_one_row_as_an_object(client: Client, project: Project, queue: str, sql: Sql) -> None:
    stored(sql, queue, {"n": 1}, {"n": 2})
    answer = project.rpc(client, "pop", {"queue_name": queue}, ("Accept", OBJECT))
    row = client.parse(answer).data
    assert (row["msg_id"], row["message"]) == (1, {"n": 1})
    assert answer.headers["Content-Type"] == f"{OBJECT}; charset=utf-8"
    assert kept(sql, queue) == [(2, 0)]


@every_builder
def test_single_on_send_gives_the_scalar_by_its_name(client: Client, project: Project, queue: str, sql: Sql) -> None:
    answer = project.rpc(client, "send", arguments_of("send", queue), ("Accept", OBJECT))
    assert client.parse(answer).data == {"pgrst_scalar": 1}
    assert kept(sql, queue) == [(1, 0)]


@every_builder
def test_single_of_no_row_is_an_error_with_the_number_of_rows(client: Client, project: Project, queue: str) -> None:
    error = refusal(client, project.rpc(client, "pop", {"queue_name": queue}, ("Accept", OBJECT)))
    assert error.status == 406
    assert error.fields == {
        "code": "PGRST116",
        "message": "Cannot coerce the result to a single JSON object",
        "details": "The result contains 0 rows",
        "hint": None,
    }


@pytest.mark.parametrize("client", [SWIFT, KOTLIN], ids=lambda client: client.name)
def test_maybe_single_of_no_row_is_nothing_to_swift_and_kotlin(client: Client, project: Project, queue: str) -> None:
    answer = project.rpc(client, "pop", {"queue_name": queue}, ("Accept", OBJECT))
    assert client.parse(answer, maybe=True) == Result(None)


def test_maybe_single_of_no_row_throws_in_dart_as_it_does_with_postgrest(project: Project, queue: str) -> None:
    answer = project.rpc(DART, "pop", {"queue_name": queue}, ("Accept", OBJECT))
    error = refusal(DART, answer, maybe=True)
    assert error.fields is not None
    assert error.fields["details"] == "The result contains 0 rows"


@every_builder
def test_maybe_single_of_one_row_is_the_row(client: Client, project: Project, queue: str, sql: Sql) -> None:
    stored(sql, queue, "only")
    answer = project.rpc(client, "pop", {"queue_name": queue}, ("Accept", OBJECT))
    assert client.parse(answer, maybe=True).data["message"] == "only"
    assert kept(sql, queue) == []


@pytest.mark.parametrize("client", [DART, SWIFT], ids=lambda client: client.name)
def test_maybe_single_of_two_rows_throws_and_leaves_them_unread(
    client: Client, project: Project, queue: str, sql: Sql
) -> None:
    stored(sql, queue, "a", "b")
    answer = project.rpc(client, "read", arguments_of("read", queue), ("Accept", OBJECT))
    error = refusal(client, answer, maybe=True)
    assert error.fields is not None
    assert rows_in(error.fields["details"]) == 2
    assert kept(sql, queue) == [(1, 0), (2, 0)]


def test_maybe_single_of_two_rows_is_nothing_to_kotlin_and_leaves_them_unread(
    project: Project, queue: str, sql: Sql
) -> None:
    stored(sql, queue, "a", "b")
    answer = project.rpc(KOTLIN, "read", arguments_of("read", queue), ("Accept", OBJECT))
    assert KOTLIN.parse(answer, maybe=True) == Result(None)
    assert kept(sql, queue) == [(1, 0), (2, 0)]


@every_builder
def test_an_exact_count_is_the_part_after_the_slash(client: Client, project: Project, queue: str, sql: Sql) -> None:
    stored(sql, queue, *range(5))
    count = ("Prefer", "count=exact")
    answer = project.rpc(client, "read", {"queue_name": queue, "sleep_seconds": 60, "n": 3}, count)
    assert client.parse(answer).count == 3
    assert answer.headers["Content-Range"] == "0-2/3"
    assert kept(sql, queue) == [(1, 1), (2, 1), (3, 1), (4, 0), (5, 0)]


@every_builder
def test_an_exact_count_of_nothing_is_zero(client: Client, project: Project, queue: str) -> None:
    answer = project.rpc(client, "pop", {"queue_name": queue}, ("Prefer", "count=exact"))
    assert client.parse(answer) == Result([], 0)
    assert answer.headers["Content-Range"] == "*/0"


@every_client
def test_without_a_count_none_is_read(client: Client, project: Project, queue: str) -> None:
    assert client.parse(project.rpc(client, "send", arguments_of("send", queue))).count is None


def test_kotlin_reads_the_range_of_rows_that_came(project: Project, queue: str, sql: Sql) -> None:
    stored(sql, queue, *range(4))
    answer = project.rpc(KOTLIN, "read", arguments_of("read", queue))
    assert kotlin_range(answer) == (0, 3)
    assert kept(sql, queue) == [(1, 1), (2, 1), (3, 1), (4, 1)]


def test_kotlins_empty_prefer_asks_for_nothing(project: Project, queue: str, sql: Sql) -> None:
    answer = project.rpc(KOTLIN, "send", arguments_of("send", queue))
    assert KOTLIN.parse(answer).data == [1]
    assert answer.headers["Preference-Applied"] is None
    assert kept(sql, queue) == [(1, 0)]


@pytest.mark.parametrize("client", [DART, SWIFT], ids=lambda client: client.name)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_get_is_refused_as_read_only_and_changes_nothing(
    client: Client, function: str, project: Project, queue: str, sql: Sql
) -> None:
    stored(sql, queue, "kept")
    arguments = arguments_of(function, queue)
    if function == "send_batch":
        # Both clients write an array as {…}, Postgres' array literal.
        arguments["messages"] = "{1,2}"
    error = refusal(client, project.query("GET", client, function, arguments))
    assert error.status == 405
    assert error.fields is not None
    assert error.fields["code"] == "25006"
    assert re.fullmatch(r"cannot execute \w+ in a read-only transaction", error.fields["message"])
    assert kept(sql, queue) == [(1, 0)]


@pytest.mark.parametrize("function", [name for name in FUNCTIONS if name != "send_batch"])
def test_kotlins_get_names_a_queue_in_quotes_which_is_not_there(
    function: str, project: Project, queue: str, sql: Sql
) -> None:
    stored(sql, queue, "kept")
    error = refusal(KOTLIN, project.query("GET", KOTLIN, function, arguments_of(function, queue)))
    assert (error.status, error.fields) == (
        404,
        {
            "code": "42P01",
            "message": f'relation "pgmq.q_"{queue}"" does not exist',
            "details": None,
            "hint": ANY,
        },
    )
    assert kept(sql, queue) == [(1, 0)]


def test_kotlins_get_writes_a_list_as_json_which_is_no_array(project: Project, queue: str, sql: Sql) -> None:
    answer = project.query("GET", KOTLIN, "send_batch", {"queue_name": queue, "messages": [1, 2]})
    error = refusal(KOTLIN, answer)
    assert (error.status, error.fields) == (
        400,
        {
            "code": "22P02",
            "message": 'malformed array literal: "[1, 2]"',
            "details": 'Missing "]" after array dimensions.',
            "hint": None,
        },
    )
    assert kept(sql, queue) == []


def test_swifts_nil_in_a_query_is_the_word_null_and_no_integer(project: Project, queue: str, sql: Sql) -> None:
    stored(sql, queue, "kept")
    arguments = {"queue_name": queue, "sleep_seconds": None, "n": 1}
    error = refusal(SWIFT, project.query("GET", SWIFT, "read", arguments))
    assert (error.status, error.fields) == (
        400,
        {
            "code": "22P02",
            "message": 'invalid input syntax for type integer: "null"',
            "details": None,
            "hint": None,
        },
    )
    assert kept(sql, queue) == [(1, 0)]


@pytest.mark.parametrize("client", [DART, SWIFT], ids=lambda client: client.name)
@pytest.mark.parametrize("function", [name for name in FUNCTIONS if name != "send_batch"])
def test_head_is_refused_without_a_body_and_changes_nothing(
    client: Client, function: str, project: Project, queue: str, sql: Sql
) -> None:
    stored(sql, queue, "kept")
    answer = project.query("HEAD", client, function, arguments_of(function, queue), ("Prefer", "count=exact"))
    error = refusal(client, answer)
    assert (error.status, error.fields, answer.text) == (405, None, "")
    assert answer.headers["Proxy-Status"] == "PostgREST; error=25006"
    assert kept(sql, queue) == [(1, 0)]


def test_kotlins_head_of_a_quoted_queue_is_a_404_without_a_body(project: Project, queue: str, sql: Sql) -> None:
    stored(sql, queue, "kept")
    answer = project.query("HEAD", KOTLIN, "pop", {"queue_name": queue})
    error = refusal(KOTLIN, answer)
    assert (error.status, error.fields, answer.text) == (404, None, "")
    assert answer.headers["Proxy-Status"] == "PostgREST; error=42P01"
    assert kept(sql, queue) == [(1, 0)]


def test_head_after_rpc_in_dart_loses_the_arguments(project: Project, queue: str, sql: Sql) -> None:
    stored(sql, queue, "kept")
    answer = project.query("HEAD", DART, "pop", {}, JSON_TYPE)
    assert (refusal(DART, answer).status, answer.headers["Proxy-Status"]) == (404, "PostgREST; error=PGRST202")
    assert kept(sql, queue) == [(1, 0)]


def test_darts_strip_nulls_gets_plain_json(project: Project, queue: str, sql: Sql) -> None:
    stored(sql, queue, {"empty": None})
    answer = project.rpc(DART, "read", arguments_of("read", queue), ("Accept", "application/json;nulls=stripped"))
    (row,) = DART.parse(answer).data
    assert (row["message"], row["headers"]) == ({"empty": None}, None)
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert kept(sql, queue) == [(1, 1)]


def test_swifts_strip_nulls_is_an_unknown_preference_and_does_no_harm(project: Project, queue: str, sql: Sql) -> None:
    stored(sql, queue, {"empty": None})
    answer = project.rpc(SWIFT, "read", arguments_of("read", queue), ("Prefer", "return=stripped-nulls"))
    (row,) = SWIFT.parse(answer).data
    assert (row["message"], row["headers"]) == ({"empty": None}, None)
    assert answer.headers["Preference-Applied"] is None
    assert kept(sql, queue) == [(1, 1)]


def test_swifts_strip_nulls_under_strict_handling_is_refused_before_the_call(
    project: Project, queue: str, sql: Sql
) -> None:
    stored(sql, queue, 1)
    prefer = ("Prefer", "handling=strict,max-affected=5,return=stripped-nulls")
    error = refusal(SWIFT, project.rpc(SWIFT, "read", arguments_of("read", queue), prefer))
    assert (error.status, error.fields and error.fields["code"]) == (400, "PGRST122")
    assert error.fields is not None
    assert "return=stripped-nulls" in error.fields["details"]
    assert kept(sql, queue) == [(1, 0)]


@every_builder
def test_a_dry_run_is_not_one_and_stores_the_message(client: Client, project: Project, queue: str, sql: Sql) -> None:
    answer = project.rpc(client, "send", arguments_of("send", queue), ("Prefer", "tx=rollback"))
    assert client.parse(answer).data == [1]
    assert kept(sql, queue) == [(1, 0)]


@every_builder
def test_more_rows_than_may_be_affected_is_an_error_that_leaves_them_unread(
    client: Client, project: Project, queue: str, sql: Sql
) -> None:
    stored(sql, queue, *range(3))
    prefer = ("Prefer", "handling=strict,max-affected=2")
    error = refusal(client, project.rpc(client, "read", arguments_of("read", queue), prefer))
    assert (error.status, error.fields and error.fields["code"]) == (400, "PGRST124")
    assert kept(sql, queue) == [(1, 0), (2, 0), (3, 0)]


@every_builder
def test_a_plan_is_refused_in_words_that_each_client_reads(
    client: Client, project: Project, queue: str, sql: Sql
) -> None:
    stored(sql, queue, 1)
    plan = ("Accept", 'application/vnd.pgrst.plan+text; for="application/json"; options=analyze;')
    error = refusal(client, project.rpc(client, "pop", {"queue_name": queue}, plan))
    assert (error.status, error.fields and error.fields["code"]) == (406, "PGRST107")
    assert kept(sql, queue) == [(1, 0)]
