"""The configuration of HAProxy in docs/operating/scaling.md, before two servers in place of gateways."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from tests.conftest import missing
from tests.pages import Page
from tests.server import TIMEOUT_SECONDS
from tests.waiting import until

PAGE = Page("docs/operating/scaling.md")
BIND = "bind :3000"
SOCKET = "bind unix@{}"
QUEUE = "orders"


@contextmanager
def group(name: str) -> Iterator[int]:
    """A server that answers each request with its name; its port."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.send_response(200)
            self.send_header("Content-Length", str(len(name)))
            self.end_headers()
            self.wfile.write(name.encode())

        do_GET = do_POST = do_OPTIONS = answer

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def router(tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of HAProxy with the page's configuration."""
    program = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if not program:
        missing("haproxy", "it runs the configuration of docs/operating/scaling.md")
    with ExitStack() as stack:
        ports = {name: stack.enter_context(group(name)) for name in ("group_a", "group_b")}
        (text,) = PAGE.code("haproxy")
        text = text.replace(BIND, SOCKET.format(tmp_path / "socket"))
        text = text.replace("/etc/haproxy/queues.map", str(tmp_path / "queues.map"))
        for number, port in enumerate(ports.values(), start=1):
            # The servers have no admin port.
            text = text.replace(f"10.0.{number}.21:3000 check port 3001", f"127.0.0.1:{port}")
        (tmp_path / "haproxy.cfg").write_text(text)
        (tmp_path / "queues.map").write_text(f"{QUEUE} group_b\n")
        process = subprocess.Popen([program, "-f", str(tmp_path / "haproxy.cfg")])
        stack.callback(process.wait, TIMEOUT_SECONDS)
        stack.callback(process.terminate)
        until(lambda: process.poll() is not None or (tmp_path / "socket").exists())
        transport = httpx.HTTPTransport(uds=str(tmp_path / "socket"))
        yield stack.enter_context(httpx.Client(transport=transport, base_url="http://router", timeout=30))


def test_requests_reach_the_group_of_their_queue(router: httpx.Client) -> None:
    requests = [
        ("GET", "/queues/orders/messages", None),
        ("POST", "/rest/v1/queues/Orders/messages", {"queue_name": "mail"}),
        ("POST", "/rest/v1/rpc/send", {"message": {"queue_name": "mail"}, "queue_name": "orders"}),
        ("GET", "/rpc/metrics?queue_name=orders", None),
        ("GET", "/queues/mail/messages", None),
        ("POST", "/rpc/send", {"queue_name": "mail"}),
        ("OPTIONS", "/rpc/send", None),
        ("GET", "/", None),
    ]
    reached = [router.request(method, path, json=body).text for method, path, body in requests]
    assert reached == ["group_b"] * 4 + ["group_a"] * 4
