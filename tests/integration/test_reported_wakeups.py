"""The wake-ups of an answer: those of its call, once they are committed."""

import json
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from msgspec import structs
from pydantic import SecretStr

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import Call, executable
from pgmq_gateway.calls.execution import Database
from pgmq_gateway.calls.statement import Statement
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.http.request import RequestSettings
from pgmq_gateway.postgrest.preferences import Preferences
from pgmq_gateway.settings.model import Settings
from tests.databases import new_database
from tests.server import SECRET

SERVICE = Caller("service_role", '{"role": "service_role"}', False)


@pytest.fixture(scope="module")
def installed(directory: DataDirectory, template: str) -> Iterator[str]:
    """The name of an installed database with the queue `jobs`."""
    with new_database(directory, template) as name:
        with psycopg.connect(socket_uri(directory, database=name), autocommit=True) as connection:
            connection.execute("select pgmq_admin.create_queue('jobs')")
        yield name


@pytest.fixture
async def database(directory: DataDirectory, installed: str) -> AsyncIterator[Database]:
    uri = SecretStr(socket_uri(directory, "authenticator", installed))
    database = Database(Settings.model_validate({"db_uri": uri, "jwt_secret": SECRET}))
    yield database
    await database.pool.close()


def sending(*, rollback: bool | None = None) -> Call:
    """A call of send."""
    call = executable("pgmq_api", RequestSettings("POST", "/rpc/send", "{}", "{}"))
    return structs.replace(
        call,
        read_only=False,
        statement=Statement("pgmq_api.send(message,queue_name)"),
        body=json.dumps({"queue_name": "Jobs", "message": 1}),
        preferences=Preferences(rollback=rollback),
    )


async def test_a_call_reports_what_it_has_committed(database: Database) -> None:
    assert (await database.execute(SERVICE, sending())).wakeups == (("jobs", 1, 0.0),)
    reading = executable("pgmq_api", RequestSettings("GET", "/", "{}", "{}"))
    assert (await database.execute(SERVICE, reading)).wakeups == ()


async def test_a_call_that_is_rolled_back_reports_nothing(database: Database) -> None:
    assert (await database.execute(SERVICE, sending(rollback=True))).wakeups == ()
