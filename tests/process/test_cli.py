"""The command line: output, exit status, and errors in one line."""

import json
import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from rich.cells import cell_len

from pgmq_gateway.cli.urls import local_url, public_url
from pgmq_gateway.distribution import release
from pgmq_gateway.embedded.cluster import socket_folder, socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.install.owner import OwnerError, owner
from pgmq_gateway.settings.model import Settings
from tests.databases import Sql
from tests.server import PROGRAM, SECRET, Server, environment, run
from tests.signing import secret_jwk

KEY_SET = {"keys": [secret_jwk(SECRET.encode())]}
HOSTILE_SECRET = 'it\'s a "secret" with $(exit 1), `exit 1`, $HOME; exit 1'


@pytest.fixture
def data(directory: DataDirectory) -> list[str]:
    """Options that name the running server's data directory."""
    return ["--data-dir", str(directory.path)]


@pytest.fixture
def name(sql: Sql) -> Iterator[str]:
    """The name of a queue that the test creates; it is dropped at the end."""
    yield "made-by-cli"
    sql("select pgmq.drop_queue('made-by-cli')")


def failure(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and message of a command that must fail with one line on stderr and nothing on stdout."""
    result = run(*arguments, env=env)
    assert result.returncode != 0
    assert result.stdout == ""
    assert result.stderr.startswith("pgmq-gateway: ")
    assert result.stderr.count("\n") == 1, result.stderr
    return result.returncode, result.stderr.removeprefix("pgmq-gateway: ").rstrip()


def test_a_queue_is_created_once_with_row_level_security(data: list[str], name: str, sql: Sql) -> None:
    assert run("queue", "create", name, *data).stdout == f"created basic queue {name}\n"
    assert run("queue", "create", name, *data).stdout == f"queue {name} already exists\n"
    assert sql(f"select relrowsecurity from pg_class where oid = 'pgmq.\"q_{name}\"'::regclass") == [(True,)]
    assert sql("select count(*) from pgmq.meta where queue_name = %s", name) == [(1,)]


def test_an_unlogged_queue_without_row_level_security(data: list[str], name: str, sql: Sql) -> None:
    assert run("queue", "create", name, "--type", "unlogged", "--no-rls", *data).returncode == 0
    (row,) = sql(f"select relrowsecurity, relpersistence from pg_class where oid = 'pgmq.\"q_{name}\"'::regclass")
    assert row == (False, "u")


def test_list_and_show_print_tables_and_json(data: list[str], queue: str, sql: Sql) -> None:
    sql("select pgmq.send(%s, '{}')", queue)
    listed = {row["queue_name"]: row for row in json.loads(run("queue", "list", "--json", *data).stdout)}
    assert (listed[queue]["queue_type"], listed[queue]["rls"]) == ("basic", True)
    assert queue in run("queue", "list", *data).stdout
    shown = json.loads(run("queue", "show", queue, "--json", *data).stdout)
    assert (shown["messages"], shown["visible"], shown["in_flight"], shown["archived"]) == (1, 1, 0, 0)
    assert shown["grants"]["anon"] == []
    assert "Messages" in run("queue", "show", queue, *data).stdout


def test_u7_rows_are_not_broken(data: list[str], sql: Sql) -> None:
    name = "a-name-of-forty-seven-characters-the-longest-one"[:47]
    sql("select pgmq_admin.create_queue(%s)", name)
    try:
        listed = run("queue", "list", *data, env={"COLUMNS": "40"}).stdout.splitlines()
    finally:
        sql("select pgmq.drop_queue(%s)", name)
    (row,) = [line.split() for line in listed if line.startswith(name)]
    assert (row[:3], row[-3:]) == ([name, "basic", "on"], ["0", "0", "0"])


def test_grant_and_revoke_change_what_show_says(data: list[str], queue: str) -> None:
    granted = run("queue", "grant", queue, "anon", "send", "read", *data)
    assert granted.stdout == f"granted send, read on queue {queue} to anon\n"
    assert json.loads(run("queue", "show", queue, "--json", *data).stdout)["grants"]["anon"] == ["send", "read"]
    assert run("queue", "revoke", queue, "anon", "send", *data).returncode == 0
    assert json.loads(run("queue", "show", queue, "--json", *data).stdout)["grants"]["anon"] == ["read"]


def test_purge_and_drop(data: list[str], queue: str, sql: Sql) -> None:
    sql("select pgmq.send_batch(%s, array['1', '2']::jsonb[])", queue)
    assert run("queue", "purge", queue, "--yes", *data).stdout == "deleted 2 messages\n"
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(0,)]
    assert run("queue", "drop", queue, "--yes", *data).stdout == f"dropped queue {queue}\n"
    assert sql("select count(*) from pgmq.meta where queue_name = %s", queue) == [(0,)]


def typed(line: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a terminal on which a person types a line."""
    terminal, theirs = os.openpty()
    os.write(terminal, f"{line}\n".encode())
    try:
        return subprocess.run(
            [PROGRAM, *arguments],
            env=environment(),
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        os.close(theirs)
        os.close(terminal)


def on_terminal(columns: int, *arguments: str) -> list[str]:
    """The lines that a command prints on a terminal, stderr too."""
    terminal, theirs = os.openpty()
    env = environment({"COLUMNS": str(columns)})
    try:
        with subprocess.Popen([PROGRAM, *arguments], env=env, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            process.wait(120)
            os.set_blocking(terminal, False)
            # Without the progress, which moves the cursor.
            text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", os.read(terminal, 65536).decode())
            return [line for line in text.split("\n") if line and "Working" not in line]
    finally:
        os.close(theirs)
        os.close(terminal)


@pytest.mark.parametrize("columns", [60, 80])
def test_no_line_is_longer_than_the_terminal(data: list[str], queue: str, sql: Sql, columns: int) -> None:
    sql("select pgmq.send(%s, to_jsonb(repeat('wide \u4e2d\u9762\u009b1m ', 40)))", queue)
    peeked = on_terminal(columns, "peek", queue, *data)
    listed = on_terminal(columns, "queue", "list", *data)
    refused = on_terminal(columns, "peek", "no-such-queue", *data)
    for lines in (peeked, listed, refused):
        assert [line for line in lines if cell_len(line) > columns] == []
    assert [(line.split()[0], line[-1]) for line in peeked[-1:]] == [("1", "…")]
    assert "\x9b" not in "".join(peeked)
    assert any(line.startswith(queue) for line in listed)
    piped = run("peek", queue, *data, env={"COLUMNS": str(columns)}).stdout
    assert piped.count("wide") == 40


def test_u2_deleting_asks_on_a_terminal_and_needs_yes_elsewhere(data: list[str], queue: str, sql: Sql) -> None:
    sql("select pgmq.send(%s, '1')", queue)
    status, line = failure("queue", "drop", queue, *data)
    assert (status, "repeat the command with --yes" in line) == (2, True)
    kept = typed("n", "queue", "purge", queue, *data)
    assert (kept.returncode, kept.stdout, kept.stderr) == (1, "", f"Delete all messages of queue {queue}? [y/N] ")
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(1,)]
    assert typed("y", "queue", "purge", queue, *data).stdout == "deleted 1 message\n"
    assert typed("y", "queue", "drop", queue, *data).stdout == f"dropped queue {queue}\n"
    assert sql("select 1 from pgmq.meta where queue_name = %s", queue) == []


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (
            ["queue", "create", "Foo"],
            1,
            'queue name "Foo" is not allowed: Use 1 to 47 characters of a-z, 0-9, _ and -, without two - in a row.',
        ),
        (["queue", "create", "p", "--type", "partitioned"], 1, "partitioned queues need the extension pg_partman"),
        (["queue", "drop", "nope", "--yes"], 1, 'queue "nope" does not exist'),
        (["queue", "show", "nope"], 1, 'queue "nope" does not exist'),
        (["queue", "grant", "nope", "anon", "send"], 1, 'queue "nope" does not exist'),
        (
            ["queue", "grant", "nope", "anon", "fly"],
            2,
            "'fly' is not one of 'send', 'read', 'pop', 'archive', 'delete'",
        ),
        (["queue", "create"], 2, "QUEUE is missing (see pgmq-gateway queue create --help)"),
        (["serve"], 1, "is in use by"),
        (["token", "--role", "anon", "--ttl", "5y"], 2, "5y is not a duration: write 90s, 15m, 1h or 30d"),
        (["token", "--role", "anon", "--claim", "org=acme"], 2, "acme is not JSON"),
        (["token", "--role", "anon", "--claim", "acme"], 2, "acme is not KEY=JSON"),
        (["serve", "--db-uri", "postgresql://127.0.0.1:1/x"], 2, "--db-uri and --data-dir exclude each other"),
        (["token"], 2, "--role is missing (see pgmq-gateway token --help)"),
        (["serve", "--ready", "--admin-port", "1"], 1, "no gateway responds at http://127.0.0.1:1/ready: "),
        (["serve", "--ready", "--admin-port", "0"], 1, "--ready needs the admin port of the running gateway"),
    ],
)
def test_failures_are_one_line(data: list[str], arguments: list[str], status: int, message: str) -> None:
    found, line = failure(*arguments, *data)
    assert found == status
    assert message in line


@pytest.mark.parametrize("command", [[], ["queue"]])
def test_u7_no_command_prints_the_help(command: list[str]) -> None:
    bare = run(*command)
    assert (bare.returncode, bare.stderr) == (0, "")
    assert "\n  list" in bare.stdout or "\n  serve" in bare.stdout


def test_an_unknown_command_is_one_line() -> None:
    assert failure("frobnicate") == (2, "No such command 'frobnicate' (see pgmq-gateway --help)")


@pytest.mark.parametrize(
    ("raised", "status", "stderr"),
    [
        (
            "ZeroDivisionError('by zero')",
            1,
            "pgmq-gateway: unexpected error: ZeroDivisionError: by zero; set PGRST_LOG_LEVEL=debug for the traceback\n",
        ),
        ("KeyboardInterrupt", 130, ""),
    ],
)
def test_a_bug_is_one_line_and_an_interrupt_none(raised: str, status: int, stderr: str) -> None:
    script = f"from pgmq_gateway.cli import main\ndef app(**_): raise {raised}\nmain.app = app\nmain.main()"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (status, stderr)


def test_w19_the_version_is_printed() -> None:
    result = run("--version")
    assert (result.returncode, result.stdout) == (0, f"pgmq-gateway {release()}\n")


def test_w19_a_running_gateway_is_asked_whether_it_is_ready(embedded: Server) -> None:
    port = embedded.admin_url.rpartition(":")[2]
    result = run("serve", "--ready", "--host", "*", "--admin-port", port)
    assert (result.returncode, result.stdout) == (0, f"OK: http://127.0.0.1:{port}/ready\n")
    status, message = failure("serve", "--ready", "--admin-port", embedded.url.rpartition(":")[2])
    assert (status, message) == (1, f"the gateway is not ready: {embedded.url}/ready responds with 404")


@pytest.mark.parametrize("command", [[], ["serve"], ["install"], ["keys"], ["token"], ["queue"], ["send"], ["psql"]])
def test_help_is_a_manual(command: list[str]) -> None:
    result = run(*command, "-h", env={"COLUMNS": "80"})
    assert result.returncode == 0
    assert not [line for line in result.stdout.splitlines() if line.startswith("  ") and line.endswith("...")]
    assert [line for line in result.stdout.splitlines() if len(line) > 80] == []


def test_u3_only_serve_and_queue_create_create_a_database(tmp_path: Path) -> None:
    for command in (["queue", "list"], ["keys"], ["token", "--role", "anon"]):
        result = run(*command, cwd=tmp_path)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith(f"pgmq-gateway: there is no database in {tmp_path}/.pgmq-gateway: run this in")
    assert list(tmp_path.iterdir()) == []


def test_u6_the_keys_of_a_database_of_ones_own_are_those_that_it_accepts(tmp_path: Path) -> None:
    own = {"PGRST_DB_URI": "postgres://u@h/d"}
    assert run("keys", cwd=tmp_path, env=own).stderr.startswith("pgmq-gateway: PGRST_JWT_SECRET is not set")
    own |= {"PGRST_JWT_SECRET": SECRET, "PGRST_SERVER_HOST": "*"}
    configured = {"PGMQ_GATEWAY_PUBLISHABLE_KEYS": "sb_publishable_x", "PGMQ_GATEWAY_SECRET_KEYS": "a=sb_secret_y"}
    for env, expected in ((own, []), (own | configured, ["sb_publishable_x", "sb_secret_y"])):
        keys = json.loads(run("keys", "--json", cwd=tmp_path, env=env).stdout)
        assert [key for key in keys.values() if key.startswith("sb_")] == expected
        assert keys["SUPABASE_URL"] == "http://localhost:3000"
        assert jwt.decode(keys["SUPABASE_ANON_KEY"], SECRET, algorithms=["HS256"])["role"] == "anon"
    assert list(tmp_path.iterdir()) == []


def test_keys_are_dotenv_lines_that_open_the_api(embedded: Server, data: list[str]) -> None:
    result = run("keys", "--dotenv", *data, env={"PGRST_JWT_SECRET": SECRET})
    lines = dict(word.split("=", 1) for word in shlex.split(result.stdout))
    assert list(lines) == [
        "SUPABASE_URL",
        "SUPABASE_PUBLISHABLE_KEY",
        "SUPABASE_SECRET_KEY",
        "SUPABASE_ANON_KEY",
        "SUPABASE_SERVICE_ROLE_KEY",
        "JWT_SECRET",
    ]
    assert lines["SUPABASE_URL"] == embedded.url
    claims = jwt.decode(lines["SUPABASE_SERVICE_ROLE_KEY"], lines["JWT_SECRET"], algorithms=["HS256"])
    assert claims["role"] == "service_role"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"server_host": "*"}, "http://localhost:3000"),
        ({"server_host": "*6", "server_port": 80}, "http://localhost:80"),
        ({"server_host": "[::1]"}, "http://[::1]:3000"),
        ({"server_host": "*", "openapi_server_proxy_uri": "https://q.example/"}, "https://q.example"),
        ({"openapi_server_proxy_uri": "https://q.example/base/rest/v1"}, "https://q.example/base"),
    ],
)
def test_d15_clients_get_a_url_that_they_can_reach(settings: dict[str, Any], expected: str) -> None:
    given = Settings(**settings)
    assert (public_url(given) or local_url(given)) == expected


@pytest.mark.parametrize(
    ("secret", "printed"),
    [
        (json.dumps(KEY_SET, indent=2), json.dumps(KEY_SET, separators=(",", ":"))),
        (HOSTILE_SECRET, HOSTILE_SECRET),
    ],
    ids=["key set", "hostile"],
)
def test_d14_a_shell_can_evaluate_the_keys(data: list[str], secret: str, printed: str) -> None:
    env = {"PGRST_JWT_SECRET": secret, "PGRST_OPENAPI_SERVER_PROXY_URI": "https://q.example/rest/v1"}
    lines = run("keys", *data, env=env).stdout
    script = 'eval "$1"; printf "%s %s" "$SUPABASE_URL" "$JWT_SECRET"'
    evaluated = subprocess.run(["bash", "-euc", script, "-", lines], stdout=PIPE, text=True, check=True)
    assert evaluated.stdout == f"https://q.example {printed}"


def test_a_shell_in_another_folder_finds_the_gateway(data: list[str], queue: str, tmp_path: Path) -> None:
    script = f"""eval "$({shlex.quote(str(PROGRAM))} keys {shlex.join(data)})"
        sh -c 'echo "$SUPABASE_URL $JWT_SECRET"'
        pgmq-gateway send {queue} '{{"hello":"world"}}' && pgmq-gateway peek {queue} --json
        pgmq-gateway read {queue} | pgmq-gateway ack {queue}"""
    env = environment({"PATH": "/usr/bin:/bin"})
    done = subprocess.run(["sh", "-euc", script], cwd=tmp_path, env=env, stdout=PIPE, text=True, check=True)
    url, sent, *rest = done.stdout.splitlines()
    assert (url.startswith("http://"), sent, json.loads("".join(rest[:-1]))[0]["message"]) == (
        True,
        "1",
        {"hello": "world"},
    )
    assert url.endswith(" ")
    assert rest[-1].endswith(" acked")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serve", "--port", "99999"], "--port 99999 is not a port (0 to 65535)"),
        (["dashboard", "--port", "x"], "--port x is not a port (0 to 65535)"),
        (["peek", "q", "--after", "-1"], "--after -1 is not a message id (0 to 999999999999999999)"),
        (["read", "q", "--wait", "1e9"], "--wait 1e9 is not a number of seconds (0 to 86400)"),
        (["queue", "create", "q", "--type", "fast"], "--type 'fast' is not one of 'basic', 'unlogged', 'partitioned'"),
        (["read"], "QUEUE is missing"),
        (["sned", "q"], "No such command 'sned'. Did you mean 'send'?"),
    ],
)
def test_mistakes_in_a_command_line_are_named_as_it_writes_them(arguments: list[str], message: str) -> None:
    status, line = failure(*arguments)
    assert (status, line.startswith(message), " (see pgmq-gateway " in line) == (2, True, True), line


def test_the_environment_is_named_where_the_wrong_value_is_there() -> None:
    _, line = failure("serve", env={"PGMQ_GATEWAY_DASHBOARD_PORT": "x"})
    assert line.startswith("PGMQ_GATEWAY_DASHBOARD_PORT x is not a port (0 to 65535)")


def test_a_token_has_the_claims_that_were_asked_for(data: list[str]) -> None:
    arguments = ["--role", "authenticated", "--sub", "u1", "--claim", 'org="acme"', "--claim", "n=1.5", "--ttl", "15m"]
    result = run("token", *arguments, *data, env={"PGRST_JWT_SECRET": SECRET})
    claims = jwt.decode(result.stdout.strip(), SECRET, algorithms=["HS256"])
    assert claims["exp"] - claims["iat"] == 900
    assert {name: claims[name] for name in ("role", "sub", "org", "n")} == {
        "role": "authenticated",
        "sub": "u1",
        "org": "acme",
        "n": 1.5,
    }


def test_everything_works_on_a_database_that_nobody_serves(folder: Path) -> None:
    data = ["--data-dir", str(folder / "unserved")]
    assert run("queue", "create", "alone", *data).stdout == "created basic queue alone\n"
    assert run("queue", "list", *data).stdout.splitlines()[1].startswith("alone")
    first, second = run("keys", *data).stdout, run("keys", *data).stdout
    assert first == second
    assert "export SUPABASE_URL=http://127.0.0.1:3000" in first
    assert run("token", "--role", "anon", *data).returncode == 0
    assert run("install", "--check", *data).stdout == "up to date\n"
    assert stat.S_IMODE((folder / "unserved").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "unserved" / "secret.json").stat().st_mode) == 0o600


def test_psql_and_db_uri_need_a_gateway_that_serves(data: list[str], folder: Path) -> None:
    # No other psql is on the PATH.
    found = run("psql", *data, "-Atc", "select current_user", env={"PATH": str(folder)})
    assert (found.stdout, found.stderr) == ("postgres\n", "")
    for command in ("psql", "db-uri"):
        status, line = failure(command, "--data-dir", str(folder / "no-gateway"))
        assert (status, line) == (1, f"no gateway serves {folder / 'no-gateway'}: run pgmq-gateway serve first")
    # The database of another command stops with it.
    another = DataDirectory(folder / "another")
    another.prepare()
    with another.hold("install"):
        status, line = failure("db-uri", "--data-dir", str(another.path))
    assert (status, line) == (1, f"no gateway serves {another.path}: run pgmq-gateway serve first")


def test_queues_of_another_database_are_managed_by_its_uri(database: str, directory: DataDirectory) -> None:
    uri = socket_uri(directory, database=database)
    none = run("queue", "list", "--db-uri", uri).stdout
    assert none == "no queues yet: create one with pgmq-gateway queue create NAME\n"
    assert run("queue", "create", "elsewhere", "--db-uri", uri).stdout == "created basic queue elsewhere\n"
    listed = json.loads(run("queue", "list", "--json", env={"PGMQ_GATEWAY_ADMIN_URI": uri}).stdout)
    assert [row["queue_name"] for row in listed] == ["elsewhere"]


def test_a_database_that_is_not_installed_is_left_alone(
    new_database: Callable[..., str], directory: DataDirectory
) -> None:
    _, line = failure("queue", "list", "--db-uri", socket_uri(directory, database=new_database()))
    assert line.startswith("this database is not installed or not up to date: run pgmq-gateway install")


def test_d15_install_waits_for_the_database(database: str, directory: DataDirectory, tmp_path: Path) -> None:
    there, here = (quote(str(folder), safe="") for folder in (socket_folder(directory), tmp_path))
    uri = socket_uri(directory, database=database).replace(there, here)
    status, message = failure("install", "--wait", "0.01", "--db-uri", uri)
    assert status == 1
    assert message.startswith("cannot connect to the database: no connection was accepted for 0.01 s (")
    command = [str(PROGRAM), "install", "--wait", "600", "--db-uri", uri]
    with subprocess.Popen(command, env=environment(), stdout=PIPE, stderr=PIPE, text=True) as installing:
        assert installing.stdout is not None
        assert installing.stderr is not None
        line = installing.stderr.readline()
        assert line.startswith("pgmq-gateway: WARNING: waiting up to 600 s for the database: ")
        (tmp_path / ".s.PGSQL.5432").symlink_to(socket_folder(directory) / ".s.PGSQL.5432")
        assert (installing.wait(120), installing.stderr.read()) == (0, "")
        assert installing.stdout.read().startswith("up to date\n")
    # Waiting does not help with a wrong user or password.
    wrong = failure("install", "--wait", "600", "--db-uri", uri.replace("postgres@", "nobody@"))
    assert wrong == (1, 'role "nobody" does not exist')


def test_a_database_that_is_not_there_is_one_line(directory: DataDirectory) -> None:
    _, line = failure("queue", "list", "--db-uri", socket_uri(directory, database="nope"))
    assert line == 'database "nope" does not exist'
    _, line = failure("queue", "list", "--db-uri", "postgresql://127.0.0.1:1/x")
    assert line.startswith("cannot connect to the database:")


async def test_a_lost_connection_is_one_line(database: str, directory: DataDirectory) -> None:
    async def lose() -> None:
        async with owner(socket_uri(directory, database=database), directory, "a test", print) as connection:
            connection.terminate()
            await connection.fetch("select")

    with pytest.raises(OwnerError, match=r"^lost the connection to the database: "):
        await lose()
