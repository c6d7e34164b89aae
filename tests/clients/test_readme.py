"""The README's commands and program, pasted in its order, against `make serve`."""

import json
import re
from pathlib import Path

from tests.clients.conftest import REPOSITORY, command, node, paste, project
from tests.nodejs import NODE
from tests.server import SECRET

README = (REPOSITORY / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The README's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_everything_in_the_readme_works_as_it_stands(made: Path) -> None:
    first, grants, policy, managing = blocks("sh")
    (program,) = blocks("js")

    created, sent, read, deleted = paste(first, made).splitlines()
    assert (created, sent, deleted) == ("created basic queue tasks", "[1]", "true")
    assert [(row["msg_id"], row["message"]) for row in json.loads(read)] == [(1, {"hello": "world"})]

    script = NODE / "readme.generated.mjs"
    script.write_text(program + "console.log(JSON.stringify(data))\n")
    try:
        mine = project(cwd=made)
        (row,) = node(script.name, mine.url, mine.service_key, SUPABASE_SERVICE_ROLE_KEY=mine.service_key)
    finally:
        script.unlink()
    assert (row["msg_id"], row["message"]) == (2, {"hello": "world"})

    # The first block defines variables and functions for the following ones; its queue exists already.
    setup = first.partition("call send")[0]
    granted, *shown = paste(setup + grants, made).splitlines()[1:]
    assert granted == "granted send, read, delete on queue tasks to authenticated"
    assert any(re.fullmatch(r"Role authenticated +send, read, pop, delete", line.rstrip()) for line in shown)

    _, policy_made, own, foreign, mine_only = paste(setup + policy, made).splitlines()
    assert (policy_made, own, json.loads(foreign)["code"]) == ("CREATE POLICY", "[3]", "42501")
    assert [row["message"]["user_id"] for row in json.loads(mine_only)] == ["user-1"]

    # Postgres separates rows by line breaks.
    made_too, seen, rights = map(json.loads, paste(managing, made).replace(", \n", ", ").splitlines())
    assert made_too is True
    assert seen
    assert all(row["state"] == "visible" and row["read_ct"] for row in seen)
    assert {"role": "anon", "operation": "send", "verdict": "none"}.items() <= rights[0].items()


def test_the_configuration_file_in_the_readme_is_read(tmp_path: Path) -> None:
    (text,) = blocks("conf")
    (tmp_path / "postgrest.conf").write_text(text)
    env = {"DB_PASSWORD": "p", "JWT_SECRET": SECRET}
    printed = command("serve", "--config", "postgrest.conf", "--dump-config", env=env, cwd=tmp_path).splitlines()
    assert 'db-uri = "postgresql://authenticator:********@db.example.com:5432/postgres"' in printed
    assert 'db-schemas = "pgmq_public,public"' in printed
    assert 'pgmq-gateway-publishable-keys = "sb_publishable_1,sb_publishable_2"' in printed
