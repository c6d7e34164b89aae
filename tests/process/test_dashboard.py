"""The dashboard's process: started by serve, restarted when it exits, stopped with serve."""

import os
import re
import signal
import socket
from pathlib import Path

import httpx
import psutil
import pytest

from pgmq_gateway.auth.signing import api_key
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.server import SECRET, Server
from tests.waiting import until

PUBLIC_URL = "https://q.example"


def process(gateway: Server) -> psutil.Process:
    """The dashboard's process, once it has started."""
    found: list[psutil.Process] = []

    def there() -> bool:
        children = psutil.Process(gateway.process.pid).children()
        found[:] = [child for child in children if child.is_running() and "pgmq_gateway.dashboard" in child.cmdline()]
        return bool(found)

    until(there)
    return found[0]


def test_it_is_restarted_when_it_exits_and_its_link_signs_in_once(folder: Path, tmp_path: Path) -> None:
    where = ("--data-dir", str(folder / "with-dashboard"))
    env = {"PGRST_JWT_SECRET": SECRET, "PGRST_OPENAPI_SERVER_PROXY_URI": PUBLIC_URL}
    gateway = server.start(tmp_path / "log", *where, "--dashboard-port", "0", env=env)
    assert f"  API        {PUBLIC_URL}\n" in gateway.output
    link = re.search(r"(\S+)/sign-in\?code=(\S+)", gateway.output)
    assert link is not None
    # Before it serves, connections wait in the listen backlog.
    assert [httpx.get(link[0], timeout=30).status_code for _ in range(2)] == [200, 403]
    first = process(gateway)
    secret = (link[2], api_key(SECRET.encode(), "service_role"), SECRET)
    shown = [*first.cmdline(), *first.environ().values(), *psutil.Process(gateway.process.pid).cmdline()]
    assert not [text for text in shown for one in secret if one in text]
    first.kill()
    # The restarted process does not accept the used code.
    assert httpx.get(link[0], timeout=30).status_code == 403
    second = process(gateway)
    assert second.pid != first.pid
    linked = server.run("dashboard-link", *where, env=env)
    assert (linked.returncode, linked.stderr) == (0, "")
    assert linked.stdout.startswith(f"{link[1]}/sign-in?code=")
    opened = httpx.get(linked.stdout.strip(), timeout=30)
    signed_in = dict(opened.cookies)
    assert httpx.get(f"{link[1]}/", cookies=signed_in, timeout=30).status_code == 200
    second.kill()
    until(lambda: process(gateway).pid != second.pid)
    second = process(gateway)
    assert httpx.get(f"{link[1]}/", cookies=signed_in, timeout=30).status_code == 200
    refused = server.run("dashboard-link", *where, env={**env, "PGRST_JWT_SECRET": "x" * 40})
    assert (refused.returncode, "does not accept keys of this folder" in refused.stderr) == (1, True)
    # A terminal sends SIGINT to both; the dashboard stops when the gateway does.
    second.send_signal(signal.SIGINT)
    assert httpx.get(link[1] + "/sign-in", timeout=30).status_code == 200
    assert gateway.stop(signal.SIGINT) == 0
    # On a busy machine init reaps it a moment later.
    psutil.wait_procs([second], 30)
    assert not second.is_running()
    lines = gateway.log.read_text().splitlines()
    assert [line.partition(";")[0] for line in lines] == [
        "pgmq-gateway: WARNING: the dashboard exited with status -9"
    ] * 2


def test_it_does_not_outlive_a_killed_gateway(tmp_path: Path, directory: DataDirectory, database: str) -> None:
    uri = socket_uri(directory, "authenticator", database)
    env = {"PGRST_DB_URI": uri, "PGRST_JWT_SECRET": SECRET, "PGRST_OPENAPI_SERVER_PROXY_URI": PUBLIC_URL}
    gateway = server.start(tmp_path / "log", "--dashboard-port", "0", env=env)
    assert gateway.output.startswith(f"pgmq-gateway serves {PUBLIC_URL} on {gateway.url} (health: {gateway.admin_url}/")
    page = re.search(r"dashboard: (\S+?)[,)]", gateway.output)
    assert page is not None
    # The sign-in page names the gateway.
    assert PUBLIC_URL in httpx.get(f"{page[1]}/sign-in", timeout=30).text
    dashboard = process(gateway)
    gateway.stop(signal.SIGKILL)
    psutil.wait_procs([dashboard], 30)
    assert not dashboard.is_running()


def test_a_port_in_use_is_reported_in_one_line(directory: DataDirectory, database: str) -> None:
    env = {"PGRST_DB_URI": socket_uri(directory, "authenticator", database), "PGRST_JWT_SECRET": SECRET}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = server.run("serve", "--port", "0", "--admin-port", "0", "--dashboard-port", port, env=env)
    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch(
        rf"pgmq-gateway: cannot listen on 127\.0\.0\.1:{port}: Address already in use by \S+ \(pid {os.getpid()}\): "
        "choose another port with --dashboard-port PORT or --no-dashboard, or --dashboard-port 0 for any free one\n",
        result.stderr,
    ), result.stderr


def test_the_command_serves_a_remote_gateway_and_writes_no_file(tmp_path: Path) -> None:
    with (
        server.dashboard(
            tmp_path / "log", "--api", "http://127.0.0.1:9", "--allow-host", "dash.example", cwd=tmp_path
        ) as address,
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        refused = client.post("/sign-in", data={"key": "a.b.c"}, headers={"Origin": address})
        assert refused.status_code == 403
        assert "The gateway at http://127.0.0.1:9 cannot be reached" in refused.text
        assert client.get("/", headers={"Host": "dash.example"}).status_code == 303
        assert client.get("/", headers={"Host": "evil.example"}).status_code == 421
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


@pytest.mark.parametrize("address", ["localhost:3000"])
def test_a_malformed_address_is_rejected(address: str) -> None:
    done = server.run("dashboard", "--api", address, "--port", "0")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
