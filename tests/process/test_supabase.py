"""The image beside a self-hosted Supabase: its command and health check, with the variables of the compose file."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx

from pgmq_gateway.auth.signing import api_key
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.databases import Sql
from tests.server import SECRET, Server
from tests.waiting import until

DOCKERFILE = Path(__file__).parents[2].joinpath("Dockerfile").read_text()

# Of the service `rest`. Supabase's own database has these schemas.
COMPOSE = {
    "PGRST_DB_SCHEMAS": "public,storage,graphql_public",
    "PGRST_DB_MAX_ROWS": "1000",
    "PGRST_DB_EXTRA_SEARCH_PATH": "public",
    "PGRST_DB_ANON_ROLE": "anon",
    "PGRST_JWT_SECRET": SECRET,
    "PGRST_DB_USE_LEGACY_GUCS": "false",
    "PGRST_APP_SETTINGS_JWT_SECRET": SECRET,
    "PGRST_APP_SETTINGS_JWT_EXP": "3600",
}
PREFIX = "pgmq-gateway: WARNING: "
FREE_PORTS = {"PGRST_SERVER_HOST": "127.0.0.1", "PGRST_SERVER_PORT": "0", "PGRST_ADMIN_SERVER_PORT": "0"}

SEEN = """
create schema storage;
grant usage on schema storage to anon;
create function storage.seen() returns jsonb language sql as $$
    select jsonb_build_object(
        'role', current_user,
        'search_path', current_setting('search_path'),
        'secret', current_setting('app.settings.jwt_secret'),
        'exp', current_setting('app.settings.jwt_exp'),
        'legacy', current_setting('request.jwt.claim.role', true)
    )
$$;
create function public.numbers() returns setof int language sql as 'select generate_series(1, 1500)';
"""


def caller(gateway: Server, role: str) -> Callable[..., httpx.Response]:
    """Calls functions as supabase-js does through Supabase's API gateway, with the key of a role."""
    key = api_key(SECRET.encode(), role)

    def call(function: str, schema: str = "pgmq_public", **arguments: object) -> httpx.Response:
        # Kong checks the client's key, passes it on and adds a token.
        headers = {"apikey": "sb_opaque", "Authorization": f"Bearer {key}", "Content-Profile": schema}
        return httpx.post(f"{gateway.url}/rpc/{function}", headers=headers, json=arguments, timeout=30)

    return call


def from_dockerfile(instruction: str) -> str:
    """The first instruction of this name, without its name."""
    found = re.search(rf"^ *{instruction} (.*)$", DOCKERFILE, re.MULTILINE)
    assert found is not None
    return found[1]


def test_d7_the_image_serves_with_the_variables_and_the_command_of_supabase(
    database: str, directory: DataDirectory, own_sql: Sql, tmp_path: Path
) -> None:
    own_sql(SEEN)
    own_sql("select pgmq_admin.create_queue('tasks', rls => false)")
    own_sql("select pgmq_admin.grant_queue('tasks', 'authenticated', '{send,read}')")
    assert json.loads(from_dockerfile("ENTRYPOINT")) == [server.PROGRAM.name]
    uri = socket_uri(directory, "authenticator", database)
    gateway = server.start(tmp_path / "log", env=COMPOSE | FREE_PORTS | {"PGRST_DB_URI": uri}, command=["postgrest"])
    anon, user, service = (caller(gateway, role) for role in ("anon", "authenticated", "service_role"))
    try:
        assert anon("seen", "storage").json() == {
            "role": "anon",
            "search_path": '"storage", "public"',
            "secret": SECRET,
            "exp": "3600",
            "legacy": None,
        }
        assert len(anon("numbers", "public").json()) == 1000

        # As with PostgREST, the schema has to be exposed first. On hosted Supabase, the dashboard does it this way.
        refused = service("send", queue_name="tasks", message=1)
        assert (refused.status_code, refused.json()["hint"]) == (
            406,
            "Only the following schemas are exposed: public, storage, graphql_public",
        )
        schemas = f"{COMPOSE['PGRST_DB_SCHEMAS']},pgmq_public"
        own_sql(f"alter role authenticator in database \"{database}\" set pgrst.db_schemas = '{schemas}'")
        own_sql("notify pgrst, 'reload config'")
        until(lambda: service("send", queue_name="tasks", message=1).status_code == 200)
        assert user("send", queue_name="tasks", message=2).status_code == 200
        assert user("delete", queue_name="tasks", message_id=1).json()["code"] == "42501"
        assert anon("send", queue_name="tasks", message=3).json()["code"] == "42501"
        assert own_sql("select message from pgmq.q_tasks order by 1") == [(1,), (2,)]
        assert_healthy(gateway)
    finally:
        assert gateway.stop() == 0
    # The second one again for the new settings.
    assert set(gateway.log.read_text().removeprefix(PREFIX).rstrip("\n").split(f"\n{PREFIX}")) == {
        "queues cannot be used: add pgmq_public to db-schemas (PGRST_DB_SCHEMAS)",
        "db-schemas names graphql_public, which the database does not have: correct or create it",
    }


def assert_healthy(gateway: Server) -> None:
    """The image's health check asks the admin port, wherever that is."""
    check = from_dockerfile("CMD")
    assert check.startswith("python -c ")
    for url, healthy in ((gateway.admin_url, True), (gateway.url, False)):
        env = {"PATH": str(server.PROGRAM.parent), "PGRST_ADMIN_SERVER_PORT": url.rpartition(":")[2]}
        result = subprocess.run(["/bin/sh", "-c", check], env=env, capture_output=True, check=False)
        assert (result.returncode == 0) == healthy
