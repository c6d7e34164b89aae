"""The real `pgmq-gateway serve` as a child process, started and stopped as an operator would."""

import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from pgmq_gateway.auth.signing import api_key

PROGRAM = Path(sys.executable).with_name("pgmq-gateway")
SECRET = "a secret that is only ever used in these tests"
TIMEOUT_SECONDS = 60
# Passes the API's socket as systemd does: descriptor 3, and variables with the process ID of the receiver.
PASSES = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "api"}
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass
class Server:
    """A running gateway with the URLs of its API and its admin port."""

    process: subprocess.Popen[str]
    url: str
    admin_url: str
    output: str
    log: Path = field(repr=False)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it with a signal and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(TIMEOUT_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


Serve = Callable[..., Server]


def start(
    log: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    passed: socket.socket | None = None,
    program: Path = PROGRAM,
    command: Sequence[str] = ("serve", "--port", "0", "--admin-port", "0"),
) -> Server:
    """Run `pgmq-gateway serve` on free ports and wait for its banner; stderr goes to `log`.

    Without the dashboard, unless the arguments name its port. `passed`: a socket to serve, as from systemd. `command`:
    another one that serves.
    """
    without = () if "--dashboard-port" in arguments or command[0] != "serve" else ("--no-dashboard",)
    passes = (sys.executable, "-c", PASSES, str(passed.fileno())) if passed else ()
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*passes, program, *command, *without, *arguments],
            env=environment(env),
            cwd=cwd,
            pass_fds=(passed.fileno(),) if passed else (),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    output = banner(process, log, "/ready")
    api, admin = addresses(output)
    return Server(process, api, admin, output, log)


def run(
    *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of `pgmq-gateway` and wait for its exit."""
    return subprocess.run(
        [PROGRAM, *arguments], env=environment(env), cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


@contextmanager
def dashboard(log: Path, *arguments: str, cwd: Path | None = None) -> Iterator[str]:
    """The address of a running `pgmq-gateway dashboard`, which must exit with 0 and log nothing."""
    with log.open("w") as errors:
        process = subprocess.Popen(
            [PROGRAM, "dashboard", "--port", "0", *arguments],
            env=environment(),
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    with process:
        try:
            # The banner's first address is the API's.
            yield re.findall(r"http://[\d.]+:\d+", banner(process, log, "\n"))[1]
        finally:
            process.terminate()
        assert process.wait(TIMEOUT_SECONDS) == 0
    assert log.read_text() == ""


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without settings of the gateway, and with `more`. Dashboards use any free port."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PGRST_", "PGMQ_GATEWAY_", "PG"))}
    # Samples would change the numbers of transactions that tests count.
    fixed = {
        "PGMQ_GATEWAY_HISTORY_INTERVAL": "0",
        "PGMQ_GATEWAY_BACKGROUND": "false",
        "PGMQ_GATEWAY_DASHBOARD_PORT": "0",
    }
    return {**kept, "COLUMNS": "200", **fixed, **(more or {})}


def addresses(banner: str) -> list[str]:
    """The URLs of the API and of the admin port."""
    found = re.findall(r"http://[\d.]+:\d+(?!\S*sign-in)", banner)
    # A public URL replaces that of the API.
    return (found * 2)[:2]


def banner(process: subprocess.Popen[str], log: Path, mark: str) -> str:
    """The output of the process up to the end of the first banner that contains `mark`."""
    assert process.stdout is not None
    descriptor, output, deadline = process.stdout.fileno(), "", time.monotonic() + TIMEOUT_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while mark not in output:
            ready = selector.select(deadline - time.monotonic())
            chunk = os.read(descriptor, 65536).decode() if ready else ""
            if not chunk:
                process.kill()
                process.wait()
                process.stdout.close()
                raise AssertionError(f"no banner: {output}\n{log.read_text()}")
            output += chunk
    return output


def call(gateway: Server, function: str, **arguments: object) -> httpx.Response:
    """One call as service_role."""
    headers = {"apikey": api_key(SECRET.encode(), "service_role"), "Content-Profile": "pgmq_public"}
    return httpx.post(f"{gateway.url}/rest/v1/rpc/{function}", json=arguments, headers=headers, timeout=30)


def ready(gateway: Server) -> bool:
    return httpx.get(f"{gateway.admin_url}/ready").status_code == 200


def refuses(gateway: Server) -> bool:
    """True if new connections are refused."""
    url = httpx.URL(gateway.url)
    try:
        socket.create_connection((url.host, url.port or 80), TIMEOUT_SECONDS).close()
    except ConnectionError:
        return True
    return False
