"""The three commands of serve's banner, pasted into a shell in another folder, and curl without a Content-Type."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import paste
from tests.databases import Sql
from tests.server import Server

BODY = '{"queue_name": "hello", "message": {"hello": "world"}}'


@pytest.fixture
def commands(embedded: Server, sql: Sql) -> Iterator[list[str]]:
    """The commands of the banner: create, send, read. Their queue exists only during the test."""
    yield re.findall(r"^  (\S*/pgmq-gateway queue .*|curl .*)$", embedded.output, re.MULTILINE)
    sql("select pgmq.drop_queue(queue_name) from pgmq.meta where queue_name = 'hello'")


def test_the_commands_of_the_banner_work_as_they_stand(commands: list[str], tmp_path: Path, sql: Sql) -> None:
    create, send, read = commands
    assert paste(create, tmp_path) == "created basic queue hello\n"
    assert paste(create, tmp_path) == "queue hello already exists\n"
    assert json.loads(paste(send, tmp_path)) == [1]
    assert sql("select msg_id, message, read_ct from pgmq.q_hello") == [(1, {"hello": "world"}, 0)]
    (row,) = json.loads(paste(read, tmp_path))
    assert (row["msg_id"], row["read_ct"], row["message"]) == (1, 1, {"hello": "world"})
    assert json.loads(paste(read, tmp_path)) == []
    assert sql("select msg_id, read_ct, vt > now() + '20 s' from pgmq.q_hello") == [(1, 1, True)]
    assert list(tmp_path.iterdir()) == []


def test_json_without_its_content_type_is_taken_for_a_form(commands: list[str], tmp_path: Path, sql: Sql) -> None:
    create, send, _ = commands
    paste(create, tmp_path)
    mistaken = send.replace(" -H 'Content-Type: application/json'", "")
    body, status = paste(mistaken + " -w '\\n%{http_code}'", tmp_path).rsplit("\n", 1)
    assert status == "404"
    assert json.loads(body) == {
        "code": "PGRST202",
        "message": f"Could not find the function pgmq_public.send({BODY}) in the schema cache",
        "details": f"Searched for the function pgmq_public.send with parameter {BODY}, but no matches were found in the"
        " schema cache.",
        "hint": "curl -d sends a form: add -H 'Content-Type: application/json'.",
    }
    assert sql("select count(*) from pgmq.q_hello") == [(0,)]
