"""The workers of docs/guides, through kills of the gateway and of Postgres."""

import contextlib
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.clients.workers import done, python, started, typescript
from tests.databases import new_database, runner
from tests.proxy import Proxy
from tests.server import Server
from tests.waiting import until

KEY = "sb_secret_of_the_workers"
# Small batches and short leases and pauses, so that much happens within seconds.
CONSTANTS = "4, 2, 20, 1"
TASKS = 40

# What was settled, in the same transaction.
SQL = """
select pgmq_admin.create_queue('tasks');
create table settled (task int primary key, reads int not null);
grant insert on settled to service_role;
create function settle() returns trigger language plpgsql as $f$ begin
    insert into public.settled values ((old.message->>'task')::int, old.read_ct); return null; end $f$;
create trigger settle after delete on pgmq.q_tasks for each row execute function settle()
"""


@dataclass
class Site:
    """A queue and a gateway, which can be killed.

    sent     the number of tasks sent
    settled  the tasks that were seen settled, and how often they had been read
    """

    directory: DataDirectory
    database: str
    folder: Path
    wire: Proxy
    gateway: Server | None = None
    sent: int = 0
    settled: dict[int, int] = field(default_factory=dict)

    def sql(self, statement: str, *parameters: object) -> list[tuple[int, int]]:
        """Run SQL on a new connection, because Postgres is killed."""
        with psycopg.connect(socket_uri(self.directory, database=self.database), autocommit=True) as connection:
            return runner(connection)(statement, *parameters)

    def send(self, number: int) -> None:
        self.sql(
            "select pgmq.send('tasks', jsonb_build_object('task', n)) from generate_series(%s::int, %s::int) n",
            self.sent + 1, self.sent + number,
        )  # fmt: skip
        self.sent += number

    def start(self) -> None:
        """Start a gateway, at the address at which the workers know it."""
        env = {
            "PGRST_DB_URI": socket_uri(self.directory, "authenticator", self.database),
            "PGRST_JWT_SECRET": server.SECRET,
            "PGMQ_GATEWAY_SECRET_KEYS": f"default={KEY}",
            "PGRST_DB_POOL": "4",
        }
        self.gateway = server.start(self.folder / "log", env=env)
        port = urlsplit(self.gateway.url).port
        assert port is not None
        self.wire.aim(("127.0.0.1", port))

    def kill_gateway(self) -> None:
        assert self.gateway is not None
        self.gateway.stop(signal.SIGKILL)
        self.start()

    def kill_postgres(self) -> None:
        """It is started again by its supervisor."""
        os.kill(int((self.directory.postgres / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def look(self) -> int:
        """How many tasks are settled; what was seen settled stays so."""
        with contextlib.suppress(psycopg.OperationalError):
            now = dict(self.sql("select task, reads from settled"))
            assert now.items() >= self.settled.items()
            self.settled = now
        return len(self.settled)


@pytest.fixture
def site(directory: DataDirectory, template: str, tmp_path: Path) -> Iterator[Site]:
    with new_database(directory, template) as database, Proxy(("127.0.0.1", 0)) as wire:
        found = Site(directory, database, tmp_path, wire)
        found.sql(SQL)
        found.start()
        yield found
        assert found.gateway is not None
        assert found.gateway.stop() == 0, (tmp_path / "log").read_text()


@pytest.fixture
def workers(site: Site, tmp_path: Path) -> Iterator[dict[Path, subprocess.Popen[str]]]:
    """One worker in each language on one queue, by the folders of their outputs."""
    variables = {"SUPABASE_URL": f"http://127.0.0.1:{site.wire.port}", "SUPABASE_KEY": KEY, "QUEUE": "tasks"}
    commands = {}
    for worker in (python, typescript):
        folder = tmp_path / worker.__name__
        folder.mkdir()
        commands[folder] = worker(folder, CONSTANTS)
    running = {folder: started(command, folder, variables) for folder, command in commands.items()}
    yield running
    for process in running.values():
        process.kill()
        process.wait()


def test_workers_settle_each_message_once_through_kills(site: Site, workers: dict[Path, subprocess.Popen[str]]) -> None:
    def both_work() -> bool:
        site.send(1)
        return all(done(folder) for folder in workers)

    until(both_work)
    for kill in (site.kill_gateway, site.kill_postgres):
        site.send(TASKS)
        kill()
        # Messages whose response was lost are read again when their leases end.
        until(lambda: site.look() == site.sent)
    for folder, process in workers.items():
        process.send_signal(signal.SIGTERM)
        assert process.wait(server.TIMEOUT_SECONDS) == 0, (folder / "output").read_text()
    assert site.sql("select (select count(*) from pgmq.q_tasks), (select count(*) from pgmq.a_tasks)") == [(0, 0)]
    times = Counter(task for folder in workers for task in done(folder))
    assert times.keys() == set(range(1, site.sent + 1))
    # No more often than it was delivered before it was settled.
    assert all(times[task] <= reads for task, reads in site.settled.items())
