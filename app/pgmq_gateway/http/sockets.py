"""The addresses that the gateway listens on: bound here, or passed on by a service manager."""

import os
import socket
from collections.abc import MutableMapping
from contextlib import ExitStack
from dataclasses import dataclass

# The first file descriptor that is passed (systemd's sd_listen_fds(3)).
FIRST_PASSED = 3
ALL_HOSTS = {"0.0.0.0", "::"}  # noqa: S104 to compare with


class ServeError(Exception):
    """Why the gateway cannot serve, in one line that says what to do."""


@dataclass(frozen=True)
class Addresses:
    """The sockets of the API and of the health checks."""

    api: socket.socket
    admin: socket.socket


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A listening address; port 0 is any free one. `shared`: others may listen there too. Raises ServeError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with ExitStack() as unless_bound:
            bound = unless_bound.enter_context(socket.socket(family, kind, protocol))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind(address)
            unless_bound.pop_all()
    except OSError as error:
        raise ServeError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    return bound


def overlap(one: socket.socket, other: socket.socket) -> bool:
    """Whether a client could mean either: with SO_REUSEADDR, bind(2) allows that as long as neither listens."""
    (host, port), (other_host, other_port) = one.getsockname()[:2], other.getsockname()[:2]
    any_host = bool(ALL_HOSTS & {host, other_host})
    return bool(port == other_port and (any_host or host == other_host))


def passed(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """The sockets that systemd has opened for this process, the API's first. Raises ServeError.

    The variables that tell of them are taken out of the environment: they are not for processes of ours.
    """
    told = {name: environment.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")}
    if told["LISTEN_PID"] != str(os.getpid()):
        return []
    count = int(told["LISTEN_FDS"] or 0)
    found = [socket.socket(fileno=number) for number in range(FIRST_PASSED, FIRST_PASSED + count)]
    for one in found:
        one.set_inheritable(False)
        if one.family not in (socket.AF_INET, socket.AF_INET6) or one.type != socket.SOCK_STREAM:
            raise ServeError("a socket that systemd passes is none of TCP: ListenStream needs a port")
    # In a unit of two sockets their order is that of the file, unless names say which is which.
    names = told["LISTEN_FDNAMES"].split(":")
    return [one for _, one in sorted(zip(names, found, strict=False), key=lambda pair: pair[0] == "admin")]


def url(bound: socket.socket) -> str:
    """The address as a browser takes it."""
    host, port = bound.getsockname()[:2]
    # An address for all of them is none that can be called.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 no binding here
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
