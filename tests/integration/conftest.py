"""What integration tests share: the error shape, waiting, and a database with a gateway of one test file's own."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.conftest import Sql, runner
from tests.server import SECRET, Server
from tests.waiting import until

Headers = dict[str, str]
Bearer = Callable[..., Headers]
Grant = Callable[..., None]
Serve = Callable[..., Server]

# The six functions with arguments that do something to message 1 of a queue.
CALLS: dict[str, dict[str, Any]] = {
    "send": {"message": {"n": 1}},
    "send_batch": {"messages": [{"n": 1}, {"n": 2}]},
    "read": {"sleep_seconds": 600, "n": 10},
    "pop": {},
    "archive": {"message_id": 1},
    "delete": {"message_id": 1},
}


@dataclass(frozen=True)
class Own:
    """A database and a gateway on it; `client` sends nothing by itself, so it calls `public` as anon."""

    server: Server
    client: httpx.Client
    sql: Sql

    def define(self, *statements: str) -> None:
        """Run SQL, and wait until the gateway knows the functions that it made."""
        marker = f"marker_{uuid.uuid4().hex}"
        for statement in statements:
            self.sql(statement)
        self.sql(f"create function public.{marker}() returns int stable language sql as 'select 1'")
        self.sql("notify pgrst, 'reload schema'")
        until(lambda: self.client.get(f"/rpc/{marker}", headers={"Accept-Profile": "public"}).status_code == 200)


def error(answer: httpx.Response) -> dict[str, Any]:
    """The body of an error answer, which has just these four members in this order."""
    body = answer.json()
    assert isinstance(body, dict), answer.text
    assert list(body) == ["code", "details", "hint", "message"], answer.text
    assert all(body[member] is None or isinstance(body[member], str) for member in body), answer.text
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["proxy-status"].endswith(f"error={body['code']}")
    return body


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, code and message of an error answer."""
    body = error(answer)
    return answer.status_code, body["code"], body["message"]


@pytest.fixture
def service(api: httpx.Client, bearer: Bearer) -> httpx.Client:
    """A client that may do everything."""
    api.headers.update(bearer("service_role"))
    return api


@pytest.fixture
def role(sql: Sql) -> Iterator[str]:
    """A role that calls may run in."""
    sql("create role settled nologin noinherit")
    sql("grant settled to authenticator")
    yield "settled"
    sql("drop role settled")


@pytest.fixture
def stored(sql: Sql, queue: str) -> Callable[[], list[tuple[Any, ...]]]:
    """stored() gives all rows of the test's queue and its archive, as they are now."""

    def rows() -> list[tuple[Any, ...]]:
        return [
            *sql(f"select 'q', msg_id, read_ct, vt, message from pgmq.q_{queue} order by 2"),
            *sql(f"select 'a', msg_id, read_ct, vt, message from pgmq.a_{queue} order by 2"),
        ]

    return rows


@pytest.fixture(scope="module")
def own(
    request: pytest.FixtureRequest, directory: DataDirectory, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Own]:
    """A database and a gateway of the test file's own, with the settings in its GATEWAY."""
    name = f"db_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(socket_uri(directory), autocommit=True) as maintenance:
        maintenance.execute(f"create database {name} template {template}")
        with psycopg.connect(socket_uri(directory, database=name), autocommit=True) as connection:
            # Schemas that the settings name are there before the gateway is.
            for statement in getattr(request.module, "SCHEMAS", ()):
                connection.execute(statement)
            settings = getattr(request.module, "GATEWAY", {})
            yield from _gateway(directory, name, tmp_path_factory.mktemp("own") / "log", settings, runner(connection))
        maintenance.execute(f"drop database {name} with (force)")


@pytest.fixture
def alone(database: str, directory: DataDirectory, tmp_path: Path) -> Iterator[Own]:
    """A database of the test's own and a gateway that has one connection for all calls."""
    with psycopg.connect(socket_uri(directory, database=database), autocommit=True) as connection:
        yield from _gateway(directory, database, tmp_path / "alone.log", {"PGRST_DB_POOL": "1"}, runner(connection))


def _gateway(directory: DataDirectory, database: str, log: Path, settings: dict[str, str], sql: Sql) -> Iterator[Own]:
    uri = socket_uri(directory, "authenticator", database)
    running = server.start(log, env={"PGRST_DB_URI": uri, "PGRST_JWT_SECRET": SECRET, "PGRST_DB_POOL": "2", **settings})
    with httpx.Client(base_url=running.url, timeout=30) as client:
        yield Own(running, client, sql)
    assert running.stop() == 0, log.read_text()
