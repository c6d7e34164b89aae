"""Starting the gateway with a postgrest.conf, and --dump-config."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import jwt
import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.settings.dump import masked
from tests import server
from tests.server import SECRET, Server
from tests.waiting import until

Config = Callable[..., Path]
Started = Callable[..., Server]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """config("db-pool = 1"): a file with this text."""

    def write(*lines: str) -> Path:
        path = tmp_path / "postgrest.conf"
        path.write_text("\n".join(lines))
        return path

    return write


@pytest.fixture
def uri(database: str, directory: DataDirectory) -> str:
    """URI of the test's database, as the login role."""
    return socket_uri(directory, "authenticator", database)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """started("--config", …, PGRST_X="…"): a gateway with these settings only, stopped at the end."""
    running: list[Server] = []

    def start(*arguments: str | Path, **env: str) -> Server:
        running.append(server.start(tmp_path / f"{len(running)}.log", *map(str, arguments), env=env))
        return running[-1]

    yield start
    for gateway in running:
        gateway.stop()


def printed(*arguments: str | Path, **env: str) -> dict[str, str]:
    """The settings that --dump-config prints, as written."""
    result = server.run("serve", "--dump-config", *map(str, arguments), env=env)
    assert (result.returncode, result.stderr) == (0, "")
    lines = [line for line in result.stdout.splitlines() if not line.startswith("#")]
    return dict(line.split(" = ", 1) for line in lines)


def test_a_file_of_postgrest_starts_the_gateway(config: Config, uri: str, started: Started) -> None:
    path = config(
        "# postgrest.conf",
        f'db-uri = "{uri}"    # the database',
        'db-schema = "pgmq_public, public"',
        'db-anon-role = ""',
        "db-pool = 2",
        'jwt-secret = "$(PROJECT_SECRET)"',
        "db-prepared-statements = on",
    )
    gateway = started("--config", path, PROJECT_SECRET=SECRET)
    answer = httpx.post(f"{gateway.url}/rpc/pop", json={"queue_name": "x"})
    assert (answer.status_code, answer.json()["code"]) == (401, "PGRST302")
    bearer = jwt.encode({"role": "service_role"}, SECRET)
    answer = httpx.post(
        f"{gateway.url}/rpc/pop", json={"queue_name": "x"}, headers={"Authorization": f"Bearer {bearer}"}
    )
    assert answer.json()["code"] == "42P01"
    assert gateway.log.read_text() == ""


def test_the_environment_wins_and_what_has_no_effect_is_named(config: Config, uri: str, started: Started) -> None:
    path = config(
        'db-uri = "postgres://nobody@127.0.0.1:1/nowhere"',
        f'jwt-secret = "{SECRET}"',
        'db-root-spec = "f"',
        "log-query = true",
    )
    gateway = started(PGMQ_GATEWAY_CONFIG=str(path), PGRST_DB_URI=uri, PGRST_FUTURE="x")
    assert httpx.get(f"{gateway.admin_url}/ready").status_code == 200
    warning = "these settings of PostgREST have no effect: PGRST_FUTURE, db-root-spec, log-query"
    until(lambda: gateway.log.read_text() == f"pgmq-gateway: WARNING: {warning}\n")


def test_the_level_of_the_log_may_stand_in_the_file(config: Config, uri: str, started: Started) -> None:
    path = config(f'db-uri = "{uri}"', f'jwt-secret = "{SECRET}"', "log-query = true", 'log-level = "error"')
    assert started("--config", path).log.read_text() == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("db-uri = postgres://u:s3cret@h/d", "{}:2: the value of db-uri is neither a number nor true or false"),
        ('jwt-secret = "s3cret"', "{}:2: jwt-secret: the secret has 6 bytes and needs at least 32"),
        (
            'db-uri = "$(NOT_SET)"',
            "{}:2: the value of db-uri refers to NOT_SET, which is not set: set this environment variable",
        ),
    ],
)
@pytest.mark.parametrize("command", [["serve"], ["serve", "--dump-config"], ["keys"], ["token", "--role", "anon"]])
def test_a_broken_file_ends_it_in_one_line(config: Config, command: list[str], line: str, message: str) -> None:
    path = config("# postgrest.conf", line)
    result = server.run(*command, "--config", str(path))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"pgmq-gateway: {message.format(path)}")
    assert result.stderr.count("\n") == 1
    assert "s3cret" not in result.stderr


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    result = server.run("serve", env={"PGMQ_GATEWAY_CONFIG": str(tmp_path / "no.conf")})
    assert result.returncode == 1
    assert result.stderr == (
        f"pgmq-gateway: cannot read the configuration file {tmp_path}/no.conf: No such file or directory\n"
    )


def test_the_settings_are_printed_and_can_be_read_again(config: Config, tmp_path: Path) -> None:
    path = config('db-uri = "postgres://u@h/d"', "db-pool = 3", "max-rows = 5", 'jwt-role-claim-key = "$$.a[\\"b\\"]"')
    first = server.run("serve", "--config", str(path), "--port", "4000", "--dump-config", env={"PGRST_DB_POOL": "4"})
    assert (first.returncode, first.stderr) == (0, "")
    again = tmp_path / "again.conf"
    again.write_text(first.stdout)
    assert server.run("serve", "--config", str(again), "--dump-config").stdout == first.stdout
    lines = ["db-pool = 4", "db-max-rows = 5", "server-port = 4000", 'db-uri = "postgres://u@h/d"']
    assert set(lines) <= set(first.stdout.splitlines())


def test_secrets_are_not_printed_and_a_mask_is_not_taken_for_one(config: Config, tmp_path: Path) -> None:
    uri = "postgres://u:s3cret@h/d?sslpassword=s3cret"
    secrets = {
        "PGMQ_GATEWAY_SECRET_KEYS": "a=s3cret",
        "PGRST_JWT_SECRET": "s3cret" * 6,
        "PGRST_APP_SETTINGS_k": "s3cret",
    }
    result = server.run("serve", "--dump-config", env={"PGRST_DB_URI": uri, **secrets})
    assert "s3cret" not in result.stdout + result.stderr
    assert f'db-uri = "{masked(uri)}"' in result.stdout
    assert 'app.settings.k = "********"' in result.stdout
    path = config(*(line for line in result.stdout.splitlines() if line.startswith("pgmq-gateway-secret-keys")))
    result = server.run("serve", "--config", str(path), "--data-dir", str(tmp_path / "data"))
    assert result.returncode == 1
    assert "--dump-config prints in place of a secret: write the secret itself" in result.stderr


def test_w18_keys_that_serve_refuses_are_not_printed(config: Config) -> None:
    path = config('jwt-secret = "{\\"keys\\": [], \\"padding\\": 1234567}"')
    result = server.run("serve", "--dump-config", "--config", str(path))
    assert (result.returncode, result.stdout) == (1, "")
    assert "PGRST_JWT_SECRET: the set has no key that verifies tokens" in result.stderr


def test_printing_settings_makes_and_takes_nothing(embedded: Server, tmp_path: Path) -> None:
    data, port = tmp_path / "data", embedded.url.rpartition(":")[2]
    settings = printed("--data-dir", data, "--port", port, PGRST_DB_URI="postgres://u@h/d")
    assert (settings["db-uri"], settings["jwt-secret"], settings["server-port"]) == ('""', '""', port)
    assert not data.exists()


def test_keys_and_tokens_take_the_secret_of_the_file(config: Config) -> None:
    options = ["--config", str(config('db-uri = "postgres://u@h/d"', f'jwt-secret = "{SECRET}"'))]
    token = server.run("token", "--role", "anon", *options).stdout.strip()
    assert jwt.decode(token, SECRET, algorithms=["HS256"])["role"] == "anon"
    assert f"JWT_SECRET='{SECRET}'\n" in server.run("keys", *options).stdout
