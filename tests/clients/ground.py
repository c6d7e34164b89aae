"""The database and the folder of a running `make serve`, empty again for each page."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg

from pgmq_gateway.auth.signing import api_key
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import runner
from tests.server import Server
from tests.waiting import until
from tests.walk import Walk

ROLES = "select rolname from pg_roles order by 1"
QUEUES = "select queue_name from pgmq.list_queues()"
SCHEMAS = "select nspname from pg_namespace where nspname !~ '^pg_(toast|temp)' order by 1"
# What pages make in `public`, where the gateway itself has nothing.
OBJECTS = """
    select format('drop %s if exists %s cascade',
        case classid when 'pg_proc'::regclass then 'routine' when 'pg_type'::regclass then 'type'
            else case relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end end,
        identity)
    from (
        select 'pg_proc'::regclass as classid, oid, null::"char" as relkind from pg_proc
        where pronamespace = 'public'::regnamespace
        union all
        select 'pg_class'::regclass, oid, relkind from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'S')
            and not exists (select from pg_depend as d where d.objid = pg_class.oid and d.deptype in ('a', 'i', 'e'))
    ) as made, pg_identify_object(classid, oid, 0)
"""


@dataclass(frozen=True)
class Ground:
    """A gateway served from a folder, with what was there at the start."""

    folder: Path
    server: Server

    @contextmanager
    def walk(self, scratch: Path) -> Iterator[Walk]:
        """A walk whose queues, roles, schemas, functions and files are deleted at its end."""
        files, roles, schemas = set(self.folder.iterdir()), self._names(ROLES), self._names(SCHEMAS)
        addresses = {
            "http://127.0.0.1:3000": self.server.url,
            "http://127.0.0.1:3001": self.server.admin_url,
            # A look-up of this name can take a minute.
            "db.example.com:5432": "127.0.0.1:1",
        }
        walk = Walk(self.folder, scratch, self._uri, addresses, self.reloaded)
        try:
            yield walk
        finally:
            walk.close()
            for path in set(self.folder.iterdir()) - files:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            self._clear(roles, schemas)

    def reloaded(self) -> None:
        """Wait until the gateway knows the functions of now."""
        marker = f"marker_{uuid.uuid4().hex}"
        self._run(
            f"create function public.{marker}() returns int stable language sql as 'select 1'",
            "notify pgrst, 'reload schema'",
        )
        headers = {"apikey": api_key(self._secret, "anon"), "Accept-Profile": "public"}
        url = f"{self.server.url}/rest/v1/rpc/{marker}"
        until(lambda: httpx.get(url, headers=headers, timeout=30).status_code == 200)

    @property
    def _directory(self) -> DataDirectory:
        return DataDirectory(self.folder / ".pgmq-gateway")

    @property
    def _uri(self) -> str:
        return socket_uri(self._directory)

    @property
    def _secret(self) -> bytes:
        secrets = self._directory.read_secrets()
        assert secrets
        return secrets.jwt_secret.encode()

    def _names(self, query: str) -> list[str]:
        with psycopg.connect(self._uri, autocommit=True) as connection:
            return [name for (name,) in runner(connection)(query)]

    def _run(self, *statements: str) -> None:
        with psycopg.connect(self._uri, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def _clear(self, roles: list[str], schemas: list[str]) -> None:
        self._run(*(f"select pgmq.drop_queue('{name}')" for name in self._names(QUEUES)))
        self._run(*(f'drop schema "{name}" cascade' for name in self._names(SCHEMAS) if name not in schemas))
        self._run(*self._names(OBJECTS))
        self._run("truncate pgmq_gateway.idempotency_keys")
        for name in self._names(ROLES):
            if name not in roles:
                self._run(f'drop owned by "{name}" cascade', f'drop role "{name}"')
