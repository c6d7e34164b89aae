"""The commands of serve's banner, pasted into a shell in another folder, and curl without a Content-Type."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import command, paste
from tests.databases import Sql
from tests.server import SECRET, Server

BODY = '{"queue_name": "hello", "message": {"hello": "world"}}'


# Of the fixture `embedded`.
OF_THE_SERVER = {"PGRST_JWT_SECRET": SECRET, "PGMQ_GATEWAY_KEY_LAYER": "off"}
SEND = """curl -sS "$SUPABASE_URL/rest/v1/rpc/send" -H "apikey: $SUPABASE_SECRET_KEY" \\
    -H 'Content-Profile: pgmq_public'"""


@pytest.fixture
def evaluated(embedded: Server, sql: Sql) -> Iterator[str]:
    """The first command of the banner. The queue of the others exists only during the test."""
    printed = command("keys", "--data-dir", str(folder_of(embedded)), env=OF_THE_SERVER)
    yield printed
    sql("select pgmq.drop_queue(queue_name) from pgmq.meta where queue_name = 'hello'")


def folder_of(embedded: Server) -> str:
    found = re.search(r"^  Data       (.*)$", embedded.output, re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.mark.usefixtures("evaluated")
def test_the_commands_of_the_banner_work_as_they_stand(embedded: Server, tmp_path: Path, sql: Sql) -> None:
    pasted = re.search(r"^  eval .*?(?=^Ctrl-C)", embedded.output, re.MULTILINE | re.DOTALL)
    assert pasted is not None
    exported = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in OF_THE_SERVER.items())
    created, sent, read, _, peeked = paste(exported + pasted[0], tmp_path).splitlines()
    assert (created, sent, json.loads(read)[0]["message"]) == ("created basic queue hello", "1", {"hello": "world"})
    assert "in flight" in peeked
    assert sql("select msg_id, message, read_ct, vt > now() + '20 s' from pgmq.q_hello") == [
        (1, {"hello": "world"}, 1, True)
    ]
    assert list(tmp_path.iterdir()) == []


def test_json_without_its_content_type_is_taken_for_a_form(evaluated: str, tmp_path: Path, sql: Sql) -> None:
    sql("select pgmq_admin.create_queue('hello')")
    mistaken = f"{evaluated}\n{SEND} -d '{BODY}' -w '\\n%{{http_code}}'"
    body, status = paste(mistaken, tmp_path).rsplit("\n", 1)
    assert status == "404"
    assert json.loads(body) == {
        "code": "PGRST202",
        "message": f"Could not find the function pgmq_public.send({BODY}) in the schema cache",
        "details": f"Searched for the function pgmq_public.send with parameter {BODY}, but no matches were found in the"
        " schema cache.",
        "hint": "curl -d sends a form: add -H 'Content-Type: application/json'.",
    }
    assert sql("select count(*) from pgmq.q_hello") == [(0,)]
