"""The dashboard's process: started beside serve, started again when it dies, ended with serve in every way."""

import re
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import psutil
import pytest

from pgmq_gateway.auth.signing import api_key
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.server import PROGRAM, SECRET, Server
from tests.waiting import until


def process(gateway: Server) -> psutil.Process:
    """The dashboard's process, once there is one."""
    found: list[psutil.Process] = []

    def there() -> bool:
        children = psutil.Process(gateway.process.pid).children()
        found[:] = [child for child in children if child.is_running() and "pgmq_gateway.dashboard" in child.cmdline()]
        return bool(found)

    until(there)
    return found[0]


def test_it_comes_back_when_it_dies_and_its_link_signs_in_once(folder: Path, tmp_path: Path) -> None:
    where = ("--data-dir", str(folder / "with-dashboard"))
    gateway = server.start(tmp_path / "log", *where, "--dashboard-port", "0", env={"PGRST_JWT_SECRET": SECRET})
    link = re.search(r"(\S+)/sign-in\?code=(\S+)", gateway.output)
    assert link is not None
    # Nobody is refused before it serves: the system keeps them waiting.
    assert [httpx.get(link[0], timeout=30).status_code for _ in range(2)] == [200, 403]
    first = process(gateway)
    secret = (link[2], api_key(SECRET.encode(), "service_role"), SECRET)
    shown = [*first.cmdline(), *first.environ().values(), *psutil.Process(gateway.process.pid).cmdline()]
    assert not [text for text in shown for one in secret if one in text]
    first.kill()
    # The next one does not take the code again.
    assert httpx.get(link[0], timeout=30).status_code == 403
    second = process(gateway)
    assert second.pid != first.pid
    # Ctrl-C goes to both; the gateway says when to end.
    second.send_signal(signal.SIGINT)
    assert httpx.get(link[1] + "/sign-in", timeout=30).status_code == 200
    assert gateway.stop(signal.SIGINT) == 0
    assert not second.is_running()
    assert gateway.log.read_text() == (
        "pgmq-gateway: WARNING: the dashboard ended with status -9; starting another in 0.1 s\n"
    )


def test_it_does_not_outlive_a_gateway_that_is_killed(tmp_path: Path, directory: DataDirectory, database: str) -> None:
    uri = socket_uri(directory, "authenticator", database)
    env = {"PGRST_DB_URI": uri, "PGRST_JWT_SECRET": SECRET}
    gateway = server.start(tmp_path / "log", "--dashboard-port", "0", env=env)
    dashboard = process(gateway)
    gateway.stop(signal.SIGKILL)
    psutil.wait_procs([dashboard], 30)
    assert not dashboard.is_running()


def test_a_port_that_is_taken_is_said_in_one_line(directory: DataDirectory, database: str) -> None:
    env = {"PGRST_DB_URI": socket_uri(directory, "authenticator", database), "PGRST_JWT_SECRET": SECRET}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = server.run("serve", "--port", "0", "--admin-port", "0", "--dashboard-port", port, env=env)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"pgmq-gateway: cannot listen on 127.0.0.1:{port}: Address already in use "
        "(for the dashboard: choose another --dashboard-port, or --no-dashboard)\n"
    )


def test_the_command_serves_a_gateway_elsewhere_and_writes_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("w") as errors:
        started = subprocess.Popen(
            [PROGRAM, "dashboard", "--api", "http://127.0.0.1:9", "--port", "0", "--allow-host", "dash.example"],
            env=server.environment(),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    output = server.banner(started, log, "\n")
    address = re.findall(r"http://[\d.]+:\d+", output)[1]
    with httpx.Client(base_url=address, timeout=30) as client:
        refused = client.post("/sign-in", data={"key": "a.b.c"}, headers={"Origin": address})
        assert refused.status_code == 403
        assert "The gateway at http://127.0.0.1:9 cannot be reached" in refused.text
        assert client.get("/", headers={"Host": "dash.example"}).status_code == 303
        assert client.get("/", headers={"Host": "evil.example"}).status_code == 421
    started.terminate()
    assert started.wait(30) == 0
    assert started.stdout is not None
    started.stdout.close()
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert log.read_text() == ""


@pytest.mark.parametrize("address", ["localhost:3000"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    done = server.run("dashboard", "--api", address, "--port", "0")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
