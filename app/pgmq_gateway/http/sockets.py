"""Listening sockets: bound here, or passed by systemd (socket activation)."""

import os
import socket
from collections.abc import MutableMapping
from contextlib import ExitStack
from dataclasses import dataclass

# The first file descriptor that is passed (systemd's sd_listen_fds(3)).
FIRST_PASSED = 3
ALL_HOSTS = {"0.0.0.0", "::"}  # noqa: S104 to compare with


class ServeError(Exception):
    """Why the gateway cannot serve, in one line with the remedy."""


@dataclass(frozen=True)
class Addresses:
    """The sockets of the API and of the admin port."""

    api: socket.socket
    admin: socket.socket


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Bind an address. Raises ServeError.

    port    0: any free port
    shared  whether other processes may listen on the same address (SO_REUSEPORT)
    """
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
    """True if a connection could go to either. With SO_REUSEADDR, bind(2) allows that while neither listens."""
    (host, port), (other_host, other_port) = one.getsockname()[:2], other.getsockname()[:2]
    any_host = bool(ALL_HOSTS & {host, other_host})
    return bool(port == other_port and (any_host or host == other_host))


def passed(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """The sockets that systemd opened for this process, the API's first. Raises ServeError.

    Their variables are removed from the environment: child processes must not see them.
    """
    variables = {name: environment.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")}
    if variables["LISTEN_PID"] != str(os.getpid()):
        return []
    count = int(variables["LISTEN_FDS"] or 0)
    found = [socket.socket(fileno=number) for number in range(FIRST_PASSED, FIRST_PASSED + count)]
    for one in found:
        one.set_inheritable(False)
        if one.family not in (socket.AF_INET, socket.AF_INET6) or one.type != socket.SOCK_STREAM:
            raise ServeError("systemd passed a socket that is not TCP: set ListenStream to a port in the .socket unit")
    # The order is that of the unit, unless FileDescriptorName names the admin port's socket.
    names = variables["LISTEN_FDNAMES"].split(":")
    return [one for _, one in sorted(zip(names, found, strict=False), key=lambda pair: pair[0] == "admin")]


def reachable_host(host: str) -> str:
    """The host for connections to a server on this one: not everywhere can a wildcard address be connected to."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 no binding here


def url(bound: socket.socket) -> str:
    """The URL of a socket."""
    host, port = bound.getsockname()[:2]
    return url_of(reachable_host(host), port)


def url_of(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
